//! The entry point: all rooms and connections of one node.

mod one_shot;

use crate::config::HubConfig;
use crate::context::{Core, Cx};
use crate::forward::Forward;
use crate::grants::Claims;
use crate::ids::{Pid, RoomKey, Sid};
use crate::io::{
    ConnId, Input, JoinError, Now, Output, RoomEvent, ServiceError, ServiceErrorCode, ServiceId,
    ServiceRequest, ServiceResponse,
};
use crate::join_params::JoinParams;
use crate::metrics::{HubMetrics, Tally};
use crate::revoked::Revocation;
use crate::room::{Farewell, Room, RoomStats, configuration};
use crate::session::refusal;
use crate::timers::Timer;
use bedrud_sfu::{AudioLevel, DataChannel, DownTrackId, Event, TransportId, UpTrackId};
use livekit_protocol::leave_request::Action;
use livekit_protocol::{CreateRoomRequest, DisconnectReason, RoomConfiguration};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// How much a [`Hub`] holds; all zero when everyone has left and the rooms have closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Open rooms.
    pub rooms: usize,
    /// Participants.
    pub participants: usize,
    /// Signalling sockets.
    pub connections: usize,
    /// Transports opened on shards.
    pub transports: usize,
    /// Published tracks.
    pub tracks: usize,
    /// Subscriptions carried by a transport.
    pub subscriptions: usize,
    /// Running timers.
    pub timers: usize,
}

/// The control plane of one node.
pub struct Hub {
    pub(crate) core: Core,
    pub(crate) rooms: HashMap<RoomKey, Room>,
    names: HashMap<String, RoomKey>,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) closing: bool,
    tally: Tally,
}

impl Hub {
    /// An empty hub. The seed must be secret and fresh in production: ICE passwords are drawn from it.
    #[must_use]
    pub fn new(config: HubConfig, seed: [u8; 32]) -> Self {
        let core = Core::new(config, StdRng::from_seed(seed));
        Self {
            core,
            rooms: HashMap::new(),
            names: HashMap::new(),
            forwards: Vec::new(),
            closing: false,
            tally: Tally::default(),
        }
    }

