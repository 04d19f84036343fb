//! Counts for the operator.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bedrud_media::Histogram;

/// Upper bounds of the length of queues.
const LENGTHS: &[u64] = &[1, 2, 3, 4, 5, 10, 20, 40, 80];

/// What happened to webhook events since the start.
#[derive(Debug)]
pub struct Stats {
    /// Taken by a receiver.
    pub delivered: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Given up.
    pub dead: AtomicU64,
    /// Lost because a queue was full.
    pub dropped_depth: AtomicU64,
    /// Lost because events came faster than they could be stored.
    pub dropped_missed: AtomicU64,
    /// Lost because they could not be stored.
    pub dropped_storage: AtomicU64,
    /// Waiting or being sent now.
    pub pending: AtomicU64,
    /// Length of an event's queue when it came, itself included.
    pub queue_length: Histogram,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            delivered: AtomicU64::default(),
            failed: AtomicU64::default(),
            dead: AtomicU64::default(),
            dropped_depth: AtomicU64::default(),
            dropped_missed: AtomicU64::default(),
            dropped_storage: AtomicU64::default(),
            pending: AtomicU64::default(),
            queue_length: Histogram::new(LENGTHS),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}
