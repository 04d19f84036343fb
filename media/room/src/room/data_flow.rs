//! How much data a participant may send, and holding it back while a receiver is behind.
//!
//! What the shard hands over counts against a window of bytes, which is granted again here ([`Command::GrantData`]) when
//! the messages have been passed on. It is granted later while the sender is over its budget, and while a receiver of its
//! reliable messages is behind ([`bedrud_sfu::Event::DataCongested`]): the sender's own SCTP then slows down. A receiver
//! that takes nothing for long is closed by its shard, so nobody is held for ever.

use super::{Participant, Room};
use crate::config::Limits;
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::Timer;
use bedrud_sfu::{Command, DataChannel, TokenBucket, TransportId, charge};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Bytes granted at once; a fraction of the shard's window, so that no sender runs dry between two.
const GRANT: u64 = 32 << 10;
/// A held sender is looked at again after this, whatever became of the receiver it waits for.
const RECHECK: Duration = Duration::from_secs(1);
/// Senders let go at once when a receiver has caught up: each may bring a window of messages. The rest follow with
/// [`RECHECK`].
const LET_GO: usize = 16;
/// Shortest wait for the budget.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Counts of data messages that the control plane did not pass on, or not at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataCounters {
    /// Lossy messages and data track packets dropped because their sender was over its budget of deliveries.
    pub over_budget: u64,
    /// Messages dropped because they name too many receivers.
    pub too_many_destinations: u64,
    /// Senders held back because a receiver was behind.
    pub holds: u64,
    /// Names and participants looked at to find out who receives a message.
    pub lookups: u64,
    /// Messages and copies of them handed to shards.
    pub deliveries: u64,
}

/// What passing a message on took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Copies sent, and work that is worth as much.
    pub(super) deliveries: u64,
    /// Bytes of all copies.
    pub(super) bytes: u64,
}

/// Budget of one sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    deliveries: TokenBucket,
    bytes: TokenBucket,
}

impl Meter {
    pub(super) const fn new(limits: &Limits) -> Self {
        let (deliveries, bytes) = (limits.data_deliveries_per_second, limits.data_delivered_bytes_per_second);
        Self {
            deliveries: TokenBucket::new(deliveries, deliveries.saturating_mul(2)),
            bytes: TokenBucket::new(bytes, bytes),
        }
    }

    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        self.deliveries.is_ready(now) && self.bytes.is_ready(now)
    }

    fn ready_at(&mut self, now: Instant) -> Instant {
        self.deliveries.ready_at(now).max(self.bytes.ready_at(now))
    }

    pub(super) fn pay(&mut self, now: Instant, cost: Cost) {
        self.deliveries.take(now, cost.deliveries.max(1));
        self.bytes.take(now, cost.bytes);
    }
}

/// Flow of one participant's data, in both directions.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    meter: Option<Meter>,
    /// Reliable messages that wait for the budget; the shard's window bounds them.
    waiting: VecDeque<(TransportId, DataChannel, Bytes)>,
    /// Bytes handled since the last grant, and by which transport they came.
    owed: Option<(TransportId, u64)>,
    /// Receivers it is held back for.
    held_by: BTreeSet<Pid>,
    /// Its own transport that is behind.
    congested: Option<TransportId>,
    /// Senders that are held back for it.
    holds: BTreeSet<Pid>,
}

impl Flow {
    fn meter(&mut self, limits: &Limits) -> &mut Meter {
        self.meter.get_or_insert_with(|| Meter::new(limits))
    }

    fn owe(&mut self, id: TransportId, bytes: u64) {
        match &mut self.owed {
            Some((of, owed)) if *of == id => *owed = owed.saturating_add(bytes),
            // A new connection has a window of its own.
            owed => *owed = Some((id, bytes)),
        }
    }

    /// Whether this transport of the participant is behind.
    pub(super) fn is_congested(&self, id: TransportId) -> bool {
        self.congested == Some(id)
    }

    /// It leaves the room: what it was held for stays behind.
    pub(super) fn forget_room(&mut self) {
        self.held_by.clear();
        self.holds.clear();
    }
}

