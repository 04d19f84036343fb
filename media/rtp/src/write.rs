//! Writing an RTP header with the extensions a subscriber negotiated.

use crate::bytes::put;
use crate::extension::{AudioLevelValue, ONE_BYTE_PROFILE, PlayoutDelay, TWO_BYTE_PROFILE};
use crate::{Extension, ExtensionMap, FIXED_HEADER_LEN, Mid, Pt, Rid, Ssrc};

/// Extension values of an outgoing packet. Values without a negotiated id are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutExtensions<'a> {
    /// Media identification.
    pub mid: Option<Mid>,
    /// Stream identification.
    pub rid: Option<Rid>,
    /// Repaired stream identification.
    pub repaired_rid: Option<Rid>,
    /// Audio level.
    pub audio_level: Option<AudioLevelValue>,
    /// Transport-wide sequence number; use a placeholder and stamp it later with [`stamp_u16`].
    pub transport_cc: Option<u16>,
    /// Absolute send time (low 24 bits); may be stamped later with [`stamp_u24`].
    pub abs_send_time: Option<u32>,
    /// Absolute capture time as received, 8 or 16 bytes.
    pub abs_capture_time: Option<&'a [u8]>,
    /// Dependency descriptor bytes.
    pub dependency_descriptor: Option<&'a [u8]>,
    /// Playout delay.
    pub playout_delay: Option<PlayoutDelay>,
}

/// An outgoing header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutHeader<'a> {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub pt: Pt,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: Ssrc,
    /// Sets the padding bit; the caller writes the padding, its count in the last byte.
    pub padding: bool,
    /// Extensions.
    pub extensions: OutExtensions<'a>,
}

/// What [`OutHeader::write`] wrote. Offsets count from the start of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenHeader {
    /// Bytes before the payload.
    pub header_len: usize,
    /// Offset of the two bytes of the transport-wide sequence number.
    pub transport_cc_at: Option<usize>,
    /// Offset of the three bytes of the absolute send time.
    pub abs_send_time_at: Option<usize>,
}

impl OutHeader<'_> {
    /// Appends the header to `out`. The extension block has the two-byte form when an id above 14 is negotiated or a
    /// value is longer than 16 bytes, else the one-byte form.
    ///
    /// Values that no form can carry (empty, over 255 bytes) are left out.
    pub fn write(&self, out: &mut Vec<u8>, map: &ExtensionMap) -> WrittenHeader {
        let start = out.len();
        let x = &self.extensions;
        let mut fixed = [0u8; FIXED_HEADER_LEN];
        let (head, ids) = fixed.split_at_mut(4);
        let [s0, s1] = self.seq.to_be_bytes();
        head.copy_from_slice(&[
            0x80 | if self.padding { 0x20 } else { 0 },
            (self.pt & 0x7f) | if self.marker { 0x80 } else { 0 },
            s0,
            s1,
        ]);
        let both = u64::from(self.timestamp) << 32 | u64::from(self.ssrc);
        ids.copy_from_slice(&both.to_be_bytes());
        out.extend_from_slice(&fixed);

        let long = |value: Option<&[u8]>| value.is_some_and(|v| v.len() > 16);
        let two_byte = map.needs_two_bytes() || long(x.dependency_descriptor) || long(x.abs_capture_time);
        let mut block = Block { out, start, map, two_byte, any: false };
        let transport_cc_at =
            x.transport_cc.and_then(|v| block.put(Extension::TransportCc, &v.to_be_bytes()));
        let abs_send_time_at = x.abs_send_time.and_then(|v| {
            let [_, a, b, c] = v.to_be_bytes();
            block.put(Extension::AbsSendTime, &[a, b, c])
        });
        if let Some(v) = &x.mid {
            block.put(Extension::Mid, v.as_bytes());
        }
        if let Some(v) = &x.rid {
            block.put(Extension::Rid, v.as_bytes());
        }
        if let Some(v) = &x.repaired_rid {
            block.put(Extension::RepairedRid, v.as_bytes());
        }
        if let Some(v) = x.audio_level {
            block.put(Extension::AudioLevel, &[v.level & 0x7f | if v.voice { 0x80 } else { 0 }]);
        }
        if let Some(v) = x.abs_capture_time {
            block.put(Extension::AbsCaptureTime, v);
        }
        if let Some(v) = x.dependency_descriptor {
            block.put(Extension::DependencyDescriptor, v);
        }
        if let Some(v) = x.playout_delay {
            block.put(Extension::PlayoutDelay, &v.to_bytes());
        }
        block.finish();
        WrittenHeader { header_len: out.len() - start, transport_cc_at, abs_send_time_at }
    }
}

/// An extension block being written at the end of `out`.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    /// Where the packet starts.
    start: usize,
    map: &'a ExtensionMap,
    two_byte: bool,
    any: bool,
}

impl Block<'_> {
    /// Appends an element; returns the offset of its value in the packet.
    fn put(&mut self, ext: Extension, value: &[u8]) -> Option<usize> {
        let id = self.map.id(ext)?;
        let len = u8::try_from(value.len()).ok().filter(|len| *len != 0)?;
        if !self.any {
            self.any = true;
            let [p0, p1] = if self.two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE }.to_be_bytes();
            self.out.extend_from_slice(&[p0, p1, 0, 0]);
        }
        if self.two_byte {
            self.out.extend_from_slice(&[id, len]);
        } else {
            self.out.push(id << 4 | (len - 1));
        }
        let at = self.out.len() - self.start;
        self.out.extend_from_slice(value);
        Some(at)
    }

    fn finish(self) {
        if !self.any {
            return;
        }
        let len = self.out.len() - self.start - FIXED_HEADER_LEN;
        let padded = len.next_multiple_of(4);
        self.out.resize(self.start + FIXED_HEADER_LEN + padded, 0);
        // Nine values of at most 257 bytes: always fits.
        let words = u16::try_from(padded / 4 - 1).unwrap_or(0);
        put(self.out, self.start + FIXED_HEADER_LEN + 2, &words.to_be_bytes());
        if let Some(first) = self.out.get_mut(self.start) {
            *first |= 0x10;
        }
    }
}

