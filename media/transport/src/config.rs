//! Limits of a transport.

use std::time::Duration;

/// Limits shared by all transports of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportConfig {
    /// Bytes of reliable messages that may wait for SCTP; more closes the transport as a slow consumer. The
    /// bytes are shared by all receivers of a message. Before the channel is open at most 1 MiB waits.
    pub reliable_queue_bytes: usize,
    /// Bytes of unsent lossy data in SCTP above which lossy messages are dropped instead of ageing in the queue.
    pub lossy_buffer_bytes: usize,
    /// Bytes SCTP itself may buffer over all channels.
    pub sctp_buffer_bytes: usize,
    /// Largest message accepted from a peer, as announced in `a=max-message-size`.
    pub max_message_bytes: u32,
    /// Time from the remote description to a finished DTLS handshake.
    pub connect_timeout: Duration,
    /// Time a transport without authenticated checks is kept for a resume.
    pub disconnected_timeout: Duration,
    /// First retransmission of a DTLS flight.
    pub dtls_start_rto: Duration,
    /// Tries of a DTLS flight.
    pub dtls_retries: usize,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            // A file of some megabytes sent at once must survive a receiver with less bandwidth than its sender.
            reliable_queue_bytes: 16 << 20,
            lossy_buffer_bytes: 64 << 10,
            sctp_buffer_bytes: 128 << 10,
            max_message_bytes: 256 << 10,
            connect_timeout: Duration::from_secs(30),
            disconnected_timeout: Duration::from_secs(60),
            dtls_start_rto: Duration::from_millis(200),
            dtls_retries: 8,
        }
    }
}
