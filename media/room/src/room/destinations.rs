//! To whom a data packet goes.

use super::{Participant, Room};
use crate::ids::Pid;
use std::collections::{BTreeSet, HashSet};

/// Receivers a packet may name. More are nobody's room, and each costs a look-up and its bytes in every copy.
pub(super) const MAX_DESTINATIONS: usize = 4096;

/// The receivers named; both lists empty means everyone else.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    pub(super) identities: Vec<String>,
    pub(super) sids: Vec<String>,
}

impl Destinations {
    pub(super) fn len(&self) -> usize {
        self.identities.len().saturating_add(self.sids.len())
    }

    fn are_all(&self) -> bool {
        self.identities.is_empty() && self.sids.is_empty()
    }

    /// Who that is, each once, in the order of their arrival. Takes a step for each name, and one for each participant
    /// where everyone has to be looked at: never names times participants. Returns the steps too.
    pub(super) fn find(&self, room: &Room, except: Option<Pid>) -> (Vec<Pid>, usize) {
        if self.are_all() {
            let all = room.participants.keys().copied().filter(|p| Some(*p) != except);
            return (all.collect(), room.participants.len());
        }
        let mut found: BTreeSet<Pid> =
            self.identities.iter().filter_map(|i| room.by_identity(i)).map(|p| p.pid).collect();
        let mut steps = self.len();
        if !self.sids.is_empty() {
            let sids: HashSet<&str> = self.sids.iter().map(String::as_str).collect();
            let named = |p: &&Participant| sids.contains(&*p.sid);
            found.extend(room.participants.values().filter(named).map(|p| p.pid));
            steps = steps.saturating_add(room.participants.len());
        }
        found.retain(|p| Some(*p) != except);
        (found.into_iter().collect(), steps)
    }
}
