//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::vp8::PictureId;
use super::{Descriptor, PayloadInfo};
use crate::bytes::{put, u8_at, u16_at};

/// A parsed descriptor; of the scalability structure only the number of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// Picture id.
    pub picture_id: Option<PictureId>,
    /// P: the frame is predicted from earlier pictures.
    pub inter_picture: bool,
    /// B: first packet of a layer frame.
    pub frame_start: bool,
    /// E: last packet of a layer frame.
    pub frame_end: bool,
    /// F: reference indices are sent with each frame.
    pub flexible: bool,
    /// Z: not a reference for upper spatial layers.
    pub not_inter_layer_reference: bool,
    /// V: a scalability structure follows.
    pub has_structure: bool,
    /// Layer indices, when sent.
    pub layer: Option<Vp9Layer>,
    /// Spatial layers the scalability structure tells of, 1..=8.
    pub spatial_layers: Option<u8>,
}

/// New values for the fields a descriptor has; fields it has not are not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Patch {
    /// Picture id, cut to the width in use.
    pub picture_id: u16,
    /// Base layer picture index.
    pub tl0_pic_idx: u8,
}

/// Layer indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Layer {
    /// Temporal layer.
    pub temporal: u8,
    /// U: switching up to this temporal layer is possible here.
    pub switching_up: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// D: predicted from the lower spatial layer of the same picture.
    pub inter_layer: bool,
    /// Base layer picture index, non-flexible mode only.
    pub tl0_pic_idx: Option<u8>,
}

impl Vp9Descriptor {
    /// Parses the descriptor of a payload; `None` when it is cut short.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = u8_at(payload, 0)?;
        let flag = |bit: u8| first & bit != 0;
        let mut at = 1usize;
        let mut picture_id = None;
        if flag(0x80) {
            let short = u8_at(payload, at)?;
            if short & 0x80 != 0 {
                picture_id = Some(PictureId { value: u16_at(payload, at)? & 0x7fff, long: true });
                at += 2;
            } else {
                picture_id = Some(PictureId { value: u16::from(short), long: false });
                at += 1;
            }
        }
        let flexible = flag(0x10);
        let mut layer = None;
        if flag(0x20) {
            let byte = u8_at(payload, at)?;
            at += 1;
            let mut tl0_pic_idx = None;
            if !flexible {
                tl0_pic_idx = Some(u8_at(payload, at)?);
                at += 1;
            }
            layer = Some(Vp9Layer {
                temporal: byte >> 5,
                switching_up: byte & 0x10 != 0,
                spatial: byte >> 1 & 0x07,
                inter_layer: byte & 0x01 != 0,
                tl0_pic_idx,
            });
        }
        let has_structure = flag(0x02);
        let spatial_layers =
            if has_structure { structure_layers(payload, at, flexible && flag(0x40)) } else { None };
        Some(Self {
            picture_id,
            inter_picture: flag(0x40),
            frame_start: flag(0x08),
            frame_end: flag(0x04),
            flexible,
            not_inter_layer_reference: flag(0x01),
            has_structure,
            layer,
            spatial_layers,
        })
    }

    /// Rewrites the descriptor in a copy of the payload it was parsed from. Nothing moves: every field keeps its
    /// width. References are told by differences of picture ids, so all pictures since a key picture must move alike.
    pub fn patch(&self, payload: &mut [u8], patch: &Vp9Patch) {
        let mut at = 1usize;
        if let Some(id) = self.picture_id {
            if id.long {
                put(payload, at, &(patch.picture_id & 0x7fff | 0x8000).to_be_bytes());
                at += 2;
            } else {
                put(payload, at, &[(patch.picture_id & 0x7f) as u8]);
                at += 1;
            }
        }
        if self.layer.is_some_and(|l| l.tl0_pic_idx.is_some()) {
            put(payload, at + 1, &[patch.tl0_pic_idx]);
        }
    }
}

