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

/// H.264 profiles, as far as WebRTC uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum H264Profile {
    /// Constrained Baseline, `42e0…`.
    ConstrainedBaseline = 1,
    /// Baseline, `4200…`.
    Baseline = 2,
    /// Main, `4d00…`.
    Main = 3,
    /// Constrained High, `640c…`.
    ConstrainedHigh = 4,
    /// High, `6400…`.
    High = 5,
}

impl H264Profile {
    /// Reads the first two of the three octets of `profile-level-id` (RFC 6184 section 8.1, table 5).
    pub(crate) fn from_profile_level_id(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(text, 16).ok()?;
        let [_, idc, constraints, _] = value.to_be_bytes();
        let set = |bit: u8| constraints & (0x80 >> bit) != 0;
        match idc {
            0x42 if set(1) => Some(Self::ConstrainedBaseline),
            0x4d if set(0) => Some(Self::ConstrainedBaseline),
            0x58 if set(0) && set(1) => Some(Self::ConstrainedBaseline),
            0x42 => Some(Self::Baseline),
            0x58 if set(0) => Some(Self::Baseline),
            0x4d => Some(Self::Main),
            0x64 if set(4) && set(5) => Some(Self::ConstrainedHigh),
            0x64 => Some(Self::High),
            _ => None,
        }
    }
}

impl CodecSpec {
    /// A codec without variants.
    #[must_use]
    pub const fn plain(codec: Codec) -> Self {
        Self { codec, variant: 0 }
    }

    /// H.264 of a profile, with `packetization-mode=1` or 0.
    #[must_use]
    pub const fn h264(profile: H264Profile, non_interleaved: bool) -> Self {
        Self { codec: Codec::H264, variant: (profile as u32) << 1 | non_interleaved as u32 }
    }

    /// Whether H.264 comes in the non-interleaved packetization mode and not in single NAL units; `None` of other codecs.
    pub(crate) const fn h264_mode(self) -> Option<bool> {
        if matches!(self.codec, Codec::H264) { Some(self.variant & 1 == 1) } else { None }
    }

    /// Baseline H.264, constrained or not.
    pub(crate) const fn is_h264_baseline(self) -> bool {
        matches!(self.codec, Codec::H264) && self.variant >> 1 <= H264Profile::Baseline as u32
    }

    /// High or Constrained High H.264.
    #[must_use]
    pub const fn is_h264_high(self) -> bool {
        matches!(self.codec, Codec::H264) && self.variant >> 1 >= H264Profile::ConstrainedHigh as u32
    }
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
