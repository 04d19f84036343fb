//! Sessions end: on request, by silence, or because something broke.

use crate::context::Cx;
use crate::ids::Pid;
use crate::room::{Farewell, Room, send_leave};
use crate::timers::Timer;
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;
use std::time::Duration;

/// A session without signalling may restart its ICE for this long after its path failed.
const ONE_SHOT_PATIENCE: Duration = Duration::from_secs(15);

impl Room {
    /// The client says goodbye.
    pub(super) fn on_leave(&mut self, cx: &mut Cx<'_>, pid: Pid, reason: i32) {
        let reason = match DisconnectReason::try_from(reason) {
            Ok(
                r @ (DisconnectReason::UserUnavailable
                | DisconnectReason::UserRejected
                | DisconnectReason::AgentError),
            ) => r,
            _ => DisconnectReason::ClientInitiated,
        };
        let Some(conn) = self.get_mut(pid).and_then(|p| p.conn.take()) else { return };
        cx.close_signal(conn, true);
        self.remove(cx, pid, reason, Farewell::Silent);
    }

    /// The socket is gone. Before media came up that is the end; afterwards the client may come back for as long as
    /// its connection lives.
    pub(crate) fn on_signal_closed(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let room = self.key;
        self.drop_backlog(cx, pid);
        let Some(p) = self.get_mut(pid) else { return };
        p.conn = None;
        if !p.is_active() {
            self.remove(cx, pid, DisconnectReason::SignalClose, Farewell::Silent);
        } else if p.primary().is_none_or(|l| l.closed) {
            cx.set_timer(room, Some(pid), Timer::Resume, cx.config.timeouts.resume);
        }
    }

    pub(crate) fn on_join_timeout(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::JoinFailure, Farewell::Leave(Action::Disconnect));
    }

    /// The media path is dead: the client should resume, and has a little time for that.
    pub(crate) fn on_path_failed(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        if let Some(conn) = p.conn.take()
            && let Some(p) = self.get(pid)
        {
            send_leave(cx, p, conn, DisconnectReason::ConnectionTimeout, Action::Resume);
            cx.close_signal(conn, false);
        }
        // A client without signalling is told nothing: it needs the time to notice by itself.
        let patience = match self.get(pid).is_some_and(|p| p.one_shot.is_some()) {
            true => ONE_SHOT_PATIENCE,
            false => cx.config.timeouts.resume,
        };
        cx.set_timer(room, Some(pid), Timer::Resume, patience);
    }

    pub(crate) fn on_resume_timeout(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::ConnectionTimeout, Farewell::Leave(Action::Reconnect));
    }
}
