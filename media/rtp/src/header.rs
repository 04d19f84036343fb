//! The RTP header (RFC 3550 section 5.1) as a small copy of its fields and offsets.

use crate::bytes::{u8_at, u16_at, u32_at};
use crate::extension::ExtensionIter;
use crate::{Pt, Ssrc};
use std::ops::Range;

/// Length of the header without CSRCs and extensions.
pub const FIXED_HEADER_LEN: usize = 12;

/// Why a packet is not RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// The packet ends inside its header, its CSRC list or its extension block.
    #[error("packet ends inside its header")]
    Truncated,
    /// The version field is not 2.
    #[error("RTP version {0} is not 2")]
    Version(u8),
    /// The padding count is zero or larger than the payload.
    #[error("padding count does not fit the payload")]
    Padding,
    /// The packet is longer than any datagram.
    #[error("packet is longer than a datagram")]
    TooLong,
}

/// Fields of a header and where things lie. Valid for the packet it was parsed from.
///
/// Parsing needs only the clear part, so it works before decryption. The padding count is encrypted: ask
/// [`RtpHeader::payload_range`] after decryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub pt: Pt,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp in units of the codec's clock.
    pub timestamp: u32,
    /// Source.
    pub ssrc: Ssrc,
    /// The padding bit: the last byte of the plain packet counts padding bytes.
    pub has_padding: bool,
    /// Number of CSRCs.
    pub csrc_count: u8,
    /// Bytes before the payload.
    pub header_len: u16,
    /// Profile word of the extension block (0xBEDE, 0x100x), 0 when there is none.
    pub extension_profile: u16,
    extension_at: u16,
}

impl RtpHeader {
    /// Parses the header of a packet, plain or protected.
    ///
    /// # Errors
    /// [`RtpError`] when the packet is not version 2 or its CSRC list or extension block run past its end.
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let fixed = packet.first_chunk::<FIXED_HEADER_LEN>().ok_or(RtpError::Truncated)?;
        let [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if b0 >> 6 != 2 {
            return Err(RtpError::Version(b0 >> 6));
        }
        if packet.len() > usize::from(u16::MAX) {
            return Err(RtpError::TooLong);
        }
        let csrc_count = b0 & 0x0f;
        let mut header_len = FIXED_HEADER_LEN + 4 * usize::from(csrc_count);
        let (mut extension_profile, mut extension_at) = (0, 0);
        if b0 & 0x10 != 0 {
            extension_profile = u16_at(packet, header_len).ok_or(RtpError::Truncated)?;
            let words = u16_at(packet, header_len + 2).ok_or(RtpError::Truncated)?;
            extension_at = header_len + 4;
            header_len = extension_at + 4 * usize::from(words);
        }
        if header_len > packet.len() {
            return Err(RtpError::Truncated);
        }
        let narrow = |v: usize| u16::try_from(v).map_err(|_| RtpError::TooLong);
        Ok(Self {
            marker: b1 & 0x80 != 0,
            pt: b1 & 0x7f,
            seq: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            has_padding: b0 & 0x20 != 0,
            csrc_count,
            header_len: narrow(header_len)?,
            extension_profile,
            extension_at: narrow(extension_at)?,
        })
    }

    /// Where the payload of the decrypted packet lies, without padding. Empty for a pure padding packet.
    ///
    /// # Errors
    /// [`RtpError::Padding`] when the padding count is a lie, [`RtpError::Truncated`] for another packet.
    pub fn payload_range(&self, plain: &[u8]) -> Result<Range<usize>, RtpError> {
        let start = usize::from(self.header_len);
        let len = plain.len().checked_sub(start).ok_or(RtpError::Truncated)?;
        if !self.has_padding {
            return Ok(start..plain.len());
        }
        let padding = usize::from(plain.last().copied().unwrap_or(0));
        if padding == 0 || padding > len {
            return Err(RtpError::Padding);
        }
        Ok(start..plain.len() - padding)
    }

    /// The payload of the decrypted packet, without padding.
    ///
    /// # Errors
    /// As [`RtpHeader::payload_range`].
    pub fn payload<'a>(&self, plain: &'a [u8]) -> Result<&'a [u8], RtpError> {
        plain.get(self.payload_range(plain)?).ok_or(RtpError::Truncated)
    }

    /// One CSRC.
    #[must_use]
    pub fn csrc(&self, packet: &[u8], index: u8) -> Option<Ssrc> {
        if index >= self.csrc_count {
            return None;
        }
        u32_at(packet, FIXED_HEADER_LEN + 4 * usize::from(index))
    }

    /// Iterates over the header extensions of the packet, whatever their ids mean.
    #[must_use]
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> ExtensionIter<'a> {
        let block = match self.extension_profile {
            0 => None,
            _ => packet.get(..usize::from(self.header_len)),
        };
        ExtensionIter::new(self.extension_profile, block.unwrap_or(&[]), usize::from(self.extension_at))
    }
}

/// Reads the SSRC of a packet that may be RTP, without checking more.
#[must_use]
pub fn peek_ssrc(packet: &[u8]) -> Option<Ssrc> {
    (u8_at(packet, 0)? >> 6 == 2).then(|| u32_at(packet, 8)).flatten()
}
