//! H.264 key frames (RFC 6184).

use super::PayloadInfo;
use crate::bytes::{u8_at, u16_at};

const IDR: u8 = 5;
const SPS: u8 = 7;

fn starts_key(nal_type: u8) -> bool {
    matches!(nal_type, IDR | SPS)
}

pub(super) fn sniff(payload: &[u8]) -> PayloadInfo {
    let key = is_key(payload);
    PayloadInfo { key_frame: key, frame_start: key, ..PayloadInfo::default() }
}

fn is_key(payload: &[u8]) -> bool {
    let Some(kind) = u8_at(payload, 0).map(|b| b & 0x1f) else { return false };
    match kind {
        // STAP-A, STAP-B (which has a 16-bit decoding order number first).
        24 => aggregation_units(payload, 1).any(|nal| starts_key(nal & 0x1f)),
        25 => aggregation_units(payload, 3).any(|nal| starts_key(nal & 0x1f)),
        // FU-A, FU-B: only the fragment with the start bit.
        28 | 29 => u8_at(payload, 1).is_some_and(|fu| fu & 0x80 != 0 && starts_key(fu & 0x1f)),
        single => starts_key(single),
    }
}

/// First byte of each unit of an aggregation packet: 16-bit length, then the unit. Ends at the first lie.
pub(super) fn aggregation_units(payload: &[u8], first: usize) -> impl Iterator<Item = u8> + '_ {
    let mut at = first;
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(payload, at)?);
        let unit = payload.get(at + 2..at + 2 + len)?;
        at += 2 + len;
        unit.first().copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn key_frames_are_found_in_every_packetisation() {
        assert!(is_key(&[0x65, 0x88]), "IDR slice alone");
        assert!(is_key(&[0x67, 0x42]), "SPS alone");
        assert!(!is_key(&[0x41, 0x9a]), "non-IDR slice");
        assert!(!is_key(&[0x68, 0xce]), "PPS alone");
        assert!(is_key(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce]), "STAP-A with SPS first");
        assert!(is_key(&[0x78, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88]), "STAP-A with IDR last");
        assert!(!is_key(&[0x78, 0, 2, 0x41, 0x9a]), "STAP-A without");
        assert!(is_key(&[0x79, 0, 1, 0, 2, 0x65, 0x88]), "STAP-B");
        assert!(is_key(&[0x7c, 0x85, 1]), "FU-A start of IDR");
        assert!(!is_key(&[0x7c, 0x05, 1]), "FU-A middle of IDR");
        assert!(!is_key(&[0x7c, 0x81, 1]), "FU-A start of another slice");
    }

    #[test]
    fn lying_lengths_end_the_search() {
        assert!(!is_key(&[0x78, 0xff, 0xff, 0x67]));
        assert!(!is_key(&[0x78, 0, 0, 0, 2, 0x65, 0x88]), "an empty unit is malformed");
        assert!(!is_key(&[0x78]));
        assert!(!is_key(&[]));
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            sniff(&payload);
        }
    }
}
