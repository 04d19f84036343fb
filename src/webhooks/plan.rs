//! What to send next: one event at a time per receiver and room, rooms in turn, failures later and later.
//!
//! No I/O and no clock: the caller says what time it is and how attempts ended.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use crate::db::Moment;

/// Bounds of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Attempts in progress at once, per receiver.
    pub workers: usize,
    /// Events waiting per receiver and room.
    pub depth: usize,
    /// Events waiting per receiver.
    pub pending: usize,
    /// Attempts before an event is given up.
    pub attempts: u32,
    /// An event older than this is given up at its next failure.
    pub age: Duration,
    /// Wait after the first failure; it doubles from then on.
    pub first_wait: Duration,
    /// Longest wait.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 10,
            depth: 200,
            pending: 10_000,
            attempts: 100,
            age: Duration::from_secs(24 * 3600),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(600),
        }
    }
}

/// A stored event on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Row of the outbox.
    pub id: i64,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Not to be sent before.
    pub next_at: Moment,
    /// When it happened.
    pub created_at: Moment,
}

/// An attempt to be made now. Hand it back with [`Plan::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the receiver.
    pub target: usize,
    /// Room.
    pub room: Arc<str>,
    /// Row of the outbox.
    pub id: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took the event.
    Delivered,
    /// It did not now, but may later.
    Failed {
        /// Wait that the receiver asked for.
        wait: Option<Duration>,
    },
    /// It never will.
    Refused,
}

/// What becomes of an event after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It is tried again.
    Retry {
        /// Failed attempts.
        attempts: u32,
        /// When.
        at: Moment,
    },
    /// It is given up.
    Dead {
        /// Failed attempts.
        attempts: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing to do with the head now: an attempt runs, or there is none.
    Still,
    /// In `ready`.
    Ready,
    /// In `waiting`.
    Waiting(Moment),
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Entry>,
    /// Places taken by events that are being stored.
    reserved: usize,
    state: State,
    in_flight: bool,
    /// Events lost since the last one that was taken.
    dropped: u32,
}

#[derive(Debug, Default)]
struct Target {
    queues: HashMap<Arc<str>, Queue>,
    ready: VecDeque<Arc<str>>,
    waiting: BTreeSet<(Moment, Arc<str>)>,
    in_flight: usize,
    pending: usize,
    /// Events of unknown rooms lost since the last one that was taken.
    dropped: u32,
}

/// All queues of all receivers.
#[derive(Debug)]
pub struct Plan {
    limits: Limits,
    targets: Vec<Target>,
    rng: SmallRng,
}

impl Plan {
    /// Empty queues for `targets` receivers. The seed spreads retries.
    #[must_use]
    pub fn new(limits: Limits, targets: usize, seed: u64) -> Self {
        let targets = (0..targets).map(|_| Target::default()).collect();
        Self { limits, targets, rng: SmallRng::seed_from_u64(seed) }
    }

    /// Takes a place for an event that is about to be stored: the number of events lost before it, or `None` when
    /// the queue is full and this one is lost too. Follow with [`Plan::add`] or [`Plan::forget`].
    pub fn reserve(&mut self, target: usize, room: &str) -> Option<u32> {
        let Limits { depth, pending, .. } = self.limits;
        let target = self.targets.get_mut(target)?;
        if target.pending >= pending {
            target.dropped = target.dropped.saturating_add(1);
            return None;
        }
        let queue = target.queue(room);
        if queue.entries.len() + queue.reserved >= depth {
            queue.dropped = queue.dropped.saturating_add(1);
            return None;
        }
        queue.reserved += 1;
        let lost = std::mem::take(&mut queue.dropped);
        target.pending += 1;
        Some(lost.saturating_add(std::mem::take(&mut target.dropped)))
    }

    /// Puts a stored event into the place that was reserved for it.
    pub fn add(&mut self, now: Moment, target: usize, room: &str, entry: Entry) {
        self.forget(target, room);
        self.restore(now, target, room, entry);
    }

    /// Gives back a reserved place.
    pub fn forget(&mut self, target: usize, room: &str) {
        let Some(target) = self.targets.get_mut(target) else { return };
        if let Some(queue) = target.queues.get_mut(room).filter(|q| q.reserved > 0) {
            queue.reserved -= 1;
            target.pending -= 1;
        }
        target.tidy(room);
    }

    /// Puts an event of an earlier run at the end of its queue, whatever the limits: it was promised.
    pub fn restore(&mut self, now: Moment, target: usize, room: &str, mut entry: Entry) {
        // A clock that was wrong once must not hold events back for ever.
        entry.next_at = entry.next_at.min(now.plus(self.limits.longest_wait));
        let Some(target) = self.targets.get_mut(target) else { return };
        target.pending += 1;
        target.queue(room).entries.push_back(entry);
        target.arm(now, room);
    }

