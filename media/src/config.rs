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
    /// Addresses of that listener. Those on loopback are reached from this machine only, under themselves. Empty stands for
    /// all addresses.
    pub tcp_addresses: Vec<IpAddr>,
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
            tcp_addresses: Vec::new(),
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

    /// Whether a client that is told this address of the node finds the TCP listener there. Addresses that are not those
    /// of the listener may be its outside, behind a NAT; loopback has no outside.
    pub(crate) fn takes_tcp_at(&self, told: IpAddr) -> bool {
        let listens = &self.tcp_addresses;
        listens.is_empty()
            || listens
                .iter()
                .any(|own| own.is_unspecified() || *own == told || !own.is_loopback() && !told.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_is_offered_where_the_listener_is_reached() {
        let takes = |listens: &[&str], told: &str| {
            let tcp_addresses = listens.iter().map(|ip| ip.parse().unwrap()).collect();
            SfuConfig { tcp_addresses, ..SfuConfig::default() }.takes_tcp_at(told.parse().unwrap())
        };
        for (listens, told, expected) in [
            (&[][..], "203.0.113.9", true),
            (&["::"], "127.0.0.1", true),
            (&["::"], "203.0.113.9", true),
            // Behind a NAT the address that is told is not that of the listener.
            (&["10.0.0.5"], "203.0.113.9", true),
            (&["10.0.0.5"], "127.0.0.1", false),
            (&["127.0.0.1"], "203.0.113.9", false),
            (&["127.0.0.1"], "127.0.0.1", true),
            (&["127.0.0.1"], "127.0.0.2", false),
            (&["127.0.0.1", "::1"], "::1", true),
            (&["127.0.0.1", "10.0.0.5"], "203.0.113.9", true),
            (&["127.0.0.1", "10.0.0.5"], "127.0.0.1", true),
        ] {
            assert_eq!(takes(listens, told), expected, "{told} with a listener at {listens:?}");
        }
    }
}