/// Overwrites a big-endian 16-bit value at an absolute offset of the arena; false when it does not fit.
pub fn stamp_u16(arena: &mut [u8], at: usize, value: u16) -> bool {
    put(arena, at, &value.to_be_bytes())
}

/// Overwrites a big-endian 24-bit value (the low 24 bits) at an absolute offset of the arena.
pub fn stamp_u24(arena: &mut [u8], at: usize, value: u32) -> bool {
    let [_, a, b, c] = value.to_be_bytes();
    put(arena, at, &[a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeaderExtensions, RtpHeader, ShortId};
    use proptest::prelude::*;

    fn full_map(first: u8) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for (i, ext) in Extension::ALL.into_iter().enumerate() {
            map.set(ext, first + i as u8);
        }
        map
    }

    fn short_id() -> impl Strategy<Value = Option<ShortId>> {
        proptest::option::of("[a-zA-Z0-9]{1,16}".prop_map(|s| ShortId::new(&s).unwrap()))
    }

    #[test]
    fn plain_header_has_no_block() {
        let header = OutHeader {
            marker: false,
            pt: 111,
            seq: 1,
            timestamp: 2,
            ssrc: 3,
            padding: false,
            extensions: OutExtensions { transport_cc: Some(9), ..OutExtensions::default() },
        };
        let mut out = Vec::new();
        let written = header.write(&mut out, &ExtensionMap::default());
        assert_eq!((written.header_len, written.transport_cc_at), (12, None));
        assert_eq!(out, [0x80, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    }

    #[test]
    fn stamps_land_on_their_values() {
        let header = OutHeader {
            marker: false,
            pt: 96,
            seq: 1,
            timestamp: 2,
            ssrc: 3,
            padding: false,
            extensions: OutExtensions {
                transport_cc: Some(0),
                abs_send_time: Some(0),
                mid: ShortId::new("7"),
                ..OutExtensions::default()
            },
        };
        let map = full_map(1);
        let mut arena = b"other".to_vec();
        let written = header.write(&mut arena, &map);
        assert!(stamp_u16(&mut arena, 5 + written.transport_cc_at.unwrap(), 0xabcd));
        assert!(stamp_u24(&mut arena, 5 + written.abs_send_time_at.unwrap(), 0x12_3456));
        assert!(!stamp_u16(&mut arena, 4 + written.header_len, 1), "past the end");
        let packet = &arena[5..];
        let x = HeaderExtensions::read(&RtpHeader::parse(packet).unwrap(), packet, &map);
        assert_eq!((x.transport_cc, x.abs_send_time), (Some(0xabcd), Some(0x12_3456)));
        assert_eq!(x.mid, ShortId::new("7"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            (marker, pt, seq, timestamp, ssrc) in (any::<bool>(), 0u8..128, any::<u16>(), any::<u32>(), any::<u32>()),
            (mid, rid, repaired_rid) in (short_id(), short_id(), short_id()),
            level in proptest::option::of((0u8..128, any::<bool>())),
            (transport_cc, abs_send_time) in (any::<Option<u16>>(), proptest::option::of(0u32..1 << 24)),
            dd in proptest::option::of(proptest::collection::vec(any::<u8>(), 3..255)),
            capture in proptest::option::of(any::<[u8; 16]>()),
            playout in proptest::option::of((0u16..4096, 0u16..4096)),
            first_id in 1u8..20,
        ) {
            let map = full_map(first_id);
            let extensions = OutExtensions {
                mid,
                rid,
                repaired_rid,
                audio_level: level.map(|(level, voice)| AudioLevelValue { level, voice }),
                transport_cc,
                abs_send_time,
                abs_capture_time: capture.as_ref().map(<[u8; 16]>::as_slice),
                dependency_descriptor: dd.as_deref(),
                playout_delay: playout.map(|(min, max)| PlayoutDelay { min, max }),
            };
            let header = OutHeader { marker, pt, seq, timestamp, ssrc, padding: false, extensions };
            let mut packet = Vec::new();
            let written = header.write(&mut packet, &map);
            prop_assert_eq!(written.header_len, packet.len());
            packet.extend_from_slice(b"payload");
            let h = RtpHeader::parse(&packet).unwrap();
            prop_assert_eq!((h.marker, h.pt, h.seq, h.timestamp, h.ssrc), (marker, pt, seq, timestamp, ssrc));
            prop_assert_eq!(h.payload(&packet).unwrap(), b"payload");
            let x = HeaderExtensions::read(&h, &packet, &map);
            prop_assert_eq!((x.mid, x.rid, x.repaired_rid), (mid, rid, repaired_rid));
            prop_assert_eq!(x.audio_level, extensions.audio_level);
            prop_assert_eq!((x.transport_cc, x.abs_send_time), (transport_cc, abs_send_time));
            prop_assert_eq!(x.dependency_descriptor(&packet), dd.as_deref());
            prop_assert_eq!(x.playout_delay, extensions.playout_delay);
            prop_assert_eq!(x.abs_capture_time.is_some(), capture.is_some());
        }
    }
}
