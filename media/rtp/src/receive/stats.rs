//! Reception figures (RFC 3550 section 6.4, appendix A.3 and A.8) and the sender's clock.

use crate::Ssrc;
use crate::rtcp::{ReportBlock, SenderInfo, ntp_middle};
use std::time::{Duration, Instant};

/// Reception figures of one stream.
#[derive(Debug, Clone)]
pub struct ReceiveStats {
    clock_rate: u32,
    first: Option<u64>,
    highest: u64,
    packets: u64,
    bytes: u64,
    reported: (u64, u64),
    /// Jitter in timestamp units, times 16.
    jitter: u32,
    previous: Option<(Instant, u32)>,
    sender_report: Option<(u32, Instant)>,
}

impl ReceiveStats {
    /// Figures of a stream whose timestamps run at `clock_rate` hertz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            first: None,
            highest: 0,
            packets: 0,
            bytes: 0,
            reported: (0, 0),
            jitter: 0,
            previous: None,
            sender_report: None,
        }
    }

    /// Counts a packet. `ext_seq` is the extended sequence number, `bytes` the payload length. Packets must not be
    /// counted twice; the replay window sees to that.
    pub fn on_packet(&mut self, ext_seq: u64, timestamp: u32, bytes: usize, arrival: Instant) {
        self.packets += 1;
        self.bytes += bytes as u64;
        match self.first {
            None => {
                self.first = Some(ext_seq);
                self.highest = ext_seq;
            }
            Some(first) => {
                self.first = Some(first.min(ext_seq));
                self.highest = self.highest.max(ext_seq);
            }
        }
        if let Some((at, previous)) = self.previous {
            let elapsed = arrival.saturating_duration_since(at);
            // Only differences count, so both sides may wrap.
            let ticks = (elapsed.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u32;
            let d = ticks.wrapping_sub(timestamp.wrapping_sub(previous)).cast_signed().unsigned_abs();
            // A jump of seconds is a new timestamp base, not jitter.
            if d < self.clock_rate.saturating_mul(4) {
                self.jitter = (self.jitter + d).saturating_sub((self.jitter + 8) >> 4);
            }
        }
        self.previous = Some((arrival, timestamp));
    }

    /// Notes a sender report for LSR and DLSR.
    pub fn on_sender_report(&mut self, info: &SenderInfo, arrival: Instant) {
        self.sender_report = Some((ntp_middle(info.ntp), arrival));
    }

    /// Packets received.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload bytes received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets expected from the range of sequence numbers.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.first.map_or(0, |first| self.highest - first + 1)
    }

    /// Packets lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.packets)
    }

    /// Highest extended sequence number, `None` before the first packet.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.first.map(|_| self.highest)
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        let ticks = u64::from(self.jitter >> 4);
        Duration::from_nanos(ticks * 1_000_000_000 / u64::from(self.clock_rate.max(1)))
    }

    /// A report block about this stream, which also starts the next interval of the loss fraction. `None` before
    /// the first packet.
    pub fn report(&mut self, ssrc: Ssrc, now: Instant) -> Option<ReportBlock> {
        self.first?;
        let (expected, received) = (self.expected(), self.packets);
        let expected_interval = expected.saturating_sub(self.reported.0);
        let received_interval = received.saturating_sub(self.reported.1);
        self.reported = (expected, received);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction = (lost_interval * 256).checked_div(expected_interval).unwrap_or(0).min(255);
        let (last_sr, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: i32::try_from(self.lost()).unwrap_or(i32::MAX).min(0x7f_ffff),
            highest_seq: self.highest as u32,
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_last_sr: delay,
        })
    }
}

/// Maps a stream's timestamps to its sender's NTP clock, from its last sender report. Two streams of one sender are
/// aligned by going through the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderClock {
    ntp: u64,
    timestamp: u32,
    clock_rate: u32,
}

impl SenderClock {
    /// The mapping a sender report states.
    #[must_use]
    pub fn new(info: &SenderInfo, clock_rate: u32) -> Self {
        Self { ntp: info.ntp, timestamp: info.rtp_timestamp, clock_rate: clock_rate.max(1) }
    }

