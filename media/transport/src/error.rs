//! Why a transport could not be set up.

/// A request to a transport or its context that cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The DTLS library refused its configuration.
    #[error("DTLS configuration: {0}")]
    Config(String),
    /// No certificate could be generated.
    #[error("cannot generate a DTLS certificate")]
    Certificate,
    /// `a=fingerprint` is malformed or names an unsupported hash.
    #[error("unusable DTLS fingerprint: {0}")]
    Fingerprint(String),
    /// A later description named another certificate: that needs a new transport.
    #[error("the DTLS fingerprint of a transport cannot change")]
    FingerprintChanged,
    /// The transport has ended.
    #[error("the transport is closed")]
    Closed,
}
