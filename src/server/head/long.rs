//! Memory for long heads that are still arriving.

use crate::intake::{BytePool, Held};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The memory for long heads of all connections. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct LongHeads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: BytePool,
    patience: Duration,
    /// Heads that are arriving, by age.
    arriving: Mutex<Arriving>,
}

#[derive(Debug, Default)]
struct Arriving {
    next: u64,
    heads: BTreeMap<u64, Head>,
}

#[derive(Debug)]
struct Head {
    since: Instant,
    held: Held,
    evict: Arc<Notify>,
}

/// The place of one head that is arriving.
#[derive(Debug)]
pub(super) struct Place {
    all: LongHeads,
    id: u64,
}

impl LongHeads {
    /// Memory of so many bytes. When it is used up, a head that has taken longer than `patience` has to make room.
    #[must_use]
    pub fn new(bytes: usize, patience: Duration) -> Self {
        Self(Arc::new(Inner { pool: BytePool::new(bytes), patience, arriving: Mutex::default() }))
    }

    fn arriving(&self) -> MutexGuard<'_, Arriving> {
        self.0.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that can still be taken.
    #[must_use]
    pub fn free(&self) -> usize {
        self.0.pool.free()
    }

    /// Takes memory, that of the slowest if need be. `None`: all heads are young.
    fn take(&self, arriving: &mut Arriving, bytes: usize) -> Option<Held> {
        loop {
            if let Some(held) = self.0.pool.take(bytes) {
                return Some(held);
            }
            let oldest =
                arriving.heads.first_entry().filter(|e| e.get().since.elapsed() >= self.0.patience)?;
            // Its connection ends at once, and its buffer with it.
            oldest.remove().evict.notify_one();
        }
    }

    /// A place for a head; `evict` is told when it has to go.
    pub(super) fn enter(&self, bytes: usize, evict: Arc<Notify>) -> Option<Place> {
        let mut arriving = self.arriving();
        let held = self.take(&mut arriving, bytes)?;
        arriving.next += 1;
        let id = arriving.next;
        arriving.heads.insert(id, Head { since: Instant::now(), held, evict });
        Some(Place { all: self.clone(), id })
    }
}

impl Place {
    /// More memory for it. False: there is none, or the place is lost.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let mut arriving = self.all.arriving();
        let Some(mut head) = arriving.heads.remove(&self.id) else { return false };
        let missing = bytes.saturating_sub(head.held.bytes());
        if missing > 0 {
            let Some(more) = self.all.take(&mut arriving, missing) else { return false };
            head.held.join(more);
        }
        arriving.heads.insert(self.id, head);
        true
    }

    /// The head is complete, and nobody takes its memory any more.
    pub(super) fn complete(self) -> Option<Held> {
        self.all.arriving().heads.remove(&self.id).map(|head| head.held)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.arriving().heads.remove(&self.id);
    }
}
