//! A histogram that many threads may feed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts whole numbers by fixed upper bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One per bound, and one for everything above.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Upper bounds with the number of values up to each.
    pub buckets: Vec<(u64, u64)>,
    /// All values together.
    pub sum: u64,
    /// Number of values.
    pub count: u64,
}

impl Histogram {
    /// Upper bounds in rising order.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(value, Relaxed);
    }

    /// What it holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (at, own) in self.counts.iter().enumerate() {
            count += own.load(Relaxed);
            buckets.extend(self.bounds.get(at).map(|bound| (*bound, count)));
        }
        Snapshot { buckets, sum: self.sum.load(Relaxed), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_and_with_their_bound() {
        let histogram = Histogram::new(&[1, 5, 10]);
        for value in [0, 1, 2, 5, 10, 11, 1000] {
            histogram.observe(value);
        }
        let seen = histogram.snapshot();
        assert_eq!(seen.buckets, [(1, 2), (5, 4), (10, 5)]);
        assert_eq!((seen.sum, seen.count), (1029, 7));
    }
}