    /// Counts events that were lost before anybody knew their room.
    pub fn missed(&mut self, events: u64) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        for target in &mut self.targets {
            target.dropped = target.dropped.saturating_add(events);
        }
    }

    /// The next attempt to be made now, until `None`.
    pub fn next(&mut self, now: Moment) -> Option<Attempt> {
        let workers = self.limits.workers.max(1);
        for (index, target) in self.targets.iter_mut().enumerate() {
            target.wake(now);
            if target.in_flight >= workers {
                continue;
            }
            while let Some(room) = target.ready.pop_front() {
                let Some(queue) = target.queues.get_mut(&room) else { continue };
                queue.state = State::Still;
                let Some(head) = queue.entries.front() else { continue };
                queue.in_flight = true;
                target.in_flight += 1;
                return Some(Attempt { target: index, room, id: head.id });
            }
        }
        None
    }

    /// Takes the end of an attempt.
    pub fn finish(&mut self, now: Moment, attempt: &Attempt, outcome: Outcome) -> Verdict {
        let done = Verdict::Done;
        let Some(target) = self.targets.get_mut(attempt.target) else { return done };
        let Some(queue) = target.queues.get_mut(&attempt.room).filter(|q| q.in_flight) else { return done };
        queue.in_flight = false;
        target.in_flight -= 1;
        let Some(head) = queue.entries.front_mut().filter(|e| e.id == attempt.id) else { return done };
        let verdict = match outcome {
            Outcome::Delivered => Verdict::Done,
            Outcome::Refused => Verdict::Dead { attempts: head.attempts.saturating_add(1) },
            Outcome::Failed { wait } => {
                head.attempts = head.attempts.saturating_add(1);
                let attempts = head.attempts;
                if attempts >= self.limits.attempts || now.since(head.created_at) > self.limits.age {
                    Verdict::Dead { attempts }
                } else {
                    let longest = self.limits.longest_wait;
                    let doubled =
                        self.limits.first_wait.saturating_mul(1u32 << (attempts - 1).min(20)).min(longest);
                    // Between half and all of it, so that receivers that come back are not met by everything at once.
                    let spread = doubled.mul_f64(self.rng.random_range(0.5..=1.0));
                    head.next_at = now.plus(wait.map_or(spread, |w| w.min(longest).max(spread)));
                    Verdict::Retry { attempts, at: head.next_at }
                }
            }
        };
        if !matches!(verdict, Verdict::Retry { .. }) {
            queue.entries.pop_front();
            target.pending -= 1;
        }
        target.arm(now, &attempt.room);
        target.tidy(&attempt.room);
        verdict
    }

    /// When [`Plan::next`] may have something new, if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let free = self.targets.iter().filter(|t| t.in_flight < self.limits.workers.max(1));
        free.filter_map(|t| t.waiting.first().map(|(at, _)| *at)).min()
    }

    /// Events of a room that wait for a receiver.
    #[must_use]
    pub fn depth(&self, target: usize, room: &str) -> usize {
        let queue = self.targets.get(target).and_then(|t| t.queues.get(room));
        queue.map_or(0, |q| q.entries.len() + q.reserved)
    }

    /// Events that wait or are being sent.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.targets.iter().map(|t| t.pending).sum()
    }

    /// Queues held: none when nothing waits.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.targets.iter().map(|t| t.queues.len()).sum()
    }
}

impl Target {
    fn queue(&mut self, room: &str) -> &mut Queue {
        let empty = || Queue {
            entries: VecDeque::new(),
            reserved: 0,
            state: State::Still,
            in_flight: false,
            dropped: 0,
        };
        self.queues.entry(Arc::from(room)).or_insert_with(empty)
    }

    /// Lets the head of a queue be sent now or when its time comes.
    fn arm(&mut self, now: Moment, room: &str) {
        let Some((room, queue)) = self.queues.get_key_value(room).map(|(k, q)| (Arc::clone(k), q)) else {
            return;
        };
        if queue.in_flight || queue.state != State::Still {
            return;
        }
        let Some(head) = queue.entries.front() else { return };
        let state = if head.next_at > now { State::Waiting(head.next_at) } else { State::Ready };
        match state {
            State::Waiting(at) => drop(self.waiting.insert((at, Arc::clone(&room)))),
            _ => self.ready.push_back(Arc::clone(&room)),
        }
        if let Some(queue) = self.queues.get_mut(&room) {
            queue.state = state;
        }
    }

    /// Moves queues whose time has come to the end of the ready ones.
    fn wake(&mut self, now: Moment) {
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, room)) = self.waiting.pop_first() else { return };
            if let Some(queue) = self.queues.get_mut(&room) {
                queue.state = State::Ready;
                self.ready.push_back(room);
            }
        }
    }

    /// Forgets a queue that holds nothing.
    fn tidy(&mut self, room: &str) {
        if self.queues.get(room).is_some_and(|q| q.entries.is_empty() && q.reserved == 0 && !q.in_flight) {
            let dropped = self.queues.remove(room).map_or(0, |q| q.dropped);
            self.dropped = self.dropped.saturating_add(dropped);
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
