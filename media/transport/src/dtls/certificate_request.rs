//! Asking clients for RSA certificates as well as ECDSA ones.
//!
//! The DTLS library verifies a client's signature by any algorithm its crypto provider knows, but its
//! CertificateRequest (RFC 5246, section 7.4.4) names ECDSA alone, so a client that has an RSA certificate, as
//! GStreamer's does, sends none and is refused. The request is therefore widened on its way out. What both sides hash
//! and sign is the handshake as the client saw it, so wherever the library hashes or verifies its transcript the same
//! function widens the same message there. A difference between the two could only make the handshake fail.

use std::borrow::Cow;

/// Record header, RFC 6347 section 4.1: type, version, epoch and sequence number, length.
const RECORD_HEADER: usize = 13;
/// Handshake header, RFC 6347 section 4.2.2: type, length, sequence number, fragment's offset and length.
const HANDSHAKE_HEADER: usize = 12;
const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const CERTIFICATE_REQUEST: u8 = 13;
/// ClientCertificateType `rsa_sign`.
const RSA_SIGN: u8 = 1;
/// RSASSA-PKCS1-v1_5 with SHA-256, SHA-384 and SHA-512.
const RSA_SCHEMES: [[u8; 2]; 3] = [[4, 1], [5, 1], [6, 1]];

fn u24(bytes: &[u8]) -> Option<usize> {
    let [a, b, c] = bytes.first_chunk()?;
    Some(usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c))
}

/// A handshake message or a fragment of one, and where it lies.
struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: [u8; 2],
    offset: usize,
    body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The fragment that `bytes` begin with, and what follows it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_at_checked(HANDSHAKE_HEADER)?;
        let (body, rest) = rest.split_at_checked(u24(header.get(9..)?)?)?;
        let fragment = Self {
            kind: *header.first()?,
            length: u24(header.get(1..)?)?,
            sequence: *header.get(4..)?.first_chunk()?,
            offset: u24(header.get(6..)?)?,
            body,
        };
        Some((fragment, rest))
    }

    fn is_whole(&self) -> bool {
        self.offset == 0 && self.body.len() == self.length
    }
}

/// The body of a CertificateRequest with RSA added; `None` when it is malformed or does not fit its lengths.
fn widened(body: &[u8]) -> Option<Vec<u8>> {
    let (kinds, rest) = body.get(1..)?.split_at_checked(usize::from(*body.first()?))?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (schemes, authorities) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let mut kinds = kinds.to_vec();
    if !kinds.contains(&RSA_SIGN) {
        kinds.push(RSA_SIGN);
    }
    let mut schemes = schemes.to_vec();
    for scheme in RSA_SCHEMES {
        if !schemes.chunks(2).any(|s| s == scheme) {
            schemes.extend(scheme);
        }
    }
    let mut out = vec![u8::try_from(kinds.len()).ok()?];
    out.extend(kinds);
    out.extend(u16::try_from(schemes.len()).ok()?.to_be_bytes());
    out.extend(schemes);
    out.extend(authorities);
    Some(out)
}

/// A whole handshake message.
fn put_message(out: &mut Vec<u8>, kind: u8, sequence: [u8; 2], body: &[u8]) -> Option<()> {
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    out.push(kind);
    out.extend(&length[1..]);
    out.extend(sequence);
    out.extend([0; 3]);
    out.extend(&length[1..]);
    out.extend(body);
    Some(())
}

/// The transcript of a server, with its CertificateRequest as the client got it. Other bytes stay as they are.
pub(super) fn widened_transcript(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.first() != Some(&CLIENT_HELLO) {
        return Cow::Borrowed(bytes);
    }
    let widened = || {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (message, after) = Fragment::split(rest)?;
            if !message.is_whole() {
                return None;
            }
            if message.kind == CERTIFICATE_REQUEST {
                put_message(&mut out, message.kind, message.sequence, &widened(message.body)?)?;
            } else {
                out.extend(&rest[..rest.len() - after.len()]);
            }
            rest = after;
        }
        Some(out)
    };
    widened().map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// Widens the request in the datagrams of a server's flight.
#[derive(Debug, Default)]
pub(super) struct Widener {
    /// The request so far, when the library cut it in two at the end of a datagram.
    body: Vec<u8>,
}

impl Widener {
    /// The datagram to send instead, which may be empty; `None` when this one is right as it is.
    pub(super) fn datagram(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(datagram.len() + 16);
        let mut changed = false;
        let mut rest = datagram;
        while !rest.is_empty() {
            let (header, after) = rest.split_at_checked(RECORD_HEADER)?;
            let length = u16::from_be_bytes(*header.last_chunk()?);
            let (content, after) = after.split_at_checked(usize::from(length))?;
            let plain = header.first() == Some(&HANDSHAKE_RECORD) && header.get(3..5) == Some(&[0, 0]);
            match plain.then(|| self.record(content)).flatten() {
                Some(content) => {
                    changed = true;
                    if !content.is_empty() {
                        out.extend(&header[..RECORD_HEADER - 2]);
                        out.extend(u16::try_from(content.len()).ok()?.to_be_bytes());
                        out.extend(content);
                    }
                }
                None => out.extend(&rest[..rest.len() - after.len()]),
            }
            rest = after;
        }
        changed.then_some(out)
    }

