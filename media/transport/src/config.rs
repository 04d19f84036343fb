//! Limits of a transport.

use std::time::Duration;

/// Limits shared by all transports of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportConfig {
    /// Bytes of reliable messages that may wait for SCTP; more closes the transport as a slow consumer. The
    /// bytes are shared by all receivers of a message. Before the channel is open at most 1 MiB waits. From a sixteenth
    /// of it on the transport is congested ([`crate::TransportOutput::Congested`]), until a quarter of that is left.
    pub reliable_queue_bytes: usize,
    /// A congested transport whose peer takes less than 256 KiB in this time is closed as a slow consumer.
    pub slow_consumer_timeout: Duration,
    /// Bytes of reliable messages handed out before the owner must have granted more ([`crate::Transport::grant`]), as
    /// [`crate::charge`] counts them. What comes beyond waits, and closes the peer's window.
    pub reliable_window_bytes: usize,
    /// Messages per second taken from a peer in the long run, and half of those it may send at once. Reliable ones beyond
    /// it wait, lossy ones are dropped. 0 means no limit.
    pub data_messages_per_second: u64,
    /// Bytes per second taken from a peer in the long run, and those it may send at once. 0 means no limit.
    pub data_bytes_per_second: u64,
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
            slow_consumer_timeout: Duration::from_secs(30),
            reliable_window_bytes: 256 << 10,
            data_messages_per_second: 5000,
            data_bytes_per_second: 64 << 20,
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
