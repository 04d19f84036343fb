//! RTP header extensions (RFC 8285), one-byte and two-byte form, and the values an SFU reads.

use crate::bytes::{u8_at, u16_at, u24_at, u64_at};
use crate::{Extension, ExtensionMap, Mid, Rid, RtpHeader, ShortId};
use std::ops::Range;

/// Profile word of the one-byte form.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Profile word of the two-byte form; the low four bits are free.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// One header extension element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawExtension<'a> {
    /// Local id.
    pub id: u8,
    /// Value.
    pub value: &'a [u8],
    /// Offset of the value from the start of the packet.
    pub at: usize,
}

/// Iterator over the elements of an extension block. Ends at the first malformed element.
#[derive(Debug, Clone)]
pub struct ExtensionIter<'a> {
    header: &'a [u8],
    at: usize,
    two_byte: bool,
}

impl<'a> ExtensionIter<'a> {
    /// `header` is the packet up to its payload, `at` the first byte after the block's length word.
    pub(crate) fn new(profile: u16, header: &'a [u8], at: usize) -> Self {
        let known = profile == ONE_BYTE_PROFILE || profile & 0xfff0 == TWO_BYTE_PROFILE;
        Self { header: if known { header } else { &[] }, at, two_byte: profile != ONE_BYTE_PROFILE }
    }
}

impl<'a> Iterator for ExtensionIter<'a> {
    type Item = RawExtension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = u8_at(self.header, self.at)?;
            let (id, len, head) = if self.two_byte {
                if first == 0 {
                    self.at += 1;
                    continue;
                }
                (first, usize::from(u8_at(self.header, self.at + 1)?), 2)
            } else {
                // RFC 8285 4.2: a zero byte is padding; id 0 with a length is skipped; id 15 ends the block.
                match first >> 4 {
                    0 if first == 0 => {
                        self.at += 1;
                        continue;
                    }
                    15 => {
                        self.header = &[];
                        return None;
                    }
                    id => (id, usize::from(first & 0x0f) + 1, 1),
                }
            };
            let at = self.at + head;
            let Some(value) = self.header.get(at..at + len) else {
                self.header = &[];
                return None;
            };
            self.at = at + len;
            if id != 0 {
                return Some(RawExtension { id, value, at });
            }
        }
    }
}

/// RFC 6464 audio level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevelValue {
    /// Loudness in -dBov: 0 loudest, 127 silence.
    pub level: u8,
    /// The encoder believes this is voice.
    pub voice: bool,
}

/// Playout delay limits in units of 10 ms, 0..=4095.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// Lowest delay.
    pub min: u16,
    /// Highest delay.
    pub max: u16,
}

impl PlayoutDelay {
    /// The three bytes of the extension.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = (u32::from(self.min & 0xfff) << 12 | u32::from(self.max & 0xfff)).to_be_bytes();
        [a, b, c]
    }
}

/// `abs-capture-time`: when the first frame byte was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// NTP timestamp of the capturer's clock, 32.32 fixed point.
    pub ntp: u64,
    /// Estimated offset to the sender's NTP clock, 32.32 fixed point.
    pub clock_offset: Option<i64>,
}

/// The extensions of one packet, read in one pass. Fields are absent when not negotiated, not sent, or malformed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderExtensions {
    /// Media identification.
    pub mid: Option<Mid>,
    /// Stream (simulcast layer) identification.
    pub rid: Option<Rid>,
    /// Of an RTX packet: the stream it repairs.
    pub repaired_rid: Option<Rid>,
    /// Audio level.
    pub audio_level: Option<AudioLevelValue>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<u16>,
    /// Absolute send time, 6.18 fixed-point seconds, 24 bits.
    pub abs_send_time: Option<u32>,
    /// Absolute capture time.
    pub abs_capture_time: Option<AbsCaptureTime>,
    /// Playout delay.
    pub playout_delay: Option<PlayoutDelay>,
    dependency_descriptor: Option<(u16, u16)>,
}

impl HeaderExtensions {
    /// Reads every known extension of a packet.
    #[must_use]
    pub fn read(header: &RtpHeader, packet: &[u8], map: &ExtensionMap) -> Self {
        let mut out = Self::default();
        for e in header.extensions(packet) {
            match map.by_id(e.id) {
                Some(Extension::Mid) => out.mid = ShortId::from_bytes(e.value),
                Some(Extension::Rid) => out.rid = ShortId::from_bytes(e.value),
                Some(Extension::RepairedRid) => out.repaired_rid = ShortId::from_bytes(e.value),
                Some(Extension::AudioLevel) => {
                    out.audio_level =
                        u8_at(e.value, 0).map(|b| AudioLevelValue { level: b & 0x7f, voice: b & 0x80 != 0 });
                }
                Some(Extension::TransportCc) => out.transport_cc = u16_at(e.value, 0),
                Some(Extension::AbsSendTime) => out.abs_send_time = u24_at(e.value, 0),
                Some(Extension::AbsCaptureTime) => {
                    out.abs_capture_time = u64_at(e.value, 0).map(|ntp| AbsCaptureTime {
                        ntp,
                        clock_offset: u64_at(e.value, 8).map(u64::cast_signed),
                    });
                }
                Some(Extension::DependencyDescriptor) => {
                    let span = u16::try_from(e.at).ok().zip(u16::try_from(e.value.len()).ok());
                    out.dependency_descriptor = span.filter(|(_, len)| *len >= 3);
                }
                Some(Extension::PlayoutDelay) => {
                    out.playout_delay = u24_at(e.value, 0)
                        .map(|v| PlayoutDelay { min: (v >> 12) as u16, max: (v & 0xfff) as u16 });
                }
                None => {}
            }
        }
        out
    }

    /// Where the dependency descriptor lies in the packet.
    #[must_use]
    pub fn dependency_descriptor_range(&self) -> Option<Range<usize>> {
        self.dependency_descriptor.map(|(at, len)| usize::from(at)..usize::from(at) + usize::from(len))
    }

    /// Bytes of the dependency descriptor in the packet it was read from.
    #[must_use]
    pub fn dependency_descriptor<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        packet.get(self.dependency_descriptor_range()?)
    }
}
