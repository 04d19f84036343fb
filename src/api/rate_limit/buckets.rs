//! What each client did in its current window, in a table of bounded size.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bedrud_media::IpNetwork;
use tokio::sync::Notify;

use crate::{db::Moment, domain::settings::RateLimit};

/// Clients and sites remembered per route. Beyond it the least valuable are forgotten.
const MAX_KEYS: usize = 50_000;
/// Entries that are looked at for the least valuable one.
const SAMPLE: usize = 32;
/// How much more than one client a whole site may do.
const SITE_FACTOR: u32 = 8;
/// Requests of one client that wait for the outcome of others.
const MAX_WAITING: u32 = 64;

/// What one client may do in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Failures.
    pub(super) failures: u32,
    /// Requests, however they end.
    pub(super) total: u32,
    /// Length of the window.
    pub(super) window: Duration,
}

impl Allowance {
    /// `limit` failures, and so many times as many requests in all.
    pub(super) fn of(limit: RateLimit, generosity: u32) -> Self {
        Self { failures: limit.max, total: limit.max.saturating_mul(generosity), window: limit.window }
    }

    fn times(self, factor: u32) -> Self {
        Self {
            failures: self.failures.saturating_mul(factor),
            total: self.total.saturating_mul(factor),
            window: self.window,
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It costs nothing but its place among all.
    Fine,
    /// It counts as a failure; with a subject, once per subject.
    Failed(Option<u64>),
}

/// What is left of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// Failures allowed in a window.
    pub(super) limit: u32,
    /// Of these, still to have.
    pub(super) remaining: u32,
    /// Until the window ends, in whole seconds.
    pub(super) reset: Duration,
}

/// The answer to a request that wants in.
pub(super) enum Entry {
    /// It may go on.
    Admitted(Ticket),
    /// As many are under way as may fail: their outcome decides. Wake up with the notification and ask again.
    Wait(Waiter),
    /// Refused until the window ends.
    Refused(Left),
}

/// All clients of one route.
pub(super) struct Buckets {
    allowance: Allowance,
    table: Mutex<Table>,
    /// A request ended.
    ended: Notify,
}

#[derive(Default)]
struct Table {
    places: HashMap<IpNetwork, usize>,
    buckets: Vec<Bucket>,
    /// Where the search for the least valuable goes on.
    hand: usize,
}

struct Bucket {
    key: IpNetwork,
    start: Moment,
    total: u32,
    failures: u32,
    in_flight: u32,
    waiting: u32,
    /// What the failures were about.
    subjects: Vec<u64>,
}

impl Bucket {
    fn new(key: IpNetwork, now: Moment) -> Self {
        Self { key, start: now, total: 0, failures: 0, in_flight: 0, waiting: 0, subjects: Vec::new() }
    }

    /// A clock that was set back must not lock anybody out.
    fn running(&self, now: Moment, window: Duration) -> bool {
        now >= self.start && now.since(self.start) < window
    }

    fn refresh(&mut self, now: Moment, window: Duration) {
        if !self.running(now, window) {
            (self.start, self.total, self.failures) = (now, 0, 0);
            self.subjects.clear();
        }
    }

    fn left(&self, now: Moment, allowance: Allowance) -> Left {
        let left = allowance.window.saturating_sub(now.since(self.start));
        let reset = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        let remaining = allowance.failures.saturating_sub(self.failures);
        Left { limit: allowance.failures, remaining, reset }
    }

    fn exhausted(&self, allowance: Allowance) -> bool {
        self.failures >= allowance.failures || self.total >= allowance.total
    }

    /// Nobody waits for it or comes back to it.
    fn unused(&self) -> bool {
        self.in_flight == 0 && self.waiting == 0
    }
}

impl Table {
    /// The bucket of a key, a new one if need be. `None`: the table is full of buckets that are in use.
    fn bucket(&mut self, key: IpNetwork, now: Moment, window: Duration) -> Option<&mut Bucket> {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.make_room(key, now, window)?,
        };
        let bucket = self.buckets.get_mut(place)?;
        bucket.refresh(now, window);
        Some(bucket)
    }

    fn make_room(&mut self, key: IpNetwork, now: Moment, window: Duration) -> Option<usize> {
        let place = if self.buckets.len() < MAX_KEYS {
            self.buckets.push(Bucket::new(key, now));
            self.buckets.len() - 1
        } else {
            let place = self.least_valuable(now, window)?;
            let bucket = self.buckets.get_mut(place)?;
            self.places.remove(&bucket.key);
            *bucket = Bucket::new(key, now);
            place
        };
        self.places.insert(key, place);
        Some(place)
    }

