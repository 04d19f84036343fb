//! What is due when. A timer that has lost its meaning is let run: whoever takes it checks.

use super::io::Conn;
use std::collections::BTreeMap;
use std::time::Instant;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// This socket should have registered.
    Register(Conn),
    /// The worker should have answered for this job; the number tells the request from later ones.
    Answer(String, u64),
    /// The worker of this job should be back.
    Return(String, u64),
    /// This agent (room sid, identity, number) should have left.
    Leave(String, String, u64),
    /// Nobody needs to watch for this agent any more.
    Forget(String, String, u64),
}

/// Timers by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<(Instant, u64), Timer>,
    next: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        self.next += 1;
        self.queue.insert((at, self.next), timer);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        self.deadline().filter(|at| *at <= now)?;
        self.queue.pop_first().map(|(_, timer)| timer)
    }
}
