//! Counts for the operator.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happened to webhook events since the start.
#[derive(Debug, Default)]
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
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}