    /// Of the next few: one whose window is over, else one with the fewest failures, the fewest requests, the oldest.
    /// So a flood of strangers displaces itself, and nobody wipes out a record of failures with it.
    fn least_valuable(&mut self, now: Moment, window: Duration) -> Option<usize> {
        let len = self.buckets.len();
        let start = self.hand;
        self.hand = (start + SAMPLE) % len.max(1);
        let places = (0..SAMPLE.min(len)).map(|i| (start + i) % len);
        let value = |place: &usize| {
            let bucket = self.buckets.get(*place).filter(|b| b.unused())?;
            Some((bucket.running(now, window), bucket.failures, bucket.total, bucket.start))
        };
        places.filter_map(|place| Some((value(&place)?, place))).min().map(|(_, place)| place)
    }

    fn known(&mut self, key: IpNetwork) -> Option<&mut Bucket> {
        let place = self.places.get(&key)?;
        self.buckets.get_mut(*place)
    }
}

impl Buckets {
    pub(super) fn new(allowance: Allowance) -> Arc<Self> {
        Arc::new(Self { allowance, table: Mutex::default(), ended: Notify::new() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a client. The whole site counts, too: who holds 65,536 networks is one stranger all the same.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr, now: Moment) -> Entry {
        let Allowance { window, .. } = self.allowance;
        let (client, site) = (IpNetwork::client(ip), IpNetwork::site(ip));
        let busy = Left { limit: self.allowance.failures, remaining: 0, reset: Duration::from_secs(1) };
        let mut table = self.table();
        if let Some(site) = site {
            let allowance = self.allowance.times(SITE_FACTOR);
            let Some(bucket) = table.bucket(site, now, window) else { return Entry::Refused(busy) };
            if bucket.exhausted(allowance) {
                return Entry::Refused(bucket.left(now, allowance));
            }
        }
        let Some(bucket) = table.bucket(client, now, window) else { return Entry::Refused(busy) };
        if bucket.exhausted(self.allowance) {
            return Entry::Refused(bucket.left(now, self.allowance));
        }
        if bucket.failures.saturating_add(bucket.in_flight) >= self.allowance.failures {
            if bucket.waiting >= MAX_WAITING {
                return Entry::Refused(busy);
            }
            bucket.waiting += 1;
            return Entry::Wait(Waiter { buckets: Arc::clone(self), client });
        }
        bucket.in_flight += 1;
        bucket.total = bucket.total.saturating_add(1);
        if let Some(bucket) = site.and_then(|site| table.known(site)) {
            bucket.in_flight += 1;
            bucket.total = bucket.total.saturating_add(1);
        }
        Entry::Admitted(Ticket { buckets: Arc::clone(self), client, site })
    }

    fn ended(&self, client: IpNetwork, site: Option<IpNetwork>) {
        let mut table = self.table();
        for key in [Some(client), site].into_iter().flatten() {
            if let Some(bucket) = table.known(key) {
                bucket.in_flight = bucket.in_flight.saturating_sub(1);
            }
        }
        drop(table);
        self.ended.notify_waiters();
    }
}

/// A request under way.
pub(super) struct Ticket {
    buckets: Arc<Buckets>,
    client: IpNetwork,
    site: Option<IpNetwork>,
}

impl Ticket {
    /// Books how it ended.
    pub(super) fn settle(self, outcome: Outcome, now: Moment) -> Left {
        let allowance = self.buckets.allowance;
        let mut table = self.buckets.table();
        let mut left = Left { limit: allowance.failures, remaining: 0, reset: Duration::ZERO };
        let mut new = true;
        for key in [Some(self.client), self.site].into_iter().flatten() {
            // It cannot have been forgotten while this is under way.
            let Some(bucket) = table.known(key) else { continue };
            bucket.refresh(now, allowance.window);
            if key == self.client {
                if let Outcome::Failed(Some(subject)) = outcome {
                    new = !bucket.subjects.contains(&subject);
                    if new {
                        bucket.subjects.push(subject);
                    }
                }
                left = bucket.left(now, allowance);
            }
            if new && matches!(outcome, Outcome::Failed(_)) {
                bucket.failures = bucket.failures.saturating_add(1);
                left.remaining =
                    if key == self.client { left.remaining.saturating_sub(1) } else { left.remaining };
            }
        }
        left
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.buckets.ended(self.client, self.site);
    }
}

/// A request that waits for others of the same client.
pub(super) struct Waiter {
    buckets: Arc<Buckets>,
    client: IpNetwork,
}

impl Waiter {
    /// Until a request ended. What ends between the question and this call may be missed: wait with a time limit.
    pub(super) async fn changed(&self) {
        self.buckets.ended.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(bucket) = self.buckets.table().known(self.client) {
            bucket.waiting = bucket.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(failures: u32, generosity: u32) -> Arc<Buckets> {
        let limit = RateLimit { max: failures, window: Duration::from_secs(60) };
        Buckets::new(Allowance::of(limit, generosity))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(secs: i64) -> Moment {
        Moment::from_secs(secs)
    }

    /// One request from beginning to end; `None` when it was refused.
    fn request(buckets: &Arc<Buckets>, ip: IpAddr, outcome: Outcome, now: Moment) -> Option<Left> {
        match buckets.enter(ip, now) {
            Entry::Admitted(ticket) => Some(ticket.settle(outcome, now)),
            Entry::Wait(_) | Entry::Refused(_) => None,
        }
    }

    const WRONG: Outcome = Outcome::Failed(None);

    #[test]
    fn a_window_lets_so_many_failures_through_and_then_starts_again() {
        let buckets = buckets(2, 20);
        let fail = |address: &str, secs| request(&buckets, ip(address), WRONG, at(secs));
        assert_eq!(fail("192.0.2.4", 100).unwrap().remaining, 1);
        assert_eq!(fail("192.0.2.4", 110).unwrap().remaining, 0);
        let Entry::Refused(left) = buckets.enter(ip("192.0.2.4"), at(130)) else { panic!("not refused") };
        assert_eq!(left.reset, Duration::from_secs(30));
        assert!(fail("192.0.2.5", 130).is_some(), "another client has its own bucket");
        assert!(fail("192.0.2.4", 160).is_some());
        assert!(fail("192.0.2.4", 50).is_some(), "the clock was set back");
    }

    #[test]
    fn successes_are_limited_generously() {
        let buckets = buckets(5, 20);
        for n in 0..100 {
            assert!(request(&buckets, ip("192.0.2.4"), Outcome::Fine, at(100)).is_some(), "{n}");
        }
        assert!(request(&buckets, ip("192.0.2.4"), Outcome::Fine, at(100)).is_none());
    }

    #[test]
    fn failures_on_the_same_subject_count_once() {
        let buckets = buckets(2, 20);
        for _ in 0..20 {
            assert!(request(&buckets, ip("192.0.2.4"), Outcome::Failed(Some(7)), at(100)).is_some());
        }
        assert!(request(&buckets, ip("192.0.2.4"), Outcome::Failed(Some(8)), at(100)).is_some());
        assert!(request(&buckets, ip("192.0.2.4"), Outcome::Failed(Some(9)), at(100)).is_none());
    }

    #[test]
    fn no_more_are_under_way_than_may_fail() {
        let buckets = buckets(2, 20);
        let enter = || buckets.enter(ip("192.0.2.4"), at(100));
        let Entry::Admitted(first) = enter() else { panic!("refused") };
        let Entry::Admitted(second) = enter() else { panic!("refused") };
        let Entry::Wait(waiting) = enter() else { panic!("guesses side by side are not bounded") };
        first.settle(Outcome::Fine, at(100));
        let Entry::Admitted(third) = enter() else { panic!("the place of a success is free") };
        drop(waiting);
        second.settle(WRONG, at(100));
        assert!(matches!(enter(), Entry::Wait(_)), "one failure, one under way");
        third.settle(WRONG, at(100));
        assert!(matches!(enter(), Entry::Refused(_)));
        let held: Vec<_> = (0..2).map(|_| buckets.enter(ip("192.0.2.5"), at(100))).collect();
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| buckets.enter(ip("192.0.2.5"), at(100))).collect();
        assert!(waiting.iter().all(|w| matches!(w, Entry::Wait(_))));
        assert!(matches!(buckets.enter(ip("192.0.2.5"), at(100)), Entry::Refused(_)));
        drop((held, waiting));
        assert!(matches!(buckets.enter(ip("192.0.2.5"), at(100)), Entry::Admitted(_)));
    }

    #[test]
    fn one_site_with_all_its_networks_locks_nobody_else_out() {
        let buckets = buckets(10, 20);
        let mut allowed = 0;
        for network in 0..=u16::MAX {
            let [a, b] = network.to_be_bytes();
            let address = format!("2001:db8:1:{a:02x}{b:02x}::1");
            allowed += u32::from(request(&buckets, ip(&address), WRONG, at(100)).is_some());
        }
        assert_eq!(allowed, 80, "a site counts as eight clients");
        assert!(buckets.table().buckets.len() < 100, "refused strangers take no place");
        assert!(request(&buckets, ip("2001:db8:2::1"), WRONG, at(100)).is_some());
        assert!(request(&buckets, ip("198.51.100.1"), WRONG, at(100)).is_some());
    }

    #[test]
    fn a_flood_of_addresses_forgets_itself_and_not_those_who_failed() {
        let buckets = buckets(10, 20);
        for _ in 0..10 {
            assert!(request(&buckets, ip("192.0.2.4"), WRONG, at(100)).is_some());
        }
        let flood = u32::try_from(MAX_KEYS).unwrap() * 2;
        for n in 0..flood {
            assert!(request(&buckets, IpAddr::V4((0x0a00_0000 + n).into()), WRONG, at(101)).is_some(), "{n}");
        }
        let table = buckets.table();
        assert_eq!((table.buckets.len(), table.places.len()), (MAX_KEYS, MAX_KEYS));
        drop(table);
        assert!(request(&buckets, ip("192.0.2.4"), WRONG, at(102)).is_none(), "its record is still there");
        assert!(request(&buckets, ip("198.51.100.9"), WRONG, at(102)).is_some(), "newcomers have their own");
    }
}
