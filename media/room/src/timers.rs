//! All timers of the hub in one ordered set.

use crate::ids::{Pid, RoomKey};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Room: close when nobody is there.
    Idle,
    /// Room: send the batched participant updates.
    Updates,
    /// Room: send changed participant counts.
    Counters,
    /// Room: tell how connections are, where no media tells it.
    Quality,
    /// Room: look what players without signalling should receive.
    Viewers,
    /// Room: calls of the server API that nobody answered.
    Calls,
    /// Participant: must be active by now.
    Join,
    /// Participant: its path has been silent too long.
    Failed,
    /// Participant: must have resumed by now.
    Resume,
    /// Participant: take up the offer that came with its join.
    EarlyOffer,
    /// Participant: offer to it (or ask it to offer).
    Negotiate,
    /// Participant: must have answered by now.
    Answer,
    /// Participant: needs a fresh token.
    Token,
    /// Participant: give up on tracks that do not appear.
    Lookup,
    /// Participant: report subscriptions that do not begin.
    Bind,
    /// Participant: its data waits for its budget, or for a receiver.
    Data,
    /// Participant: apply its track settings.
    Settings,
    /// Participant: handle the messages that wait for its budget.
    Backlog,
    /// Participant: simulated speaking ends.
    Speaking,
    /// Publisher: tell which qualities of a track are wanted.
    Dynacast(u64),
}

/// Owner and purpose. `None` is the room itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    pub(crate) room: RoomKey,
    pub(crate) pid: Option<Pid>,
    pub(crate) timer: Timer,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Instant, TimerKey)>,
    by_key: BTreeMap<TimerKey, Instant>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(crate) fn set(&mut self, key: TimerKey, at: Instant) {
        if let Some(old) = self.by_key.insert(key, at) {
            self.by_time.remove(&(old, key));
        }
        self.by_time.insert((at, key));
    }

    /// Sets a timer unless it is already running.
    pub(crate) fn arm(&mut self, key: TimerKey, at: Instant) {
        if !self.by_key.contains_key(&key) {
            self.set(key, at);
        }
    }

    pub(crate) fn cancel(&mut self, key: &TimerKey) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, *key));
        }
    }

    /// Cancels everything of one participant.
    pub(crate) fn cancel_participant(&mut self, room: RoomKey, pid: Pid) {
        self.cancel_while(room, Some(pid), |k| k.pid == Some(pid));
    }

    /// Cancels everything of a room and its participants.
    pub(crate) fn cancel_room(&mut self, room: RoomKey) {
        self.cancel_while(room, None, |_| true);
    }

    /// Hands everything of one participant over to another room.
    pub(crate) fn move_participant(&mut self, from: RoomKey, to: RoomKey, pid: Pid) {
        let first = TimerKey { room: from, pid: Some(pid), timer: Timer::Idle };
        let own = self.by_key.range(first..).take_while(|(k, _)| k.room == from && k.pid == Some(pid));
        let own: Vec<(TimerKey, Instant)> = own.map(|(k, at)| (*k, *at)).collect();
        for (key, at) in own {
            self.cancel(&key);
            self.set(TimerKey { room: to, ..key }, at);
        }
    }

    fn cancel_while(&mut self, room: RoomKey, pid: Option<Pid>, same: impl Fn(&TimerKey) -> bool) {
        let first = TimerKey { room, pid, timer: Timer::Idle };
        let range = self.by_key.range(first..).take_while(|(k, _)| k.room == room && same(k));
        let gone: Vec<TimerKey> = range.map(|(k, _)| *k).collect();
        for key in gone {
            self.cancel(&key);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}
