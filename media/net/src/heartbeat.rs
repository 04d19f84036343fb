//! Signs of life of a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a thread that has nothing to do shows that it lives.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// When a thread last took a turn. Clones share it; reading costs nobody anything.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    origin: Instant,
    /// Milliseconds since the origin.
    last: AtomicU64,
}

impl Heartbeat {
    /// Counts as a beat.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self(Arc::new(Beat { origin: now, last: AtomicU64::new(0) }))
    }

    /// The thread takes a turn.
    pub fn beat(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.0.origin).as_millis();
        self.0.last.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A number that changes with the beats.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.last.load(Ordering::Relaxed)
    }

    /// Time since the last beat.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0.origin).saturating_sub(Duration::from_millis(self.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_the_last_beat() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let heart = Heartbeat::new(start);
        assert_eq!(heart.age(at(3)), Duration::from_secs(3));
        heart.clone().beat(at(4));
        assert_eq!((heart.age(at(4)), heart.age(at(9))), (Duration::ZERO, Duration::from_secs(5)));
        assert_eq!(heart.age(start), Duration::ZERO, "a clock that was read earlier");
    }
}
