//! Decrypted packets of one stream, kept for down tracks to forward from and to retransmit.

use super::frame::Frame;
use bedrud_rtp::sniff::{DependencyLayout, Descriptor};
use bedrud_rtp::{AudioLevelValue, Pt};
use std::ops::Range;

/// Buffers are taken in this unit, so that a slot soon fits every packet of its stream.
const BUFFER_UNIT: usize = 256;

/// One stored packet.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// Timestamp as received.
    pub(crate) timestamp: u32,
    /// Marker bit.
    pub(crate) marker: bool,
    /// Payload type as received.
    pub(crate) pt: Pt,
    /// Payload descriptor, for rewriting.
    pub(crate) descriptor: Descriptor,
    /// How to rewrite the dependency descriptor.
    pub(crate) layout: Option<DependencyLayout>,
    /// Audio level as received.
    pub(crate) audio_level: Option<AudioLevelValue>,
    /// Frame info, as seen on arrival.
    pub(crate) frame: Frame,
    payload_len: usize,
    descriptor_len: usize,
    buf: Vec<u8>,
}

const NEVER: u64 = u64::MAX;

impl Slot {
    const EMPTY: Self = Self {
        seq: NEVER,
        timestamp: 0,
        marker: false,
        pt: 0,
        descriptor: Descriptor::None,
        layout: None,
        audio_level: None,
        frame: Frame::NONE,
        payload_len: 0,
        descriptor_len: 0,
        buf: Vec::new(),
    };

    /// Payload without padding.
    pub(crate) fn payload(&self) -> &[u8] {
        self.buf.get(..self.payload_len).unwrap_or(&[])
    }

    fn part(&self, range: Range<usize>) -> Option<&[u8]> {
        self.buf.get(range).filter(|b| !b.is_empty())
    }

    /// Dependency descriptor as received.
    pub(crate) fn dependency_descriptor(&self) -> Option<&[u8]> {
        self.part(self.payload_len..self.payload_len + self.descriptor_len)
    }

    /// `abs-capture-time` as received.
    pub(crate) fn capture_time(&self) -> Option<&[u8]> {
        self.part(self.payload_len + self.descriptor_len..self.buf.len())
    }
}

/// A packet to store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPacket<'a> {
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) pt: Pt,
    pub(crate) descriptor: Descriptor,
    pub(crate) layout: Option<DependencyLayout>,
    pub(crate) audio_level: Option<AudioLevelValue>,
    pub(crate) frame: Frame,
    pub(crate) payload: &'a [u8],
    pub(crate) dependency_descriptor: &'a [u8],
    pub(crate) capture_time: &'a [u8],
}

/// Ring indexed by the low bits of the sequence number.
#[derive(Debug)]
pub(crate) struct PacketRing {
    slots: Vec<Slot>,
    capacity: usize,
}

impl PacketRing {
    /// Room for `capacity` packets (made a power of two). Memory is taken when packets come.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), capacity: capacity.clamp(16, 1 << 14).next_power_of_two() }
    }

    fn index(&self, seq: u64) -> usize {
        (seq as usize) & (self.capacity - 1)
    }

    /// The packet with this extended sequence number.
    pub(crate) fn get(&self, seq: u64) -> Option<&Slot> {
        self.slots.get(self.index(seq)).filter(|s| s.seq == seq)
    }

    /// The packet kept under these low 16 bits.
    pub(crate) fn get_low(&self, seq: u16) -> Option<&Slot> {
        self.slots.get(self.index(u64::from(seq))).filter(|s| s.seq != NEVER && s.seq as u16 == seq)
    }

    /// Stores a packet; false when it is there already or older than what took its place.
    pub(crate) fn insert(&mut self, packet: &NewPacket<'_>) -> bool {
        if self.slots.is_empty() {
            self.slots.extend((0..self.capacity).map(|_| Slot::EMPTY));
        }
        let index = self.index(packet.seq);
        let Some(slot) = self.slots.get_mut(index) else { return false };
        if slot.seq != NEVER && slot.seq >= packet.seq {
            return false;
        }
        let need = packet.payload.len() + packet.dependency_descriptor.len() + packet.capture_time.len();
        slot.buf.clear();
        if slot.buf.capacity() < need {
            slot.buf.reserve_exact(need.next_multiple_of(BUFFER_UNIT));
        }
        slot.buf.extend_from_slice(packet.payload);
        slot.buf.extend_from_slice(packet.dependency_descriptor);
        slot.buf.extend_from_slice(packet.capture_time);
        slot.seq = packet.seq;
        slot.timestamp = packet.timestamp;
        slot.marker = packet.marker;
        slot.pt = packet.pt;
        slot.descriptor = packet.descriptor;
        slot.layout = packet.layout;
        slot.audio_level = packet.audio_level;
        slot.frame = packet.frame;
        slot.payload_len = packet.payload.len();
        slot.descriptor_len = packet.dependency_descriptor.len();
        true
    }

    /// Forgets every packet and gives the memory back.
    pub(crate) fn release(&mut self) {
        self.slots = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(seq: u64, payload: &[u8]) -> NewPacket<'_> {
        NewPacket {
            seq,
            timestamp: 7,
            marker: true,
            pt: 96,
            descriptor: Descriptor::None,
            layout: None,
            audio_level: None,
            frame: Frame::NONE,
            payload,
            dependency_descriptor: &[1, 2, 3],
            capture_time: &[9; 8],
        }
    }

    #[test]
    fn packets_come_back_whole_until_overwritten() {
        let mut ring = PacketRing::new(16);
        for seq in 65_530..65_550u64 {
            assert!(ring.insert(&packet(seq, &seq.to_be_bytes())));
        }
        assert!(ring.get(65_530).is_none());
        let slot = ring.get(65_545).unwrap();
        assert_eq!(slot.payload(), 65_545u64.to_be_bytes());
        assert_eq!(slot.dependency_descriptor(), Some(&[1, 2, 3][..]));
        assert_eq!(slot.capture_time(), Some(&[9; 8][..]));
        assert_eq!(ring.get_low(9).unwrap().seq, 65_545);
        ring.release();
        assert!(ring.get(65_545).is_none());
    }

    #[test]
    fn duplicates_and_too_old_packets_are_refused() {
        let mut ring = PacketRing::new(16);
        assert!(ring.insert(&packet(100, &[1])));
        assert!(!ring.insert(&packet(100, &[2])));
        assert!(!ring.insert(&packet(84, &[3])));
        assert_eq!(ring.get(100).unwrap().payload(), [1]);
    }
}
