//! Which protocol a TCP client speaks, from its first bytes.

/// Bytes that always decide.
pub const MAX_SNIFF: usize = 24;

/// Frames of RFC 4571 that can hold a STUN message.
const STUN_FRAME: std::ops::RangeInclusive<usize> = 20..=1500;
const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ", b"TRACE "];

/// A protocol on the main port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and WebSocket through it.
    Http,
    /// A TLS ClientHello.
    Tls,
    /// STUN in an RFC 4571 frame: ICE over TCP (RFC 6544).
    IceTcp,
}

/// What the bytes so far tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too few bytes.
    More,
    /// Decided.
    Is(Protocol),
    /// Nothing that is spoken here.
    Unknown,
}

/// Looks at the first bytes of a connection.
#[must_use]
pub fn classify(bytes: &[u8]) -> Verdict {
    let Some(&first) = bytes.first() else { return Verdict::More };
    if first == 0x16 {
        return match bytes.get(1) {
            None => Verdict::More,
            Some(0x03) => Verdict::Is(Protocol::Tls),
            Some(_) => Verdict::Unknown,
        };
    }
    if first.is_ascii_uppercase() {
        if METHODS.iter().any(|m| bytes.starts_with(m)) {
            return Verdict::Is(Protocol::Http);
        }
        let undecided = METHODS.iter().any(|m| m.starts_with(bytes));
        return if undecided { Verdict::More } else { Verdict::Unknown };
    }
    framed_stun(bytes)
}

/// u16 length, then a STUN message: type with the two top bits clear, length, cookie.
fn framed_stun(bytes: &[u8]) -> Verdict {
    let Some(&[hi, lo]) = bytes.get(..2) else {
        return if bytes.first().is_some_and(|b| usize::from(*b) <= STUN_FRAME.end() >> 8) {
            Verdict::More
        } else {
            Verdict::Unknown
        };
    };
    let length = usize::from(u16::from_be_bytes([hi, lo]));
    if !STUN_FRAME.contains(&length) {
        return Verdict::Unknown;
    }
    // Only a Binding request opens a connection; the magic cookie follows the lengths (RFC 8489 section 5).
    let expected =
        [None, None, Some(0x00), Some(0x01), None, None, Some(0x21), Some(0x12), Some(0xa4), Some(0x42)];
    for (got, want) in bytes.iter().zip(expected) {
        if want.is_some_and(|w| w != *got) {
            return Verdict::Unknown;
        }
    }
    if bytes.len() < expected.len() { Verdict::More } else { Verdict::Is(Protocol::IceTcp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stun_frame() -> Vec<u8> {
        let mut v = vec![0x00, 0x64, 0x00, 0x01, 0x00, 0x50];
        v.extend([0x21, 0x12, 0xa4, 0x42]);
        v.extend([7; 12]);
        v
    }

    #[test]
    fn the_three_protocols_are_recognised() {
        assert_eq!(classify(b"GET / HTTP/1.1\r\n"), Verdict::Is(Protocol::Http));
        assert_eq!(classify(b"OPTIONS /rtc"), Verdict::Is(Protocol::Http));
        assert_eq!(classify(&[0x16, 0x03, 0x01, 0x02]), Verdict::Is(Protocol::Tls));
        assert_eq!(classify(&stun_frame()), Verdict::Is(Protocol::IceTcp));
    }

    #[test]
    fn every_prefix_of_a_known_opening_asks_for_more() {
        for opening in [b"OPTIONS ".to_vec(), stun_frame()[..10].to_vec(), vec![0x16, 0x03]] {
            for len in 0..opening.len() {
                assert_eq!(classify(&opening[..len]), Verdict::More, "{opening:?} {len}");
            }
            assert!(matches!(classify(&opening), Verdict::Is(_)));
        }
    }

    #[test]
    fn other_protocols_are_refused_at_once() {
        for bytes in [&b"SSH-2.0-x"[..], b"\x00\x00", b"\x00\x13\x00\x01", b"\xff", b"\x16\x02", b"get / "] {
            assert_eq!(classify(bytes), Verdict::Unknown, "{bytes:?}");
        }
        // A response does not open a connection.
        let mut response = stun_frame();
        response[2] = 0x01;
        assert_eq!(classify(&response), Verdict::Unknown);
    }

    proptest! {
        #[test]
        fn a_decision_never_needs_more_than_the_limit(bytes in proptest::collection::vec(any::<u8>(), MAX_SNIFF..64)) {
            prop_assert_ne!(classify(&bytes), Verdict::More);
        }

        #[test]
        fn a_decision_stays_when_more_bytes_come(bytes in proptest::collection::vec(any::<u8>(), 0..40), cut in 0usize..40) {
            let early = classify(&bytes[..cut.min(bytes.len())]);
            if early != Verdict::More {
                prop_assert_eq!(early, classify(&bytes));
            }
        }
    }
}
