//! Who the peer is on the network: which checks were answered, from where, and where to send.

use crate::types::Proto;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A source the peer proved to be reachable at.
pub(crate) type PeerAddress = (Proto, SocketAddr);

/// STUN transaction id.
pub(crate) type TransactionId = [u8; 12];

/// Sources remembered per transport.
const MAX_ADDRESSES: usize = 16;
/// Checks that may wait for an answer, as those that arrive before the remote description do.
const MAX_PENDING: usize = 32;
/// A new source beyond the first ones is accepted once in this time; the ICE agent keeps state for each.
const NEW_ADDRESS_INTERVAL: Duration = Duration::from_secs(2);

/// A check handed to the ICE agent.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) id: TransactionId,
    pub(crate) source: PeerAddress,
    pub(crate) use_candidate: bool,
    /// `local:remote`, kept while nothing is nominated.
    pub(crate) username: Option<String>,
    /// We made it up ourselves: its answer goes nowhere.
    pub(crate) self_made: bool,
}

/// Addresses of one peer.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Oldest use first.
    known: VecDeque<PeerAddress>,
    destination: Option<PeerAddress>,
    pending: VecDeque<Check>,
    last_new: Option<Instant>,
}

impl Paths {
    pub(crate) fn destination(&self) -> Option<PeerAddress> {
        self.destination
    }

    pub(crate) fn knows(&self, source: PeerAddress) -> bool {
        self.known.contains(&source)
    }

    /// Whether a check from this source may enter the agent.
    pub(crate) fn admits(&self, source: PeerAddress, now: Instant) -> bool {
        self.known.len() < MAX_ADDRESSES
            || self.knows(source)
            || self.last_new.is_none_or(|t| now.saturating_duration_since(t) >= NEW_ADDRESS_INTERVAL)
    }

    pub(crate) fn await_answer(&mut self, check: Check) {
        self.pending.retain(|c| c.id != check.id);
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(check);
    }

    /// The agent answered a check.
    pub(crate) fn answered(&mut self, id: &TransactionId) -> Option<Check> {
        let at = self.pending.iter().position(|c| c.id == *id)?;
        self.pending.remove(at)
    }

    /// The agent decided not to answer a check.
    pub(crate) fn unanswered(&mut self, id: &TransactionId) -> bool {
        self.answered(id).is_some()
    }

    /// Notes an authenticated source. Returns whether it is new, and the one it displaced.
    pub(crate) fn learn(&mut self, source: PeerAddress, now: Instant) -> (bool, Option<PeerAddress>) {
        if let Some(at) = self.known.iter().position(|a| *a == source) {
            self.known.remove(at);
            self.known.push_back(source);
            return (false, None);
        }
        let mut displaced = None;
        if self.known.len() >= MAX_ADDRESSES {
            let at = self.known.iter().position(|a| Some(*a) != self.destination).unwrap_or(0);
            displaced = self.known.remove(at);
        }
        self.known.push_back(source);
        self.last_new = Some(now);
        (true, displaced)
    }

    /// Moves the destination; returns whether that is a change.
    pub(crate) fn send_to(&mut self, destination: PeerAddress) -> bool {
        self.destination.replace(destination) != Some(destination)
    }

    /// Drops a source whose connection is gone.
    pub(crate) fn forget(&mut self, source: PeerAddress) {
        self.known.retain(|a| *a != source);
        if self.destination == Some(source) {
            self.destination = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an arbitrary start of virtual time")]
mod tests {
    use super::*;

    fn at(port: u16) -> PeerAddress {
        (Proto::Udp, SocketAddr::from(([10, 0, 0, 1], port)))
    }

    #[test]
    fn sources_are_bounded_and_the_destination_survives() {
        let now = Instant::now();
        let mut paths = Paths::default();
        assert_eq!(paths.learn(at(1), now), (true, None));
        assert!(paths.send_to(at(1)));
        for port in 2..=16 {
            assert_eq!(paths.learn(at(port), now), (true, None));
        }
        assert!(!paths.admits(at(17), now));
        assert!(paths.admits(at(3), now));
        let later = now + NEW_ADDRESS_INTERVAL;
        assert!(paths.admits(at(17), later));
        assert_eq!(paths.learn(at(17), later), (true, Some(at(2))));
        assert!(paths.knows(at(1)));
        assert_eq!(paths.destination(), Some(at(1)));
    }

    #[test]
    fn a_lost_connection_is_no_destination() {
        let mut paths = Paths::default();
        paths.learn(at(1), Instant::now());
        paths.send_to(at(1));
        paths.forget(at(1));
        assert_eq!(paths.destination(), None);
        assert!(!paths.knows(at(1)));
    }

    #[test]
    fn waiting_checks_are_bounded() {
        let mut paths = Paths::default();
        for n in 0..=255u8 {
            let check =
                Check { id: [n; 12], source: at(1), use_candidate: false, username: None, self_made: false };
            paths.await_answer(check);
        }
        assert!(paths.answered(&[0; 12]).is_none());
        assert!(paths.answered(&[255; 12]).is_some());
        assert!(paths.pending.len() <= MAX_PENDING);
    }
}
