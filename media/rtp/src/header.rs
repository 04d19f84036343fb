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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXED: [u8; 12] = [0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef];

    fn with(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = FIXED.to_vec();
        packet[0] = first;
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn fixed_fields_are_read() {
        let packet = with(0x80, b"abc");
        let h = RtpHeader::parse(&packet).unwrap();
        assert_eq!((h.marker, h.pt, h.seq, h.timestamp, h.ssrc), (true, 0x60, 0x1234, 9, 0xdead_beef));
        assert_eq!(h.payload(&packet), Ok(b"abc".as_slice()));
        assert_eq!(peek_ssrc(&packet), Some(0xdead_beef));
    }

    #[test]
    fn csrcs_are_skipped_and_readable() {
        let packet = with(0x82, &[0, 0, 0, 1, 0, 0, 0, 2, b'x']);
        let h = RtpHeader::parse(&packet).unwrap();
        assert_eq!((h.header_len, h.csrc(&packet, 1), h.csrc(&packet, 2)), (20, Some(2), None));
        assert_eq!(RtpHeader::parse(&packet[..19]), Err(RtpError::Truncated));
    }

    #[test]
    fn other_versions_are_refused() {
        for first in (0..=255u8).filter(|b| b >> 6 != 2) {
            assert_eq!(RtpHeader::parse(&with(first, &[])), Err(RtpError::Version(first >> 6)));
        }
    }

    #[test]
    fn extension_block_must_fit() {
        let packet = with(0x90, &[0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
        assert_eq!(RtpHeader::parse(&packet).unwrap().header_len, 20);
        for len in 12..packet.len() {
            assert_eq!(RtpHeader::parse(&packet[..len]), Err(RtpError::Truncated), "{len} bytes");
        }
        assert_eq!(RtpHeader::parse(&with(0x90, &[0xbe, 0xde, 0xff, 0xff])), Err(RtpError::Truncated));
    }

    #[test]
    fn padding_lies_are_refused() {
        let payload = |rest: &[u8]| {
            let packet = with(0xa0, rest);
            RtpHeader::parse(&packet).unwrap().payload(&packet).map(<[u8]>::to_vec)
        };
        assert_eq!(payload(b"ab\0\x02"), Ok(b"ab".to_vec()));
        assert_eq!(payload(&[0, 0, 3]), Ok(vec![]), "padding only");
        assert_eq!(payload(&[0, 0, 4]), Err(RtpError::Padding), "longer than the payload");
        assert_eq!(payload(&[1, 0]), Err(RtpError::Padding), "zero");
        assert_eq!(payload(&[]), Err(RtpError::Padding), "no room for the count");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(mut packet in proptest::collection::vec(any::<u8>(), 0..80), rtp: bool) {
            if let Some(first) = packet.first_mut().filter(|_| rtp) {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok(h) = RtpHeader::parse(&packet) {
                prop_assert!(usize::from(h.header_len) <= packet.len());
                for e in h.extensions(&packet) {
                    prop_assert!(e.at + e.value.len() <= usize::from(h.header_len));
                }
                if let Ok(range) = h.payload_range(&packet) {
                    prop_assert!(range.start <= range.end && range.end <= packet.len());
                }
            }
        }
    }
}
