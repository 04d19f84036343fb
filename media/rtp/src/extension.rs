//! RTP header extensions (RFC 8285), one-byte and two-byte form, and the values an SFU reads.

use crate::bytes::{u8_at, u16_at, u24_at, u64_at};
use crate::{Extension, ExtensionMap, Mid, Rid, RtpHeader, ShortId};
use std::ops::Range;

/// Profile word of the one-byte form.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Profile word of the two-byte form; the low four bits are free.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// One header extension element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Value of `abs-send-time` at `micros` of any steady clock: 6.18 fixed-point seconds, wrapping every 64 s.
#[must_use]
pub const fn abs_send_time(micros: u64) -> u32 {
    // Whole seconds wrap first, so that the shift cannot overflow.
    (((micros % 64_000_000) << 18) / 1_000_000) as u32 & 0xff_ffff
}

/// The extensions of one packet, read in one pass. Fields are absent when not negotiated, not sent, or malformed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(profile: u16, block: &[u8]) -> Vec<u8> {
        assert_eq!(block.len() % 4, 0);
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend_from_slice(&profile.to_be_bytes());
        packet.extend_from_slice(&((block.len() / 4) as u16).to_be_bytes());
        packet.extend_from_slice(block);
        packet.extend_from_slice(b"payload");
        packet
    }

    fn elements(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let packet = packet(profile, block);
        let header = RtpHeader::parse(&packet).unwrap();
        header
            .extensions(&packet)
            .inspect(|e| assert_eq!(&packet[e.at..e.at + e.value.len()], e.value))
            .map(|e| (e.id, e.value.to_vec()))
            .collect()
    }

    #[test]
    fn one_byte_form_with_padding_between() {
        let got = elements(0xbede, &[0x10, 7, 0, 0x32, 1, 2, 3, 0]);
        assert_eq!(got, [(1, vec![7]), (3, vec![1, 2, 3])]);
    }

    #[test]
    fn id_fifteen_ends_the_one_byte_form() {
        assert_eq!(elements(0xbede, &[0x10, 7, 0xf0, 1, 0x20, 2, 0, 0]), [(1, vec![7])]);
    }

    #[test]
    fn two_byte_form_has_empty_values_and_high_ids() {
        let got = elements(0x1007, &[200, 0, 0, 1, 3, 9, 8, 7]);
        assert_eq!(got, [(200, vec![]), (1, vec![9, 8, 7])]);
    }

    #[test]
    fn values_never_reach_into_the_payload() {
        assert_eq!(elements(0xbede, &[0x10, 7, 0x2f, 1]), [(1, vec![7])]);
        assert_eq!(elements(0x1000, &[1, 1, 7, 2]), [(1, vec![7])]);
        assert_eq!(elements(0x1000, &[1, 255, 7, 2]), []);
    }

    #[test]
    fn foreign_profiles_have_no_elements() {
        assert_eq!(elements(0x1234, &[0x10, 7, 0, 0]), []);
    }

    #[test]
    fn typed_values_are_read_by_negotiated_id() {
        let mut map = ExtensionMap::default();
        map.set(Extension::Mid, 4);
        map.set(Extension::AudioLevel, 1);
        map.set(Extension::TransportCc, 3);
        map.set(Extension::AbsSendTime, 2);
        let block = [0x10, 0x80 | 30, 0x31, 0x12, 0x34, 0x40, b'0', 0x22, 1, 2, 3, 0x50, 9, 0, 0, 0];
        let packet = packet(0xbede, &block);
        let header = RtpHeader::parse(&packet).unwrap();
        let x = HeaderExtensions::read(&header, &packet, &map);
        assert_eq!(x.audio_level, Some(AudioLevelValue { level: 30, voice: true }));
        assert_eq!((x.transport_cc, x.abs_send_time), (Some(0x1234), Some(0x01_0203)));
        assert_eq!(x.mid.unwrap().as_str(), "0");
        assert_eq!(x.rid, None);
        assert_eq!(
            HeaderExtensions::read(&header, &packet, &ExtensionMap::default()),
            HeaderExtensions::default()
        );
    }

    #[test]
    fn send_time_is_fixed_point_seconds() {
        assert_eq!(abs_send_time(1_500_000), 0x06_0000);
        assert_eq!(abs_send_time(64_000_000 + 250_000), 0x01_0000);
        assert_eq!(abs_send_time(u64::MAX) >> 24, 0);
    }

    #[test]
    fn short_values_are_absent() {
        let mut map = ExtensionMap::default();
        map.set(Extension::TransportCc, 1);
        map.set(Extension::AbsSendTime, 2);
        map.set(Extension::DependencyDescriptor, 3);
        let packet = packet(0xbede, &[0x10, 7, 0x21, 1, 2, 0x31, 1, 2]);
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!(HeaderExtensions::read(&header, &packet, &map), HeaderExtensions::default());
    }
}
