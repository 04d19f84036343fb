//! Failures of the facade.

use bedrud_net::NetError;
use bedrud_transport::TransportError;

/// The media server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The media port.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Certificate or DTLS settings.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system: {0}")]
    Random(getrandom::Error),
    /// The control thread.
    #[error("cannot start the control thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A part of the media server does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unhealthy {
    /// It has ended, and does not come back.
    #[error("{0}")]
    Failed(String),
    /// It has not been seen to live for some time.
    #[error("the {thread} has not moved for {} s", age.as_secs())]
    Silent {
        /// Which.
        thread: String,
        /// For how long.
        age: std::time::Duration,
    },
}

/// The session has ended on the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SessionClosed;
