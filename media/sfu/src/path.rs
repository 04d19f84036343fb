//! Where a datagram came from or goes to.

use std::net::SocketAddr;

pub use bedrud_transport::Proto;

/// A five-tuple as the shard sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// UDP, or a framed ICE/TCP stream.
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
}
