//! What [`crate::MediaNet::start`] is told.

use bedrud_sfu::ShardConfig;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How datagrams cross the system boundary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UdpMode {
    /// Batches, with segmentation offload where the kernel has it.
    #[default]
    Auto,
    /// Batches without segmentation offload.
    NoOffload,
    /// One datagram per call.
    Scalar,
}

/// Limits of ICE/TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections of the process.
    pub connections: usize,
    /// Connections of one IPv4 address or IPv6 /64 that have not authenticated.
    pub unauthenticated_per_host: u32,
    /// A connection that authenticated is closed after this time without another check.
    pub idle: Duration,
    /// A connection that has not authenticated by a check within this time is closed.
    pub unauthenticated: Duration,
    /// Bytes that may wait to be written; more stops video.
    pub queue_bytes: usize,
    /// Age of the oldest waiting byte that stops video.
    pub queue_age: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            unauthenticated_per_host: 20,
            idle: Duration::from_secs(30),
            unauthenticated: Duration::from_secs(10),
            queue_bytes: 256 << 10,
            queue_age: Duration::from_millis(500),
        }
    }
}

/// Settings of the media port.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// UDP address to bind. Port 0 picks a free one; an unspecified IPv6 address serves IPv4 too where possible.
    pub bind: SocketAddr,
    /// Shard threads; 0 is one on up to two cores, otherwise one less than there are cores.
    pub shards: u16,
    /// Settings of every shard; [`ShardConfig::shard`] is set per thread.
    pub shard: ShardConfig,
    /// Seed of the shards' random choices; fresh in production.
    pub seed: u64,
    /// Wanted socket buffers, bytes; the system may grant less.
    pub socket_buffer: usize,
    /// How datagrams are sent and received.
    pub udp: UdpMode,
    /// Commands, adopted streams and forwarded datagrams that may wait for one shard.
    pub queue: usize,
    /// Limits of ICE/TCP.
    pub tcp: TcpLimits,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7880)),
            shards: 0,
            shard: ShardConfig::default(),
            seed: 0,
            socket_buffer: 4 << 20,
            udp: UdpMode::Auto,
            queue: 8192,
            tcp: TcpLimits::default(),
        }
    }
}

impl NetConfig {
    /// Shard threads to run.
    pub(crate) fn shard_count(&self) -> u16 {
        if self.shards > 0 {
            return self.shards.min(4096);
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if cores <= 2 { 1 } else { u16::try_from(cores - 1).unwrap_or(1).min(256) }
    }
}
