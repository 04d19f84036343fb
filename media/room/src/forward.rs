//! ForwardParticipant and MoveParticipant: what concerns two rooms at once.
//!
//! A stream can be forwarded to any transport of its shard, whatever room that belongs to. A destination that does not
//! exist yet is therefore opened on the source's shard, and an empty one changes to it. When both rooms are in use on
//! different shards, a participant moves by connecting anew, and what is forwarded goes over a relay.

use crate::hub::Hub;
use crate::ids::{Pid, RoomKey};
use crate::io::{Now, Output, ServiceError, ServiceErrorCode, ServiceResponse, complaint};
use crate::relay::Relay;
use crate::room::Farewell;
use bedrud_sfu::TransportId;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{
    DisconnectReason, ForwardParticipantRequest, MoveParticipantRequest, RoomConfiguration,
};

/// First protocol version whose clients follow `room_moved`.
const MOVE_PROTOCOL: i32 = 16;
/// Forwarded participants of all rooms.
const MAX_FORWARDS: usize = 1024;

/// A participant shown in another room.
#[derive(Debug)]
pub(crate) struct Forward {
    source: (RoomKey, Pid),
    shown: (RoomKey, Pid),
    /// Version of the source that is shown.
    version: u32,
    /// When the rooms are on different shards.
    relay: Option<Relay>,
}

impl Forward {
    /// Whether a room is at either end.
    pub(crate) fn concerns(&self, room: RoomKey) -> bool {
        self.source.0 == room || self.shown.0 == room
    }

    /// What it holds on the shards.
    pub(crate) fn transports(&self) -> impl Iterator<Item = TransportId> + use<> {
        self.relay.as_ref().map(Relay::ends).into_iter().flatten()
    }
}

type Reply = Result<ServiceResponse, ServiceError>;

fn refused(code: ServiceErrorCode, text: &str) -> ServiceError {
    ServiceError::new(code, text)
}

impl Hub {
    pub(crate) fn forward_participant(&mut self, now: Now, r: &ForwardParticipantRequest) -> Reply {
        let (from, pid) = self.traveller(&r.room, &r.identity, &r.destination_room)?;
        let known = self.room_named(&r.destination_room);
        if known.is_some_and(|to| self.forwards.iter().any(|f| f.source == (from, pid) && f.shown.0 == to)) {
            return Ok(ServiceResponse::Done);
        }
        self.sync_forwards(now);
        if self.forwards.len() >= MAX_FORWARDS {
            return Err(refused(ServiceErrorCode::ResourceExhausted, "too many forwarded participants"));
        }
        self.check_place(known, from, pid)?;
        let to = self.destination(now, from, known, &r.destination_room);
        let [Some(source_room), Some(room)] = self.rooms.get_disjoint_mut([&from, &to]) else {
            return Err(refused(ServiceErrorCode::NotFound, "requested room does not exist"));
        };
        let Some(source) = source_room.get(pid) else {
            return Err(refused(ServiceErrorCode::NotFound, "participant does not exist"));
        };
        let mut cx = self.core.at(now);
        let mut relay = None;
        if source_room.shard != room.shard {
            let Some(opened) = Relay::open(&mut cx, source_room.shard, room.shard) else {
                return Err(refused(ServiceErrorCode::ResourceExhausted, "no place for another connection"));
            };
            relay.insert(opened).update(&mut cx, source);
        }
        let shown = room.show(&mut cx, from, source, relay.as_ref());
        let version = source.version;
        self.forwards.push(Forward { source: (from, pid), shown: (to, shown), version, relay });
        Ok(ServiceResponse::Done)
    }

    pub(crate) fn move_participant(&mut self, now: Now, r: &MoveParticipantRequest) -> Reply {
        let (from, pid) = self.traveller(&r.room, &r.identity, &r.destination_room)?;
        let known = self.room_named(&r.destination_room);
        self.check_place(known, from, pid)?;
        let p = self.rooms.get(&from).and_then(|room| room.get(pid));
        if p.is_some_and(|p| p.one_shot.is_some()) {
            let text = "a WHIP or WHEP session cannot be moved: it has no signalling connection";
            return Err(refused(ServiceErrorCode::FailedPrecondition, text));
        }
        let Some(p) = p.filter(|p| p.conn.is_some()) else {
            let text = "participant is reconnecting, try again";
            return Err(refused(ServiceErrorCode::Unavailable, text));
        };
        let follows = p.client.protocol >= MOVE_PROTOCOL;
        let to = self.destination(now, from, known, &r.destination_room);
        self.end_forwards_of(now, (from, pid));
        let [Some(source), Some(room)] = self.rooms.get_disjoint_mut([&from, &to]) else {
            return Err(refused(ServiceErrorCode::NotFound, "requested room does not exist"));
        };
        let mut cx = self.core.at(now);
        if follows && source.shard == room.shard {
            if let Some(p) = source.release(&mut cx, pid) {
                cx.timers.move_participant(from, to, pid);
                room.receive(&mut cx, p);
            }
        } else {
            // It gets a token for the other room and the order to connect anew, which SDKs do with their newest token.
            if let Some(p) = source.get(pid)
                && let Some(conn) = p.conn
            {
                let mut claims = p.reconnect_claims();
                claims.room_id.clone_from(&room.id);
                if let Some(video) = &mut claims.video {
                    r.destination_room.clone_into(&mut video.room);
                }
                cx.out.push_back(Output::RefreshToken { conn, claims: Box::new(claims) });
            }
            source.remove(&mut cx, pid, DisconnectReason::Migration, Farewell::Leave(Action::Reconnect));
        }
        self.sweep(from);
        self.sweep(to);
        Ok(ServiceResponse::Done)
    }

