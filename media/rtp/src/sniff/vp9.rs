//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::vp8::PictureId;
use super::{Descriptor, PayloadInfo};
use crate::bytes::{u8_at, u16_at};

/// A parsed descriptor, up to the layer indices; reference differences and the scalability structure are skipped.
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
            let tl0_pic_idx = if flexible { None } else { Some(u8_at(payload, at)?) };
            layer = Some(Vp9Layer {
                temporal: byte >> 5,
                switching_up: byte & 0x10 != 0,
                spatial: byte >> 1 & 0x07,
                inter_layer: byte & 0x01 != 0,
                tl0_pic_idx,
            });
        }
        Some(Self {
            picture_id,
            inter_picture: flag(0x40),
            frame_start: flag(0x08),
            frame_end: flag(0x04),
            flexible,
            not_inter_layer_reference: flag(0x01),
            has_structure: flag(0x02),
            layer,
        })
    }
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

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            sniff(&payload);
        }
    }
}
