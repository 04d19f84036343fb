//! Arrival times of a connection and the feedback built from them (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use super::extend_seq;
use crate::Ssrc;
use crate::bytes::put;
use crate::rtcp::build::packet;
use crate::rtcp::packet_type;
use crate::rtcp::{TWCC_DELTA_UNIT_US, TWCC_REFERENCE_UNIT_US};

/// Sequence numbers remembered: two seconds at a thousand packets per second.
const CAPACITY: usize = 2048;
/// Most statuses of one feedback packet; with the widest deltas it stays below 1100 bytes.
const MAX_STATUSES: usize = 400;
/// "Not received" in the ring.
const NEVER: i64 = i64::MIN;
/// Delta units per reference unit.
const TICKS_PER_REFERENCE: i64 = TWCC_REFERENCE_UNIT_US / TWCC_DELTA_UNIT_US;

/// Records arrivals by transport-wide sequence number and turns them into feedback.
///
/// A packet that arrives after its number was reported lost is reported again, with everything after it.
#[derive(Debug, Clone, Default)]
pub struct TwccRecorder {
    /// Ring by sequence number; empty until the first packet.
    arrivals: Vec<i64>,
    /// Oldest number remembered, next number to report, one past the newest.
    start: u64,
    next: u64,
    end: u64,
    feedback_count: u8,
}

impl TwccRecorder {
    /// A recorder that has seen nothing; its 16 KiB ring is allocated with the first packet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the arrival of a packet at `at_us` microseconds of any steady clock that starts at or above zero.
    /// Duplicates and packets older than the ring are ignored.
    pub fn record(&mut self, seq: u16, at_us: i64) {
        if self.arrivals.is_empty() {
            self.arrivals = vec![NEVER; CAPACITY];
            // One cycle up, so that older packets do not fall below zero.
            self.start = u64::from(seq) + 0x1_0000;
            self.next = self.start;
            self.end = self.start;
        }
        let Some(ext) = extend_seq(self.end, seq) else { return };
        if ext >= self.end {
            let new = ext - self.end + 1;
            for skipped in (self.end..=ext).rev().take(new.min(CAPACITY as u64) as usize) {
                self.set(skipped, NEVER);
            }
            self.end = ext + 1;
            self.start = self.start.max(self.end.saturating_sub(CAPACITY as u64));
            self.next = self.next.max(self.start);
        } else if ext < self.start {
            if self.end - ext > CAPACITY as u64 {
                return;
            }
            for skipped in ext..self.start {
                self.set(skipped, NEVER);
            }
            self.start = ext;
        }
        if self.get(ext) == NEVER {
            self.set(ext, at_us.max(0));
            self.next = self.next.min(ext);
        }
    }

    /// Packets from the first unreported one to the newest, received or not.
    #[must_use]
    pub fn pending(&self) -> usize {
        (self.end - self.next) as usize
    }

    /// Appends feedback for everything unreported; returns the number of RTCP packets written. More than one is
    /// needed when there is much to say or a pause does not fit the delta.
    pub fn build(&mut self, sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) -> usize {
        let mut written = 0;
        while self.next < self.end && self.build_one(sender, media, out) {
            written += 1;
        }
        written
    }

    fn build_one(&mut self, sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) -> bool {
        let Some(first) = (self.next..self.end).map(|s| self.get(s)).find(|t| *t != NEVER) else {
            // Cannot happen: the newest number is always a received one.
            self.next = self.end;
            return false;
        };
        let reference = first / TWCC_REFERENCE_UNIT_US;
        let mut time = reference * TICKS_PER_REFERENCE;
        let mut symbols = [0u8; MAX_STATUSES];
        let mut deltas = [0i16; MAX_STATUSES];
        let mut count = 0;
        for (seq, (symbol, delta)) in (self.next..self.end).zip(symbols.iter_mut().zip(&mut deltas)) {
            let at = self.get(seq);
            if at != NEVER {
                let ticks = at / TWCC_DELTA_UNIT_US;
                let Ok(step) = i16::try_from(ticks - time) else { break };
                time = ticks;
                *delta = step;
                *symbol = if (0..=255).contains(&step) { 1 } else { 2 };
            }
            count += 1;
        }
        let (Some(symbols), Some(deltas)) = (symbols.get(..count), deltas.get(..count)) else { return false };
        let base = self.next;
        self.next += count as u64;
        let feedback_count = self.feedback_count;
        self.feedback_count = feedback_count.wrapping_add(1);

        let start = out.len();
        packet(out, packet_type::RTPFB, 15, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media.to_be_bytes());
            out.extend_from_slice(&(base as u16).to_be_bytes());
            out.extend_from_slice(&(count as u16).to_be_bytes());
            let [_, a, b, c] = ((reference & 0xff_ffff) as u32).to_be_bytes();
            out.extend_from_slice(&[a, b, c, feedback_count]);
            write_chunks(symbols, out);
            for (symbol, delta) in symbols.iter().zip(deltas) {
                match symbol {
                    1 => out.push(*delta as u8),
                    2 => out.extend_from_slice(&delta.to_be_bytes()),
                    _ => {}
                }
            }
            // Padding, so that a reader does not take the fill bytes for deltas.
            let fill = (4 - (out.len() - start) % 4) % 4;
            if fill > 0 {
                out.resize(out.len() + fill - 1, 0);
                out.push(fill as u8);
                put(out, start, &[0x80 | 0x20 | 15]);
            }
        });
        true
    }

    fn get(&self, seq: u64) -> i64 {
        self.arrivals.get((seq % CAPACITY as u64) as usize).copied().unwrap_or(NEVER)
    }

    fn set(&mut self, seq: u64, at_us: i64) {
        if let Some(slot) = self.arrivals.get_mut((seq % CAPACITY as u64) as usize) {
            *slot = at_us;
        }
    }
}

/// Packs symbols greedily: long runs as run length, else 14 one-bit or 7 two-bit symbols.
fn write_chunks(mut symbols: &[u8], out: &mut Vec<u8>) {
    while let Some(&first) = symbols.first() {
        let run = symbols.iter().take(0x1fff).take_while(|s| **s == first).count();
        let one_bit = symbols.iter().take(14).all(|s| *s < 2);
        let vector = if one_bit { 14 } else { 7 };
        let (chunk, used) = if run >= vector.min(symbols.len()) {
            (u16::from(first) << 13 | run as u16, run)
        } else {
            let used = vector.min(symbols.len());
            let (head, width) = if one_bit { (0x8000, 1) } else { (0xc000, 2) };
            let bits = symbols
                .iter()
                .take(used)
                .zip((0..vector).rev())
                .fold(0u16, |bits, (symbol, place)| bits | u16::from(*symbol) << (place * width));
            (head | bits, used)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        symbols = symbols.get(used..).unwrap_or(&[]);
    }
}

#[cfg(test)]
mod tests;
