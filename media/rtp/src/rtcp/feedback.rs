//! NACK, PLI, FIR and REMB.

use super::RtcpError;
use super::report::{feedback_sources, pair};
use crate::Ssrc;
use crate::bytes::{u8_at, u24_at, u32_at};

/// Generic NACK (RFC 4585 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// Which stream.
    pub media: Ssrc,
    pairs: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtcpError> {
        let (sender, media) = feedback_sources(body)?;
        Ok(Self { sender, media, pairs: body.get(8..).unwrap_or(&[]) })
    }

    /// Missing sequence numbers in wire order: up to 17 per word of the packet.
    pub fn lost(&self) -> impl Iterator<Item = u16> + 'a {
        self.pairs.as_chunks::<4>().0.iter().flat_map(|word| {
            let (first, mask) = pair(word);
            let rest = (0..16u16).filter(move |i| mask >> i & 1 != 0).map(move |i| first.wrapping_add(i + 1));
            std::iter::once(first).chain(rest)
        })
    }
}

/// Picture loss indication (RFC 4585 section 6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: Ssrc,
    /// Which stream.
    pub media: Ssrc,
}

impl Pli {
    pub(super) fn parse(body: &[u8]) -> Result<Self, RtcpError> {
        feedback_sources(body).map(|(sender, media)| Self { sender, media })
    }
}

/// Full intra request (RFC 5104 section 4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: Ssrc,
    entries: &'a [u8],
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtcpError> {
        let (sender, _) = feedback_sources(body)?;
        Ok(Self { sender, entries: body.get(8..).unwrap_or(&[]) })
    }

    /// Streams asked for with the request's sequence number; a repeated number repeats an old request.
    pub fn entries(&self) -> impl Iterator<Item = (Ssrc, u8)> + 'a {
        self.entries.as_chunks::<8>().0.iter().filter_map(|e| Some((u32_at(e, 0)?, u8_at(e, 4)?)))
    }
}

/// Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: Ssrc,
    /// Bits per second.
    pub bitrate: u64,
    sources: &'a [u8],
}

impl<'a> Remb<'a> {
    /// `Ok(None)` when the application-layer feedback is not REMB.
    pub(super) fn parse(body: &'a [u8]) -> Result<Option<Self>, RtcpError> {
        let (sender, _) = feedback_sources(body)?;
        if body.get(8..12) != Some(b"REMB") {
            return Ok(None);
        }
        let count = u8_at(body, 12).ok_or(RtcpError::Truncated)?;
        let packed = u24_at(body, 13).ok_or(RtcpError::Truncated)?;
        let (exponent, mantissa) = (packed >> 18, u64::from(packed & 0x3_ffff));
        let sources = body.get(16..16 + 4 * usize::from(count)).ok_or(RtcpError::Truncated)?;
        // 18 bits shifted by up to 63: refuse what does not fit.
        let bitrate = mantissa << exponent;
        if bitrate >> exponent != mantissa {
            return Err(RtcpError::Malformed);
        }
        Ok(Some(Self { sender, bitrate, sources }))
    }

    /// Streams the estimate covers.
    pub fn sources(&self) -> impl Iterator<Item = Ssrc> + 'a {
        self.sources.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b))
    }
}
