//! Identifiers the control plane hands out.

use bedrud_sfu::{DownTrackId, IceCredentials, TransportId, UpTrackId};
use livekit_protocol::{TrackSource, TrackType};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// A LiveKit sid (`PA_…`, `TR_…`): cheap to copy around.
pub(crate) type Sid = Arc<str>;

/// A room for as long as it lives. Never reused, so a late event cannot hit a newer room of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RoomKey(pub(crate) u64);

/// A participant for as long as it stays. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pid(pub(crate) u64);

const BASE57: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

fn token(rng: &mut StdRng, len: usize) -> String {
    let pick = |rng: &mut StdRng| BASE57.get(rng.random_range(0..BASE57.len())).copied().unwrap_or(b'2');
    (0..len).map(|_| char::from(pick(rng))).collect()
}

/// A sid with this prefix and twelve random characters.
pub(crate) fn sid(rng: &mut StdRng, prefix: &str) -> Sid {
    format!("{prefix}{}", token(rng, 12)).into()
}

/// A track sid, which also tells kind and source.
pub(crate) fn track_sid(rng: &mut StdRng, kind: TrackType, source: TrackSource) -> Sid {
    let kind = if kind == TrackType::Audio { 'A' } else { 'V' };
    let source = match source {
        TrackSource::Camera => "C",
        TrackSource::Microphone => "M",
        TrackSource::ScreenShare => "S",
        TrackSource::ScreenShareAudio => "s",
        TrackSource::Unknown => "",
    };
    sid(rng, &format!("TR_{kind}{source}"))
}

/// Fresh ICE credentials that route to the transport. 24 characters of base 57 carry 140 random bits.
pub(crate) fn ice_credentials(rng: &mut StdRng, id: TransportId) -> IceCredentials {
    IceCredentials { ufrag: id.ufrag(rng.random()), pwd: token(rng, 24) }
}

/// Counters and slots.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    next: u64,
    turns: u64,
    shards: Vec<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    epochs: Vec<u16>,
    free: VecDeque<u32>,
}

impl Ids {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn room(&mut self) -> RoomKey {
        RoomKey(self.next())
    }

    /// Shards take turns. Not by key: rooms and participants share one counter.
    pub(crate) fn next_shard(&mut self, shards: u16) -> u16 {
        let shard = self.turns % u64::from(shards.max(1));
        self.turns = self.turns.wrapping_add(1);
        u16::try_from(shard).unwrap_or(0)
    }

    pub(crate) fn participant(&mut self) -> Pid {
        Pid(self.next())
    }

    pub(crate) fn up_track(&mut self) -> UpTrackId {
        UpTrackId(self.next())
    }

    pub(crate) fn down_track(&mut self) -> DownTrackId {
        DownTrackId(self.next())
    }

    /// A transport slot of a shard; `None` when all 2^20 are taken.
    pub(crate) fn transport(&mut self, shard: u16) -> Option<TransportId> {
        if self.shards.len() <= usize::from(shard) {
            self.shards.resize_with(usize::from(shard) + 1, Slots::default);
        }
        let slots = self.shards.get_mut(usize::from(shard))?;
        let slot = if let Some(slot) = slots.free.pop_front() {
            slot
        } else {
            let slot = u32::try_from(slots.epochs.len()).ok().filter(|s| *s < 1 << 20)?;
            slots.epochs.push(0);
            slot
        };
        let epoch = slots.epochs.get_mut(slot as usize)?;
        *epoch = epoch.wrapping_add(1);
        Some(TransportId { shard, slot, epoch: *epoch })
    }

    /// Every transport that has not been given back.
    pub(crate) fn transports(&self) -> Vec<TransportId> {
        let mut taken = Vec::new();
        for (shard, slots) in (0u16..).zip(&self.shards) {
            let free: HashSet<u32> = slots.free.iter().copied().collect();
            let used = (0u32..).zip(&slots.epochs).filter(|(slot, _)| !free.contains(slot));
            taken.extend(used.map(|(slot, epoch)| TransportId { shard, slot, epoch: *epoch }));
        }
        taken
    }

    pub(crate) fn free_transport(&mut self, id: TransportId) {
        if let Some(slots) = self.shards.get_mut(usize::from(id.shard)) {
            slots.free.push_back(id.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn freed_slot_comes_back_with_another_epoch() {
        let mut ids = Ids::default();
        let a = ids.transport(3).expect("free");
        let b = ids.transport(3).expect("free");
        assert_ne!(a.slot, b.slot);
        ids.free_transport(a);
        let c = ids.transport(3).expect("free");
        assert_eq!(c.slot, a.slot);
        assert_ne!(c.epoch, a.epoch);
    }

    #[test]
    fn sids_have_the_prefixes_clients_test_for() {
        let mut rng = StdRng::from_seed([1; 32]);
        assert_eq!(track_sid(&mut rng, TrackType::Video, TrackSource::ScreenShare).len(), 17);
        assert!(track_sid(&mut rng, TrackType::Audio, TrackSource::Microphone).starts_with("TR_AM"));
        assert!(sid(&mut rng, "PA_").starts_with("PA_"));
        let id = TransportId { shard: 0, slot: 5, epoch: 1 };
        let ice = ice_credentials(&mut rng, id);
        assert_eq!(TransportId::from_ufrag(ice.ufrag.as_bytes()), Some(id));
        assert!(ice.pwd.len() >= 22, "RFC 8445 wants 22 characters");
    }
}
