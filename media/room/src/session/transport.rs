//! News about a participant's transports.

use crate::context::Cx;
use crate::ids::Pid;
use crate::io::RoomEvent;
use crate::room::{Audience, Farewell, Room};
use crate::timers::Timer;
use bedrud_sfu::{CloseReason, DataChannel, TransportId};
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use std::time::Duration;

/// A path that stays silent for this long after the shard noticed has failed.
const FAILED_AFTER: Duration = Duration::from_secs(5);

/// A participant learns of its connection at the latest after this.
const QUALITY: Duration = Duration::from_secs(5);

impl Room {
    pub(crate) fn on_connected(&mut self, cx: &mut Cx<'_>, pid: Pid, id: TransportId) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(link) = p.link_mut(id) else { return };
        link.connected = true;
        link.silent = false;
        let primary = p.primary().is_some_and(|l| l.id == id);
        if primary && p.state == State::Joined {
            self.activate(cx, pid);
        }
        let Some(p) = self.get_mut(pid) else { return };
        if p.media_link().is_some_and(|l| l.id == id) {
            for track in p.subscriptions.keys().cloned().collect::<Vec<_>>() {
                self.notice_subscriber(cx, pid, &track);
            }
        }
        self.report_tracks(cx, pid);
    }

    fn activate(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        p.state = State::Active;
        p.active_at = Some(cx.now.mono);
        p.touch();
        let participant = p.info(&cx.config.region);
        let auto = p.auto_subscribe && p.permission.can_subscribe;
        cx.cancel_timer(self.key, Some(pid), Timer::Join);
        cx.arm_timer(self.key, None, Timer::Quality, QUALITY);
        self.announce(cx, pid, Audience::Others, false);
        cx.event(RoomEvent::ParticipantJoined { id: self.id.clone(), room: self.info(), participant });
        if auto {
            self.subscribe_to_all(cx, pid);
        }
    }

    /// No sign of life on the path.
    pub(crate) fn on_silence(&mut self, cx: &mut Cx<'_>, pid: Pid, id: TransportId) {
        let room = self.key;
        if let Some(link) = self.get_mut(pid).and_then(|p| p.link_mut(id)) {
            link.silent = true;
            cx.arm_timer(room, Some(pid), Timer::Failed, FAILED_AFTER);
        }
    }

    /// The path is alive (again).
    pub(crate) fn on_life(&mut self, cx: &mut Cx<'_>, pid: Pid, id: TransportId) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(link) = p.link_mut(id) else { return };
        link.silent = false;
        if p.links().all(|l| !l.silent && !l.closed) {
            cx.cancel_timer(self.key, Some(pid), Timer::Failed);
            // Its socket may still be on the way back: it keeps the time it was given only while the path is dead.
            cx.cancel_timer(self.key, Some(pid), Timer::Resume);
        }
    }

    /// The shard has given a transport up.
    pub(crate) fn on_transport_closed(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        id: TransportId,
        reason: CloseReason,
    ) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(link) = p.link_mut(id) else { return };
        link.forget(cx);
        cx.cancel_timer(room, Some(pid), Timer::Failed);
        self.on_data_congested(cx, pid, id, false);
        let Some(p) = self.get_mut(pid) else { return };
        if p.one_shot.is_some() && reason == CloseReason::ClosedByPeer {
            // There is no socket whose end could follow: this was the goodbye.
            cx.closed_sessions.note(p.sid.clone(), p.identity().to_owned());
            self.remove(cx, pid, DisconnectReason::ClientInitiated, Farewell::Silent);
            return;
        }
        match reason {
            // Usually the page is gone and its socket follows; or the client starts over with a new session. A longer wait
            // for a silent path to revive is over: this one cannot.
            CloseReason::ClosedByPeer => {
                cx.set_timer(room, Some(pid), Timer::Resume, cx.config.timeouts.resume);
            }
            CloseReason::TimedOut | CloseReason::SlowConsumer => {
                self.remove(cx, pid, DisconnectReason::ConnectionTimeout, Farewell::Leave(Action::Reconnect));
            }
            CloseReason::ProtocolError | CloseReason::ServerFailure => {
                self.remove(cx, pid, DisconnectReason::MediaFailure, Farewell::Leave(Action::Reconnect));
            }
            // It would do the same again.
            CloseReason::Sctp(_) => {
                self.remove(cx, pid, DisconnectReason::MediaFailure, Farewell::Leave(Action::Disconnect));
            }
        }
    }

    pub(crate) fn on_channel(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        id: TransportId,
        channel: DataChannel,
        open: bool,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(link) = p.link_mut(id) else { return };
        link.set_channel(channel, open);
        let downstream = p.primary().is_some_and(|l| l.id == id);
        if open && downstream && channel.is_reliable() {
            self.flush_early_data(cx, pid);
        }
    }
}