    fn record(&mut self, content: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![];
        let mut changed = false;
        let mut rest = content;
        while !rest.is_empty() {
            let (fragment, after) = Fragment::split(rest)?;
            if fragment.kind == CERTIFICATE_REQUEST {
                changed = true;
                self.body.truncate(fragment.offset);
                self.body.extend(fragment.body);
                if self.body.len() == fragment.length {
                    put_message(&mut out, fragment.kind, fragment.sequence, &widened(&self.body)?)?;
                    self.body.clear();
                }
            } else {
                out.extend(&rest[..rest.len() - after.len()]);
            }
            rest = after;
        }
        changed.then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the library asks for: `ecdsa_sign`, ECDSA with SHA-256 and SHA-384, no authorities.
    const NARROW: [u8; 10] = [1, 64, 0, 4, 4, 3, 5, 3, 0, 0];
    const WIDE: [u8; 17] = [2, 64, 1, 0, 10, 4, 3, 5, 3, 4, 1, 5, 1, 6, 1, 0, 0];

    fn message(kind: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        put_message(&mut out, kind, [0, sequence], body).unwrap();
        out
    }

    fn record(epoch: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![HANDSHAKE_RECORD, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 3];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    #[test]
    fn a_request_is_widened_once() {
        assert_eq!(widened(&NARROW).unwrap(), WIDE);
        assert_eq!(widened(&WIDE).unwrap(), WIDE);
        assert_eq!(widened(&[1, 64, 0, 0, 0, 0]).unwrap(), [2, 64, 1, 0, 6, 4, 1, 5, 1, 6, 1, 0, 0]);
        for cut in 0..NARROW.len() - 2 {
            assert_eq!(widened(&NARROW[..cut]), None);
        }
    }

    #[test]
    fn datagram_and_transcript_agree() {
        let [hello, done] = [message(2, 1, b"hello"), message(14, 4, b"")];
        let flight = [hello.clone(), message(CERTIFICATE_REQUEST, 3, &NARROW), done.clone()];
        let wide = message(CERTIFICATE_REQUEST, 3, &WIDE);
        let datagram: Vec<u8> = flight.iter().flat_map(|m| record(0, m)).collect();
        let expected = [record(0, &hello), record(0, &wide), record(0, &done)].concat();
        assert_eq!(Widener::default().datagram(&datagram).unwrap(), expected);
        // Several messages in one record.
        let expected = record(0, &[hello.clone(), wide.clone(), done.clone()].concat());
        assert_eq!(Widener::default().datagram(&record(0, &flight.concat())).unwrap(), expected);

        let client_hello = message(CLIENT_HELLO, 0, b"client");
        let transcript = [client_hello.clone(), flight.concat()].concat();
        assert_eq!(*widened_transcript(&transcript), [client_hello, hello, wide, done].concat());
    }

    #[test]
    fn a_request_cut_in_two_is_sent_whole() {
        let whole = message(CERTIFICATE_REQUEST, 3, &NARROW);
        let part = |from: usize, to: usize| {
            let mut part = whole[..HANDSHAKE_HEADER].to_vec();
            part[8] = u8::try_from(from).unwrap();
            part[11] = u8::try_from(to - from).unwrap();
            part.extend(&NARROW[from..to]);
            record(0, &part)
        };
        let mut widener = Widener::default();
        // Twice: the second is a retransmission.
        for _ in 0..2 {
            let first = [record(0, &message(2, 1, b"hello")), part(0, 7)].concat();
            assert_eq!(widener.datagram(&first).unwrap(), record(0, &message(2, 1, b"hello")));
            assert_eq!(
                widener.datagram(&part(7, 10)).unwrap(),
                record(0, &message(CERTIFICATE_REQUEST, 3, &WIDE))
            );
        }
    }

    #[test]
    fn everything_else_stays() {
        let request = message(CERTIFICATE_REQUEST, 3, &NARROW);
        let mut widener = Widener::default();
        assert_eq!(widener.datagram(&record(0, &message(2, 1, b"hello"))), None);
        assert_eq!(widener.datagram(&record(1, &request)), None, "encrypted");
        assert_eq!(widener.datagram(&[23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 13]), None);
        assert_eq!(*widened_transcript(&request), request, "no ClientHello");
        assert_eq!(*widened_transcript(b"\x01 is no message"), *b"\x01 is no message");
        // Bytes of a request inside another message are that message's.
        let inside = message(CLIENT_HELLO, 0, &request);
        assert_eq!(*widened_transcript(&inside), inside);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..3) {
            let mut widener = Widener::default();
            let _ = (widened(&bytes), widener.datagram(&bytes));
            if let [first, ..] = &mut *bytes {
                *first = [CLIENT_HELLO, CERTIFICATE_REQUEST, HANDSHAKE_RECORD][usize::from(kind)];
            }
            let _ = (widener.datagram(&bytes), widened_transcript(&bytes), widener.datagram(&record(0, &bytes)));
        }
    }
}
