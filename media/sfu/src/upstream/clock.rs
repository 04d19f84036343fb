//! The clock of a publisher against the shard's.
//!
//! Receivers that play streams of several publishers in one piece line them up by the NTP times of their sender reports,
//! and publishers' clocks differ by anything. So reports to subscribers are in the shard's time: one offset for all
//! streams of a publisher, which leaves its sound and picture exactly as far apart as they were.

use crate::downtrack::report::ntp_units;
use std::time::Duration;

/// What the shard's clock starts from, NTP units: any time will do that is not zero.
const BASE: u64 = 3_900_000_000 << 32;
/// A report this far off, NTP units, means that the publisher's clock was set.
const JUMP: u64 = 2 << 32;
/// How far the offset may grow with one report, NTP units: clocks drift, and a path may become longer.
const DRIFT: i64 = (1 << 32) / 5_000;

/// Distance from the publisher's NTP clock to the shard's, in NTP units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SourceClock {
    offset: Option<i64>,
}

impl SourceClock {
    /// A sender report came `elapsed` after the shard began. Reports are late, never early: the smallest distance is the
    /// truest.
    pub(crate) fn on_report(&mut self, ntp: u64, elapsed: Duration) -> i64 {
        let sample = BASE.wrapping_add(ntp_units(elapsed)).wrapping_sub(ntp).cast_signed();
        let offset = match self.offset {
            Some(old) if sample.wrapping_sub(old).unsigned_abs() <= JUMP => {
                old.saturating_add(DRIFT).min(sample)
            }
            _ => sample,
        };
        self.offset = Some(offset);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1 << 32;

    /// Where a report ends up on the shard's clock, in milliseconds since the shard began.
    fn mapped(ntp: u64, offset: i64) -> u64 {
        (ntp.wrapping_add_signed(offset).wrapping_sub(BASE) * 1000) >> 32
    }

    #[test]
    fn publishers_with_clocks_far_apart_meet() {
        let (mut ahead, mut behind) = (SourceClock::default(), SourceClock::default());
        let at = Duration::from_secs(10);
        let a = ahead.on_report(4_000_000_000 << 32, at);
        let b = behind.on_report(5, at);
        assert_eq!((mapped(4_000_000_000 << 32, a), mapped(5, b)), (10_000, 10_000));
    }

    #[test]
    fn late_reports_do_not_move_the_clock_and_a_set_clock_does() {
        let mut clock = SourceClock::default();
        let first = clock.on_report(100 * SECOND, Duration::from_secs(1));
        let late = clock.on_report(101 * SECOND, Duration::from_millis(2_300));
        assert!((first..first + 2 * DRIFT).contains(&late));
        let early = clock.on_report(102 * SECOND, Duration::from_millis(2_990));
        assert!(early < first);
        let set = clock.on_report(900 * SECOND, Duration::from_secs(4));
        assert_eq!(mapped(900 * SECOND, set), 4_000);
    }
}
