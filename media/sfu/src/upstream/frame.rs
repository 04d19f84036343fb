//! What the forwarder needs to know of a payload.

use bedrud_rtp::sniff::{DependencyDescriptor, Descriptor, PayloadInfo};

/// Place of a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// A decoder can start here.
    pub(crate) key: bool,
    /// Last packet of a layer frame, where the codec says so.
    pub(crate) end: bool,
    /// Spatial layer within the stream.
    pub(crate) spatial: u8,
    /// Temporal layer.
    pub(crate) temporal: u8,
    /// A receiver of lower temporal layers may go up to this one here (VP8).
    pub(crate) switch_up: bool,
    /// A receiver of this temporal layer may go up to any higher one after this picture (VP9).
    pub(crate) opens_up: bool,
    /// VP8 or VP9 picture id.
    pub(crate) picture: Option<u16>,
    /// Picture ids must go on without holes (VP8). Those of VP9 tell references by difference: they keep their distances.
    pub(crate) dense_pictures: bool,
    /// VP8 or VP9 TL0PICIDX.
    pub(crate) tl0: Option<u8>,
    /// VP8 KEYIDX.
    pub(crate) key_index: Option<u8>,
    /// Frame number of the dependency descriptor.
    pub(crate) number: Option<u16>,
}

impl Frame {
    /// Nothing known.
    pub(crate) const NONE: Self = Self {
        key: false,
        end: false,
        spatial: 0,
        temporal: 0,
        switch_up: false,
        opens_up: false,
        picture: None,
        dense_pictures: false,
        tl0: None,
        key_index: None,
        number: None,
    };

    /// From a sniffed payload.
    pub(crate) fn new(info: &PayloadInfo, dependency: Option<&DependencyDescriptor>) -> Self {
        let (picture, tl0, key_index) = match &info.descriptor {
            Descriptor::Vp8(d) => (d.picture_id, d.tl0_pic_idx, d.key_idx),
            Descriptor::Vp9(d) => (d.picture_id, d.layer.and_then(|l| l.tl0_pic_idx), None),
            Descriptor::None => (None, None, None),
        };
        let is_vp9 = matches!(info.descriptor, Descriptor::Vp9(_));
        Self {
            key: info.key_frame,
            end: info.frame_end,
            spatial: info.spatial,
            temporal: info.temporal,
            switch_up: info.temporal_switch && !is_vp9,
            opens_up: info.temporal_switch && is_vp9,
            picture: picture.map(|p| p.value),
            dense_pictures: matches!(info.descriptor, Descriptor::Vp8(_)),
            tl0,
            key_index,
            number: dependency.map(|d| d.frame_number),
        }
    }
}
