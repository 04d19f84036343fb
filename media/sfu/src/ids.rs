//! Identities shared by the control plane and the shards.
//!
//! The control plane allocates every id; a shard only stores what it is told. So commands need no answer and the
//! SDP for a transport can be written before the shard has heard of it.

/// One peer connection: shard, slot and epoch in one number, and also the routing key inside its ICE ufrag.
///
/// The epoch makes a stale id (a late command, an old STUN check) miss instead of hitting the next tenant of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportId {
    /// Shard, 0..4096.
    pub shard: u16,
    /// Slot within the shard, 0..2^20.
    pub slot: u32,
    /// Generation of the slot.
    pub epoch: u16,
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const KEY_CHARS: usize = 10;

impl TransportId {
    /// ICE ufrag that routes to this transport: the id as ten base-32 characters, then a random tag of six.
    ///
    /// `tag` supplies 30 random bits. The ufrag is a route, not a secret: the ICE password authenticates.
    #[must_use]
    pub fn ufrag(self, tag: u32) -> String {
        let key = (u64::from(self.shard & 0xfff) << 36)
            | (u64::from(self.slot & 0xf_ffff) << 16)
            | u64::from(self.epoch);
        let digit = |v: u64| char::from(ALPHABET.get((v & 31) as usize).copied().unwrap_or(b'a'));
        let head = (0..KEY_CHARS).rev().map(|i| digit(key >> (5 * i)));
        head.chain((0..6).map(|i| digit(u64::from(tag) >> (5 * i)))).collect()
    }

    /// Reads the id back from a ufrag made by [`TransportId::ufrag`].
    #[must_use]
    pub fn from_ufrag(ufrag: &[u8]) -> Option<Self> {
        let mut key = 0u64;
        for c in ufrag.get(..KEY_CHARS)? {
            let v = ALPHABET.iter().position(|a| a == c)?;
            key = (key << 5) | v as u64;
        }
        if key >> 48 != 0 {
            return None;
        }
        Some(Self {
            shard: u16::try_from(key >> 36).ok()?,
            slot: u32::try_from((key >> 16) & 0xf_ffff).ok()?,
            epoch: (key & 0xffff) as u16,
        })
    }
}

/// One published RTP source (an `m=` line of a publisher; all its simulcast layers). Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpTrackId(pub u64);

/// One subscription: an up track on its way to one subscriber. Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DownTrackId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ufrag_round_trips() {
        for (shard, slot, epoch) in [(0, 0, 0), (4095, 0xf_ffff, 0xffff), (3, 70_000, 9)] {
            let id = TransportId { shard, slot, epoch };
            let ufrag = id.ufrag(0x1234_5678);
            assert_eq!(ufrag.len(), 16);
            assert_eq!(TransportId::from_ufrag(ufrag.as_bytes()), Some(id));
        }
    }

    #[test]
    fn foreign_ufrag_is_refused() {
        assert_eq!(TransportId::from_ufrag(b"short"), None);
        assert_eq!(TransportId::from_ufrag(b"UPPERCASE012"), None);
    }
}
