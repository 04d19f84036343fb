//! Bounds-checked big-endian reads.

pub(crate) fn u8_at(buf: &[u8], at: usize) -> Option<u8> {
    buf.get(at).copied()
}

pub(crate) fn array_at<const N: usize>(buf: &[u8], at: usize) -> Option<[u8; N]> {
    buf.get(at..)?.first_chunk::<N>().copied()
}

pub(crate) fn u16_at(buf: &[u8], at: usize) -> Option<u16> {
    array_at(buf, at).map(u16::from_be_bytes)
}

pub(crate) fn u24_at(buf: &[u8], at: usize) -> Option<u32> {
    array_at::<3>(buf, at).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
}

pub(crate) fn u32_at(buf: &[u8], at: usize) -> Option<u32> {
    array_at(buf, at).map(u32::from_be_bytes)
}

pub(crate) fn u64_at(buf: &[u8], at: usize) -> Option<u64> {
    array_at(buf, at).map(u64::from_be_bytes)
}

/// Overwrites `value.len()` bytes at `at`; false when they do not fit.
pub(crate) fn put(buf: &mut [u8], at: usize, value: &[u8]) -> bool {
    match buf.get_mut(at..).and_then(|b| b.get_mut(..value.len())) {
        Some(slot) => {
            slot.copy_from_slice(value);
            true
        }
        None => false,
    }
}
