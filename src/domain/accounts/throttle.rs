//! Failures per account, so that guesses from many addresses do not add up.
//!
//! Every account that is named, whether it exists or not, has a count of failures in a row. The first few cost nothing;
//! from then on each one doubles the wait before the next try, up to a quarter of an hour, and the hundredth costs a day
//! (NIST SP 800-63B: at most 100 failures in a row). A stranger can make strangers wait this way, but not the owner:
//! a device that signed in before, and an address that somebody signed in from before, have counts of their own.
//!
//! All of it is in memory, within fixed bounds, and gone after a restart; devices are known again by their cookie.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;

use crate::{
    auth::secret::Secret,
    db::Moment,
    domain::accounts::client::{Client, known},
};

/// Failures that cost no wait.
const FREE: u32 = 5;
/// Failures in a row after which only [`FORGET`] helps.
const MAX_FAILURES: u32 = 100;
/// Wait after the first failure that is not free; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After so long without a failure a row of them is forgotten.
const FORGET: Duration = Duration::from_secs(24 * 3600);
/// How long an address counts as known after a sign-in.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Rows of failures, and known addresses, kept at most.
const MAX_ROWS: usize = 65_536;

/// A digest: neither addresses nor accounts stay in memory.
type Key = [u8; 16];

/// Too many failures: the next try is due after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

/// A try that was allowed. It counts as a failure until it is told otherwise, so that tries at once cannot slip through.
#[derive(Debug)]
#[must_use = "a try counts as a failure until it is settled"]
pub(crate) struct Attempt {
    bucket: Key,
    address: Option<Key>,
}

/// Counts failures.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rows: HashMap<Key, Row>,
    /// What goes first when there is no room: few failures, then the oldest.
    order: BTreeSet<(u32, Moment, Key)>,
    addresses: HashMap<Key, Moment>,
    address_order: BTreeSet<(Moment, Key)>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    failures: u32,
    last: Moment,
}

impl Row {
    /// The earliest next try. A clock that was set back locks nobody out for longer than the wait itself.
    fn wait(self, now: Moment) -> Option<Duration> {
        let left = pause(self.failures).saturating_sub(now.since(self.last));
        (!left.is_zero() && now >= self.last).then_some(left)
    }
}

/// The wait after so many failures.
fn pause(failures: u32) -> Duration {
    match failures {
        0..FREE => Duration::ZERO,
        MAX_FAILURES.. => FORGET,
        n => FIRST_WAIT.saturating_mul(1u32.checked_shl(n - FREE).unwrap_or(u32::MAX)).min(LONGEST_WAIT),
    }
}

impl Throttle {
    /// Allows a try to sign in to `account`, or says how long to wait.
    pub(crate) fn begin(
        &self,
        account: &str,
        client: &Client,
        secret: &Secret,
        now: Moment,
    ) -> Result<Attempt, Wait> {
        let address = client.address.map(|ip| key("address", account, &network(ip).to_string()));
        let device = known(client, account, secret).map(|id| key("device", account, id));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = device
            .or_else(|| address.filter(|address| state.knows(address, now)))
            .unwrap_or_else(|| key("strangers", account, ""));
        state.count(bucket, now)?;
        Ok(Attempt { bucket, address })
    }

    /// As [`Throttle::begin`] for one who is signed in and has to repeat the password.
    pub(crate) fn begin_signed_in(&self, user: &str, now: Moment) -> Result<Attempt, Wait> {
        let bucket = key("signed in", user, "");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(bucket, now)?;
        Ok(Attempt { bucket, address: None })
    }

    /// The password was right: the row of failures ends, and the address is known from now on.
    #[allow(clippy::needless_pass_by_value, reason = "a try ends once")]
    pub(crate) fn succeeded(&self, attempt: Attempt, now: Moment) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove(&attempt.bucket);
        if let Some(address) = attempt.address {
            state.meet(address, now);
        }
    }

    /// Nobody looked at the password: the try does not count.
    #[allow(clippy::needless_pass_by_value, reason = "a try ends once")]
    pub(crate) fn undecided(&self, attempt: Attempt) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = state.remove(&attempt.bucket)
            && row.failures > 1
        {
            state.put(attempt.bucket, Row { failures: row.failures - 1, ..row });
        }
    }

    /// An account was opened from here: its address is known.
    pub(crate) fn opened(&self, account: &str, client: &Client, now: Moment) {
        if let Some(ip) = client.address {
            let address = key("address", account, &network(ip).to_string());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).meet(address, now);
        }
    }

    /// Forgets what is over.
    pub fn tidy(&self, now: Moment) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over: Vec<Key> =
            state.rows.iter().filter(|(_, row)| row.last.plus(FORGET) <= now).map(|(key, _)| *key).collect();
        for key in over {
            state.remove(&key);
        }
        while let Some((met, address)) = state.address_order.first().copied() {
            if met.plus(ADDRESS_LIFETIME) > now {
                break;
            }
            state.address_order.remove(&(met, address));
            state.addresses.remove(&address);
        }
    }

    #[cfg(test)]
    fn sizes(&self) -> [usize; 4] {
        let state = self.0.lock().unwrap();
        [state.rows.len(), state.order.len(), state.addresses.len(), state.address_order.len()]
    }
}

impl State {
    fn knows(&self, address: &Key, now: Moment) -> bool {
        self.addresses.get(address).is_some_and(|met| met.plus(ADDRESS_LIFETIME) > now)
    }

    fn meet(&mut self, address: Key, now: Moment) {
        if let Some(met) = self.addresses.insert(address, now) {
            self.address_order.remove(&(met, address));
        }
        self.address_order.insert((now, address));
        while self.addresses.len() > MAX_ROWS
            && let Some((_, oldest)) = self.address_order.pop_first()
        {
            self.addresses.remove(&oldest);
        }
    }

    /// Counts a failure ahead, unless it is too early for another try.
    fn count(&mut self, bucket: Key, now: Moment) -> Result<(), Wait> {
        let row = self.rows.get(&bucket).copied();
        let row = row.filter(|row| row.last.plus(FORGET) > now);
        if let Some(wait) = row.and_then(|row| row.wait(now)) {
            return Err(Wait(wait));
        }
        self.remove(&bucket);
        let failures = row.map_or(0, |row| row.failures).saturating_add(1);
        self.put(bucket, Row { failures, last: now });
        Ok(())
    }

    fn remove(&mut self, bucket: &Key) -> Option<Row> {
        let row = self.rows.remove(bucket)?;
        self.order.remove(&(row.failures, row.last, *bucket));
        Some(row)
    }

    fn put(&mut self, bucket: Key, row: Row) {
        // The new one comes after the eviction: it must not evict itself.
        while self.rows.len() >= MAX_ROWS
            && let Some((_, _, least)) = self.order.pop_first()
        {
            self.rows.remove(&least);
        }
        self.rows.insert(bucket, row);
        self.order.insert((row.failures, row.last, bucket));
    }
}

/// What counts as one address: an IPv6 customer holds a whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn key(kind: &str, account: &str, detail: &str) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [kind, account, detail] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = Key::default();
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
