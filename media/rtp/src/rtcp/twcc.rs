//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), reading side.

use super::RtcpError;
use super::report::feedback_sources;
use crate::Ssrc;
use crate::bytes::{array_at, u8_at, u16_at, u24_at};

/// Most statuses accepted in one packet. No sender has that many packets between two reports; a larger count only
/// makes the reader work.
pub const MAX_TWCC_STATUSES: u16 = 8192;

/// Microseconds of one unit of the reference time.
pub(crate) const REFERENCE_UNIT_US: i64 = 64_000;
/// Microseconds of one unit of a receive delta.
pub(crate) const DELTA_UNIT_US: i64 = 250;

/// What the receiver says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwccStatus {
    /// Transport-wide sequence number.
    pub seq: u16,
    /// Arrival on the receiver's clock, microseconds; the clock wraps every 2^24 x 64 ms. `None` when lost so far.
    pub received_us: Option<i64>,
}

/// One feedback packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwccFeedback<'a> {
    /// Who reports.
    pub sender: Ssrc,
    /// A stream of the connection.
    pub media: Ssrc,
    /// First sequence number reported.
    pub base_seq: u16,
    /// Number of sequence numbers reported.
    pub status_count: u16,
    /// Reference time in units of 64 ms, 24 bits signed.
    pub reference_time: i32,
    /// Number of this feedback packet.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TwccFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtcpError> {
        let (sender, media) = feedback_sources(body)?;
        let t = RtcpError::Truncated;
        let base_seq = u16_at(body, 8).ok_or(t)?;
        let status_count = u16_at(body, 10).ok_or(t)?;
        let reference_time = (u24_at(body, 12).ok_or(t)? << 8).cast_signed() >> 8;
        let feedback_count = u8_at(body, 15).ok_or(t)?;
        if status_count > MAX_TWCC_STATUSES {
            return Err(RtcpError::Malformed);
        }
        // Chunks end where they cover the count; deltas follow and must cover every received packet.
        let rest = body.get(16..).unwrap_or(&[]);
        let (mut at, mut covered, mut delta_len) = (0, 0u16, 0usize);
        while covered < status_count {
            let chunk = Chunk::new(array_at(rest, at).ok_or(t)?);
            at += 2;
            let used = chunk.len.min(status_count - covered);
            if used == 0 {
                return Err(RtcpError::Malformed);
            }
            delta_len += match chunk.kind {
                ChunkKind::Run(symbol) => usize::from(used) * delta_bytes(symbol)?,
                _ => (0..used).try_fold(0, |sum, i| Ok(sum + delta_bytes(chunk.symbol(i))?))?,
            };
            covered += used;
        }
        let (chunks, rest) = rest.split_at_checked(at).ok_or(t)?;
        let deltas = rest.get(..delta_len).ok_or(t)?;
        Ok(Self { sender, media, base_seq, status_count, reference_time, feedback_count, chunks, deltas })
    }

    /// Every reported packet in sequence order.
    #[must_use]
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            chunks: self.chunks,
            deltas: self.deltas,
            chunk: None,
            in_chunk: 0,
            seq: self.base_seq,
            left: self.status_count,
            time_us: i64::from(self.reference_time) * REFERENCE_UNIT_US,
        }
    }
}

/// Iterator of [`TwccFeedback::statuses`].
#[derive(Debug, Clone)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: Option<Chunk>,
    in_chunk: u16,
    seq: u16,
    left: u16,
    time_us: i64,
}

impl Iterator for Statuses<'_> {
    type Item = TwccStatus;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let chunk = match self.chunk {
            Some(chunk) if self.in_chunk < chunk.len => chunk,
            _ => {
                let (head, rest) = self.chunks.split_first_chunk::<2>()?;
                self.chunks = rest;
                self.in_chunk = 0;
                *self.chunk.insert(Chunk::new(*head))
            }
        };
        let symbol = chunk.symbol(self.in_chunk);
        self.in_chunk += 1;
        let delta = match symbol {
            1 => {
                let (head, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(*head))
            }
            2 => {
                let (head, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(*head)))
            }
            _ => None,
        };
        let seq = self.seq;
        self.seq = self.seq.wrapping_add(1);
        let received_us = delta.map(|d| {
            self.time_us += d * DELTA_UNIT_US;
            self.time_us
        });
        Some(TwccStatus { seq, received_us })
    }
}

/// Bytes of the delta behind a symbol; symbol 3 is reserved.
fn delta_bytes(symbol: u8) -> Result<usize, RtcpError> {
    match symbol {
        0..=2 => Ok(usize::from(symbol)),
        _ => Err(RtcpError::Malformed),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkKind {
    Run(u8),
    OneBit(u16),
    TwoBit(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    kind: ChunkKind,
    len: u16,
}

impl Chunk {
    fn new(bytes: [u8; 2]) -> Self {
        let word = u16::from_be_bytes(bytes);
        match word >> 14 {
            0 | 1 => Self { kind: ChunkKind::Run((word >> 13 & 3) as u8), len: word & 0x1fff },
            2 => Self { kind: ChunkKind::OneBit(word & 0x3fff), len: 14 },
            _ => Self { kind: ChunkKind::TwoBit(word & 0x3fff), len: 7 },
        }
    }

    /// Symbol of a packet of the chunk, `index < len`.
    fn symbol(self, index: u16) -> u8 {
        match self.kind {
            ChunkKind::Run(symbol) => symbol,
            ChunkKind::OneBit(bits) => (bits >> 13u16.saturating_sub(index) & 1) as u8,
            ChunkKind::TwoBit(bits) => (bits >> 12u16.saturating_sub(2 * index) & 3) as u8,
        }
    }
}
