//! AV1 aggregation header (AV1 RTP specification section 4.4).

use super::PayloadInfo;
use crate::bytes::u8_at;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

pub(super) fn sniff(payload: &[u8]) -> PayloadInfo {
    let Some(header) = u8_at(payload, 0) else { return PayloadInfo::default() };
    let continues_element = header & 0x80 != 0;
    let new_sequence = header & 0x08 != 0;
    let key = !continues_element && (new_sequence || first_obu_is_sequence_header(payload, header));
    PayloadInfo { key_frame: key, frame_start: key, ..PayloadInfo::default() }
}

/// For senders that never set the N bit: a sequence header opens every key frame.
fn first_obu_is_sequence_header(payload: &[u8], header: u8) -> bool {
    let elements = header >> 4 & 0x03;
    let mut at = 1usize;
    // A temporal delimiter should not be sent but may come first.
    for index in 1..=2u8 {
        let mut len = None;
        // With W set, the last element has no length.
        if elements == 0 || index < elements {
            let Some((value, used)) = leb128(payload, at) else { return false };
            at += used;
            len = Some(value);
        }
        match u8_at(payload, at).map(|obu| obu >> 3 & 0x0f) {
            Some(SEQUENCE_HEADER) => return true,
            Some(TEMPORAL_DELIMITER) => {}
            _ => return false,
        }
        match len.and_then(|len| at.checked_add(len)) {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

/// Value and bytes used; at most 4 bytes, more than any packet needs.
fn leb128(buf: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for i in 0..4usize {
        let byte = u8_at(buf, at.checked_add(i)?)?;
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn key_frames_are_found() {
        assert!(sniff(&[0x18, 0x0a]).key_frame, "N bit");
        assert!(!sniff(&[0x98, 0x0a]).key_frame, "N bit on a continuation is not a start");
        assert!(sniff(&[0x10, 0x0a, 0x0b]).key_frame, "single sequence header");
        assert!(sniff(&[0x20, 2, 0x0a, 0x0b, 0x30]).key_frame, "sequence header with length, then a frame");
        assert!(sniff(&[0x00, 1, 0x12, 2, 0x0a, 0x0b]).key_frame, "temporal delimiter first");
        assert!(!sniff(&[0x10, 0x32, 0x00]).key_frame, "frame");
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in proptest::collection::vec(any::<u8>(), 0..32)) {
            sniff(&payload);
        }
    }
}
