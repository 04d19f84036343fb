//! What the forwarder needs to know of a payload.

use bedrud_rtp::sniff::{Descriptor, PayloadInfo, Vp8Descriptor};

/// Place of a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// A decoder can start here.
    pub(crate) key: bool,
    /// Temporal layer.
    pub(crate) temporal: u8,
    /// A receiver of lower temporal layers may go up to this one here.
    pub(crate) switch_up: bool,
    /// VP8 picture id.
    pub(crate) picture: Option<u16>,
    /// VP8 TL0PICIDX.
    pub(crate) tl0: Option<u8>,
    /// VP8 KEYIDX.
    pub(crate) key_index: Option<u8>,
}

impl Frame {
    /// Nothing known.
    pub(crate) const NONE: Self =
        Self { key: false, temporal: 0, switch_up: false, picture: None, tl0: None, key_index: None };

    /// From a sniffed payload.
    pub(crate) fn new(info: &PayloadInfo) -> Self {
        let vp8 = vp8_of(info);
        Self {
            key: info.key_frame,
            temporal: info.temporal,
            switch_up: info.temporal_switch,
            picture: vp8.and_then(|d| d.picture_id).map(|p| p.value),
            tl0: vp8.and_then(|d| d.tl0_pic_idx),
            key_index: vp8.and_then(|d| d.key_idx),
        }
    }
}

/// The VP8 descriptor of a payload.
pub(crate) fn vp8_of(info: &PayloadInfo) -> Option<Vp8Descriptor> {
    match info.descriptor {
        Descriptor::Vp8(d) => Some(d),
        _ => None,
    }
}
