//! What a transport tells its owner.

use crate::dtls::{SctpStats, SctpViolation};
use crate::keying::SrtpKeying;
use crate::types::{DataChannel, Proto};
use bytes::Bytes;
use std::net::SocketAddr;

/// Why a transport ended without being asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed DTLS or SCTP.
    ClosedByPeer,
    /// ICE or DTLS never completed, or the path stayed silent beyond the limit.
    TimedOut,
    /// The peer broke the protocol beyond repair (DTLS failure, fingerprint mismatch).
    ProtocolError,
    /// A reliable data channel could not be drained within its limits.
    SlowConsumer,
    /// The peer took more of SCTP than any client needs.
    Sctp(SctpViolation),
    /// The server failed while it served this transport, and has given up what it held of it.
    ServerFailure,
}

/// One output of [`crate::Transport::poll_output`].
#[derive(Debug, Clone, PartialEq)]
pub enum TransportOutput {
    /// Send these bytes.
    Send {
        /// By which protocol.
        proto: Proto,
        /// To whom.
        destination: SocketAddr,
        /// A STUN or DTLS datagram.
        bytes: Vec<u8>,
    },
    /// A check from this source was authenticated: datagrams from it belong to this transport from now on.
    AddressLearned {
        /// Protocol of the source.
        proto: Proto,
        /// The source.
        address: SocketAddr,
    },
    /// Too many sources: this one, the longest unused, no longer belongs to this transport.
    AddressForgotten {
        /// Protocol of the source.
        proto: Proto,
        /// The source.
        address: SocketAddr,
    },
    /// ICE and DTLS are up. Once per transport.
    Connected {
        /// SRTP keys of both directions.
        keying: SrtpKeying,
        /// Protocol in use.
        proto: Proto,
        /// Peer address in use.
        remote: SocketAddr,
    },
    /// Media and DTLS go to another address from now on; only after [`TransportOutput::Connected`].
    PathChanged {
        /// Protocol in use.
        proto: Proto,
        /// Peer address in use.
        remote: SocketAddr,
    },
    /// No authenticated check for 15 s. The transport stays usable: an ICE restart or a new check revives it.
    IceDisconnected,
    /// Checks arrive again after [`TransportOutput::IceDisconnected`].
    IceReconnected,
    /// A labelled channel is open in both directions.
    ChannelOpen(DataChannel),
    /// A labelled channel was closed by the peer.
    ChannelClosed(DataChannel),
    /// A message from the peer.
    Data {
        /// On which channel.
        channel: DataChannel,
        /// Message.
        bytes: Bytes,
    },
    /// More reliable messages wait for the peer than it takes (`true`), or it has caught up (`false`). Senders should
    /// be slowed down meanwhile.
    Congested(bool),
    /// The transport ended by itself. Nothing follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Counters of one transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// Datagrams that are neither a usable STUN request nor DTLS.
    pub malformed: u64,
    /// Checks that were not answered: wrong integrity, wrong ufrag, or over the limit of sources.
    pub unauthenticated: u64,
    /// DTLS datagrams from sources that never authenticated.
    pub foreign: u64,
    /// DTLS records the library refused.
    pub dtls_errors: u64,
    /// Data messages.
    pub data: DataFigures,
    /// Bytes of reliable messages waiting for SCTP.
    pub queued_bytes: usize,
    /// Bytes of the peer's reliable messages that wait to be handed out, as [`crate::charge`] counts them.
    pub waiting_bytes: usize,
    /// SCTP packets of the peer.
    pub sctp: SctpStats,
}

/// Counts of data messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataFigures {
    /// Messages of peers that were handed out.
    pub received: u64,
    /// Messages for peers that SCTP took, or that wait for it.
    pub sent: u64,
    /// Lossy messages dropped because their sender was over its rate.
    pub over_rate: u64,
    /// Lossy messages dropped because their receiver is congested, or has no such channel open.
    pub lossy_dropped: u64,
    /// Reliable messages dropped because their channel is not open, or too large for the peer.
    pub reliable_dropped: u64,
}

impl DataFigures {
    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.over_rate += other.over_rate;
        self.lossy_dropped += other.lossy_dropped;
        self.reliable_dropped += other.reliable_dropped;
    }
}
