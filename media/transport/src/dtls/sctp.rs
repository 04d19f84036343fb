//! What a peer may send inside DTLS: the SCTP packets are looked at before the library takes them.
//!
//! The library bounds what it stores and the work for one chunk; here the number of chunks is bounded, and those whose
//! work or answer is out of proportion to their size. A packet over a limit is dropped, which SCTP repairs as any
//! loss, so a burst only slows its sender. A peer that goes on ends its transport.

use crate::bucket::TokenBucket;
use std::time::Instant;

/// Common header, RFC 9260 section 3.1.
const HEADER: usize = 12;
/// Header of a chunk.
const CHUNK_HEADER: usize = 4;
/// Header of a DATA chunk, section 3.3.1.
const DATA_HEADER: usize = 16;
/// Payload protocol identifier of RFC 8832.
const PPID_DCEP: u32 = 50;

/// Stream ids that we announce to accept, in the library: no client reaches it, ids are given from the lowest.
const MAX_STREAM_ID: u16 = 1024;
/// DATA with less user data than this is counted.
const SMALL: usize = 256;

/// Why a transport was ended for what its peer sent in SCTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SctpViolation {
    /// Packets over the limits of this module, again and again.
    #[error("too many chunks")]
    TooManyChunks,
    /// More streams than one client needs, or ids above what we announced.
    #[error("too many streams")]
    TooManyStreams,
    /// Fragments of unfinished messages fill the receive buffer.
    #[error("receive buffer full of unfinished messages")]
    ReceiveBuffer,
    /// Anything else that the SCTP library ended the association for: resets without end, acknowledgements of what
    /// was never sent, messages over the limit.
    #[error("SCTP protocol violation")]
    Protocol,
}

/// Counters of the packets of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SctpStats {
    /// Packets handed to the library.
    pub accepted: u64,
    /// Packets dropped: malformed or over a limit.
    pub dropped: u64,
    /// DATA chunks handed to the library.
    pub data_chunks: u64,
    /// Messages on the channel establishment protocol that RFC 8832 does not know.
    pub malformed_dcep: u64,
}

/// What one packet asks for.
#[derive(Debug, Default)]
struct Summary {
    data: u32,
    small: u32,
    init: u32,
    sack: u32,
    heartbeat: u32,
    cookie_echo: u32,
    reset: u32,
    forward: u32,
    other: u32,
    malformed_dcep: u32,
    high_stream: bool,
}

impl Summary {
    /// None when the packet is no sequence of chunks.
    fn of(packet: &[u8]) -> Option<Self> {
        let mut summary = Self::default();
        let mut rest = packet.get(HEADER..)?;
        while !rest.is_empty() {
            let (kind, flags) = (*rest.first()?, *rest.get(1)?);
            let len = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
            if len < CHUNK_HEADER {
                return None;
            }
            let chunk = rest.get(..len)?;
            match kind {
                0 => summary.data(flags, chunk)?,
                1 => summary.init += 1,
                3 => summary.sack += 1,
                4 => summary.heartbeat += 1,
                10 => summary.cookie_echo += 1,
                130 => summary.reset += 1,
                192 | 194 => summary.forward += 1,
                _ => summary.other += 1,
            }
            // The last chunk may come without its padding.
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(summary)
    }

    fn data(&mut self, flags: u8, chunk: &[u8]) -> Option<()> {
        let stream = u16::from_be_bytes(chunk.get(8..10)?.try_into().ok()?);
        let protocol = u32::from_be_bytes(chunk.get(12..16)?.try_into().ok()?);
        let user_data = chunk.get(DATA_HEADER..)?;
        self.data += 1;
        self.small += u32::from(user_data.len() < SMALL);
        self.high_stream |= stream >= MAX_STREAM_ID;
        let whole = flags & 3 == 3;
        if protocol == PPID_DCEP && whole && !is_dcep(user_data) {
            self.malformed_dcep += 1;
        }
        Some(())
    }

    /// No stack bundles more of these than one, or two while it repeats itself.
    const fn is_within_packet_limits(&self) -> bool {
        self.init <= 1
            && self.sack <= 2
            && self.heartbeat <= 1
            && self.cookie_echo <= 1
            && self.reset <= 2
            && self.forward <= 2
            && self.other <= 4
    }
}

/// DATA_CHANNEL_OPEN or DATA_CHANNEL_ACK, RFC 8832 section 5.
fn is_dcep(message: &[u8]) -> bool {
    match message.first() {
        Some(2) => true,
        Some(3) => (|| {
            let label = usize::from(u16::from_be_bytes(message.get(8..10)?.try_into().ok()?));
            let protocol = usize::from(u16::from_be_bytes(message.get(10..12)?.try_into().ok()?));
            let label = message.get(12..)?.split_at_checked(label)?;
            let protocol = label.1.get(..protocol)?;
            (std::str::from_utf8(label.0).is_ok() && std::str::from_utf8(protocol).is_ok()).then_some(())
        })()
        .is_some(),
        _ => false,
    }
}

/// The limits of one transport.
#[derive(Debug)]
pub(crate) struct SctpGuard {
    small: TokenBucket,
    heartbeat: TokenBucket,
    reset: TokenBucket,
    forward: TokenBucket,
    init: TokenBucket,
    /// Packets over a limit that are forgiven.
    strikes: TokenBucket,
    log: TokenBucket,
    /// The association has begun: a new one inside the same DTLS has no place in WebRTC.
    begun: bool,
    stats: SctpStats,
    violation: Option<SctpViolation>,
}

impl Default for SctpGuard {
    fn default() -> Self {
        Self {
            // More than 2 Mbit/s of one-byte messages; large ones are free.
            small: TokenBucket::new(16_000, 32_000),
            heartbeat: TokenBucket::new(2, 20),
            // A page that closes a hundred channels at once.
            reset: TokenBucket::new(20, 256),
            forward: TokenBucket::new(2_000, 4_000),
            init: TokenBucket::new(1, 32),
            strikes: TokenBucket::new(20, 1_000),
            log: TokenBucket::new(1, 60),
            begun: false,
            stats: SctpStats::default(),
            violation: None,
        }
    }
}

impl SctpGuard {
    pub(crate) fn stats(&self) -> SctpStats {
        self.stats
    }

