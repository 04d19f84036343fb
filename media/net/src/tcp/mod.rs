//! ICE/TCP: framing, write queues, connections.

mod connection;
mod framing;
mod limits;
mod queue;
mod ssl;
mod table;

pub use framing::{FrameError, FrameReader, MAX_FRAME, write_frame};
pub(crate) use limits::HostLimits;
pub use ssl::{SSL_CLIENT_HELLO, SSL_SERVER_HELLO};
pub(crate) use table::{NewConnection, TcpTable, TcpTurn};

#[cfg(test)]
mod tests;
