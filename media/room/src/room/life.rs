//! A room opens, stays while somebody is there, and closes.

use super::{Farewell, Room};
use crate::context::Cx;
use crate::ids::{Pid, sid};
use crate::io::RoomEvent;
use crate::timers::Timer;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{DisconnectReason, Room as RoomInfo, RoomConfiguration, RoomUpdate, signal_response};
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Changing counts are sent at most this often.
const COUNTER_INTERVAL: Duration = Duration::from_secs(5);

impl Room {
    /// A new room, on the shard given or one by turns. Nobody has heard of it before [`Room::begin`].
    pub(crate) fn open(cx: &mut Cx<'_>, name: &str, wishes: &RoomConfiguration, shard: Option<u16>) -> Self {
        let key = cx.ids.room();
        let seconds = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
        let created = i64::try_from(cx.now.unix_ms).unwrap_or(i64::MAX);
        let info = RoomInfo {
            sid: sid(cx.rng, "RM_").to_string(),
            name: name.to_owned(),
            empty_timeout: seconds(cx.config.timeouts.empty),
            departure_timeout: seconds(cx.config.timeouts.departure),
            max_participants: cx.config.max_participants,
            creation_time: created / 1000,
            creation_time_ms: created,
            enabled_codecs: cx.wire_codecs(),
            ..RoomInfo::default()
        };
        let mut trailer = vec![0; 16];
        cx.rng.fill(trailer.as_mut_slice());
        let mut room = Self {
            key,
            id: String::new(),
            info,
            config: RoomConfiguration {
                sync_streams: cx.config.sync_streams,
                min_playout_delay: cx.config.playout_delay.0,
                max_playout_delay: cx.config.playout_delay.1,
                ..RoomConfiguration::default()
            },
            shard: shard.unwrap_or_else(|| cx.ids.next_shard(cx.config.shards)),
            sif_trailer: trailer,
            participants: BTreeMap::new(),
            identities: HashMap::new(),
            owners: HashMap::new(),
            begun: false,
            visited: false,
            stale: BTreeSet::new(),
            flushed: None,
            updates: crate::accounts::Bucket::new(cx.now.mono),
            excess: 0,
            gone: Vec::new(),
            departed: VecDeque::new(),
            nonces: super::data::Nonces::default(),
            api_data: None,
            tcp_wishes: HashMap::new(),
            viewers: BTreeSet::new(),
            recorded: false,
            calls: super::rpc::Calls::default(),
            finished: false,
        };
        room.configure(wishes);
        room
    }

    /// Tells the platform, and starts the clock of an empty room.
    pub(crate) fn begin(&mut self, cx: &mut Cx<'_>) {
        cx.event(RoomEvent::RoomStarted { room: self.info(), config: Box::new(self.configuration()) });
        self.begun = true;
        self.watch_idleness(cx);
    }

    /// What clients see, counts included.
    pub(crate) fn info(&self) -> RoomInfo {
        let counted = || self.participants.values().filter(|p| !p.is_dependent() && !p.hidden());
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        RoomInfo {
            num_participants: count(counted().count()),
            num_publishers: count(counted().filter(|p| p.is_publisher).count()),
            active_recording: self.is_recorded(),
            ..self.info.clone()
        }
    }

    /// No place for another participant of this identity.
    pub(crate) fn is_full(&self, identity: &str, dependent: bool) -> bool {
        let max = self.info.max_participants as usize;
        let others = self.participants.values().filter(|p| !p.is_dependent() && p.identity() != identity);
        max != 0 && !dependent && others.count() >= max
    }

    /// Starts or stops the clock of an empty room.
    pub(crate) fn watch_idleness(&mut self, cx: &mut Cx<'_>) {
        if self.participants.values().any(|p| !p.is_dependent()) {
            self.visited = true;
            cx.cancel_timer(self.key, None, Timer::Idle);
            return;
        }
        if self.finished {
            return;
        }
        let wait = if self.visited { self.info.departure_timeout } else { self.info.empty_timeout };
        cx.arm_timer(self.key, None, Timer::Idle, Duration::from_secs(u64::from(wait)));
    }

    pub(crate) fn close_if_idle(&mut self, cx: &mut Cx<'_>) {
        if !self.participants.values().any(|p| !p.is_dependent()) {
            self.close(cx, DisconnectReason::RoomClosed);
        }
    }

    /// Sends everyone away and ends the room.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, reason: DisconnectReason) {
        let last = self.info();
        // From here on nobody needs to hear of the others' departures.
        self.finished = true;
        for pid in self.pids() {
            self.remove(cx, pid, reason, Farewell::Leave(Action::Disconnect));
        }
        cx.timers.cancel_room(self.key);
        cx.event(RoomEvent::RoomFinished {
            id: self.id.clone(),
            room: RoomInfo { num_participants: 0, num_publishers: 0, ..last },
        });
    }

    /// Sends one participant away to come back: the room is not fit to go on.
    pub(crate) fn send_off(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::StateMismatch, Farewell::Leave(Action::Reconnect));
    }

    fn is_recorded(&self) -> bool {
        self.participants.values().any(super::Participant::is_recorder)
    }

    /// Counts changed. People learn at once when a recording begins or ends.
    pub(crate) fn mark_counters(&mut self, cx: &mut Cx<'_>) {
        self.counters_changed(cx, None);
    }

    /// As [`Room::mark_counters`]. A newcomer gets its first message later, and everything with it.
    pub(super) fn counters_changed(&mut self, cx: &mut Cx<'_>, newcomer: Option<Pid>) {
        let recorded = self.is_recorded();
        if self.finished || recorded == self.recorded {
            cx.arm_timer(self.key, None, Timer::Counters, COUNTER_INTERVAL);
            return;
        }
        self.recorded = recorded;
        self.update_room(cx, newcomer);
    }

    /// Tells everyone about the room now.
    pub(crate) fn send_room_update(&mut self, cx: &mut Cx<'_>) {
        self.update_room(cx, None);
    }

    fn update_room(&mut self, cx: &mut Cx<'_>, newcomer: Option<Pid>) {
        cx.cancel_timer(self.key, None, Timer::Counters);
        let update = signal_response::Message::RoomUpdate(RoomUpdate { room: Some(self.info()) });
        cx.broadcast(self.conns(|p| Some(p.pid) != newcomer), update);
    }
}
