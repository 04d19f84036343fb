//! Payload types and codecs as negotiated.

use bedrud_rtp::{Codec, Pt};

/// A codec with the parameters that decide whether two sides mean the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecSpec {
    /// Codec.
    pub codec: Codec,
    /// H.264: profile and packetization mode; VP9, H.265, AV1: profile; otherwise 0. Level is ignored.
    pub variant: u32,
}

/// One payload type as negotiated on a section. Fields as in the shard's payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedPayload {
    /// Payload type of the media.
    pub pt: Pt,
    /// Its codec.
    pub codec: Codec,
    /// See [`CodecSpec::variant`].
    pub variant: u32,
    /// Payload type of its RTX stream (RFC 4588), if negotiated.
    pub rtx: Option<Pt>,
    /// Generic NACK negotiated.
    pub nack: bool,
}

impl NegotiatedPayload {
    /// Codec and variant.
    #[must_use]
    pub const fn spec(&self) -> CodecSpec {
        CodecSpec { codec: self.codec, variant: self.variant }
    }
}
