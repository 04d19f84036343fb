//! Where a datagram came from or goes to.

use crate::ids::TransportId;
use std::net::{Ipv6Addr, SocketAddr};

pub use bedrud_transport::Proto;

/// A five-tuple as the shard sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// UDP, a framed ICE/TCP stream, or another shard of this process.
    pub proto: Proto,
    /// Address of the client.
    pub remote: SocketAddr,
    /// Our address: equal to one of our host candidates, for TCP that of the listener.
    pub local: SocketAddr,
}

impl Path {
    /// True for ICE/TCP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self.proto, Proto::Tcp)
    }

    /// From one transport of this process to another, on any shard.
    #[must_use]
    pub fn relay(from: TransportId, to: TransportId) -> Self {
        Self { proto: Proto::Relay, remote: relay_address(to), local: relay_address(from) }
    }

    /// The shard at the other end of a relay.
    #[must_use]
    pub fn relay_shard(&self) -> Option<u16> {
        match (self.proto, self.remote) {
            (Proto::Relay, SocketAddr::V6(remote)) => remote.ip().segments().get(4).copied(),
            _ => None,
        }
    }

    /// The same as seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { proto: self.proto, remote: self.local, local: self.remote }
    }
}

/// Transports of the process as addresses, within the prefix nobody routes (RFC 6666).
fn relay_address(id: TransportId) -> SocketAddr {
    let (high, low) = ((id.slot >> 16) as u16, (id.slot & 0xffff) as u16);
    SocketAddr::from((Ipv6Addr::new(0x0100, 0, 0, 0, id.shard, high, low, id.epoch), 0))
}
