//! Metadata that publishers append to their frames, for receivers that would take it for picture.

/// Ends a frame with metadata; the byte before is the length of all of it, inverted.
const MAGIC: &[u8] = b"LKTS";
/// Length byte and magic.
const ENVELOPE: usize = 5;

/// The payload without the metadata at the end of its frame. Only the last packet of a frame carries any.
pub(crate) fn without_trailer(payload: &[u8], marker: bool) -> &[u8] {
    if !marker || !payload.ends_with(MAGIC) {
        return payload;
    }
    let at = payload.len().checked_sub(ENVELOPE);
    let length = at.and_then(|at| payload.get(at)).map_or(0, |b| usize::from(!*b));
    if length < ENVELOPE {
        return payload;
    }
    payload.len().checked_sub(length).and_then(|end| payload.get(..end)).unwrap_or(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_cut_from_the_last_packet_only() {
        let mut payload = vec![1, 2, 3];
        payload.extend([0xfe, 0xff - 8, 0x55, 0xff - 8]);
        payload.extend(*b"LKTS");
        assert_eq!(without_trailer(&payload, true), &[1, 2, 3]);
        assert_eq!(without_trailer(&payload, false), payload);
    }

    #[test]
    fn what_is_no_metadata_stays() {
        for payload in [&b"LKTS"[..], b"", b"\xffLKTS", b"\xfcLKTS", b"\x00LKTS", b"pictureLKTX"] {
            assert_eq!(without_trailer(payload, true), payload, "{payload:?}");
        }
    }
}
