//! What each participant has cost the others, so that one cannot take the control plane or the room's connections for
//! itself.
//!
//! Work is counted, not measured: every output and every visit of a loop has a price in units of about 100 ns of the control
//! thread. The same input costs the same on every machine.

use crate::config::Limits;
use crate::grants::Claims;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Prices, in units of work.
pub(crate) mod price {
    /// A message of a client, before anything is done with it.
    pub(crate) const MESSAGE: u64 = 25;
    /// A new session: its connections, keys and timers.
    pub(crate) const JOIN: u64 = 3000;
    /// A message put on one socket.
    pub(crate) const DELIVERY: u64 = 10;
    /// A command to a shard.
    pub(crate) const COMMAND: u64 = 10;
    /// News for the platform.
    pub(crate) const EVENT: u64 = 30;
    /// A token to sign.
    pub(crate) const TOKEN: u64 = 100;
    /// A media section added to a subscriber's description, or given up: the offer and the answer that follow from it
    /// later.
    pub(crate) const NEGOTIATION: u64 = 500;
    /// One subscription brought to the state it should have.
    pub(crate) const RECONCILE: u64 = 15;
    /// An entry of a list in a message.
    pub(crate) const ENTRY: u64 = 8;
    /// Whether one participant receives one data track.
    pub(crate) const DATA_TRACK: u64 = 3;

    /// Making a message of this many bytes.
    pub(crate) fn made(bytes: usize) -> u64 {
        bytes as u64 / 1024
    }

    /// Reading a message of this many bytes.
    pub(crate) fn read(bytes: usize) -> u64 {
        bytes as u64 / 32
    }

    /// Reading a session description.
    pub(crate) fn description(bytes: usize) -> u64 {
        bytes as u64 / 8
    }
}

/// Accounts kept; beyond that nothing new is remembered until some have recovered.
const MAX_ACCOUNTS: usize = 65_536;
/// From this many accounts on those that have recovered are dropped.
const PURGE_FROM: usize = 4096;

/// How much at once and how much in the long run; a burst of 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) burst: u64,
    pub(crate) per_second: u64,
}

/// A token bucket that remembers what was taken out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    spent: u64,
    /// Up to when it has been refilled.
    at: Instant,
}

impl Bucket {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { spent: 0, at: now }
    }

    fn refill(&mut self, now: Instant, rate: Rate) {
        if self.spent == 0 {
            self.at = self.at.max(now);
            return;
        }
        let elapsed = now.saturating_duration_since(self.at);
        let back = elapsed.as_millis().saturating_mul(u128::from(rate.per_second)) / 1000;
        if back >= u128::from(self.spent) {
            *self = Self::new(now);
        } else if let Ok(back) = u64::try_from(back)
            && back > 0
        {
            self.spent = self.spent.saturating_sub(back);
            let used = back.saturating_mul(1000) / rate.per_second.max(1);
            self.at = self.at.checked_add(Duration::from_millis(used)).unwrap_or(now);
        }
    }

    /// Nothing may be taken now.
    pub(crate) fn is_spent(&mut self, now: Instant, rate: Rate) -> bool {
        self.refill(now, rate);
        rate.burst != 0 && self.spent >= rate.burst
    }

    /// What is taken out now.
    pub(crate) fn spent(&mut self, now: Instant, rate: Rate) -> u64 {
        self.refill(now, rate);
        self.spent
    }

    /// Takes out what was used, at most up to a debt of one burst.
    pub(crate) fn charge(&mut self, now: Instant, amount: u64, rate: Rate) {
        self.refill(now, rate);
        if rate.burst != 0 {
            self.spent = self.spent.saturating_add(amount).min(rate.burst.saturating_mul(2));
        }
    }

    /// Takes an amount unless the bucket is spent; the last one may overdraw it.
    pub(crate) fn take(&mut self, now: Instant, amount: u64, rate: Rate) -> bool {
        let open = !self.is_spent(now, rate);
        if open {
            self.charge(now, amount, rate);
        }
        open
    }

    /// Time until [`Bucket::is_spent`] is false again, as of the last refill.
    pub(crate) fn wait(&self, rate: Rate) -> Duration {
        if rate.burst == 0 || self.spent < rate.burst {
            return Duration::ZERO;
        }
        let over = (self.spent - rate.burst).saturating_add(1);
        Duration::from_millis(over.saturating_mul(1000) / rate.per_second.max(1) + 1)
    }
}

/// What one identity has used up in one room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// Signalling messages.
    pub(crate) messages: Bucket,
    /// Work of the control plane.
    pub(crate) work: Bucket,
    /// Bytes that each of the others had to receive because it changed.
    pub(crate) updates: Bucket,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self { messages: Bucket::new(now), work: Bucket::new(now), updates: Bucket::new(now) }
    }

    fn has_recovered(&mut self, now: Instant, limits: &Limits) -> bool {
        self.messages.spent(now, limits.message_rate()) == 0
            && self.work.spent(now, limits.work_rate()) == 0
            && self.updates.spent(now, UPDATES) == 0
    }
}

