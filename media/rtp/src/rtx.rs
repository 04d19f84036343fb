//! Retransmission payload format (RFC 4588): the original sequence number, then the original payload.

use crate::bytes::u16_at;

/// Bytes before the original payload.
pub const RTX_HEADER_LEN: usize = 2;

/// Splits an RTX payload into original sequence number and original payload. `None` for padding probes, which carry
/// no payload.
#[must_use]
pub fn split(payload: &[u8]) -> Option<(u16, &[u8])> {
    let original = payload.get(RTX_HEADER_LEN..).filter(|p| !p.is_empty())?;
    Some((u16_at(payload, 0)?, original))
}

/// Appends the RTX payload header; the original payload follows.
pub fn write_header(out: &mut Vec<u8>, original_seq: u16) {
    out.extend_from_slice(&original_seq.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn original_comes_back() {
        let mut out = Vec::new();
        write_header(&mut out, 0xfffe);
        assert_eq!(split(&out), None, "a probe");
        out.extend_from_slice(b"payload");
        assert_eq!(split(&out), Some((0xfffe, b"payload".as_slice())));
        assert_eq!(split(&[1]), None);
    }
}
