//! Figures for the operator: counters since the start, and what each room holds and has carried.

mod histogram;
mod timings;

pub use histogram::{Histogram, Snapshot};
pub use timings::HubTimings;

use crate::ids::RoomKey;
use crate::io::{Input, Now, Output, RoomEvent, ShardId};
use crate::room::{DataCounters, Room, RoomStats};
use bedrud_sfu::Event;
use livekit_protocol::TrackType;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Interval of the first report of a shard.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);
/// A shard that carries nothing does not report: its last rate is forgotten after this.
const RATE_LIFE: Duration = Duration::from_secs(15);

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Joins and resumes asked for.
    pub joins: u64,
    /// Of these, refused before anything was sent.
    pub joins_refused: u64,
    /// Participants whose media connection came up.
    pub participants_joined: u64,
    /// Participants that left after that.
    pub participants_left: u64,
    /// Participants that left before that.
    pub participants_aborted: u64,
    /// Rooms opened.
    pub rooms_started: u64,
    /// Rooms closed.
    pub rooms_finished: u64,
    /// Audio tracks published.
    pub audio_published: u64,
    /// Video tracks published.
    pub video_published: u64,
    /// Signalling messages of clients.
    pub signals_in: u64,
    /// Signalling messages to clients.
    pub signals_out: u64,
    /// Failures caught inside.
    pub failures: u64,
    /// Rooms that ended because of one.
    pub rooms_failed: u64,
}

/// Tracks or subscriptions by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByKind {
    /// Audio.
    pub audio: usize,
    /// Video.
    pub video: usize,
}

/// What a room carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Media payload from publishers, bytes.
    pub bytes_in: u64,
    /// Media payload to subscribers, bytes.
    pub bytes_out: u64,
}

/// An open room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMetrics {
    /// Name.
    pub name: String,
    /// Id of this opening of the room.
    pub sid: String,
    /// Participants, all kinds.
    pub participants: usize,
    /// Published tracks.
    pub published: ByKind,
    /// Subscriptions that have a place in a connection.
    pub subscribed: ByKind,
    /// Since it opened, as of the shard's last report.
    pub traffic: Traffic,
}

/// All figures of a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubMetrics {
    /// Since the start.
    pub counters: HubCounters,
    /// Data messages since the start.
    pub data: DataCounters,
    /// How long things took.
    pub timings: HubTimings,
    /// Open rooms, oldest first.
    pub rooms: Vec<RoomMetrics>,
}

/// Counts as inputs and outputs pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counters: HubCounters,
    timings: timings::Timings,
    traffic: HashMap<RoomKey, Traffic>,
    rates: HashMap<ShardId, Rate>,
}

/// What a shard carried in its last interval.
#[derive(Debug, Clone, Copy)]
struct Rate {
    at: Instant,
    bytes_per_second: u64,
}

impl Tally {
    pub(crate) fn input(&mut self, now: Now, input: &Input) {
        self.timings.input(now, input);
        match input {
            Input::Shard { shard, event: Event::Stats { up, down } } => {
                let streams = up.iter().map(|(_, _, s)| s).chain(down.iter().map(|(_, s)| s));
                let bytes: u64 = streams.map(|s| s.bytes).sum();
                let since = self
                    .rates
                    .get(shard)
                    .map_or(FIRST_INTERVAL, |r| now.mono.saturating_duration_since(r.at));
                let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
                let bytes_per_second = bytes.saturating_mul(1000) / millis;
                self.rates.insert(*shard, Rate { at: now.mono, bytes_per_second });
            }
            Input::Join { .. } => self.counters.joins += 1,
            Input::Signal { .. } => self.counters.signals_in += 1,
            _ => {}
        }
    }

    pub(crate) fn output(&mut self, output: &Output) {
        self.timings.output(output);
        let counters = &mut self.counters;
        match output {
            Output::Signal { .. } => counters.signals_out += 1,
            Output::Broadcast { conns, .. } => {
                counters.signals_out += u64::try_from(conns.len()).unwrap_or(u64::MAX);
            }
            Output::Refuse { .. } => counters.joins_refused += 1,
            Output::Event(event) => match &**event {
                RoomEvent::RoomStarted { .. } => counters.rooms_started += 1,
                RoomEvent::RoomFinished { .. } => counters.rooms_finished += 1,
                RoomEvent::ParticipantJoined { .. } => counters.participants_joined += 1,
                RoomEvent::ParticipantLeft { .. } => counters.participants_left += 1,
                RoomEvent::ParticipantConnectionAborted { .. } => counters.participants_aborted += 1,
                RoomEvent::TrackPublished { track, .. } if track.r#type == TrackType::Video as i32 => {
                    counters.video_published += 1;
                }
                RoomEvent::TrackPublished { .. } => counters.audio_published += 1,
                _ => {}
            },
            _ => {}
        }
    }

    /// Media payload that all shards carry now, bytes per second.
    pub(crate) fn bytes_per_second(&self, now: Instant) -> u64 {
        let recent = self.rates.values().filter(|r| now.saturating_duration_since(r.at) <= RATE_LIFE);
        recent.map(|r| r.bytes_per_second).sum()
    }

    /// Figures of one interval.
    pub(crate) fn carried(&mut self, room: RoomKey, stats: &RoomStats) {
        let traffic = self.traffic.entry(room).or_default();
        traffic.bytes_in += stats.up.values().map(|s| s.bytes).sum::<u64>();
        traffic.bytes_out += stats.down.values().map(|s| s.bytes).sum::<u64>();
    }

    /// Something failed inside.
    pub(crate) fn failed(&mut self) {
        self.counters.failures += 1;
    }

    /// A room ended because of it.
    pub(crate) fn room_failed(&mut self, room: RoomKey) {
        self.counters.rooms_failed += 1;
        self.forget(room);
    }

    pub(crate) fn forget(&mut self, room: RoomKey) {
        self.traffic.remove(&room);
    }

    pub(crate) fn snapshot<'a>(
        &self,
        data: DataCounters,
        rooms: impl Iterator<Item = (&'a RoomKey, &'a Room)>,
    ) -> HubMetrics {
        let mut rooms: Vec<(&RoomKey, &Room)> = rooms.collect();
        rooms.sort_unstable_by_key(|(key, _)| **key);
        let describe =
            |(key, room): (&RoomKey, &Room)| room.metrics(self.traffic.get(key).copied().unwrap_or_default());
        HubMetrics {
            counters: self.counters,
            data,
            timings: self.timings.snapshot(),
            rooms: rooms.into_iter().map(describe).collect(),
        }
    }
}
