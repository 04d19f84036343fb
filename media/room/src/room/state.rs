//! How much description a room keeps. All of it goes to each newcomer and, bit by bit, to everyone, so what clients may add
//! is bounded for the room as a whole. What tokens and the server API put there is the operator's decision.

use super::{Participant, Room};
use crate::config::Limits;
use crate::ids::Pid;
use prost::Message as _;

/// Bytes of description that every participant may have, whatever the others have.
const ALLOWANCE: usize = 8 << 10;
/// Of an info, besides what is counted.
const FRAME: usize = 128;

impl Limits {
    /// Bytes of description that clients may bring into a room together, beyond [`ALLOWANCE`] for each: four of the largest
    /// profiles. `None` without a limit for one.
    fn room_state(&self) -> Option<usize> {
        let one = self.metadata.saturating_add(self.attributes);
        (self.metadata != 0 && self.attributes != 0).then(|| one.saturating_mul(4))
    }
}

impl Participant {
    /// Bytes of its metadata and attributes.
    pub(crate) fn profile_size(&self) -> usize {
        let attributes: usize = self.claims.attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.claims.metadata.len() + attributes
    }

    /// About as many bytes as its info takes on the wire.
    fn described(&self) -> usize {
        let names = self.identity().len() + self.claims.name.len();
        let tracks: usize = self.tracks.values().map(|t| t.info.encoded_len()).sum();
        let pending: usize = self.pending.iter().map(|t| t.info.encoded_len()).sum();
        FRAME + names + self.profile_size() + tracks + pending + self.data_tracks.size()
    }
}

impl Room {
    /// Counts a participant's description anew.
    pub(crate) fn recount(&mut self, pid: Pid) {
        let Some(p) = self.participants.get_mut(&pid) else { return };
        let size = p.described();
        let before = std::mem::replace(&mut p.size, size);
        self.excess = self.excess.saturating_sub(over(before)).saturating_add(over(size));
    }

    /// A participant is gone, and its description with it.
    pub(super) fn uncount(&mut self, p: &mut Participant) {
        self.excess = self.excess.saturating_sub(over(std::mem::take(&mut p.size)));
    }

    /// Whether a participant may describe itself in so many bytes more.
    pub(crate) fn has_space(&self, limits: &Limits, pid: Pid, more: usize) -> bool {
        let (Some(p), Some(max)) = (self.get(pid), limits.room_state()) else { return true };
        let size = p.size.saturating_add(more);
        let excess = self.excess.saturating_sub(over(p.size)).saturating_add(over(size));
        more == 0 || size <= ALLOWANCE || excess <= max
    }
}

fn over(size: usize) -> usize {
    size.saturating_sub(ALLOWANCE)
}