/// Updates about one participant, bytes towards each of the others.
pub(crate) const UPDATES: Rate = Rate { burst: 1 << 20, per_second: 32 << 10 };
/// Updates about all participants of a room together, bytes towards each of them: less than a slow connection carries.
pub(crate) const ROOM_UPDATES: Rate = Rate { burst: 2 << 20, per_second: 128 << 10 };

impl Limits {
    /// Messages of one participant.
    pub(crate) fn message_rate(&self) -> Rate {
        Rate { burst: u64::from(self.signal_burst), per_second: u64::from(self.signals_per_second) }
    }

    /// Work for one participant. With the defaults one second at once, and 5 % of the control thread in the long run.
    pub(crate) fn work_rate(&self) -> Rate {
        Rate {
            burst: u64::from(self.signal_burst) * 5000,
            per_second: u64::from(self.signals_per_second) * 2500,
        }
    }
}

/// Names an account: the room's id and name, and the identity.
pub(crate) type AccountKey = Arc<str>;

/// The account of who holds these claims.
pub(crate) fn account_key(claims: &Claims) -> AccountKey {
    let room = claims.video.as_ref().map(|v| v.room.as_str()).unwrap_or_default();
    format!("{}\0{room}\0{}", claims.room_id, claims.identity()).into()
}

/// All accounts. They outlive sessions: who leaves and comes back has what it had.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: HashMap<AccountKey, Account>,
    /// Number of accounts at which those that have recovered are dropped.
    purge_at: usize,
}

impl Ledger {
    /// The account as it stands.
    pub(crate) fn get(&self, key: &AccountKey, now: Instant) -> Account {
        self.accounts.get(key).copied().unwrap_or_else(|| Account::new(now))
    }

    /// Changes an account. One that is not known has nothing spent.
    pub(crate) fn change<T>(
        &mut self,
        key: &AccountKey,
        now: Instant,
        limits: &Limits,
        change: impl FnOnce(&mut Account) -> T,
    ) -> T {
        if let Some(account) = self.accounts.get_mut(key) {
            return change(account);
        }
        let mut account = Account::new(now);
        let out = change(&mut account);
        if self.accounts.len() >= self.purge_at.max(PURGE_FROM) {
            self.accounts.retain(|_, a| !a.has_recovered(now, limits));
            self.purge_at = self.accounts.len().saturating_mul(2);
        }
        if self.accounts.len() < MAX_ACCOUNTS {
            self.accounts.insert(key.clone(), account);
        }
        out
    }

    /// Charges work.
    pub(crate) fn charge(&mut self, key: &AccountKey, now: Instant, limits: &Limits, work: u64) {
        let rate = limits.work_rate();
        self.change(key, now, limits, |a| a.work.charge(now, work, rate));
    }

    /// Whether an identity has used up its share of the control plane.
    pub(crate) fn is_spent(&self, key: &AccountKey, now: Instant, limits: &Limits) -> bool {
        self.get(key, now).work.is_spent(now, limits.work_rate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(identity: &str) -> AccountKey {
        account_key(&Claims { sub: identity.into(), ..Claims::default() })
    }

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        Instant::now()
    }

    #[test]
    fn a_burst_passes_and_time_gives_it_back() {
        let start = start();
        let rate = Rate { burst: 10, per_second: 4 };
        let mut bucket = Bucket::new(start);
        let taken = |b: &mut Bucket, now| (0..100).filter(|_| b.take(now, 1, rate)).count();
        assert_eq!(taken(&mut bucket, start), 10);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(100)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(1)), 4);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(1250)), 1);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3600)), 10, "never more than a burst");
        let none = Rate { burst: 0, per_second: 0 };
        assert!((0..1000).all(|_| bucket.take(start, 1, none)), "no limit");
    }

    #[test]
    fn debt_is_waited_for_and_never_more_than_a_burst() {
        let start = start();
        let rate = Rate { burst: 1000, per_second: 100 };
        let mut bucket = Bucket::new(start);
        bucket.charge(start, 1499, rate);
        assert!(bucket.is_spent(start, rate));
        let wait = bucket.wait(rate);
        assert!(wait >= Duration::from_secs(5) && wait < Duration::from_millis(5100), "{wait:?}");
        assert!(!bucket.is_spent(start + wait, rate));
        bucket.charge(start, u64::MAX, rate);
        assert!(bucket.wait(rate) < Duration::from_secs(11));
    }

    #[test]
    fn accounts_that_have_recovered_are_dropped() {
        let start = start();
        let limits = Limits::default();
        let mut ledger = Ledger::default();
        for n in 0..PURGE_FROM {
            ledger.charge(&key(&n.to_string()), start, &limits, 500_000);
        }
        let later = start + Duration::from_secs(2);
        let one = key("one");
        ledger.charge(&one, later, &limits, 20_000_000);
        assert_eq!(ledger.accounts.len(), 1);
        assert!(ledger.is_spent(&one, later, &limits));
        assert!(!ledger.is_spent(&one, later + Duration::from_secs(21), &limits));
        assert!(!ledger.is_spent(&key("other"), later, &limits), "of somebody else");
    }

    #[test]
    fn defaults_are_five_percent_of_the_thread() {
        let rate = Limits::default().work_rate();
        // A unit is 100 ns.
        assert_eq!((rate.per_second, rate.burst), (10_000_000 / 20, 10_000_000));
    }
}
