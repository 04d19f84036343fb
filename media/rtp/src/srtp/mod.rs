//! SRTP and SRTCP (RFC 3711, RFC 7714) keyed by DTLS (RFC 5764). Packets are protected and opened in place; keys are
//! derived and scheduled once per connection.

mod cipher;
mod keys;
mod receive;
mod replay;
mod send;

pub use keys::{SrtpKeys, SrtpProfile};
pub use receive::{MAX_SRTP_STREAMS, OpenedRtp, SrtpReceiver};
pub use send::SrtpSender;

use crate::RtpError;

/// Why a packet was not protected or not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Keying material has the wrong length.
    #[error("keying material is shorter than the profile needs")]
    KeyingMaterial,
    /// The packet is not RTP.
    #[error("not RTP: {0}")]
    Rtp(#[from] RtpError),
    /// Too short to carry a header and a tag.
    #[error("packet is too short")]
    Truncated,
    /// The tag does not match: a wrong key, a damaged packet or a forgery.
    #[error("authentication failed")]
    Authentication,
    /// Seen already.
    #[error("replayed packet")]
    Replayed,
    /// Older than the replay window.
    #[error("packet is older than the replay window")]
    TooOld,
    /// SRTCP without encryption is not used with DTLS keying.
    #[error("SRTCP packet is not encrypted")]
    Unencrypted,
    /// The header does not agree with the index, or offsets do not fit the buffer.
    #[error("packet does not match its index or bounds")]
    Mismatch,
    /// The packet index is exhausted; the connection needs new keys.
    #[error("packet index exhausted")]
    IndexExhausted,
    /// The cryptographic library refused.
    #[error("cryptographic operation failed")]
    Crypto,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
