//! What [`crate::Sfu::start`] is told.

use bedrud_net::NetConfig;
use bedrud_room::HubConfig;
use bedrud_transport::{Certificate, TransportConfig};
use std::net::{IpAddr, SocketAddr};

/// Settings of a media server. The default listens on all addresses, UDP port 7880.
#[derive(Debug, Clone)]
pub struct SfuConfig {
    /// Media port, threads and their limits.
    pub net: NetConfig,
    /// TCP port of the listener that hands ICE/TCP connections over; without it no TCP candidates are offered.
    pub tcp_port: Option<u16>,
    /// Addresses of this node as clients see it, when they differ from its interfaces.
    pub external_ips: Vec<IpAddr>,
    /// Offer the loopback address as well, for clients on this machine.
    pub loopback_candidate: bool,
    /// Limits of peer connections.
    pub transport: TransportConfig,
    /// DTLS certificate; a fresh self-signed one by default.
    pub certificate: Option<Certificate>,
    /// Rooms and signalling. Candidates, fingerprint and number of shards are filled in at the start.
    pub hub: HubConfig,
    /// Messages that may wait for one signalling client; one more and it is cut off. A join into a large room causes some
    /// for every track before the client can read the first.
    pub session_queue: usize,
    /// Bytes that may wait for one signalling client; with more it is cut off.
    pub session_bytes: usize,
    /// Requests of all sessions and callers that may wait for the control plane.
    pub request_queue: usize,
    /// Events that may wait for the slowest subscriber before it misses some.
    pub event_queue: usize,
}

impl Default for SfuConfig {
    fn default() -> Self {
        Self {
            net: NetConfig::default(),
            tcp_port: None,
            external_ips: Vec::new(),
            loopback_candidate: false,
            transport: TransportConfig::default(),
            certificate: None,
            hub: HubConfig::new(Vec::new(), Vec::new(), ""),
            session_queue: 8192,
            session_bytes: 4 << 20,
            request_queue: 4096,
            event_queue: 8192,
        }
    }
}

impl SfuConfig {
    /// The defaults on another address. Port 0 picks a free one.
    #[must_use]
    pub fn bound_to(address: SocketAddr) -> Self {
        let mut config = Self::default();
        config.net.bind = address;
        config
    }
}
