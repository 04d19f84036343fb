//! Extended sequence numbers.

/// The 64-bit sequence number nearest to `reference` whose low 16 bits are `seq` (RFC 3711 appendix A). `None` when
/// that lies before zero.
///
/// ```
/// use bedrud_rtp::receive::extend_seq;
/// assert_eq!(extend_seq(0x1_0002, 0xffff), Some(0xffff));
/// assert_eq!(extend_seq(0xfffe, 3), Some(0x1_0003));
/// ```
#[must_use]
pub fn extend_seq(reference: u64, seq: u16) -> Option<u64> {
    let ahead = seq.wrapping_sub(reference as u16);
    if ahead < 0x8000 {
        reference.checked_add(u64::from(ahead))
    } else {
        reference.checked_sub(0x1_0000 - u64::from(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn extension_is_the_nearest_match(reference in 0u64..1 << 50, seq: u16) {
            match extend_seq(reference, seq) {
                Some(extended) => {
                    prop_assert_eq!(extended as u16, seq);
                    prop_assert!(extended.abs_diff(reference) <= 0x8000);
                }
                None => prop_assert!(reference < 0x8000),
            }
        }
    }
}
