//! VP8 payload descriptor (RFC 7741 section 4.2).

use super::{Descriptor, PayloadInfo};
use crate::bytes::{put, u8_at, u16_at};

/// Picture id as sent: 7 or 15 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// Value.
    pub value: u16,
    /// True for the 15-bit form.
    pub long: bool,
}

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// First packet of the frame: start of partition 0.
    pub frame_start: bool,
    /// First packet of a key frame.
    pub key_frame: bool,
    /// The frame is not used as a reference.
    pub non_reference: bool,
    /// Picture id.
    pub picture_id: Option<PictureId>,
    /// Index of the base layer frame this frame depends on.
    pub tl0_pic_idx: Option<u8>,
    /// Temporal layer, if sent.
    pub tid: Option<u8>,
    /// The frame depends only on the base layer.
    pub layer_sync: bool,
    /// Key frame index, 0..=31.
    pub key_idx: Option<u8>,
    /// Bytes of the descriptor.
    pub len: u8,
}

/// New values for the fields a descriptor has; fields it has not are not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Patch {
    /// Picture id, cut to the width in use.
    pub picture_id: u16,
    /// Base layer index.
    pub tl0_pic_idx: u8,
    /// Key frame index, cut to 5 bits.
    pub key_idx: u8,
}

impl Vp8Descriptor {
    /// Parses the descriptor of a payload; `None` when it is cut short or nothing follows it.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = u8_at(payload, 0)?;
        let frame_start = first & 0x10 != 0 && first & 0x07 == 0;
        let mut at = 1usize;
        let (mut picture_id, mut tl0_pic_idx, mut tid, mut layer_sync, mut key_idx) =
            (None, None, None, false, None);
        if first & 0x80 != 0 {
            let extension = u8_at(payload, at)?;
            at += 1;
            if extension & 0x80 != 0 {
                let short = u8_at(payload, at)?;
                if short & 0x80 != 0 {
                    picture_id = Some(PictureId { value: u16_at(payload, at)? & 0x7fff, long: true });
                    at += 2;
                } else {
                    picture_id = Some(PictureId { value: u16::from(short), long: false });
                    at += 1;
                }
            }
            if extension & 0x40 != 0 {
                tl0_pic_idx = Some(u8_at(payload, at)?);
                at += 1;
            }
            if extension & 0x30 != 0 {
                let byte = u8_at(payload, at)?;
                at += 1;
                if extension & 0x20 != 0 {
                    tid = Some(byte >> 6);
                    layer_sync = byte & 0x20 != 0;
                }
                if extension & 0x10 != 0 {
                    key_idx = Some(byte & 0x1f);
                }
            }
        }
        let frame_byte = u8_at(payload, at)?;
        Some(Self {
            frame_start,
            // Inverse key frame flag of the frame header (RFC 6386 section 9.1).
            key_frame: frame_start && frame_byte & 0x01 == 0,
            non_reference: first & 0x20 != 0,
            picture_id,
            tl0_pic_idx,
            tid,
            layer_sync,
            key_idx,
            len: u8::try_from(at).ok()?,
        })
    }

    /// Rewrites the descriptor in a copy of the payload it was parsed from. Nothing moves: every field keeps its
    /// width.
    pub fn patch(&self, payload: &mut [u8], patch: &Vp8Patch) {
        let mut at = 2usize;
        if let Some(id) = self.picture_id {
            if id.long {
                put(payload, at, &(patch.picture_id & 0x7fff | 0x8000).to_be_bytes());
                at += 2;
            } else {
                put(payload, at, &[(patch.picture_id & 0x7f) as u8]);
                at += 1;
            }
        }
        if self.tl0_pic_idx.is_some() {
            put(payload, at, &[patch.tl0_pic_idx]);
            at += 1;
        }
        if self.key_idx.is_some()
            && let Some(byte) = payload.get_mut(at)
        {
            *byte = *byte & 0xe0 | patch.key_idx & 0x1f;
        }
    }
}

pub(super) fn sniff(payload: &[u8]) -> PayloadInfo {
    let Some(d) = Vp8Descriptor::parse(payload) else { return PayloadInfo::default() };
    PayloadInfo {
        frame_start: d.frame_start,
        key_frame: d.key_frame,
        temporal: d.tid.unwrap_or(0),
        temporal_switch: d.layer_sync,
        descriptor: Descriptor::Vp8(d),
        ..PayloadInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_full_descriptor() {
        // X S | I L T K | 15-bit picture id 0x1234 | tl0 7 | tid 2, sync, keyidx 9 | key frame.
        let payload = [0x90, 0xf0, 0x92, 0x34, 7, 0xa9, 0x10, 0, 0];
        let d = Vp8Descriptor::parse(&payload).unwrap();
        assert_eq!(d.picture_id, Some(PictureId { value: 0x1234, long: true }));
        assert_eq!((d.tl0_pic_idx, d.tid, d.key_idx), (Some(7), Some(2), Some(9)));
        assert!(d.frame_start && d.key_frame && d.layer_sync && !d.non_reference);
        assert_eq!(d.len, 6);
    }

    #[test]
    fn minimal_descriptor_tells_key_frames() {
        assert!(Vp8Descriptor::parse(&[0x10, 0x10]).unwrap().key_frame);
        assert!(!Vp8Descriptor::parse(&[0x10, 0x11]).unwrap().key_frame);
        // Continuation packets never are.
        assert!(!Vp8Descriptor::parse(&[0x00, 0x10]).unwrap().key_frame);
        // Start of another partition is not the start of the frame.
        assert!(!Vp8Descriptor::parse(&[0x11, 0x10]).unwrap().frame_start);
    }

    #[test]
    fn truncated_descriptors_are_refused() {
        let payload = [0x90, 0xf0, 0x92, 0x34, 7, 0xa9, 0x10];
        for len in 0..payload.len() {
            assert_eq!(Vp8Descriptor::parse(&payload[..len]), None, "{len} bytes");
        }
    }

    fn descriptor() -> impl Strategy<Value = Vec<u8>> {
        (any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 8..40)).prop_map(|(a, b, rest)| {
            let mut payload = vec![a, b];
            payload.extend(rest);
            payload
        })
    }

    proptest! {
        #[test]
        fn patch_changes_only_its_fields(payload in descriptor(), id: u16, tl0: u8, key: u8) {
            let before = Vp8Descriptor::parse(&payload).unwrap();
            let mut patched = payload.clone();
            before.patch(&mut patched, &Vp8Patch { picture_id: id, tl0_pic_idx: tl0, key_idx: key });
            let after = Vp8Descriptor::parse(&patched).unwrap();
            let expected = Vp8Descriptor {
                picture_id: before.picture_id.map(|p| PictureId {
                    value: if p.long { id & 0x7fff } else { id & 0x7f },
                    long: p.long,
                }),
                tl0_pic_idx: before.tl0_pic_idx.map(|_| tl0),
                key_idx: before.key_idx.map(|_| key & 0x1f),
                ..before
            };
            prop_assert_eq!(after, expected);
            let len = usize::from(before.len);
            prop_assert_eq!(&patched[len..], &payload[len..]);
            prop_assert_eq!(&patched[..2.min(len)], &payload[..2.min(len)]);
        }

        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..32)) {
            sniff(&payload);
        }
    }
}
