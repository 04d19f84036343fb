//! The entry point: all rooms and connections of one node.

mod events;
mod join;
mod one_shot;
mod recover;
mod rooms;
mod service;

use crate::config::HubConfig;
use crate::context::{Core, Cx};
use crate::forward::Forward;
use crate::ids::{Pid, RoomKey};
use crate::io::{Input, Now, Output};
use crate::metrics::{HubMetrics, Tally};
use crate::revoked::Revocation;
use crate::room::Room;
use livekit_protocol::{DisconnectReason, RoomConfiguration};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use recover::Asked;
use rooms::Rooms;
use std::collections::HashMap;
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
///
/// A panic inside ends the room that was being worked on and nothing else, see [`HubCounters::failures`]. One that leaves
/// [`Hub::handle`] means that the hub is of no more use.
///
/// [`HubCounters::failures`]: crate::HubCounters::failures
pub struct Hub {
    pub(crate) core: Core,
    pub(crate) rooms: Rooms,
    /// The newest open room of each name.
    names: HashMap<String, RoomKey>,
    /// By the embedder's ids.
    ids: HashMap<String, RoomKey>,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) closing: bool,
    draining: bool,
    tally: Tally,
}

impl Hub {
    /// An empty hub. The seed must be secret and fresh in production: ICE passwords are drawn from it.
    #[must_use]
    pub fn new(config: HubConfig, seed: [u8; 32]) -> Self {
        let core = Core::new(config, StdRng::from_seed(seed));
        Self {
            core,
            rooms: Rooms::default(),
            names: HashMap::new(),
            ids: HashMap::new(),
            forwards: Vec::new(),
            closing: false,
            draining: false,
            tally: Tally::default(),
        }
    }

    /// Takes one input. Drain [`Hub::poll`] afterwards.
    pub fn handle(&mut self, now: Now, input: Input) {
        let asked = Asked::by(&input);
        self.guarded(now, asked, |hub| hub.take(now, input));
        // What a room's failure leaves undone for the others is done now; each failure ends a room, so this ends.
        loop {
            let failed = self.guarded(now, Asked::Nobody, |hub| {
                hub.run_timers(now);
                hub.sync_forwards(now);
            });
            if failed.is_none_or(|rooms| rooms == 0) {
                return;
            }
        }
    }

    fn take(&mut self, now: Now, input: Input) {
        self.tally.input(now, &input);
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
            Input::Drain => self.draining = true,
            Input::Shutdown => self.shut_down(now),
        }
    }

    /// Next thing to do, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.core.out.pop_front();
        if let Some(output) = &output {
            self.tally.output(output);
        }
        output
    }

    /// What clients and agent workers are told about this server.
    #[must_use]
    pub fn server_info(&self) -> livekit_protocol::ServerInfo {
        self.core.config.server_info()
    }

    /// Work of the control plane since the start, in units of about 100 ns. Counted, not measured: the same inputs make the
    /// same work on every machine.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.core.work
    }

    /// Figures for the operator.
    #[must_use]
    pub fn metrics(&self) -> HubMetrics {
        self.tally.snapshot(self.core.data, self.rooms.iter())
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
            self.ids.remove(&room.id);
            if self.names.get(&room.info.name) == Some(&key) {
                self.names.remove(&room.info.name);
            }
        }
    }

    pub(crate) fn room_named(&self, name: &str) -> Option<RoomKey> {
        self.names.get(name).copied()
    }

    /// The open room of this id; without an id, or while its room has none, the newest of this name.
    pub(crate) fn room_of(&self, id: &str, name: &str) -> Option<RoomKey> {
        if id.is_empty() {
            return self.room_named(name);
        }
        let unclaimed = |key: &RoomKey| self.rooms.get(key).is_some_and(|room| room.id.is_empty());
        self.ids.get(id).copied().or_else(|| self.room_named(name).filter(unclaimed))
    }

    /// As [`Hub::room_of`], or a new one.
    fn open_room(&mut self, now: Now, id: &str, name: &str, wishes: &RoomConfiguration) -> RoomKey {
        let known = self.room_of(id, name);
        let key = known.unwrap_or_else(|| self.open_on(now, name, wishes, None));
        if let Some(room) = self.rooms.get_mut(&key).filter(|room| room.id.is_empty() && !id.is_empty()) {
            id.clone_into(&mut room.id);
            self.ids.insert(id.to_owned(), key);
        }
        key
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
        if let Some(room) = self.rooms.get_mut(&key) {
            room.begin(&mut self.core.at(now));
        }
        key
    }

    fn shut_down(&mut self, now: Now) {
        self.closing = true;
        for key in self.rooms.keys() {
            self.guarded(now, Asked::Nobody, |hub| {
                if let Some(room) = hub.rooms.get_mut(&key) {
                    room.close(&mut hub.core.at(now), DisconnectReason::ServerShutdown);
                }
            });
            self.rooms.remove(&key);
        }
        self.names.clear();
        self.ids.clear();
        self.forwards.clear();
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
}

#[cfg(any(test, feature = "test-util"))]
impl Hub {
    /// The next input fails after so many of its effects, once.
    pub fn fail_after(&mut self, effects: usize) {
        self.core.fault = Some(effects);
    }

    /// Whether the failure asked for is still to come. Takes it back.
    pub fn take_fault(&mut self) -> bool {
        self.core.fault.take().is_some()
    }
}
