//! Sender reports of a down track and what its receiver answers.

use bedrud_rtp::rtcp::{ReportBlock, SenderInfo, ntp_middle};
use std::time::{Duration, Instant};

/// Reports remembered to recognise LSR.
const REMEMBERED: usize = 4;
/// Reports come quickly until this many were sent, so that receivers can synchronise soon.
const EARLY: u32 = 3;

/// A duration in NTP units (2^-32 s).
pub(crate) fn ntp_units(d: Duration) -> u64 {
    (d.as_secs() << 32) | ((u64::from(d.subsec_nanos()) << 32) / 1_000_000_000)
}

/// Sender reports sent and receiver reports received.
#[derive(Debug, Default)]
pub(crate) struct SenderReports {
    sent: [Option<(u32, Instant)>; REMEMBERED],
    count: u32,
    last: Option<Instant>,
    previous: Option<(i32, u32)>,
    lost: u64,
    jitter: u32,
    /// A receiver report named this stream.
    pub(crate) acknowledged: bool,
}

/// What a report block tells about the time since the block before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// Packets lost, not negative.
    pub(crate) lost: u64,
    /// Packets expected.
    pub(crate) expected: u64,
    /// Round-trip time, when the block answers a report of ours.
    pub(crate) rtt: Option<Duration>,
}

impl SenderReports {
    /// True when a report is due.
    pub(crate) fn is_due(&self, now: Instant, interval: Duration) -> bool {
        let interval = if self.count < EARLY { interval.min(Duration::from_secs(1)) } else { interval };
        self.last.is_none_or(|t| now.saturating_duration_since(t) >= interval)
    }

    /// Makes a report from the publisher's, in the NTP time it gives: that clock goes on, the timestamp moves by `delta`.
    pub(crate) fn make(
        &mut self,
        now: Instant,
        source: (SenderInfo, Instant),
        delta: u32,
        clock_rate: u32,
        sent: (u64, u64),
    ) -> SenderInfo {
        let (info, at) = source;
        let elapsed = now.saturating_duration_since(at);
        let ticks = (elapsed.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32;
        let ntp = info.ntp.wrapping_add(ntp_units(elapsed));
        if let Some(slot) = self.sent.get_mut(self.count as usize % REMEMBERED) {
            *slot = Some((ntp_middle(ntp), now));
        }
        self.count = self.count.wrapping_add(1).max(1);
        self.last = Some(now);
        SenderInfo {
            ntp,
            rtp_timestamp: info.rtp_timestamp.wrapping_add(ticks).wrapping_add(delta),
            packets: sent.0 as u32,
            octets: sent.1 as u32,
        }
    }

    /// Takes a report block of the receiver.
    pub(crate) fn on_block(&mut self, now: Instant, block: &ReportBlock) -> Feedback {
        self.acknowledged = true;
        self.jitter = block.jitter;
        let before = self.previous.replace((block.cumulative_lost, block.highest_seq));
        let (lost, expected) = before.map_or((0, 0), |(lost, highest)| {
            let expected = block.highest_seq.wrapping_sub(highest);
            // Half the range back is a restart of the receiver, not progress.
            if expected >> 31 != 0 {
                return (0, 0);
            }
            let lost = i64::from(block.cumulative_lost) - i64::from(lost);
            (lost.max(0).unsigned_abs().min(u64::from(expected)), u64::from(expected))
        });
        self.lost += lost;
        let sent = self.sent.iter().flatten().find(|(lsr, _)| *lsr == block.last_sr && *lsr != 0);
        let rtt = sent.and_then(|(_, at)| {
            let delay = Duration::from_micros(u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536);
            now.saturating_duration_since(*at).checked_sub(delay)
        });
        Feedback { lost, expected, rtt }
    }

    /// Packets the receiver lost since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Jitter at the receiver.
    pub(crate) fn jitter_ms(&self, clock_rate: u32) -> f32 {
        self.jitter as f32 * 1000.0 / clock_rate.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_publishers_clock_goes_on_in_our_timestamps() {
        let t = crate::test_clock();
        let mut r = SenderReports::default();
        let source = SenderInfo { ntp: 100 << 32, rtp_timestamp: u32::MAX, packets: 9, octets: 9 };
        let now = t + Duration::from_millis(500);
        let made = r.make(now, (source, t), 1000, 90_000, (3, 300));
        assert_eq!(made.ntp, (100 << 32) + (1 << 31));
        assert_eq!(made.rtp_timestamp, u32::MAX.wrapping_add(45_000).wrapping_add(1000));
        assert_eq!((made.packets, made.octets), (3, 300));
        assert!(!r.is_due(now + Duration::from_millis(999), Duration::from_secs(3)));
        assert!(r.is_due(now + Duration::from_secs(1), Duration::from_secs(3)));
    }

    #[test]
    fn blocks_give_loss_and_round_trip() {
        let t = crate::test_clock();
        let mut r = SenderReports::default();
        let made = r.make(t, (SenderInfo { ntp: 100 << 32, ..SenderInfo::default() }, t), 0, 90_000, (0, 0));
        let mut block = ReportBlock {
            last_sr: ntp_middle(made.ntp),
            delay_since_last_sr: 65_536,
            highest_seq: 0xffff_ff00,
            ..ReportBlock::default()
        };
        let f = r.on_block(t + Duration::from_millis(1040), &block);
        assert_eq!((f.lost, f.expected, f.rtt), (0, 0, Some(Duration::from_millis(40))));
        block.highest_seq = 0xffff_ff00u32.wrapping_add(1000);
        block.cumulative_lost = 50;
        let f = r.on_block(t + Duration::from_secs(2), &block);
        assert_eq!((f.lost, f.expected), (50, 1000));
        assert_eq!(r.take_lost(), 50);
        block.last_sr = 1;
        assert_eq!(r.on_block(t + Duration::from_secs(3), &block).rtt, None);
    }
}