    /// Who is to be shown or moved.
    fn traveller(&self, room: &str, identity: &str, to: &str) -> Result<(RoomKey, Pid), ServiceError> {
        let invalid = |text: &str| refused(ServiceErrorCode::InvalidArgument, text);
        let max = self.core.config.limits.room_name;
        if to.is_empty() {
            return Err(invalid("no room name"));
        }
        if room == to {
            return Err(ServiceError::argument("destination room cannot be the same as source room"));
        }
        if max != 0 && to.len() > max {
            return Err(invalid(complaint::ROOM_NAME));
        }
        if self.refuses_new_room(self.room_named(to)) {
            return Err(refused(ServiceErrorCode::Unavailable, "server is shutting down"));
        }
        let key = self.room_named(room);
        let p = key.and_then(|k| self.rooms.get(&k)).and_then(|r| r.by_identity(identity));
        let Some((key, p)) = key.zip(p) else {
            return Err(refused(ServiceErrorCode::NotFound, "participant does not exist"));
        };
        if p.is_forwarded() {
            let text = "participant is forwarded from another room";
            return Err(refused(ServiceErrorCode::FailedPrecondition, text));
        }
        Ok((key, p.pid))
    }

    /// Whether a room that exists has a place for a participant of another.
    fn check_place(&self, to: Option<RoomKey>, from: RoomKey, pid: Pid) -> Result<(), ServiceError> {
        let Some(room) = to.and_then(|k| self.rooms.get(&k)) else { return Ok(()) };
        let Some(p) = self.rooms.get(&from).and_then(|r| r.get(pid)) else { return Ok(()) };
        if room.by_identity(p.identity()).is_some_and(|other| other.origin != Some((from, pid))) {
            let text = "identity is in use in the destination room";
            return Err(refused(ServiceErrorCode::AlreadyExists, text));
        }
        if room.is_full(p.identity(), p.is_dependent()) {
            let text = "room has exceeded its max participants";
            return Err(refused(ServiceErrorCode::ResourceExhausted, text));
        }
        Ok(())
    }

    /// The destination, near the source as far as possible.
    fn destination(&mut self, now: Now, from: RoomKey, known: Option<RoomKey>, name: &str) -> RoomKey {
        let shard = self.rooms.get(&from).map(|r| r.shard);
        let Some(key) = known else {
            return self.open_on(now, name, &RoomConfiguration::default(), shard);
        };
        if let (Some(room), Some(shard)) = (self.rooms.get_mut(&key).filter(|r| r.is_unbound()), shard) {
            room.shard = shard;
        }
        key
    }

    fn end_forwards_of(&mut self, now: Now, source: (RoomKey, Pid)) {
        let (ended, kept) = std::mem::take(&mut self.forwards).into_iter().partition(|f| f.source == source);
        self.forwards = kept;
        let ended: Vec<Forward> = ended;
        for forward in ended {
            self.end_forward(now, forward);
        }
    }

    pub(crate) fn end_forward(&mut self, now: Now, Forward { source, shown, relay, .. }: Forward) {
        let mut cx = self.core.at(now);
        if let Some(relay) = relay {
            relay.close(&mut cx);
        }
        if let Some(room) = self.rooms.get_mut(&shown.0) {
            room.end_showing(&mut cx, shown.1);
        }
        if let Some(room) = self.rooms.get_mut(&source.0) {
            room.forget_demand_elsewhere(&mut cx, source.1, shown.0);
        }
        self.sweep(shown.0);
    }

    /// A shard gave up one end of a relay: what it carried is not shown any more.
    pub(crate) fn on_relay_closed(&mut self, now: Now, id: TransportId) {
        let lost = self.forwards.iter().position(|f| f.relay.as_ref().is_some_and(|r| r.has_end(id)));
        if let Some(i) = lost {
            tracing::warn!(?id, "the link to another media thread was closed, a forwarded participant ends");
            let forward = self.forwards.swap_remove(i);
            self.end_forward(now, forward);
        }
    }

    /// After every input: what is shown follows what is there.
    pub(crate) fn sync_forwards(&mut self, now: Now) {
        if self.forwards.is_empty() {
            return;
        }
        let watch = std::mem::take(&mut self.core.demand_moved);
        let mut ended = Vec::new();
        for (i, forward) in self.forwards.iter_mut().enumerate() {
            let Forward { source: (from, pid), shown: (to, shown), version, relay } = forward;
            let (from, pid, to, shown) = (*from, *pid, *to, *shown);
            let [Some(source_room), Some(room)] = self.rooms.get_disjoint_mut([&from, &to]) else {
                ended.push(i);
                continue;
            };
            let (Some(source), true) = (source_room.get(pid), room.get(shown).is_some()) else {
                ended.push(i);
                continue;
            };
            let mut cx = self.core.at(now);
            if let Some(relay) = relay.as_mut() {
                relay.update(&mut cx, source);
            }
            let changed = std::mem::replace(version, source.version) != source.version;
            if changed {
                room.mirror(&mut cx, shown, source, relay.as_ref());
            }
            room.mirror_activity(&mut cx, shown, source);
            if watch || changed {
                for (track, demand, noticed) in room.demands_on(shown) {
                    source_room.set_demand_elsewhere(&mut cx, pid, &track, to, demand, noticed);
                }
            }
        }
        for i in ended.into_iter().rev() {
            let forward = self.forwards.swap_remove(i);
            self.end_forward(now, forward);
        }
    }
}
