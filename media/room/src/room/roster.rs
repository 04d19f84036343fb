//! Who is here.

use super::updates::{BATCH_FROM, BATCH_INTERVAL, brief, departure, update};
use super::{Farewell, Participant, Room};
use crate::context::Cx;
use crate::ids::Pid;
use crate::io::{ConnId, RoomEvent};
use crate::timers::Timer;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{
    DisconnectReason, LeaveRequest, ParticipantInfo, participant_info::State, signal_response,
};
use std::time::Instant;

/// Departures remembered for clients that resume.
const DEPARTED: usize = 256;

impl Room {
    /// Takes a participant in. The caller has removed an older one of the same identity.
    pub(crate) fn admit(&mut self, cx: &mut Cx<'_>, participant: Participant) -> Pid {
        let pid = participant.pid;
        self.identities.insert(participant.identity().to_owned(), pid);
        if let Some(conn) = participant.conn {
            cx.routes.conns.insert(conn, (self.key, pid));
        }
        *cx.participants += 1;
        self.participants.insert(pid, participant);
        self.recount(pid);
        self.watch_idleness(cx);
        self.counters_changed(cx, Some(pid));
        pid
    }

    /// Sockets of the participants chosen.
    pub(super) fn conns(&self, which: impl Fn(&Participant) -> bool) -> Vec<ConnId> {
        self.participants.values().filter(|p| which(p)).filter_map(|p| p.conn).collect()
    }

    /// Departures a resuming client may have missed.
    pub(crate) fn departures_since(&self, since: Instant) -> Vec<ParticipantInfo> {
        let missed = self.departed.iter().filter(|(at, info)| *at >= since && !self.is_shown(&info.identity));
        missed.map(|(_, info)| info.clone()).collect()
    }

    /// Takes a participant out, with everything it had.
    pub(crate) fn remove(&mut self, cx: &mut Cx<'_>, pid: Pid, reason: DisconnectReason, farewell: Farewell) {
        let Some(p) = self.participants.get(&pid) else { return };
        let tracks: Vec<_> = p.tracks.keys().cloned().collect();
        for track in tracks {
            self.drop_track(cx, pid, &track);
        }
        self.drop_all_data_tracks(cx, pid);
        self.drop_all_subscriptions(cx, pid);
        self.end_calls(cx, pid);
        self.let_go(cx, pid);
        let Some(mut p) = self.participants.remove(&pid) else { return };
        for link in p.links() {
            link.close(cx);
        }
        cx.timers.cancel_participant(self.key, pid);
        self.viewers.remove(&pid);
        if let Some(conn) = p.conn.take() {
            if let Farewell::Leave(action) = farewell {
                send_leave(cx, &p, conn, reason, action);
            }
            // Without a farewell the client is meant to notice and come back.
            cx.close_signal(conn, farewell != Farewell::Silent);
        }
        self.after_departure(cx, &mut p, reason);
    }

    /// A participant is out of the room: the others and the platform hear of it.
    pub(super) fn after_departure(&mut self, cx: &mut Cx<'_>, p: &mut Participant, reason: DisconnectReason) {
        if self.identities.get(p.identity()) == Some(&p.pid) {
            self.identities.remove(p.identity());
        }
        self.stale.remove(&p.pid);
        self.uncount(p);
        *cx.participants = cx.participants.saturating_sub(1);
        let was_active = p.state == State::Active;
        let was_publisher = p.is_publisher;
        p.state = State::Disconnected;
        p.touch();
        let info = ParticipantInfo {
            disconnect_reason: reason as i32,
            tracks: Vec::new(),
            ..p.info(&cx.config.region)
        };
        tracing::info!(room = %self.info.name, room_sid = %self.info.sid, participant = %p.sid, reason = reason.as_str_name(), "participant left");
        if !p.hidden() && !self.finished {
            self.announce_departure(cx, &departure(p, &info), reason, was_publisher);
        }
        let (id, room) = (self.id.clone(), self.info());
        cx.event(if was_active {
            RoomEvent::ParticipantLeft { id, room, participant: info }
        } else {
            RoomEvent::ParticipantConnectionAborted { id, room, participant: info }
        });
        self.mark_counters(cx);
        self.watch_idleness(cx);
    }

    fn announce_departure(
        &mut self,
        cx: &mut Cx<'_>,
        info: &ParticipantInfo,
        reason: DisconnectReason,
        was_publisher: bool,
    ) {
        if reason == DisconnectReason::DuplicateIdentity {
            // Clients from protocol 12 on key participants by identity: the newer session's entry replaces this one.
            cx.broadcast(self.conns(|p| p.client.protocol < 12), update(vec![info.clone()]));
            return;
        }
        self.remember_departure(cx, info);
        if was_publisher || self.participants.len() < BATCH_FROM {
            cx.broadcast(self.conns(|_| true), update(vec![info.clone()]));
        } else {
            self.gone.push(info.clone());
            cx.arm_timer(self.key, None, Timer::Updates, BATCH_INTERVAL);
        }
    }

    /// For clients that resume: who it was and why it left is all that they need.
    pub(super) fn remember_departure(&mut self, cx: &Cx<'_>, info: &ParticipantInfo) {
        self.departed.push_back((cx.now.mono, brief(info)));
        if self.departed.len() > DEPARTED {
            self.departed.pop_front();
        }
    }

    /// A participant that asked for TCP not long ago gets no UDP candidates.
    pub(crate) fn wants_tcp(&self, cx: &Cx<'_>, identity: &str) -> bool {
        self.tcp_wishes.get(identity).is_some_and(|until| *until > cx.now.mono)
    }

    pub(crate) fn remember_tcp_wish(
        &mut self,
        now: Instant,
        identity: String,
        until: Option<Instant>,
        max: usize,
    ) {
        self.tcp_wishes.retain(|_, until| *until > now);
        match until {
            Some(until) if self.tcp_wishes.len() < max => drop(self.tcp_wishes.insert(identity, until)),
            _ => drop(self.tcp_wishes.remove(&identity)),
        }
    }
}

/// `leave` in the form the client's version understands. Old clients hear nothing in the cases where newer ones are
/// told to resume: they do that by themselves when the socket ends.
pub(crate) fn send_leave(
    cx: &mut Cx<'_>,
    p: &Participant,
    conn: ConnId,
    reason: DisconnectReason,
    action: Action,
) {
    let Some(leave) = leave_for(p.client.protocol, reason, action) else { return };
    cx.signal(Some(conn), signal_response::Message::Leave(leave));
}

pub(crate) fn leave_for(protocol: i32, reason: DisconnectReason, action: Action) -> Option<LeaveRequest> {
    let mut leave = LeaveRequest { reason: reason as i32, ..LeaveRequest::default() };
    if protocol >= 13 {
        leave.action = action as i32;
    } else if action == Action::Resume {
        return None;
    } else {
        leave.can_reconnect = action == Action::Reconnect;
    }
    Some(leave)
}
