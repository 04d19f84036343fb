//! The shard: one thread's worth of transports and tracks.
//!
//! The modules beside this one are the shard's verbs: `command`, `data` (messages), `receive` (datagrams), `rtp`, `rtcp`, `relay` (other shards), `transport`
//! (ICE, DTLS, SCTP), `tracks`, `targets` (layers and key frames), `fill` (silence), `timeout`, `flush`, `report`
//! (statistics). `recover` keeps what fails inside from harming more than its cause.

mod command;
mod data;
mod fill;
mod flush;
mod receive;
mod recover;
mod relay;
mod report;
mod rtcp;
mod rtp;
mod targets;
mod timeout;
mod tracks;
mod transport;

use crate::arena::{Arena, Key};
use crate::batch::SendBatch;
use crate::command::Command;
use crate::config::ShardConfig;
use crate::demux::AddressMap;
use crate::downtrack::DownTrack;
use crate::downtrack::forwarder::StartValues;
use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::hash::Seeded;
use crate::ids::{DownTrackId, TransportId, UpTrackId};
use crate::path::Path;
use crate::peer::Peer;
use crate::slots::Slots;
use crate::stats::{DropReason, ShardStats};
use crate::timers::Timers;
use crate::upstream::UpTrack;
use bedrud_rtp::rtcp::ReportBlock;
use bedrud_transport::TransportContext;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Distance of the regular step of a transport with media.
const TICK: Duration = Duration::from_millis(250);

/// A selective forwarding unit without I/O, clock or threads.
///
/// After any number of `handle_*` calls: [`Shard::flush`], then [`Shard::poll_event`] until `None`, then wait for
/// input or [`Shard::poll_deadline`]. `now` must never decrease.
///
/// A panic inside closes the transport that was being served ([`crate::CloseReason::ServerFailure`]) and is counted in
/// [`ShardStats::panics`]; the others go on. See [`Shard::is_beyond_repair`] for those without a cause. A panic that
/// leaves one of these methods means that the shard is of no more use.
pub struct Shard {
    config: ShardConfig,
    context: TransportContext,
    rng: SmallRng,
    hash: Seeded,
    /// Microsecond clocks count from here.
    origin: Instant,
    now: Instant,
    peers: Slots<Peer>,
    ups: Arena<UpTrack>,
    downs: Arena<DownTrack>,
    up_ids: HashMap<UpTrackId, Key, Seeded>,
    down_ids: HashMap<DownTrackId, Key, Seeded>,
    addresses: AddressMap,
    timers: Timers,
    /// Transports with something to send.
    dirty: Vec<TransportId>,
    /// Transports with messages that no turn has carried out.
    unsent: Vec<TransportId>,
    /// Last words of closed transports.
    orphans: Vec<(Path, Vec<u8>)>,
    /// Audio tracks heard in this interval or not yet reported silent.
    audible: Vec<Key>,
    audio_due: Option<Instant>,
    stats_due: Option<Instant>,
    events: EventQueue,
    stats: ShardStats,
    start_values: Option<StartValues>,
    scratch: Scratch,
    /// Whose work is being done: the one to close if it fails.
    serving: Option<TransportId>,
    unexplained: recover::Unexplained,
    #[cfg(any(test, feature = "test-util"))]
    fault: Option<(crate::test_util::Fault, TransportId)>,
}

