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
    /// Appends the header to `out`. The one-byte form is used unless a value or an id needs the two-byte form.
    ///
    /// Values that no form can carry (empty, over 255 bytes) are left out.
    pub fn write(&self, out: &mut Vec<u8>, map: &ExtensionMap) -> WrittenHeader {
        let start = out.len();
        let x = &self.extensions;
        let mut written = WrittenHeader { header_len: 0, transport_cc_at: None, abs_send_time_at: None };

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

        let level = x.audio_level.map(|a| [a.level & 0x7f | if a.voice { 0x80 } else { 0 }]);
        let cc = x.transport_cc.map(u16::to_be_bytes);
        let sent = x.abs_send_time.map(|v| {
            let [_, a, b, c] = v.to_be_bytes();
            [a, b, c]
        });
        let playout = x.playout_delay.map(PlayoutDelay::to_bytes);
        let values: [(Extension, Option<&[u8]>); 9] = [
            (Extension::TransportCc, cc.as_ref().map(|v| v.as_slice())),
            (Extension::AbsSendTime, sent.as_ref().map(|v| v.as_slice())),
            (Extension::Mid, x.mid.as_ref().map(|v| v.as_str().as_bytes())),
            (Extension::Rid, x.rid.as_ref().map(|v| v.as_str().as_bytes())),
            (Extension::RepairedRid, x.repaired_rid.as_ref().map(|v| v.as_str().as_bytes())),
            (Extension::AudioLevel, level.as_ref().map(|v| v.as_slice())),
            (Extension::AbsCaptureTime, x.abs_capture_time),
            (Extension::DependencyDescriptor, x.dependency_descriptor),
            (Extension::PlayoutDelay, playout.as_ref().map(|v| v.as_slice())),
        ];
        let present = || {
            values.iter().filter_map(|(ext, value)| {
                let value = value.filter(|v| !v.is_empty())?;
                Some((*ext, map.id(*ext)?, u8::try_from(value.len()).ok()?, value))
            })
        };
        let mut any = false;
        let mut two_byte = false;
        for (_, id, len, _) in present() {
            any = true;
            two_byte |= id > 14 || len > 16;
        }
        if any {
            let profile = if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE };
            let block = out.len();
            out.extend_from_slice(&profile.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
            for (ext, id, len, value) in present() {
                if two_byte {
                    out.extend_from_slice(&[id, len]);
                } else {
                    out.push(id << 4 | (len - 1));
                }
                match ext {
                    Extension::TransportCc => written.transport_cc_at = Some(out.len() - start),
                    Extension::AbsSendTime => written.abs_send_time_at = Some(out.len() - start),
                    _ => {}
                }
                out.extend_from_slice(value);
            }
            while !(out.len() - block).is_multiple_of(4) {
                out.push(0);
            }
            // Nine values of at most 257 bytes: always fits.
            let words = u16::try_from((out.len() - block) / 4 - 1).unwrap_or(0);
            put(out, block + 2, &words.to_be_bytes());
            if let Some(first) = out.get_mut(start) {
                *first |= 0x10;
            }
        }
        written.header_len = out.len() - start;
        written
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
