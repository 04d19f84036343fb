//! Hidden participants are not shown to others. Who becomes hidden leaves as far as they can tell, and comes back when it
//! is shown again.

use super::{Participant, Room, update};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use livekit_protocol::participant_info::State;
use livekit_protocol::{DisconnectReason, ParticipantInfo};

impl Room {
    /// Whether others see somebody of this identity.
    pub(super) fn is_shown(&self, identity: &str) -> bool {
        self.by_identity(identity).is_some_and(|p| !p.hidden())
    }

    /// The others lose sight of a participant that is about to be hidden, and of all it publishes.
    pub(super) fn vanish(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid).filter(|p| !p.hidden()) else { return };
        let received: Vec<(Sid, Pid)> = (p.tracks.iter())
            .flat_map(|(track, t)| t.subscribers.iter().map(|s| (track.clone(), *s)))
            .collect();
        for (track, subscriber) in received {
            self.unsubscribe(cx, subscriber, &track);
        }
        self.drop_data_wishes(pid);
        let Some(p) = self.get_mut(pid) else { return };
        p.touch();
        let info = ParticipantInfo {
            state: State::Disconnected as i32,
            disconnect_reason: DisconnectReason::ClientInitiated as i32,
            tracks: Vec::new(),
            data_tracks: Vec::new(),
            ..p.info(&cx.config.region)
        };
        self.remember_departure(cx, &info);
        cx.broadcast(self.conns(|o| o.pid != pid), update(vec![info]));
    }

    /// A participant was hidden and has been announced again: what it publishes is offered to the others.
    pub(super) fn appear(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid).filter(|p| !p.hidden()) else { return };
        for track in p.tracks.keys().cloned().collect::<Vec<Sid>>() {
            self.offer_track(cx, pid, &track);
        }
        self.reconcile_data_tracks(cx);
    }

    /// Forgets who wished for data tracks of this publisher.
    fn drop_data_wishes(&mut self, publisher: Pid) {
        let Some(tracks) = self.get(publisher).map(|p| p.data_tracks.sids()) else { return };
        if tracks.is_empty() {
            return;
        }
        for p in self.participants.values_mut() {
            p.data_tracks.forget_wishes(&tracks);
        }
    }
}

/// What a change of rights means for being seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Same,
    Vanishes,
    Appears,
}

impl Sight {
    pub(super) fn of(p: &Participant, hidden: bool) -> Self {
        match (p.hidden(), hidden) {
            (false, true) => Self::Vanishes,
            (true, false) => Self::Appears,
            _ => Self::Same,
        }
    }
}
