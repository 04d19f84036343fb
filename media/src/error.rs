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

/// The session has ended on the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SessionClosed;
