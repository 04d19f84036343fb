//! One room and everyone in it.

mod audience;
mod backup;
mod binding;
mod blobs;
pub(crate) mod configuration;
mod data;
mod data_flow;
mod data_tracks;
mod destinations;
mod dynacast;
mod embedder;
mod figures;
mod forwarded;
mod life;
mod link;
mod metrics;
mod moved;
mod participant;
mod places;
mod publications;
mod quality;
mod roster;
mod rpc;
mod service;
mod settings;
mod speakers;
mod state;
mod subscriptions;
mod track;
mod updates;
mod visibility;
mod wire;

pub use data_flow::DataCounters;
pub(crate) use link::{Link, Publisher, Subscriber};
pub(crate) use participant::{Client, Participant, ResumeScript};
pub(crate) use publications::Match;
pub(crate) use quality::RoomStats;
pub use rpc::rpc_timeout;

pub(crate) use roster::{leave_for, send_leave};
pub(crate) use subscriptions::Place;
pub(crate) use updates::{Audience, update};

pub(crate) use track::{Pending, Published, Unmatched, key, kind_of, timed_version, up_layers};

use crate::accounts::Bucket;
use crate::context::Cx;
use crate::ids::{Pid, RoomKey, Sid};
use crate::timers::{Timer, TimerKey};
use data::Nonces;
use data_flow::Meter;
use livekit_protocol::{ParticipantInfo, Room as RoomInfo, RoomConfiguration};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

/// How a removed participant is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// `leave` with this action.
    Leave(livekit_protocol::leave_request::Action),
    /// Only the socket ends.
    Silent,
}

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) key: RoomKey,
    /// The embedder's id of the room; empty while nobody came with one.
    pub(crate) id: String,
    /// What clients see, without the counts.
    pub(crate) info: RoomInfo,
    /// What clients do not see: agents, tags, playout. See [`Room::configuration`].
    config: RoomConfiguration,
    pub(crate) shard: u16,
    pub(crate) sif_trailer: Vec<u8>,
    pub(crate) participants: BTreeMap<Pid, Participant>,
    identities: HashMap<String, Pid>,
    /// Publisher of each track.
    owners: HashMap<Sid, Pid>,
    /// The platform has been told of it.
    pub(crate) begun: bool,
    /// Somebody has been here.
    visited: bool,
    /// Updates waiting for the batch: participants still here.
    stale: BTreeSet<Pid>,
    /// Who was the last of the batch before.
    flushed: Option<Pid>,
    /// Bytes of updates that each of those here had to receive.
    updates: Bucket,
    /// Bytes of description beyond what each participant may have anyway.
    excess: usize,
    /// Updates waiting for the batch: participants that left.
    gone: Vec<ParticipantInfo>,
    /// Recent departures, for clients that resume.
    departed: VecDeque<(Instant, ParticipantInfo)>,
    /// Nonces of data sent through the server API and by participants.
    nonces: Nonces,
    /// Budget of the server API for data.
    api_data: Option<Meter>,
    /// Identities that asked for TCP, and until when.
    tcp_wishes: HashMap<String, Instant>,
    /// Players without signalling (WHEP).
    pub(crate) viewers: BTreeSet<Pid>,
    /// Clients know that the room is recorded.
    recorded: bool,
    /// Calls of the server API to participants.
    calls: rpc::Calls,
    /// Nothing of it is left.
    pub(crate) finished: bool,
}

impl Room {
    /// What it is known by wherever it may not be mistaken for another one: its id, else its name.
    pub(crate) fn address(&self) -> &str {
        if self.id.is_empty() { &self.info.name } else { &self.id }
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<&Participant> {
        self.participants.get(&pid)
    }

    pub(crate) fn get_mut(&mut self, pid: Pid) -> Option<&mut Participant> {
        self.participants.get_mut(&pid)
    }

    pub(crate) fn by_identity(&self, identity: &str) -> Option<&Participant> {
        self.identities.get(identity).and_then(|pid| self.participants.get(pid))
    }

    pub(crate) fn pids(&self) -> Vec<Pid> {
        self.participants.keys().copied().collect()
    }

    /// Tracks of one stream of a publisher share a media stream at subscribers.
    pub(crate) fn syncs_streams(&self) -> bool {
        self.config.sync_streams
    }

    /// Publisher of a track.
    pub(crate) fn owner(&self, track: &str) -> Option<Pid> {
        self.owners.get(track).copied()
    }

    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>, timer: TimerKey) {
        match (timer.timer, timer.pid) {
            (Timer::Idle, _) => self.close_if_idle(cx),
            (Timer::Updates, _) => self.flush_updates(cx),
            (Timer::Counters, _) => self.send_room_update(cx),
            (Timer::Quality, _) => self.tell_quality(cx),
            (Timer::Viewers, _) => self.fill_viewers(cx),
            (Timer::Calls, _) => self.on_calls_timer(cx),
            (Timer::Join, Some(pid)) => self.on_join_timeout(cx, pid),
            (Timer::Failed, Some(pid)) => self.on_path_failed(cx, pid),
            (Timer::Resume, Some(pid)) => self.on_resume_timeout(cx, pid),
            (Timer::EarlyOffer, Some(pid)) => self.take_early_offer(cx, pid),
            (Timer::Negotiate, Some(pid)) => self.negotiate(cx, pid),
            (Timer::Answer, Some(pid)) => self.on_answer_timeout(cx, pid),
            (Timer::Token, Some(pid)) => self.refresh_token(cx, pid),
            (Timer::Lookup, Some(pid)) => self.give_up_lookups(cx, pid),
            (Timer::Bind, Some(pid)) => self.give_up_bindings(cx, pid),
            (Timer::Data, Some(pid)) => self.on_flow_timer(cx, pid),
            (Timer::Settings, Some(pid)) => self.on_settings_timer(cx, pid),
            (Timer::Backlog, Some(pid)) => self.take_backlog(cx, pid),
            (Timer::Speaking, Some(pid)) => self.end_simulated_speech(cx, pid),
            (Timer::Dynacast(track), Some(pid)) => self.on_dynacast_timer(cx, pid, track),
            (_, None) => {}
        }
    }
}
