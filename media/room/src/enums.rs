//! Enum numbers from outside. Protobuf lets a sender put any number there, but JSON has only the names that the protocol
//! knows: one unknown number would spoil every JSON answer, webhook and message about its room.

use livekit_protocol::data_track_frame_encoding::{Value as FrameEncoding, WellKnownFrameEncoding};
use livekit_protocol::data_track_schema_encoding::{Value as SchemaEncoding, WellKnownSchemaEncoding};
use livekit_protocol::{PublishDataTrackRequest, VideoLayer, VideoQuality, encryption};

/// Entries kept of a list.
const MAX_ENTRIES: usize = 16;
/// Layers of one codec.
const MAX_LAYERS: usize = 8;

/// The number, or the default of its enum.
pub(crate) fn known<E: TryFrom<i32> + Default + Into<i32>>(number: i32) -> i32 {
    E::try_from(number).unwrap_or_default().into()
}

/// The numbers that the enum has, each once.
pub(crate) fn only_known<E: TryFrom<i32>>(list: &[i32]) -> Vec<i32> {
    let mut out: Vec<i32> = list.iter().copied().filter(|n| E::try_from(*n).is_ok()).collect();
    out.sort_unstable();
    out.dedup();
    out.truncate(MAX_ENTRIES);
    out
}

/// A way of encrypting that we do not know is a way of encrypting: such payloads must not be touched.
pub(crate) fn known_encryption(number: i32) -> i32 {
    encryption::Type::try_from(number).unwrap_or(encryption::Type::Custom) as i32
}

/// Layers of a quality that exists, lowest first.
pub(crate) fn known_layers(layers: &[VideoLayer]) -> Vec<VideoLayer> {
    let mut out: Vec<VideoLayer> =
        layers.iter().filter(|l| VideoQuality::try_from(l.quality).is_ok()).cloned().collect();
    out.sort_by_key(|l| l.quality);
    out.truncate(MAX_LAYERS);
    out
}

/// Everything in the description of a data track.
pub(crate) fn settle_data_track(request: &mut PublishDataTrackRequest) {
    request.encryption = known_encryption(request.encryption);
    if let Some(FrameEncoding::WellKnown(n)) = request.frame_encoding.as_mut().and_then(|e| e.value.as_mut())
    {
        *n = known::<WellKnownFrameEncoding>(*n);
    }
    let schema = request.schema.as_mut().and_then(|s| s.encoding.as_mut()).and_then(|e| e.value.as_mut());
    if let Some(SchemaEncoding::WellKnown(n)) = schema {
        *n = known::<WellKnownSchemaEncoding>(*n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{BackupCodecPolicy, client_info::Capability};

    #[test]
    fn unknown_numbers_become_the_default_or_go() {
        assert_eq!(known::<BackupCodecPolicy>(1), 1);
        assert_eq!(known::<BackupCodecPolicy>(77), 0);
        assert_eq!(only_known::<Capability>(&[2, 99, 1, 2, -4]), [1, 2]);
        assert_eq!([0, 1, 2, 9].map(known_encryption), [0, 1, 2, 2]);
        let layer = |quality| VideoLayer { quality, ..VideoLayer::default() };
        let kept: Vec<i32> =
            known_layers(&[layer(2), layer(50), layer(0)]).iter().map(|l| l.quality).collect();
        assert_eq!(kept, [0, 2]);
    }
}
