//! After a failure: the room that was being worked on ends, and the others do not notice.
//!
//! A panic can leave half a change behind in a room: a track without its owner, a connection that nobody will close. The
//! room is not trusted any more. It is ended as far as it lets itself be ended, then everything that is noted under its
//! key is taken out of the tables all rooms share, and what it held on the shards is closed. Its clients are told to
//! connect anew, which brings them into a fresh room of the same name.

use super::Hub;
use crate::forward::Forward;
use crate::ids::RoomKey;
use crate::io::{
    ConnId, Input, JoinError, Now, Output, RoomEvent, ServiceError, ServiceErrorCode, ServiceId,
};
use bedrud_sfu::{Command, TransportId};
use livekit_protocol::{DisconnectReason, ParticipantInfo, Room as RoomInfo};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

const TEXT: &str = "internal error";

/// Who waits for the answer to an input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Join(ConnId),
    Validate(ServiceId),
    Service(ServiceId),
    OneShot(ServiceId),
    Nobody,
}

impl Asked {
    pub(super) fn by(input: &Input) -> Self {
        match input {
            Input::Join { conn, .. } => Self::Join(*conn),
            Input::Validate { id, .. } => Self::Validate(*id),
            Input::Service { id, .. } => Self::Service(*id),
            Input::OneShot { id, .. } => Self::OneShot(*id),
            _ => Self::Nobody,
        }
    }

    /// The answer when there is none.
    fn failed(self) -> Option<Output> {
        let error = || JoinError::new(500, TEXT);
        Some(match self {
            Self::Join(conn) => Output::Refuse { conn, error: error() },
            Self::Validate(id) => Output::Validated { id, result: Err(error()) },
            Self::Service(id) => {
                let result = Err(ServiceError::new(ServiceErrorCode::Internal, TEXT));
                Output::ServiceReply { id, result }
            }
            Self::OneShot(id) => Output::OneShotReply { id, result: Err(error()) },
            Self::Nobody => return None,
        })
    }
}

/// Runs `work`; false when it panicked.
fn holds(work: impl FnOnce()) -> bool {
    // Unwind safety: what a failure leaves behind is what this module is for.
    catch_unwind(AssertUnwindSafe(work)).is_ok()
}

impl Hub {
    /// Does one piece of work. When it fails the rooms it was at end, and whoever asked for it gets an error. Returns
    /// how many rooms ended, or `None` when it did not fail.
    pub(super) fn guarded(&mut self, now: Now, asked: Asked, work: impl FnOnce(&mut Self)) -> Option<usize> {
        self.rooms.untouch();
        if holds(|| work(self)) {
            return None;
        }
        self.tally.failed();
        let ended = self.end_touched(now);
        if ended == 0 {
            tracing::error!("the control plane failed at the work of no room");
        }
        if let Some(answer) = asked.failed() {
            // A participant that was admitted already has been told with its room.
            self.core.out.push_back(answer);
        }
        Some(ended)
    }

    /// Ends the rooms that were being worked on, and those that fail in turn because of it.
    fn end_touched(&mut self, now: Now) -> usize {
        let mut failed = self.rooms.touched();
        let mut ended = 0;
        while let Some(key) = failed.pop() {
            if self.rooms.get(&key).is_none() {
                continue;
            }
            ended += 1;
            self.collapse(now, key);
            let (lost, kept) =
                std::mem::take(&mut self.forwards).into_iter().partition(|f: &Forward| f.concerns(key));
            self.forwards = kept;
            let lost: Vec<Forward> = lost;
            for forward in lost {
                self.rooms.untouch();
                if !holds(|| self.end_forward(now, forward)) {
                    failed.extend(self.rooms.touched());
                }
            }
        }
        self.close_lost_transports();
        ended
    }

    /// Ends one room, whatever state it is in.
    fn collapse(&mut self, now: Now, key: RoomKey) {
        let Some(mut room) = self.rooms.remove(&key) else { return };
        let (name, sid) = (room.info.name.clone(), room.info.sid.clone());
        tracing::error!(room = %name, room_sid = %sid, "the control plane failed at the work of this room, which ends");
        self.tally.room_failed(key);
        room.finished = true;
        let (begun, id) = (room.begun, room.id.clone());
        let last = RoomInfo { num_participants: 0, num_publishers: 0, ..room.info.clone() };
        for pid in room.pids() {
            let core = &mut self.core;
            if !holds(|| room.send_off(&mut core.at(now), pid)) {
                tracing::error!(room_sid = %sid, "a participant of the room could not be removed in order");
            }
        }
        // It may fail once more as it goes, with what it holds in an impossible state.
        if !holds(|| drop(room)) {
            tracing::error!(room_sid = %sid, "the room failed once more as it was dropped");
        }
        self.names.retain(|_, named| *named != key);
        self.ids.retain(|_, known| *known != key);
        self.forget_routes(key);
        self.core.timers.cancel_room(key);
        self.core.participants = self.rooms.iter().map(|(_, room)| room.participants.len()).sum();
        let mut cx = self.core.at(now);
        for participant in cx.arrivals.take(&sid) {
            let reason = DisconnectReason::StateMismatch as i32;
            let participant = ParticipantInfo { disconnect_reason: reason, ..participant };
            cx.event(RoomEvent::ParticipantLeft { id: id.clone(), room: last.clone(), participant });
        }
        if begun {
            cx.event(RoomEvent::RoomFinished { id, room: last });
        }
    }

    /// Everything that is still noted under the key of a room that is gone.
    fn forget_routes(&mut self, key: RoomKey) {
        let routes = &mut self.core.routes;
        let conns: Vec<ConnId> = of_room(&routes.conns, |at| at.0 == key);
        let transports: Vec<TransportId> = of_room(&routes.transports, |at| at.0 == key);
        routes.ups.retain(|_, at| at.0 != key);
        routes.downs.retain(|_, at| at.0 != key);
        for conn in conns {
            self.core.routes.conns.remove(&conn);
            self.core.out.push_back(Output::CloseSignal { conn, clean: false });
        }
        for id in transports {
            self.core.routes.transports.remove(&id);
            self.close_transport(id);
        }
    }

    /// Transports that were opened and never came to belong to anybody.
    fn close_lost_transports(&mut self) {
        let known: HashSet<TransportId> = self
            .core
            .routes
            .transports
            .keys()
            .copied()
            .chain(self.forwards.iter().flat_map(Forward::transports))
            .collect();
        for id in self.core.ids.transports() {
            if !known.contains(&id) {
                self.close_transport(id);
            }
        }
    }

    fn close_transport(&mut self, id: TransportId) {
        let shard = crate::io::ShardId(id.shard);
        self.core.out.push_back(Output::Command { shard, command: Command::CloseTransport { id } });
        self.core.ids.free_transport(id);
    }
}

fn of_room<K: Copy, V>(map: &std::collections::HashMap<K, V>, belongs: impl Fn(&V) -> bool) -> Vec<K> {
    map.iter().filter(|(_, at)| belongs(at)).map(|(key, _)| *key).collect()
}