    /// Why the transport must end.
    pub(crate) fn violation(&self) -> Option<SctpViolation> {
        self.violation
    }

    /// Whether the library may have this packet. A packet of a peer in violation never passes.
    pub(crate) fn admits(&mut self, now: Instant, packet: &[u8]) -> bool {
        let admitted = self.violation.is_none() && self.is_within_limits(now, packet);
        if admitted {
            self.stats.accepted += 1;
        } else {
            self.stats.dropped += 1;
            if !self.strikes.try_take(now, 1) {
                self.violation.get_or_insert(SctpViolation::TooManyChunks);
            }
        }
        admitted
    }

    fn is_within_limits(&mut self, now: Instant, packet: &[u8]) -> bool {
        let Some(summary) = Summary::of(packet) else { return false };
        if summary.high_stream {
            self.violation = Some(SctpViolation::TooManyStreams);
            return false;
        }
        if !summary.is_within_packet_limits() {
            return false;
        }
        if summary.malformed_dcep > 0 {
            self.stats.malformed_dcep += u64::from(summary.malformed_dcep);
            if self.log.try_take(now, 60) {
                tracing::warn!(
                    count = self.stats.malformed_dcep,
                    "malformed data channel establishment message"
                );
            }
        }
        let within = (summary.init == 0 || (!self.begun && self.init.try_take(now, 1)))
            && self.small.try_take(now, u64::from(summary.small))
            && self.heartbeat.try_take(now, u64::from(summary.heartbeat))
            && self.reset.try_take(now, u64::from(summary.reset))
            && self.forward.try_take(now, u64::from(summary.forward))
            && (summary.cookie_echo == 0 || self.init.try_take(now, 1));
        if within {
            self.begun |= summary.cookie_echo > 0;
            self.stats.data_chunks += u64::from(summary.data);
        }
        within
    }

    /// Looks at a packet of ours: when the library aborts, its cause (RFC 9260, section 3.3.10) says what for.
    pub(crate) fn on_sent(&mut self, packet: &[u8]) {
        let Some([6, _, _, _, high, low, ..]) = packet.get(HEADER..) else { return };
        let violation = match u16::from_be_bytes([*high, *low]) {
            1 => SctpViolation::TooManyStreams,
            4 => SctpViolation::ReceiveBuffer,
            12 => return,
            _ => SctpViolation::Protocol,
        };
        self.violation.get_or_insert(violation);
    }
}

#[cfg(feature = "test-util")]
pub mod plain;
#[cfg(test)]
mod tests;
