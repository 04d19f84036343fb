//! What a shard thread holds and has done.

use bedrud_sfu::ShardStats;
use std::sync::Arc;

/// Takes the reports of shards, by their number. Called on their threads; must not block.
pub type ReportSink = Arc<dyn Fn(u16, ShardReport) + Send + Sync>;

/// Counters of one thread's sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Receive system calls that brought something.
    pub receive_calls: u64,
    /// Send system calls.
    pub send_calls: u64,
    /// Times the socket would not take more.
    pub send_blocked: u64,
    /// Datagrams given up after that.
    pub send_dropped: u64,
    /// Datagrams the system refused (no route, firewall).
    pub send_errors: u64,
    /// Datagrams too long for the buffer.
    pub truncated: u64,
    /// Datagrams handed to another shard.
    pub forwarded: u64,
    /// Datagrams dropped because the other shard's queue was full.
    pub forward_dropped: u64,
    /// Datagrams of relays handed to other shards.
    pub relayed: u64,
    /// Datagrams of relays dropped because the other shard's queue was full.
    pub relay_dropped: u64,
    /// ICE/TCP connections open now.
    pub tcp_connections: usize,
    /// ICE/TCP frames received.
    pub tcp_frames_in: u64,
    /// ICE/TCP frames queued or sent.
    pub tcp_frames_out: u64,
    /// ICE/TCP frames dropped by back-pressure or for lack of a connection.
    pub tcp_frames_dropped: u64,
    /// Panics caught around the sockets. Those inside the shard are [`ShardStats::panics`].
    pub panics: u64,
}

/// One thread's answer to [`crate::MediaNet::ask_reports`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardReport {
    /// The shard.
    pub shard: ShardStats,
    /// Its sockets.
    pub net: NetCounters,
}
