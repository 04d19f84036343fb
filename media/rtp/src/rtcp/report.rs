//! Sender and receiver reports, source descriptions, goodbye (RFC 3550 section 6).

use super::RtcpError;
use crate::Ssrc;
use crate::bytes::{array_at, u8_at, u16_at, u24_at, u32_at, u64_at};

/// Length of a report block.
pub(super) const REPORT_BLOCK_LEN: usize = 24;

/// Middle 32 bits of an NTP timestamp, units of 1/65536 s, as LSR and DLSR use them.
#[must_use]
pub const fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Reception figures about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// Source the block is about.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in total; 24-bit signed on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number with its cycle count in the upper half.
    pub highest_seq: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle of the NTP timestamp of the last SR, 0 if none.
    pub last_sr: u32,
    /// Delay since that SR in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    pub(super) fn parse(b: &[u8; REPORT_BLOCK_LEN]) -> Option<Self> {
        let lost = u24_at(b, 5)?;
        Some(Self {
            ssrc: u32_at(b, 0)?,
            fraction_lost: u8_at(b, 4)?,
            // Sign-extends 24 bits.
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_seq: u32_at(b, 8)?,
            jitter: u32_at(b, 12)?,
            last_sr: u32_at(b, 16)?,
            delay_since_last_sr: u32_at(b, 20)?,
        })
    }

    pub(super) fn to_bytes(self) -> [u8; REPORT_BLOCK_LEN] {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        let words = [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_seq,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        ];
        let mut out = [0; REPORT_BLOCK_LEN];
        for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        out
    }

    /// Round-trip time in 1/65536 s, from when this block arrived (`now_ntp`, the clock of our sender reports).
    /// `None` before the first sender report or when clocks disagree.
    #[must_use]
    pub fn round_trip(&self, now_ntp: u64) -> Option<u32> {
        if self.last_sr == 0 {
            return None;
        }
        let elapsed = ntp_middle(now_ntp).wrapping_sub(self.last_sr);
        // More than 18 hours means the subtraction wrapped.
        elapsed.checked_sub(self.delay_since_last_sr).filter(|rtt| rtt >> 31 == 0)
    }
}

fn blocks(bytes: &[u8]) -> impl Iterator<Item = ReportBlock> + '_ {
    bytes.as_chunks::<REPORT_BLOCK_LEN>().0.iter().filter_map(ReportBlock::parse)
}

/// What a sender says about its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// NTP timestamp, 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in the stream's timestamp units.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// Sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Sender.
    pub ssrc: Ssrc,
    /// About its stream.
    pub info: SenderInfo,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        let t = RtcpError::Truncated;
        Ok(Self {
            ssrc: u32_at(body, 0).ok_or(t)?,
            info: SenderInfo {
                ntp: u64_at(body, 4).ok_or(t)?,
                rtp_timestamp: u32_at(body, 12).ok_or(t)?,
                packets: u32_at(body, 16).ok_or(t)?,
                octets: u32_at(body, 20).ok_or(t)?,
            },
            blocks: body.get(24..24 + REPORT_BLOCK_LEN * usize::from(count)).ok_or(t)?,
        })
    }

    /// Reception figures about other sources.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        blocks(self.blocks)
    }
}

/// Receiver report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Reporter.
    pub ssrc: Ssrc,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        Ok(Self {
            ssrc: u32_at(body, 0).ok_or(RtcpError::Truncated)?,
            blocks: body.get(4..4 + REPORT_BLOCK_LEN * usize::from(count)).ok_or(RtcpError::Truncated)?,
        })
    }

    /// Reception figures.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        blocks(self.blocks)
    }
}

/// Source description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes<'a> {
    body: &'a [u8],
    count: u8,
}

/// One source of a description, with its canonical name if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// Source.
    pub ssrc: Ssrc,
    /// Bytes of the CNAME item.
    pub cname: Option<&'a [u8]>,
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Self {
        Self { body, count }
    }

    /// Chunks; ends at the first malformed one.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + 'a {
        let (body, mut at, mut left) = (self.body, 0usize, self.count);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let ssrc = u32_at(body, at)?;
            at += 4;
            let mut cname = None;
            loop {
                let kind = u8_at(body, at)?;
                if kind == 0 {
                    // A zero byte, then zeros up to the next word.
                    at = (at + 4) & !3;
                    return Some(SdesChunk { ssrc, cname });
                }
                let len = usize::from(u8_at(body, at + 1)?);
                let value = body.get(at + 2..at + 2 + len)?;
                if kind == 1 {
                    cname = Some(value);
                }
                at += 2 + len;
            }
        })
    }
}

/// Goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [u8],
}

impl<'a> Bye<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtcpError> {
        Ok(Self { sources: body.get(..4 * usize::from(count)).ok_or(RtcpError::Truncated)? })
    }

    /// Sources that left.
    pub fn sources(&self) -> impl Iterator<Item = Ssrc> + 'a {
        self.sources.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b))
    }
}

/// First words of a feedback packet: sender and media source.
pub(super) fn feedback_sources(body: &[u8]) -> Result<(Ssrc, Ssrc), RtcpError> {
    let both = array_at::<8>(body, 0).ok_or(RtcpError::Truncated)?;
    let word = |at| u32_at(&both, at).ok_or(RtcpError::Truncated);
    Ok((word(0)?, word(4)?))
}

/// 16-bit pairs of a NACK.
pub(super) fn pair(b: &[u8; 4]) -> (u16, u16) {
    (u16_at(b, 0).unwrap_or(0), u16_at(b, 2).unwrap_or(0))
}
