//! Failures of the media port.

use std::io;
use std::net::SocketAddr;

/// The media port cannot be opened or is gone.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The address cannot be bound.
    #[error("cannot open UDP {address}: {source}")]
    Bind {
        /// Wanted address.
        address: SocketAddr,
        /// Reason.
        source: io::Error,
    },
    /// A system call failed during the start.
    #[error("cannot start the media threads: {0}")]
    System(#[from] io::Error),
    /// The shard does not exist.
    #[error("there is no shard {0}")]
    NoShard(u16),
    /// The shard's queue is full.
    #[error("the queue of the shard is full")]
    Full,
    /// The threads have ended.
    #[error("the media threads have ended")]
    Stopped,
}

/// A media thread cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThreadError {
    /// The sockets cannot be watched any more.
    #[error("waiting for its sockets failed: {0}")]
    Poll(io::Error),
    /// Failures that no connection could be blamed for.
    #[error("it fails again and again, or could not be put in order after a failure")]
    BeyondRepair,
}

/// A TCP connection was not taken over. It is closed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The process has its fill of ICE/TCP connections.
    #[error("too many ICE/TCP connections")]
    TooMany,
    /// This host has too many connections that never authenticated.
    #[error("too many unauthenticated ICE/TCP connections from one host")]
    TooManyFromHost,
    /// The first bytes are not ICE/TCP.
    #[error("not an ICE/TCP connection")]
    NotIceTcp,
    /// The socket is broken.
    #[error("broken connection: {0}")]
    Io(#[from] io::Error),
    /// The media threads have ended, or their queue is full.
    #[error(transparent)]
    Net(#[from] NetError),
}
