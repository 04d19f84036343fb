//! When to ask a publisher for a key frame. One request makes every simulcast layer produce one, so there is one of
//! these per track, not per stream.

use std::time::{Duration, Instant};

/// Requests of one track.
#[derive(Debug)]
pub(crate) struct KeyFrameRequests {
    interval: Duration,
    retry: Duration,
    last_sent: Option<Instant>,
    due: Option<Instant>,
    answered: bool,
}

impl KeyFrameRequests {
    pub(crate) fn new(interval: Duration, retry: Duration) -> Self {
        Self { interval, retry, last_sent: None, due: None, answered: false }
    }

    /// Somebody needs a key frame.
    pub(crate) fn want(&mut self, now: Instant) {
        let soonest = self.last_sent.map_or(now, |t| (t + self.interval).max(now));
        self.due.get_or_insert(soonest);
    }

    /// When [`KeyFrameRequests::poll`] will answer true.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True when a request must be sent now; it is repeated until [`KeyFrameRequests::satisfied`].
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|d| d > now) {
            return false;
        }
        self.last_sent = Some(now);
        self.answered = false;
        self.due = Some(now + self.retry);
        true
    }

    /// A key frame arrived.
    pub(crate) fn on_key_frame(&mut self) {
        self.answered = true;
    }

    /// A key frame arrived since the last request.
    pub(crate) fn was_answered(&self) -> bool {
        self.answered
    }

    /// Everybody has what they needed.
    pub(crate) fn satisfied(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_deduplicated_and_retried() {
        let t = crate::test_clock();
        let at = |ms| t + Duration::from_millis(ms);
        let mut k = KeyFrameRequests::new(Duration::from_millis(500), Duration::from_secs(1));
        k.want(t);
        k.want(t);
        assert!(k.poll(t));
        assert!(!k.poll(at(10)));
        k.want(at(20));
        assert!(!k.poll(at(600)));
        assert!(k.poll(at(1000)));
        k.satisfied();
        k.want(at(1100));
        assert!(!k.poll(at(1499)));
        assert!(k.poll(at(1500)));
    }
}