impl Room {
    /// A message of a participant.
    pub(crate) fn on_data_message(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        id: TransportId,
        channel: DataChannel,
        payload: &Bytes,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        let flow = &mut p.data.flow;
        let waits = !flow.waiting.is_empty() || !flow.meter(&cx.config.limits).is_ready(cx.now.mono);
        if waits && channel.is_reliable() {
            flow.waiting.push_back((id, channel, payload.clone()));
            self.watch_flow(cx, pid);
        } else if waits {
            cx.data.over_budget += 1;
        } else {
            self.pass_on(cx, pid, id, channel, payload);
            self.settle_flow(cx, pid);
        }
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>, pid: Pid, id: TransportId, channel: DataChannel, payload: &Bytes) {
        let cost = match channel {
            DataChannel::DataTrack => self.on_data_track_packet(cx, pid, payload),
            DataChannel::Unlabelled => self.on_unlabelled_data(cx, pid, payload),
            DataChannel::Reliable | DataChannel::Lossy => self.on_data(cx, pid, channel, payload),
        };
        let Some(p) = self.get_mut(pid) else { return };
        p.data.flow.meter(&cx.config.limits).pay(cx.now.mono, cost);
        if channel.is_reliable() {
            p.data.flow.owe(id, charge(payload.len()) as u64);
        }
    }

    /// Grants what is owed, unless a receiver holds the sender back.
    fn settle_flow(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        let flow = &mut p.data.flow;
        if let Some((id, bytes)) = flow.owed
            && flow.held_by.is_empty()
            && bytes >= GRANT
        {
            flow.owed = None;
            cx.command(id.shard, Command::GrantData { id, bytes });
        }
        self.watch_flow(cx, pid);
    }

    fn watch_flow(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let key = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        let flow = &mut p.data.flow;
        if !flow.waiting.is_empty() {
            let now = cx.now.mono;
            let wait = flow.meter(&cx.config.limits).ready_at(now).saturating_duration_since(now);
            cx.set_timer(key, Some(pid), Timer::Data, wait.max(LEAST_WAIT));
        } else if !flow.held_by.is_empty() {
            cx.arm_timer(key, Some(pid), Timer::Data, RECHECK);
        }
    }

    /// The budget has something again, or a held sender is looked at.
    pub(super) fn on_flow_timer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        loop {
            let Some(p) = self.get_mut(pid) else { return };
            if !p.data.flow.meter(&cx.config.limits).is_ready(cx.now.mono) {
                break;
            }
            let Some((id, channel, payload)) = p.data.flow.waiting.pop_front() else { break };
            self.pass_on(cx, pid, id, channel, &payload);
        }
        let Some(p) = self.get(pid) else { return };
        let behind = |r: &Participant| r.primary().is_some_and(|l| r.data.flow.is_congested(l.id));
        let gone: Vec<Pid> =
            p.data.flow.held_by.iter().copied().filter(|r| !self.get(*r).is_some_and(behind)).collect();
        if let Some(p) = self.get_mut(pid) {
            p.data.flow.held_by.retain(|r| !gone.contains(r));
        }
        self.settle_flow(cx, pid);
    }

    /// Receivers that are behind hold the sender back.
    pub(super) fn hold_for(&mut self, cx: &mut Cx<'_>, sender: Pid, receivers: Vec<Pid>) {
        for receiver in receivers {
            if let Some(r) = self.get_mut(receiver) {
                r.data.flow.holds.insert(sender);
            }
            if let Some(s) = self.get_mut(sender) {
                cx.data.holds += u64::from(s.data.flow.held_by.is_empty());
                s.data.flow.held_by.insert(receiver);
            }
        }
    }

    /// A transport of a receiver is behind, or has caught up.
    pub(crate) fn on_data_congested(&mut self, cx: &mut Cx<'_>, pid: Pid, id: TransportId, congested: bool) {
        let Some(p) = self.get_mut(pid).filter(|p| p.primary().is_some_and(|l| l.id == id)) else { return };
        p.data.flow.congested = congested.then_some(id);
        if !congested {
            self.let_go(cx, pid);
        }
    }

    /// Nobody waits for this receiver any more.
    pub(crate) fn let_go(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        p.data.flow.congested = None;
        for sender in std::mem::take(&mut p.data.flow.holds).into_iter().take(LET_GO) {
            if let Some(s) = self.get_mut(sender) {
                s.data.flow.held_by.remove(&pid);
                self.settle_flow(cx, sender);
            }
        }
    }
}
