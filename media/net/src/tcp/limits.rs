//! How many ICE/TCP connections there may be, in all and per host before they authenticate.

use crate::error::AdoptError;
use crate::ip_network::IpNetwork;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    unauthenticated: HashMap<IpNetwork, u32>,
}

/// Shared by the acceptor and all shard threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostLimits(Arc<Mutex<Counts>>);

impl HostLimits {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in, until the admission is dropped.
    pub(crate) fn admit(
        &self,
        ip: IpAddr,
        max_total: usize,
        max_per_host: u32,
    ) -> Result<Admission, AdoptError> {
        let host = IpNetwork::client(ip);
        let mut counts = self.counts();
        if counts.total >= max_total {
            return Err(AdoptError::TooMany);
        }
        let waiting = counts.unauthenticated.entry(host).or_default();
        if *waiting >= max_per_host {
            return Err(AdoptError::TooManyFromHost);
        }
        *waiting += 1;
        counts.total += 1;
        drop(counts);
        Ok(Admission { limits: self.clone(), host, authenticated: false })
    }

    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let counts = self.counts();
        (counts.total, counts.unauthenticated.len())
    }
}

/// A counted connection.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: HostLimits,
    host: IpNetwork,
    authenticated: bool,
}

impl Admission {
    /// The connection authenticated and no longer counts against its host.
    pub(crate) fn authenticated(&mut self) {
        if !std::mem::replace(&mut self.authenticated, true) {
            self.release_host();
        }
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    fn release_host(&self) {
        let mut counts = self.limits.counts();
        if let Some(waiting) = counts.unauthenticated.get_mut(&self.host) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                counts.unauthenticated.remove(&self.host);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.authenticated {
            self.release_host();
        }
        let mut counts = self.limits.counts();
        counts.total = counts.total.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_are_limited_until_they_authenticate() {
        let limits = HostLimits::default();
        let mut held: Vec<_> = (0..3).map(|_| limits.admit(ip("192.0.2.1"), 100, 3).unwrap()).collect();
        assert!(matches!(limits.admit(ip("::ffff:192.0.2.1"), 100, 3), Err(AdoptError::TooManyFromHost)));
        assert!(limits.admit(ip("192.0.2.2"), 100, 3).is_ok());
        held[0].authenticated();
        let again = limits.admit(ip("192.0.2.1"), 100, 3).unwrap();
        drop((held, again));
        assert_eq!(limits.size(), (0, 0));
    }

    #[test]
    fn an_ipv6_prefix_is_one_host() {
        let limits = HostLimits::default();
        let _a = limits.admit(ip("2001:db8:1:2::1"), 100, 1).unwrap();
        assert!(limits.admit(ip("2001:db8:1:2:ffff::9"), 100, 1).is_err());
        assert!(limits.admit(ip("2001:db8:1:3::1"), 100, 1).is_ok());
    }

    #[test]
    fn the_process_is_limited() {
        let limits = HostLimits::default();
        let a = limits.admit(ip("192.0.2.1"), 1, 10).unwrap();
        assert!(matches!(limits.admit(ip("192.0.2.2"), 1, 10), Err(AdoptError::TooMany)));
        drop(a);
        assert!(limits.admit(ip("192.0.2.2"), 1, 10).is_ok());
    }
}
