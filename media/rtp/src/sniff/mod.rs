//! The few payload bits a forwarder needs: where frames and key frames start, which layer a packet belongs to.

mod av1;
mod bits;
mod dependency;
mod h264;
mod h265;
mod vp8;
mod vp9;

pub use dependency::{
    DecodeTarget, DependencyDescriptor, DependencyError, DependencyLayout, DependencyReader,
    DependencyStructure, FrameLayer, Indication, MAX_DEPENDENCY_DESCRIPTOR, RewrittenDescriptor,
};
pub use vp8::{PictureId, Vp8Descriptor, Vp8Patch};
pub use vp9::{Vp9Descriptor, Vp9Layer, Vp9Patch};

use crate::{Codec, MediaKind};

/// What a payload says about its place in the stream. Layers are 0 when the payload does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadInfo {
    /// First packet of a frame (of a layer frame with SVC). For H.264 and H.265 known only at key frames.
    pub frame_start: bool,
    /// Last packet of a frame (of a layer frame with SVC). Codecs that do not say so use the RTP marker: false here.
    pub frame_end: bool,
    /// First packet of a key frame: a decoder can start here. For H.264 and H.265 every packet that starts a
    /// parameter set or an intra picture, so it can be true several times per frame.
    pub key_frame: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// A receiver of lower temporal layers may switch up to this one here (VP8 layer sync, VP9 switching point).
    pub temporal_switch: bool,
    /// Codec-specific descriptor.
    pub descriptor: Descriptor,
}

/// Payload descriptor of the codecs that have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Descriptor {
    /// None, or malformed.
    #[default]
    None,
    /// VP8.
    Vp8(Vp8Descriptor),
    /// VP9.
    Vp9(Vp9Descriptor),
}

/// Reads a payload (padding removed, RTX header removed). `dependency` is the packet's dependency descriptor, if it
/// has one; it takes precedence over the payload. An empty or malformed payload gives the default.
#[must_use]
pub fn sniff(codec: Codec, payload: &[u8], dependency: Option<&DependencyDescriptor>) -> PayloadInfo {
    let mut info = match codec {
        _ if codec.kind() == MediaKind::Audio => {
            PayloadInfo { frame_start: true, frame_end: true, key_frame: true, ..PayloadInfo::default() }
        }
        Codec::Vp8 => vp8::sniff(payload),
        Codec::Vp9 => vp9::sniff(payload),
        Codec::H264 => h264::sniff(payload),
        Codec::H265 => h265::sniff(payload),
        Codec::Av1 => av1::sniff(payload),
        _ => PayloadInfo::default(),
    };
    if let Some(dd) = dependency {
        info.frame_start = dd.frame_start;
        info.frame_end = dd.frame_end;
        info.key_frame = dd.frame_start && dd.structure_attached;
        if let Some(layer) = dd.layer {
            info.spatial = layer.spatial;
            info.temporal = layer.temporal;
        }
    }
    info
}
