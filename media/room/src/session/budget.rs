//! How much a client may say.

use livekit_protocol::SessionDescription;
use livekit_protocol::signal_request::Message;
use std::time::{Duration, Instant};

/// A bucket of messages that fills again with time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    spent: u32,
    /// Up to when the bucket has been refilled.
    at: Instant,
}

impl Budget {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { spent: 0, at: now }
    }

    /// Takes a message that counts as `cost`; false when `burst` are spent. `per_second` come back each second.
    pub(crate) fn take(&mut self, now: Instant, cost: u32, burst: u32, per_second: u32) -> bool {
        if burst == 0 {
            return true;
        }
        if self.spent == 0 {
            self.at = now;
        }
        let elapsed = now.saturating_duration_since(self.at);
        let back = elapsed.as_millis().saturating_mul(u128::from(per_second)) / 1000;
        if back >= u128::from(self.spent) {
            *self = Self::new(now);
        } else if let Ok(back) = u32::try_from(back)
            && back > 0
        {
            self.spent = self.spent.saturating_sub(back);
            let used = u64::from(back).saturating_mul(1000) / u64::from(per_second.max(1));
            self.at = self.at.checked_add(Duration::from_millis(used)).unwrap_or(now);
        }
        if self.spent >= burst {
            return false;
        }
        self.spent = self.spent.saturating_add(cost);
        true
    }
}

/// Bytes of a session description that cost as much as a message. Reading one takes time in proportion to its size.
const BYTES_PER_MESSAGE: usize = 32 * 1024;

/// How many messages a message counts as.
pub(crate) fn cost(message: &Message) -> u32 {
    let size = |d: &Option<SessionDescription>| d.as_ref().map_or(0, |d| d.sdp.len());
    let bytes = match message {
        Message::Offer(d) | Message::Answer(d) => d.sdp.len(),
        Message::SyncState(state) => size(&state.offer).saturating_add(size(&state.answer)),
        _ => 0,
    };
    u32::try_from(bytes / BYTES_PER_MESSAGE).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_time_gives_it_back() {
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let taken = |budget: &mut Budget, now| (0..100).filter(|_| budget.take(now, 1, 10, 4)).count();
        assert_eq!(taken(&mut budget, start), 10);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(100)), 0);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(1)), 4);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(1250)), 1);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(3600)), 10, "never more than a burst");
        assert!((0..1000).all(|_| budget.take(start, 1, 0, 0)), "no limit");
    }

    #[test]
    fn large_descriptions_count_as_many_messages() {
        let offer = |size: usize| {
            cost(&Message::Offer(SessionDescription {
                sdp: "x".repeat(size),
                ..SessionDescription::default()
            }))
        };
        assert_eq!((offer(0), offer(30_000), offer(512 * 1024)), (1, 1, 17));
        assert_eq!(cost(&Message::Ping(1)), 1);
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let taken = (0..1000).filter(|_| budget.take(start, offer(512 * 1024), 2000, 200)).count();
        assert_eq!(taken, 118, "60 MB at once");
        let second = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| budget.take(second, offer(512 * 1024), 2000, 200)).count(), 12);
    }
}
