//! A token bucket.

use std::time::{Duration, Instant};

const MICROS: u64 = 1_000_000;

/// What somebody may still do, in units that come back with time. One thing may cost more than is there: the bucket is
/// in debt then, and nothing is allowed until time has paid it.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// Units per second; 0: no limit.
    rate: u64,
    /// Units of a full bucket.
    burst: u64,
    /// Units missing from a full bucket.
    spent: u64,
    /// Up to when `spent` has been paid back.
    at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket of `burst` units, of which `rate` come back each second. A rate of 0 allows everything.
    #[must_use]
    pub const fn new(rate: u64, burst: u64) -> Self {
        Self { rate, burst: if burst == 0 { 1 } else { burst }, spent: 0, at: None }
    }

    /// Whether something may be done now.
    pub fn is_ready(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.rate == 0 || self.spent < self.burst
    }

    /// Takes units, whether they are there or not.
    pub fn take(&mut self, now: Instant, units: u64) {
        if self.rate != 0 {
            self.refill(now);
            self.spent = self.spent.saturating_add(units);
        }
    }

    /// Takes units if all of them are there; false, and nothing is taken, if not. No units are always there.
    pub fn try_take(&mut self, now: Instant, units: u64) -> bool {
        self.refill(now);
        let spent = self.spent.saturating_add(units);
        let there = self.rate == 0 || units == 0 || spent <= self.burst;
        if there && self.rate != 0 {
            self.spent = spent;
        }
        there
    }

    /// When [`TokenBucket::is_ready`] will be true: `now` if it is.
    #[must_use]
    pub fn ready_at(&mut self, now: Instant) -> Instant {
        if self.is_ready(now) {
            return now;
        }
        let missing = self.spent.saturating_sub(self.burst).saturating_add(1);
        let micros = missing.saturating_mul(MICROS).div_ceil(self.rate);
        let from = self.at.unwrap_or(now);
        // A debt of years is not waited for: who looks again after an hour is early, not wrong.
        from.checked_add(Duration::from_micros(micros.min(3600 * MICROS))).unwrap_or(now)
    }

    fn refill(&mut self, now: Instant) {
        let at = *self.at.get_or_insert(now);
        let elapsed = u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u64::MAX);
        let back = elapsed.saturating_mul(self.rate) / MICROS;
        if back >= self.spent {
            self.spent = 0;
            self.at = Some(now);
        } else if back > 0 {
            self.spent -= back;
            // Only the time that was paid for: the rest counts next time.
            let used = Duration::from_micros(back.saturating_mul(MICROS) / self.rate.max(1));
            self.at = Some(at.checked_add(used).unwrap_or(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn taken(bucket: &mut TokenBucket, now: Instant) -> usize {
        let one = |bucket: &mut TokenBucket| bucket.is_ready(now).then(|| bucket.take(now, 1));
        (0..1000).map_while(|_| one(bucket)).count()
    }

    #[test]
    fn what_must_be_there_makes_no_debt() {
        let (now, mut bucket) = (start(), TokenBucket::new(1, 60));
        assert!(bucket.try_take(now, 60), "a full bucket");
        assert!(bucket.try_take(now, 0) && !bucket.try_take(now, 1));
        let almost = now + Duration::from_secs(59);
        assert!(!bucket.try_take(almost, 60), "one is missing");
        assert!(bucket.try_take(now + Duration::from_secs(60), 60));
        assert!(TokenBucket::new(0, 1).try_take(now, 1000), "no limit");
    }

    #[test]
    fn a_burst_passes_and_time_gives_it_back() {
        let (now, mut bucket) = (start(), TokenBucket::new(4, 10));
        let ms = Duration::from_millis;
        assert_eq!(taken(&mut bucket, now), 10);
        assert_eq!(taken(&mut bucket, now + ms(100)), 0);
        assert_eq!(bucket.ready_at(now + ms(100)), now + ms(250));
        assert_eq!(taken(&mut bucket, now + ms(1000)), 4);
        assert_eq!(taken(&mut bucket, now + ms(1250)), 1);
        assert_eq!(taken(&mut bucket, now + ms(3_600_000)), 10, "never more than a burst");
        assert_eq!(taken(&mut TokenBucket::new(0, 0), now), 1000, "no limit");
    }

    #[test]
    fn a_debt_is_paid_before_anything_else() {
        let (now, mut bucket) = (start(), TokenBucket::new(100, 10));
        bucket.take(now, 510);
        assert!(!bucket.is_ready(now + Duration::from_secs(5)));
        let at = bucket.ready_at(now);
        assert!(bucket.is_ready(at) && at <= now + Duration::from_millis(5010));
        bucket.take(now, u64::MAX);
        assert!(bucket.ready_at(at) > at, "no overflow");
    }

    #[test]
    fn many_small_steps_give_as_much_as_a_large_one() {
        let (now, mut bucket) = (start(), TokenBucket::new(3, 1000));
        bucket.take(now, 2000);
        let mut t = now;
        for _ in 0..100_000 {
            t += Duration::from_micros(1700);
            let _ = bucket.is_ready(t);
        }
        assert_eq!(bucket.spent, 2000 - 510, "170 seconds at 3 a second");
    }
}
