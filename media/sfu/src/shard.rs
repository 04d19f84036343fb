//! The shard: one thread's worth of transports and tracks.

use crate::batch::SendBatch;
use crate::command::Command;
use crate::config::ShardConfig;
use crate::event::Event;
use crate::path::Path;
use crate::stats::ShardStats;
use bedrud_transport::TransportContext;
use std::collections::VecDeque;
use std::time::Instant;

/// A selective forwarding unit without I/O, clock or threads.
///
/// After any number of `handle_*` calls: [`Shard::flush`], then [`Shard::poll_event`] until `None`, then wait for
/// input or [`Shard::poll_deadline`]. `now` must never decrease.
pub struct Shard {
    config: ShardConfig,
    events: VecDeque<Event>,
    stats: ShardStats,
}

impl Shard {
    /// An empty shard. `seed` drives every random choice (SSRC-independent start values, hash seeds).
    #[must_use]
    pub fn new(config: ShardConfig, _context: TransportContext, _seed: u64, _now: Instant) -> Self {
        Self { config, events: VecDeque::new(), stats: ShardStats::default() }
    }

    /// Executes one request of the control plane.
    pub fn handle_command(&mut self, _now: Instant, _command: Command) {}

    /// Takes one datagram (for TCP one frame without its length). SRTP is opened in place.
    pub fn handle_datagram(&mut self, _now: Instant, _path: Path, _datagram: &mut [u8]) {}

    /// Runs everything that is due; call when [`Shard::poll_deadline`] has passed (calling early is harmless).
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// Appends everything that wants to leave to `batch`, grouped by subscriber.
    pub fn flush(&mut self, _now: Instant, _batch: &mut SendBatch) {}

    /// Next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Shard::handle_timeout`] must be called at the latest.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        None
    }

    /// The write queue of a TCP path is over its limit (`true`) or drained again (`false`). While it is over, video to
    /// that path is not produced; afterwards it resumes with a key frame.
    pub fn tcp_congested(&mut self, _path: Path, _congested: bool) {}

    /// A TCP connection ended: its address no longer belongs to a transport.
    pub fn path_closed(&mut self, _now: Instant, _path: Path) {}

    /// Counters and table sizes.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        self.stats
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &ShardConfig {
        &self.config
    }
}
