//! Which protocol a fresh TCP connection speaks, from its first bytes.

/// Bytes after which [`sniff`] always decides.
pub const SNIFF_BYTES: usize = 10;

/// Verdict on the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// Undecided: read on.
    NeedMore,
    /// TLS ClientHello; sniff again inside.
    Tls,
    /// HTTP or WebSocket.
    Http,
    /// RFC 4571-framed STUN: ICE/TCP.
    IceTcp,
    /// The old-style hello of `ssltcp` candidates; answer it, then ICE/TCP.
    SslTcp,
    /// Unframed STUN: TURN over TCP.
    TurnTcp,
    /// None of these.
    Unknown,
}

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const SSL_HELLO: [u8; 3] = [0x80, 0x46, 0x01];

/// Looks at the first bytes of a connection, the more the surer, at most [`SNIFF_BYTES`] are used.
#[must_use]
pub fn sniff(first: &[u8]) -> Sniff {
    let Some(&lead) = first.first() else { return Sniff::NeedMore };
    match lead {
        0x16 => match first.get(1) {
            None => Sniff::NeedMore,
            Some(0x03) => Sniff::Tls,
            Some(_) => Sniff::Unknown,
        },
        0x80 => agree(first, &SSL_HELLO, 0, Sniff::SslTcp),
        b'A'..=b'Z' => http(first),
        0x00..=0x05 => stun(first),
        _ => Sniff::Unknown,
    }
}

/// `verdict` once `pattern` stands at `offset`; undecided while it still may.
fn agree(first: &[u8], pattern: &[u8], offset: usize, verdict: Sniff) -> Sniff {
    let seen = first.get(offset..).unwrap_or(&[]);
    let n = seen.len().min(pattern.len());
    if seen.get(..n) != pattern.get(..n) {
        Sniff::Unknown
    } else if n == pattern.len() {
        verdict
    } else {
        Sniff::NeedMore
    }
}

/// A method is a token of capital letters; which ones exist is the HTTP server's business.
fn http(first: &[u8]) -> Sniff {
    let window = first.get(..first.len().min(4)).unwrap_or(first);
    match window.iter().position(|b| !b.is_ascii_uppercase()) {
        None if window.len() == 4 => Sniff::Http,
        None => Sniff::NeedMore,
        Some(n) if n >= 3 && matches!(window.get(n), Some(b' ' | b'-')) => Sniff::Http,
        Some(_) => Sniff::Unknown,
    }
}

fn stun(first: &[u8]) -> Sniff {
    let Some(length) = first.get(..2).map(|b| usize::from(b[0]) << 8 | usize::from(b[1])) else {
        return Sniff::NeedMore;
    };
    if (20..=1500).contains(&length) {
        // A framed Binding request.
        return match agree(first, &[0x00, 0x01], 2, Sniff::IceTcp) {
            Sniff::IceTcp if first.len() <= 6 => Sniff::NeedMore,
            Sniff::IceTcp => agree(first, &MAGIC_COOKIE, 6, Sniff::IceTcp),
            other => other,
        };
    }
    // Unframed: the type itself, Binding or Allocate.
    if matches!(length, 0x0001 | 0x0003) {
        return agree(first, &MAGIC_COOKIE, 4, Sniff::TurnTcp);
    }
    Sniff::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ICE: [u8; 10] = [0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x42];
    const TURN: [u8; 8] = [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];

    fn verdict_with_every_split(bytes: &[u8], expected: Sniff) {
        let mut decided = None;
        for n in 0..=bytes.len() {
            match sniff(&bytes[..n]) {
                Sniff::NeedMore => assert_eq!(decided, None),
                verdict => assert_eq!(*decided.get_or_insert(verdict), verdict, "changed its mind at {n}"),
            }
        }
        assert_eq!(decided, Some(expected), "{bytes:02x?}");
    }

    #[test]
    fn each_protocol_is_recognised_byte_by_byte() {
        verdict_with_every_split(&[0x16, 0x03, 0x01, 0x02, 0x00], Sniff::Tls);
        for line in
            ["GET / HTTP/1.1\r\n", "PUT /x", "POST /twirp", "OPTIONS *", "M-SEARCH *", "PRI * HTTP/2.0"]
        {
            let expected = if line.starts_with("M-") { Sniff::Unknown } else { Sniff::Http };
            verdict_with_every_split(line.as_bytes(), expected);
        }
        verdict_with_every_split(&ICE, Sniff::IceTcp);
        verdict_with_every_split(&TURN, Sniff::TurnTcp);
        verdict_with_every_split(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], Sniff::TurnTcp);
        verdict_with_every_split(&crate::SSL_CLIENT_HELLO, Sniff::SslTcp);
    }

    #[test]
    fn near_misses_are_unknown() {
        for bytes in [
            &[0x16, 0x02][..],
            &[0x80, 0x46, 0x02],
            b"get / HTTP/1.1",
            b"SS\n",
            &[0, 19, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
            &[0, 100, 1, 1],
            &[0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x43],
            &[0xff],
            b"\r\n",
        ] {
            assert_eq!(sniff(bytes), Sniff::Unknown, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn ten_bytes_always_decide(bytes in prop::collection::vec(any::<u8>(), SNIFF_BYTES..64)) {
            prop_assert_ne!(sniff(&bytes), Sniff::NeedMore);
        }

        #[test]
        fn a_verdict_never_changes_with_more_bytes(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 3, 20, 100, 0x16, 0x21, 0x12, 0xa4, 0x42, 0x80, 0x46, b'G', b'E', b' ']), 0..12)) {
            let mut decided = None;
            for n in 0..=bytes.len() {
                let verdict = sniff(&bytes[..n]);
                if let Some(before) = decided {
                    prop_assert_eq!(verdict, before);
                } else if verdict != Sniff::NeedMore {
                    decided = Some(verdict);
                }
            }
        }
    }
}