/// Buffers reused from call to call.
#[derive(Debug, Default)]
struct Scratch {
    lost: Vec<u16>,
    blocks: Vec<ReportBlock>,
    keys: Vec<Key>,
    wants: Vec<crate::egress::allocate::Want>,
    allowed: Vec<Option<u8>>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("shard", &self.config.shard)
            .field("transports", &self.peers.len())
            .field("up_tracks", &self.ups.len())
            .field("down_tracks", &self.downs.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// An empty shard. `seed` drives every random choice (start values, hash keys, feedback SSRCs).
    #[must_use]
    pub fn new(config: ShardConfig, context: TransportContext, seed: u64, now: Instant) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let hash = Seeded::new(rng.random());
        let events = EventQueue::new(config.max_events);
        Self {
            config,
            context,
            hash,
            origin: now,
            now,
            peers: Slots::default(),
            ups: Arena::default(),
            downs: Arena::default(),
            up_ids: HashMap::with_hasher(hash),
            down_ids: HashMap::with_hasher(hash),
            addresses: AddressMap::new(rng.random()),
            timers: Timers::default(),
            dirty: Vec::new(),
            unsent: Vec::new(),
            orphans: Vec::new(),
            audible: Vec::new(),
            audio_due: None,
            stats_due: None,
            events,
            stats: ShardStats::default(),
            start_values: None,
            scratch: Scratch::default(),
            serving: None,
            unexplained: recover::Unexplained::default(),
            #[cfg(any(test, feature = "test-util"))]
            fault: None,
            rng,
        }
    }

    /// Executes one request of the control plane.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        self.now = now;
        self.guarded(now, |shard| shard.on_command(now, command));
    }

    /// Takes one datagram (for TCP one frame without its length). SRTP is opened in place.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        self.now = now;
        self.guarded(now, |shard| shard.on_datagram(now, path, datagram));
    }

    /// Runs everything that is due; call when [`Shard::poll_deadline`] has passed (calling early is harmless).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.guarded(now, |shard| shard.on_timeout(now));
    }

    /// Appends everything that wants to leave to `batch`, grouped by subscriber.
    pub fn flush(&mut self, now: Instant, batch: &mut SendBatch) {
        self.now = now;
        // Each failure takes its cause out of the table, so this ends; one without a cause ends it at once.
        loop {
            let before = self.peers.len();
            if self.guarded(now, |shard| shard.write_batch(now, batch)) {
                return;
            }
            batch.abandon_rest();
            if self.peers.len() >= before {
                return;
            }
        }
    }

    /// Next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`Shard::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.audio_due, self.stats_due].into_iter().flatten().min()
    }

    /// The write queue of a TCP path is over its limit (`true`) or drained again (`false`). While it is over, video to
    /// that path is not produced; afterwards it resumes with a key frame.
    pub fn tcp_congested(&mut self, path: Path, congested: bool) {
        self.guarded(self.now, |shard| shard.on_tcp_congested(path, congested));
    }

    /// A TCP connection ended: its address no longer belongs to a transport.
    pub fn path_closed(&mut self, now: Instant, path: Path) {
        self.now = now;
        self.guarded(now, |shard| shard.on_path_closed(path));
    }

    /// Counters and table sizes.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        self.snapshot()
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &ShardConfig {
        &self.config
    }

    fn drop_packet(&mut self, reason: DropReason) {
        self.stats.drops.add(reason);
    }

    /// Microseconds since the shard began.
    fn micros(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_duration_since(self.origin).as_micros()).unwrap_or(i64::MAX)
    }

    /// Queues an event. See [`EventQueue`] for what becomes of it when nobody takes events.
    fn emit(&mut self, event: Event) {
        if !self.events.push(event) {
            self.stats.drops.add(DropReason::EventOverflow);
        }
    }

    /// Makes sure a transport is visited by the next flush.
    fn mark_dirty(&mut self, id: TransportId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.dirty
        {
            peer.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Arms the transport's deadline.
    fn rearm(&mut self, id: TransportId) {
        if let Some(peer) = self.peers.get_mut(id) {
            let at = peer.deadline();
            self.timers.arm(id, &mut peer.armed, at);
        }
    }

    /// Media moves on this transport: its regular step runs.
    fn wake(&mut self, now: Instant, id: TransportId) {
        if let Some(peer) = self.peers.get_mut(id) {
            wake_peer(&mut self.timers, now, peer);
        }
    }
}

/// As [`Shard::wake`], for a peer in hand.
fn wake_peer(timers: &mut Timers, now: Instant, peer: &mut Peer) {
    peer.last_media = Some(now);
    let due = now + TICK;
    if peer.tick_due.is_none_or(|t| t > due) {
        peer.tick_due = Some(due);
        timers.arm(peer.id, &mut peer.armed, Some(due));
    }
}
