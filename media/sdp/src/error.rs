//! What can be wrong with a session description.

/// Why a description was refused. The message is safe to log and to send to the client: it holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text is larger than the parser accepts.
    #[error("session description of {size} bytes exceeds {limit}")]
    TooLarge {
        /// Bytes received.
        size: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// One of the counted parts exceeds its limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A line cannot be understood and cannot be ignored.
    #[error("line {line}: {reason}")]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something a WebRTC description must carry is absent.
    #[error("description lacks {0}")]
    Missing(&'static str),
    /// The description asks for something this server does not do.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// The description contradicts what was negotiated before (order of sections, identifiers).
    #[error("description does not continue the session: {0}")]
    Inconsistent(&'static str),
    /// The call is not allowed now: no offer to answer, or an offer still in flight.
    #[error("wrong negotiation state: {0}")]
    State(&'static str),
}
