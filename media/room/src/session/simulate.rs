//! `simulate`: faults on request, used by SDK tests.

use crate::context::Cx;
use crate::ids::Pid;
use crate::room::{Farewell, Room};
use bedrud_sfu::Command;
use livekit_protocol::leave_request::Action;
use livekit_protocol::simulate_scenario::Scenario;
use livekit_protocol::{CandidateProtocol, DisconnectReason, SimulateScenario};
use std::time::Duration;

/// Resumes within this time follow the script.
const SCRIPT: Duration = Duration::from_secs(5);
const SCRIPTED_ATTEMPTS: u8 = 3;
/// How long a wish for TCP is remembered.
const TCP_WISH: Duration = Duration::from_secs(300);
const MAX_TCP_WISHES: usize = 1024;

impl Room {
    pub(super) fn on_simulate(&mut self, cx: &mut Cx<'_>, pid: Pid, scenario: SimulateScenario) {
        let until = cx.after(SCRIPT);
        let Some(p) = self.get_mut(pid) else { return };
        match scenario.scenario {
            Some(Scenario::SpeakerUpdate(seconds)) => {
                let seconds = u32::try_from(seconds).unwrap_or(0).min(3600);
                self.simulate_speech(cx, pid, seconds);
            }
            Some(Scenario::NodeFailure(true)) => {
                self.remove(cx, pid, DisconnectReason::ServerShutdown, Farewell::Silent);
            }
            Some(Scenario::Migration(true)) => {
                self.remove(cx, pid, DisconnectReason::Migration, Farewell::Silent);
            }
            Some(Scenario::ServerLeave(true)) => {
                self.remove(cx, pid, DisconnectReason::ServerShutdown, Farewell::Leave(Action::Disconnect));
            }
            Some(Scenario::SwitchCandidateProtocol(protocol)) => {
                self.switch_protocol(cx, pid, protocol == CandidateProtocol::Tcp as i32);
            }
            Some(Scenario::SubscriberBandwidth(bits)) => {
                let cap = u64::try_from(bits).ok().filter(|b| *b > 0);
                if let Some(id) = p.media_link().map(|l| l.id) {
                    cx.command(id.shard, Command::SetEgressCap { id, bits_per_second: cap });
                }
            }
            Some(Scenario::DisconnectSignalOnResume(true)) => p.resume_script.close_after = Some(until),
            Some(Scenario::DisconnectSignalOnResumeNoMessages(true)) => {
                p.resume_script.close_before = Some((until, SCRIPTED_ATTEMPTS));
            }
            Some(Scenario::LeaveRequestFullReconnect(true)) => {
                self.remove(cx, pid, DisconnectReason::ClientInitiated, Farewell::Leave(Action::Reconnect));
            }
            _ => {}
        }
    }

    /// Candidates of the wanted protocol only, from now on and after the next join.
    fn switch_protocol(&mut self, cx: &mut Cx<'_>, pid: Pid, tcp_only: bool) {
        let until = cx.after(TCP_WISH);
        let Some(p) = self.get_mut(pid) else { return };
        p.tcp_only = tcp_only;
        let identity = p.identity().to_owned();
        for link in p.links() {
            link.tcp_only = tcp_only;
            cx.command(link.id.shard, Command::SetTcpOnly { id: link.id, tcp_only });
        }
        if let Some(s) = &mut p.subscriber {
            s.restart_ice = true;
        }
        self.remember_tcp_wish(cx.now.mono, identity, tcp_only.then_some(until), MAX_TCP_WISHES);
        self.negotiate(cx, pid);
    }
}