/// N_S of the structure behind the reference differences.
fn structure_layers(payload: &[u8], mut at: usize, differences: bool) -> Option<u8> {
    if differences {
        // At most three, each telling whether another follows.
        for _ in 0..3 {
            let byte = u8_at(payload, at)?;
            at += 1;
            if byte & 0x01 == 0 {
                break;
            }
        }
    }
    Some((u8_at(payload, at)? >> 5) + 1)
}

pub(super) fn sniff(payload: &[u8]) -> PayloadInfo {
    let Some(d) = Vp9Descriptor::parse(payload) else { return PayloadInfo::default() };
    let (spatial, temporal) = d.layer.map_or((0, 0), |l| (l.spatial, l.temporal));
    PayloadInfo {
        frame_start: d.frame_start,
        frame_end: d.frame_end,
        key_frame: d.frame_start && !d.inter_picture && spatial == 0,
        spatial,
        temporal,
        temporal_switch: d.layer.is_some_and(|l| l.switching_up),
        descriptor: Descriptor::Vp9(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_layers_in_both_modes() {
        // I L B E, non-flexible: 15-bit id, tid 2 U sid 1 D, tl0 5.
        let d = Vp9Descriptor::parse(&[0xac, 0x81, 0x02, 0x53, 5]).unwrap();
        assert_eq!(d.picture_id, Some(PictureId { value: 0x102, long: true }));
        let layer = d.layer.unwrap();
        assert_eq!((layer.temporal, layer.spatial, layer.tl0_pic_idx), (2, 1, Some(5)));
        assert!(layer.switching_up && layer.inter_layer && d.frame_start && d.frame_end);
        // Flexible mode has no tl0.
        let d = Vp9Descriptor::parse(&[0xbc, 0x05, 0x00]).unwrap();
        assert_eq!(d.layer.unwrap().tl0_pic_idx, None);
    }

    #[test]
    fn key_frame_starts_at_the_base_layer_without_prediction() {
        assert!(sniff(&[0x08]).key_frame);
        assert!(!sniff(&[0x48]).key_frame);
        assert!(!sniff(&[0x00]).key_frame);
        // Upper spatial layer of a key picture: not a place to start.
        let upper = sniff(&[0x28, 0x03, 0]);
        assert_eq!((upper.key_frame, upper.spatial), (false, 1));
    }

    #[test]
    fn the_structure_tells_the_number_of_layers() {
        // I L B V, non-flexible; N_S 2.
        let d = Vp9Descriptor::parse(&[0xaa, 0x05, 0x00, 7, 0x58, 0]).unwrap();
        assert_eq!((d.has_structure, d.spatial_layers), (true, Some(3)));
        // I P L F B V with two differences.
        let d = Vp9Descriptor::parse(&[0xfa, 0x05, 0x02, 0x03, 0x04, 0x20]).unwrap();
        assert_eq!(d.spatial_layers, Some(2));
        assert_eq!(Vp9Descriptor::parse(&[0xaa, 0x05, 0x00, 7]).unwrap().spatial_layers, None);
    }

    #[test]
    fn patching_keeps_widths_and_the_rest() {
        let patch = Vp9Patch { picture_id: 0x9234, tl0_pic_idx: 0xaa };
        let mut long = [0xac, 0x81, 0x02, 0x53, 5, 0xee];
        Vp9Descriptor::parse(&long).unwrap().patch(&mut long, &patch);
        assert_eq!(long, [0xac, 0x92, 0x34, 0x53, 0xaa, 0xee]);
        let mut flexible = [0xbc, 0x05, 0x00, 0xee];
        Vp9Descriptor::parse(&flexible).unwrap().patch(&mut flexible, &patch);
        assert_eq!(flexible, [0xbc, 0x34, 0x00, 0xee]);
        let mut none = [0x08, 0xee];
        Vp9Descriptor::parse(&none).unwrap().patch(&mut none, &patch);
        assert_eq!(none, [0x08, 0xee]);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            sniff(&payload);
        }
    }
}
