//! One deadline per transport in a heap. Moving a deadline later costs nothing until the old one fires.

use crate::ids::TransportId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadline heap. The owner keeps, per transport, the deadline last armed (see [`Timers::arm`]).
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, TransportId)>>,
}

impl Timers {
    /// Makes sure something fires at `at` or before. `armed` is the owner's note of the earliest entry for `id`.
    pub(crate) fn arm(&mut self, id: TransportId, armed: &mut Option<Instant>, at: Option<Instant>) {
        let Some(at) = at else { return };
        if armed.is_none_or(|t| at < t) {
            *armed = Some(at);
            self.heap.push(Reverse((at, id)));
        }
    }

    /// Next deadline, possibly of a transport that no longer needs it.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next transport whose deadline has passed, with that deadline.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, TransportId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Entries, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn capacity(&self) -> usize {
        self.heap.capacity()
    }

    /// Forgets everything. The owners' notes are void then.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Forgets entries of transports for which `live` is false.
    pub(crate) fn retain(&mut self, live: impl Fn(TransportId) -> bool) {
        self.heap.retain(|Reverse((_, id))| live(*id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fires_in_order_and_rearms_only_for_earlier() {
        let t = crate::test_clock();
        let id = |slot| TransportId { shard: 0, slot, epoch: 0 };
        let at = |ms| Some(t + Duration::from_millis(ms));
        let (mut timers, mut a, mut b) = (Timers::default(), None, None);
        timers.arm(id(1), &mut a, at(50));
        timers.arm(id(2), &mut b, at(20));
        timers.arm(id(1), &mut a, at(80));
        timers.arm(id(1), &mut a, at(10));
        assert_eq!(timers.len(), 3);
        assert_eq!(timers.pop_due(t), None);
        let late = t + Duration::from_millis(30);
        assert_eq!(timers.pop_due(late).map(|e| e.1), Some(id(1)));
        assert_eq!(timers.pop_due(late).map(|e| e.1), Some(id(2)));
        assert_eq!(timers.pop_due(late), None);
    }
}
