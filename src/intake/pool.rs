//! A number of bytes that many may hold parts of.

use bedrud_media::memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this size.
const UNIT: usize = 1024;
/// When so much of a pool was in use and all of it is free again, the heap is given back.
const WORTH_TRIMMING: usize = 4 << 20;

/// Memory that is shared. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct BytePool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    units: Arc<Semaphore>,
    total: usize,
    /// Much of it was in use since the heap was last given back.
    used: AtomicBool,
}

/// A part of a pool, given back when dropped.
#[derive(Debug)]
pub struct Held {
    pool: BytePool,
    /// `None` only while it is being dropped.
    permit: Option<OwnedSemaphorePermit>,
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

impl BytePool {
    /// A pool of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = units(bytes).min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self(Arc::new(Inner { units: Arc::new(Semaphore::new(total)), total, used: AtomicBool::new(false) }))
    }

    /// A part of it, if there is so much.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Held> {
        let permit = self.permit(units(bytes))?;
        Some(Held { pool: self.clone(), permit: Some(permit) })
    }

    fn permit(&self, units: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(units).ok()?;
        let permit = Arc::clone(&self.0.units).try_acquire_many_owned(count).ok()?;
        if self.in_use() > units_worth_trimming() {
            self.0.used.store(true, Ordering::Relaxed);
        }
        Some(permit)
    }

    fn in_use(&self) -> usize {
        self.0.total.saturating_sub(self.0.units.available_permits())
    }

    /// Bytes that can still be taken.
    #[must_use]
    pub fn free(&self) -> usize {
        self.0.units.available_permits().saturating_mul(UNIT)
    }
}

fn units_worth_trimming() -> usize {
    units(WORTH_TRIMMING)
}

impl Held {
    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, |permit| permit.num_permits().saturating_mul(UNIT))
    }

    /// Adds another part of the same pool.
    pub fn join(&mut self, mut other: Self) {
        match (&mut self.permit, other.permit.take()) {
            (Some(permit), Some(more)) => permit.merge(more),
            (permit, more) => *permit = more,
        }
    }

    /// The same with at least so many bytes; `None` when there is not so much, and what was held is free again.
    #[must_use]
    pub fn grown(mut self, bytes: usize) -> Option<Self> {
        let permit = self.permit.as_mut()?;
        let missing = units(bytes).saturating_sub(permit.num_permits());
        if missing > 0 {
            permit.merge(self.pool.permit(missing)?);
        }
        Some(self)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.pool.in_use() == 0
            && self.pool.0.used.swap(false, Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(memory::trim);
        }
    }
}
