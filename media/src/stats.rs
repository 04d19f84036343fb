//! How much a media server holds.

use bedrud_net::ShardReport;
use bedrud_room::{HubMetrics, HubStats};

/// A snapshot of [`crate::Sfu::stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SfuStats {
    /// Rooms, participants, sockets, tracks.
    pub hub: HubStats,
    /// Signalling sessions known to the control thread.
    pub sessions: usize,
    /// Calls of the room service in progress.
    pub calls: usize,
    /// Failures caught around the control plane; those inside are [`HubMetrics`]'.
    pub failures: u64,
    /// Every shard and its sockets.
    pub shards: Vec<ShardReport>,
}

/// A snapshot of [`crate::Sfu::metrics`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SfuMetrics {
    /// What is held now.
    pub stats: SfuStats,
    /// Counters since the start, and the rooms one by one.
    pub hub: HubMetrics,
}

impl SfuStats {
    /// Peer connections on all shards.
    #[must_use]
    pub fn transports(&self) -> usize {
        self.shards.iter().map(|s| s.shard.transports).sum()
    }

    /// ICE/TCP connections on all shards.
    #[must_use]
    pub fn tcp_connections(&self) -> usize {
        self.shards.iter().map(|s| s.net.tcp_connections).sum()
    }
}