    /// NTP time of a timestamp within half the timestamp range of the report.
    #[must_use]
    pub fn ntp_at(&self, timestamp: u32) -> u64 {
        let ticks = i128::from(timestamp.wrapping_sub(self.timestamp).cast_signed());
        let offset = (ticks << 32) / i128::from(self.clock_rate);
        self.ntp.wrapping_add_signed(offset as i64)
    }

    /// Timestamp at an NTP time.
    #[must_use]
    pub fn timestamp_at(&self, ntp: u64) -> u32 {
        let offset = i128::from(ntp.wrapping_sub(self.ntp).cast_signed());
        // Rounded, so that a round trip through another stream's clock is exact.
        let ticks = (offset * i128::from(self.clock_rate) + (1 << 31)) >> 32;
        self.timestamp.wrapping_add(ticks as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an Instant can only come from the clock")]
        Instant::now()
    }

    #[test]
    fn loss_is_reported_per_interval_and_in_total() {
        let (t, mut stats) = (start(), ReceiveStats::new(90_000));
        for seq in (0..100u64).filter(|s| s % 4 != 3) {
            stats.on_packet(0x1_0000 + seq, 0, 100, t);
        }
        // 75 of 99 seen: the last loss is not visible yet.
        let block = stats.report(7, t).unwrap();
        assert_eq!((block.ssrc, block.cumulative_lost, block.highest_seq), (7, 24, 0x1_0062));
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        stats.on_packet(0x1_0063, 0, 100, t);
        let block = stats.report(7, t).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 24));
        assert_eq!(stats.bytes(), 7600);
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_alternating_delay_has() {
        let (t, mut stats) = (start(), ReceiveStats::new(90_000));
        for i in 0..200u32 {
            stats.on_packet(u64::from(i), i * 3000, 1, t + Duration::from_nanos(u64::from(i) * 33_333_334));
        }
        assert!(stats.jitter() < Duration::from_micros(50));
        let mut stats = ReceiveStats::new(90_000);
        for i in 0..400u32 {
            let late = u64::from(i % 2) * 10;
            stats.on_packet(u64::from(i), i * 1800, 1, t + Duration::from_millis(u64::from(i) * 20 + late));
        }
        // Every transit differs from the one before by 10 ms.
        assert!(stats.jitter().abs_diff(Duration::from_millis(10)) < Duration::from_millis(1));
    }

    #[test]
    fn round_trip_is_found_from_lsr_and_dlsr() {
        let (t, mut stats) = (start(), ReceiveStats::new(48_000));
        stats.on_packet(1, 0, 1, t);
        let sr = SenderInfo { ntp: 0x1234_5678_9abc_def0, ..SenderInfo::default() };
        stats.on_sender_report(&sr, t);
        let block = stats.report(1, t + Duration::from_secs(2)).unwrap();
        assert_eq!(block.delay_since_last_sr, 2 << 16);
        // The report arrives 2.25 s after the sender report left.
        let now = sr.ntp + (2 << 32) + (1 << 30);
        assert_eq!(block.round_trip(now), Some(1 << 14));
        assert_eq!(block.round_trip(sr.ntp), None);
    }

    #[test]
    fn clocks_align_two_streams() {
        let a = SenderClock::new(
            &SenderInfo { ntp: 100 << 32, rtp_timestamp: 5000, ..Default::default() },
            90_000,
        );
        let b = SenderClock::new(
            &SenderInfo { ntp: 101 << 32, rtp_timestamp: 0xffff_fff0, ..Default::default() },
            90_000,
        );
        // Half a second later on stream b.
        assert_eq!(a.timestamp_at(b.ntp_at(0xffff_fff0u32.wrapping_add(45_000))), 5000 + 135_000);
    }

    proptest! {
        #[test]
        fn clock_round_trips(ntp: u64, base: u32, ticks in -1_000_000_000i32..1_000_000_000, audio: bool) {
            let rate = if audio { 48_000 } else { 90_000 };
            let clock = SenderClock::new(&SenderInfo { ntp, rtp_timestamp: base, ..Default::default() }, rate);
            let timestamp = base.wrapping_add_signed(ticks);
            prop_assert_eq!(clock.timestamp_at(clock.ntp_at(timestamp)), timestamp);
        }
    }
}