    /// Takes one input. Drain [`Hub::poll`] afterwards.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.tally.input(&input);
        match input {
            Input::Join { conn, params } => self.on_join(now, conn, *params),
            Input::Validate { id, mut params } => {
                let result = self.check(now, &mut params).map(drop);
                self.core.out.push_back(Output::Validated { id, result });
            }
            Input::Signal { conn, request } => {
                let (Some(at), Some(message)) = (self.core.routes.conns.get(&conn).copied(), request.message)
                else {
                    return;
                };
                self.with(now, at, |room, cx, pid| room.on_signal(cx, pid, message));
            }
            Input::SignalClosed { conn } => {
                if let Some(at) = self.core.routes.conns.remove(&conn) {
                    self.with(now, at, Room::on_signal_closed);
                }
            }
            Input::Shard { event, .. } => self.on_event(now, event),
            Input::Service { id, request } => {
                if let Some(result) = self.serve(now, id, request) {
                    self.core.out.push_back(Output::ServiceReply { id, result });
                }
            }
            Input::OneShot { id, request } => {
                let result = self.one_shot(now, request);
                self.core.out.push_back(Output::OneShotReply { id, result });
            }
            Input::Timeout => {}
            Input::Shutdown => self.shut_down(now),
        }
        self.run_timers(now);
        self.sync_forwards(now);
    }

    /// Next thing to do, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.core.out.pop_front();
        if let Some(output) = &output {
            self.tally.output(output);
        }
        output
    }

    /// Figures for the operator.
    #[must_use]
    pub fn metrics(&self) -> HubMetrics {
        self.tally.snapshot(&self.rooms)
    }

    /// When [`Input::Timeout`] is due, if ever.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.core.timers.deadline()
    }

    /// What is held.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats {
            rooms: self.rooms.len(),
            participants: self.core.participants,
            connections: self.core.routes.conns.len(),
            transports: self.core.routes.transports.len(),
            tracks: self.core.routes.ups.len(),
            subscriptions: self.core.routes.downs.len(),
            timers: self.core.timers.len(),
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some(timer) = self.core.timers.pop_due(now.mono) {
            if let Some(room) = self.rooms.get_mut(&timer.room) {
                room.on_timer(&mut self.core.at(now), timer);
            }
            self.sweep(timer.room);
        }
    }

    /// Runs something on a participant's room, and forgets the room if that was its end.
    fn with(&mut self, now: Now, (key, pid): (RoomKey, Pid), f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid)) {
        if let Some(room) = self.rooms.get_mut(&key) {
            f(room, &mut self.core.at(now), pid);
            self.sweep(key);
        }
    }

    pub(crate) fn sweep(&mut self, key: RoomKey) {
        if self.rooms.get(&key).is_some_and(|r| r.finished)
            && let Some(room) = self.rooms.remove(&key)
        {
            self.tally.forget(key);
            if self.names.get(&room.info.name) == Some(&key) {
                self.names.remove(&room.info.name);
            }
        }
    }

    pub(crate) fn room_named(&self, name: &str) -> Option<RoomKey> {
        self.names.get(name).copied()
    }

    /// The open room of this name, or a new one.
    fn open_room(&mut self, now: Now, name: &str, wishes: &RoomConfiguration) -> RoomKey {
        if let Some(key) = self.room_named(name) {
            return key;
        }
        self.open_on(now, name, wishes, None)
    }

    /// A new room, on this shard if one is named.
    pub(crate) fn open_on(
        &mut self,
        now: Now,
        name: &str,
        wishes: &RoomConfiguration,
        shard: Option<u16>,
    ) -> RoomKey {
        let room = Room::open(&mut self.core.at(now), name, wishes, shard);
        let key = room.key;
        self.names.insert(name.to_owned(), key);
        self.rooms.insert(key, room);
        key
    }

    /// Everything that can refuse a join before anything is changed. Returns what it wishes of the room.
    fn check(&self, now: Now, params: &mut JoinParams) -> Result<RoomConfiguration, JoinError> {
        let shown = params.claims.identity().to_owned();
        params.settle(&self.core.config.limits)?;
        let room = params.claims.video.as_ref().map(|v| v.room.as_str()).unwrap_or_default();
        // A secondary connection has an identity of its own, but the same token.
        let revoked = [shown.as_str(), params.claims.identity()].into_iter().any(|identity| {
            self.core.revoked.refuse(room, identity, &params.claims, &params.token, now.unix_secs())
        });
        if revoked {
            return Err(JoinError::new(401, "token has been revoked"));
        }
        if self.closing {
            return Err(JoinError::new(503, "server is shutting down"));
        }
        let max = self.core.config.limits.participants;
        if max != 0 && self.core.participants >= max && params.reconnect.is_none() {
            return Err(JoinError::new(503, "node has exceeded its configured limit"));
        }
        let grant = params.claims.video.clone().unwrap_or_default();
        let may_create = self.core.config.auto_create || grant.room_create;
        if !may_create && params.reconnect.is_none() && self.room_named(&grant.room).is_none() {
            return Err(JoinError::new(404, "requested room does not exist"));
        }
        if params.reconnect.is_some() {
            return Ok(RoomConfiguration::default());
        }
        let Claims { room_config, room_preset, .. } = &params.claims;
        configuration::of_token(room_config.as_ref(), room_preset, &self.core.config)
            .map_err(|e| JoinError::new(400, e.to_string()))
    }

    fn on_join(&mut self, now: Now, conn: ConnId, mut params: JoinParams) {
        let wishes = match self.check(now, &mut params) {
            Ok(wishes) => wishes,
            Err(error) => {
                self.core.out.push_back(Output::Refuse { conn, error });
                return;
            }
        };
        let name = params.claims.video.as_ref().map(|v| v.room.clone()).unwrap_or_default();
        let protocol = params.client_info.protocol;
        if params.reconnect.is_some() {
            if !self.resume(now, conn, &name, params) {
                let bye = refusal(conn, protocol, DisconnectReason::StateMismatch, Action::Reconnect);
                self.core.out.extend(bye);
            }
            return;
        }
        let Some(key) = self.make_way(now, &params, &wishes) else {
            let full = refusal(conn, protocol, DisconnectReason::JoinFailure, Action::Disconnect);
            self.core.out.extend(full);
            return;
        };
        if let Some(room) = self.rooms.get_mut(&key) {
            room.join(&mut self.core.at(now), conn, params);
        }
        self.sweep(key);
    }

    /// Opens the room of a join and removes an older session of the same identity; `None` when the room is full.
    fn make_way(&mut self, now: Now, params: &JoinParams, wishes: &RoomConfiguration) -> Option<RoomKey> {
        let name = params.claims.video.as_ref().map(|v| v.room.clone()).unwrap_or_default();
        let key = self.open_room(now, &name, wishes);
        let room = self.rooms.get_mut(&key)?;
        let grant = params.claims.permission();
        let kind = params.claims.participant_kind();
        let dependent = grant.agent
            || grant.recorder
            || matches!(
                kind,
                livekit_protocol::participant_info::Kind::Agent
                    | livekit_protocol::participant_info::Kind::Egress
            );
        let mut cx = self.core.at(now);
        if room.is_full(params.claims.identity(), dependent) {
            return None;
        }
        if let Some(old) = room.by_identity(params.claims.identity()).map(|p| p.pid) {
            room.remove(
                &mut cx,
                old,
                DisconnectReason::DuplicateIdentity,
                Farewell::Leave(Action::Disconnect),
            );
        }
        Some(key)
    }

    fn resume(&mut self, now: Now, conn: ConnId, name: &str, params: JoinParams) -> bool {
        let Some(key) = self.room_named(name) else { return false };
        let Some(room) = self.rooms.get_mut(&key) else { return false };
        let wanted = params.reconnect.as_ref().map(|r| r.sid.as_str()).unwrap_or_default();
        let Some(p) = room.by_identity(params.claims.identity()) else { return false };
        let known = *p.sid == *wanted || p.earlier_sid.as_deref() == Some(wanted);
        if !wanted.is_empty() && !known {
            return false;
        }
        let pid = p.pid;
        let resumed = room.resume(&mut self.core.at(now), pid, conn, params);
        self.sweep(key);
        resumed
    }

    fn shut_down(&mut self, now: Now) {
        self.closing = true;
        for room in self.rooms.values_mut() {
            room.close(&mut self.core.at(now), DisconnectReason::ServerShutdown);
        }
        self.rooms.clear();
        self.names.clear();
        self.forwards.clear();
    }

    fn on_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Connected { id, .. } => self.at_transport(now, id, |r, cx, p| r.on_connected(cx, p, id)),
            Event::PathChanged { id, .. } | Event::Reconnected { id } => {
                self.at_transport(now, id, |r, cx, p| r.on_life(cx, p, id));
            }
            Event::Disconnected { id } => self.at_transport(now, id, |r, cx, p| r.on_silence(cx, p, id)),
            Event::Closed { id, reason } => {
                self.on_relay_closed(now, id);
                self.at_transport(now, id, |r, cx, p| r.on_transport_closed(cx, p, id, reason));
            }
            Event::ChannelOpen { id, channel } => {
                self.at_transport(now, id, |r, cx, p| r.on_channel(cx, p, id, channel, true));
            }
            Event::ChannelClosed { id, channel } => {
                self.at_transport(now, id, |r, cx, p| r.on_channel(cx, p, id, channel, false));
            }
            Event::Data { id, channel, payload } => self.at_transport(now, id, |r, cx, p| match channel {
                DataChannel::DataTrack => r.on_data_track_packet(cx, p, &payload),
                _ => r.on_data(cx, p, channel, &payload),
            }),
            Event::UpLayerStarted { track, spatial, ssrc, codec } => {
                self.at_up(now, track, |r, cx, p, t| {
                    r.on_layer_started(cx, (p, t), track, (spatial, ssrc), codec);
                    r.mark_viewers(cx);
                });
            }
            Event::DownTrackUnsupported { track, .. } => {
                self.at_down(now, track, |r, cx, p, t| r.codec_unsupported(cx, p, t));
            }
            Event::DownTrackCongested { track, paused } => {
                self.at_down(now, track, |r, cx, p, t| r.on_congestion(cx, p, t, paused));
            }
            Event::UpLayerActivity { .. } | Event::DownTrackStarted { .. } => {}
            Event::AudioLevels(levels) => self.on_levels(now, &levels),
            Event::Stats { up, down } => self.on_stats(now, up, down),
        }
    }

    fn at_transport(&mut self, now: Now, id: TransportId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid)) {
        if let Some(at) = self.core.routes.transports.get(&id).copied() {
            self.with(now, at, f);
        }
    }

    fn at_up(&mut self, now: Now, id: UpTrackId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid, &Sid)) {
        if let Some((room, pid, track)) = self.core.routes.ups.get(&id).cloned() {
            self.with(now, (room, pid), |r, cx, p| f(r, cx, p, &track));
        }
    }

    fn at_down(&mut self, now: Now, id: DownTrackId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid, &Sid)) {
        if let Some((room, pid, track)) = self.core.routes.downs.get(&id).cloned() {
            self.with(now, (room, pid), |r, cx, p| f(r, cx, p, &track));
        }
    }

    fn on_levels(&mut self, now: Now, levels: &[AudioLevel]) {
        let mut by_room: BTreeMap<RoomKey, Vec<(Pid, Sid, AudioLevel)>> = BTreeMap::new();
        for level in levels {
            if let Some((room, pid, track)) = self.core.routes.ups.get(&level.track).cloned() {
                by_room.entry(room).or_default().push((pid, track, *level));
            }
        }
        for (key, levels) in by_room {
            if let Some(room) = self.rooms.get_mut(&key) {
                room.on_audio_levels(&mut self.core.at(now), &levels);
            }
        }
    }

    fn on_stats(
        &mut self,
        now: Now,
        up: Vec<(UpTrackId, u8, bedrud_sfu::TrackStats)>,
        down: Vec<(DownTrackId, bedrud_sfu::TrackStats)>,
    ) {
        let mut by_room: BTreeMap<RoomKey, RoomStats> = BTreeMap::new();
        for (id, _, stats) in up {
            if let Some((room, pid, track)) = self.core.routes.ups.get(&id).cloned() {
                by_room.entry(room).or_default().add_up(pid, track, stats);
            }
        }
        for (id, stats) in down {
            if let Some((room, pid, track)) = self.core.routes.downs.get(&id).cloned() {
                by_room.entry(room).or_default().down.insert((pid, track), stats);
            }
        }
        for (key, stats) in by_room {
            if let Some(room) = self.rooms.get_mut(&key) {
                self.tally.carried(key, &stats);
                room.on_stats(&mut self.core.at(now), stats);
            }
        }
    }

    /// What the platform should keep of the tokens that are refused.
    #[must_use]
    pub fn revocations(&self, now: Now) -> Vec<Revocation> {
        self.core.revoked.snapshot(now.unix_secs())
    }

    /// Takes back what was kept. Entries are added to those that are there.
    pub fn restore_revocations(&mut self, now: Now, entries: impl IntoIterator<Item = Revocation>) {
        for entry in entries {
            self.core.revoked.add(entry, now.unix_secs());
        }
    }

    /// `None`: the answer comes later.
    fn serve(
        &mut self,
        now: Now,
        id: ServiceId,
        request: ServiceRequest,
    ) -> Option<Result<ServiceResponse, ServiceError>> {
        match request {
            ServiceRequest::PerformRpc(r) => {
                let Some(room) = self.room_named(&r.room).and_then(|k| self.rooms.get_mut(&k)) else {
                    let text = "requested room does not exist";
                    return Some(Err(ServiceError::new(ServiceErrorCode::NotFound, text)));
                };
                room.perform_rpc(&mut self.core.at(now), id, r).map(Err)
            }
            ServiceRequest::ForwardParticipant(r) => Some(self.forward_participant(now, &r)),
            ServiceRequest::MoveParticipant(r) => Some(self.move_participant(now, &r)),
            request => Some(self.serve_at_once(now, request)),
        }
    }

    fn serve_at_once(&mut self, now: Now, request: ServiceRequest) -> Result<ServiceResponse, ServiceError> {
        let name = match &request {
            ServiceRequest::CreateRoom(r) => return self.create_room(now, r),
            ServiceRequest::ListRooms(r) => {
                let wanted = |room: &&Room| r.names.is_empty() || r.names.contains(&room.info.name);
                let mut rooms: Vec<_> = self.rooms.values().filter(wanted).map(Room::info).collect();
                rooms.sort_by(|a, b| a.name.cmp(&b.name));
                return Ok(ServiceResponse::Rooms(rooms));
            }
            ServiceRequest::DeleteRoom(r) => &r.room,
            ServiceRequest::ListParticipants(r) => &r.room,
            ServiceRequest::GetParticipant(r) | ServiceRequest::RemoveParticipant(r) => &r.room,
            ServiceRequest::MutePublishedTrack(r) => &r.room,
            ServiceRequest::UpdateParticipant(r) => &r.room,
            ServiceRequest::UpdateSubscriptions(r) => &r.room,
            ServiceRequest::SendData(r) => &r.room,
            ServiceRequest::UpdateRoomMetadata(r) => &r.room,
            ServiceRequest::GetConfiguration(name) => name,
            ServiceRequest::ForwardParticipant(r) => &r.room,
            ServiceRequest::MoveParticipant(r) => &r.room,
            ServiceRequest::PerformRpc(r) => &r.room,
        };
        if let ServiceRequest::SendData(r) = &request
            && !matches!(r.nonce.len(), 0 | 16)
        {
            let text = format!("nonce should be 16-bytes or not present, got: {} bytes", r.nonce.len());
            return Err(ServiceError::new(ServiceErrorCode::InvalidArgument, text));
        }
        let key = self.room_named(name);
        let Some((key, room)) = key.and_then(|k| Some((k, self.rooms.get_mut(&k)?))) else {
            // As the reference server answers from its store.
            if matches!(request, ServiceRequest::ListParticipants(_)) {
                return Ok(ServiceResponse::Participants(Vec::new()));
            }
            let person = matches!(
                request,
                ServiceRequest::GetParticipant(_)
                    | ServiceRequest::RemoveParticipant(_)
                    | ServiceRequest::MutePublishedTrack(_)
                    | ServiceRequest::UpdateParticipant(_)
                    | ServiceRequest::UpdateSubscriptions(_)
            );
            let text = if person { "participant does not exist" } else { "requested room does not exist" };
            return Err(ServiceError::new(ServiceErrorCode::NotFound, text));
        };
        let result = room.serve(&mut self.core.at(now), request);
        self.sweep(key);
        result
    }

    fn create_room(&mut self, now: Now, r: &CreateRoomRequest) -> Result<ServiceResponse, ServiceError> {
        let limits = &self.core.config.limits;
        let invalid = |text: String| ServiceError::new(ServiceErrorCode::InvalidArgument, text);
        if r.name.is_empty() {
            return Err(invalid("no room name".to_owned()));
        }
        if limits.room_name != 0 && r.name.len() > limits.room_name {
            return Err(invalid(format!("room name length exceeds limits: max length {}", limits.room_name)));
        }
        if self.closing {
            return Err(ServiceError::new(ServiceErrorCode::Unavailable, "server is shutting down"));
        }
        let wishes = configuration::of_request(r, &self.core.config).map_err(|e| invalid(e.to_string()))?;
        let known = self.room_named(&r.name).is_some();
        let key = self.open_room(now, &r.name, &wishes);
        let Some(room) = self.rooms.get_mut(&key) else {
            return Err(ServiceError::new(ServiceErrorCode::Unavailable, "room closed"));
        };
        if known {
            let mut cx = self.core.at(now);
            if room.configure(&wishes) {
                let config = Box::new(room.configuration());
                cx.event(RoomEvent::RoomAgentsChanged { room: room.info(), config });
            }
            if !wishes.metadata.is_empty() {
                room.send_room_update(&mut cx);
            }
            // An empty room starts its time over, with the timeout it has now.
            cx.cancel_timer(key, None, Timer::Idle);
            room.watch_idleness(&mut cx);
        }
        Ok(ServiceResponse::Room(room.info()))
    }
}
