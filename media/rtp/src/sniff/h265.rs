//! H.265 key frames (RFC 7798).

use super::PayloadInfo;
use super::h264::aggregation_units;
use crate::bytes::u8_at;

const AGGREGATION: u8 = 48;
const FRAGMENT: u8 = 49;

/// IRAP pictures (16..=21) and the parameter sets that precede them.
fn starts_key(nal_type: u8) -> bool {
    matches!(nal_type, 16..=21 | 32..=34)
}

fn nal_type(first: u8) -> u8 {
    first >> 1 & 0x3f
}

pub(super) fn sniff(payload: &[u8]) -> PayloadInfo {
    let (Some(first), Some(second)) = (u8_at(payload, 0), u8_at(payload, 1)) else {
        return PayloadInfo::default();
    };
    let key = match nal_type(first) {
        AGGREGATION => aggregation_units(payload, 2).any(|nal| starts_key(nal_type(nal))),
        FRAGMENT => u8_at(payload, 2).is_some_and(|fu| fu & 0x80 != 0 && starts_key(fu & 0x3f)),
        single => starts_key(single),
    };
    PayloadInfo {
        key_frame: key,
        frame_start: key,
        // nuh_temporal_id_plus1.
        temporal: (second & 0x07).saturating_sub(1),
        ..PayloadInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(payload: &[u8]) -> bool {
        sniff(payload).key_frame
    }

    #[test]
    fn key_frames_are_found_in_every_packetisation() {
        assert!(key(&[19 << 1, 1, 0xaf]), "IDR_W_RADL");
        assert!(key(&[21 << 1, 1, 0xaf]), "CRA");
        assert!(key(&[32 << 1, 1, 0x0c]), "VPS");
        assert!(!key(&[1 << 1, 1, 0xd0]), "TRAIL_R");
        assert!(key(&[48 << 1, 1, 0, 2, 33 << 1, 1, 0, 2, 19 << 1, 1]), "aggregation");
        assert!(!key(&[48 << 1, 1, 0, 2, 1 << 1, 1]), "aggregation without");
        assert!(key(&[49 << 1, 1, 0x80 | 19, 0]), "fragment start");
        assert!(!key(&[49 << 1, 1, 19, 0]), "fragment middle");
        assert!(!key(&[19 << 1]), "half a header");
    }

    #[test]
    fn temporal_layer_is_read() {
        assert_eq!(sniff(&[1 << 1, 3, 0]).temporal, 2);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            sniff(&payload);
        }
    }
}
