//! ICE fragments (RFC 8840), as WHIP and WHEP exchange them after the first answer (RFC 9725 section 4.3).

use crate::error::SdpError;
use crate::parse::{PartialIce, transport_attribute};
use crate::session::TransportAttributes;
use crate::transport::{IceCredentials, LocalTransport};
use bedrud_rtp::MediaKind;
use std::fmt::Write as _;

/// Bytes of a fragment.
const MAX_BYTES: usize = 64 * 1024;
/// Lines of a fragment.
const MAX_LINES: usize = 1_024;

/// What a client's `application/trickle-ice-sdpfrag` says. Its candidates are checked for their form and not kept: an
/// ICE-lite agent learns addresses from the checks that come from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceFragment {
    /// Credentials of the client's ICE session.
    pub ice: IceCredentials,
    /// Number of candidates.
    pub candidates: usize,
}

impl IceFragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// [`SdpError`] when it is too large, is no list of `a=` and `m=` lines, or lacks the credentials.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLarge { size: text.len(), limit: MAX_BYTES });
        }
        let mut ice = PartialIce::default();
        let mut other = TransportAttributes::default();
        let mut candidates = 0_usize;
        for (index, raw) in text.split('\n').enumerate() {
            let line = index.saturating_add(1);
            if line > MAX_LINES {
                return Err(SdpError::TooMany { what: "lines in a fragment", limit: MAX_LINES });
            }
            let malformed = |reason| SdpError::Malformed { line, reason };
            let raw = raw.trim_end_matches(['\r', ' ']);
            if raw.is_empty() {
                continue;
            }
            match raw.split_once('=') {
                Some(("m", _)) => {}
                Some(("a", value)) => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    if name == "candidate" {
                        if !is_candidate(value) {
                            return Err(malformed("bad candidate"));
                        }
                        candidates = candidates.saturating_add(1);
                    }
                    transport_attribute(&mut other, &mut ice, name, value, line)?;
                }
                _ => return Err(malformed("expected a= or m=")),
            }
        }
        let ice = ice.complete().ok_or(SdpError::Missing("ICE credentials"))?;
        Ok(Self { ice, candidates })
    }
}

/// `foundation component transport priority address port typ type …` (RFC 8839 section 5.1).
fn is_candidate(value: &str) -> bool {
    let words: Vec<&str> = value.split_ascii_whitespace().take(8).collect();
    let [_, component, _, priority, _, port, typ, _] = words.as_slice() else { return false };
    component.parse::<u16>().is_ok()
        && priority.parse::<u32>().is_ok()
        && port.parse::<u16>().is_ok()
        && *typ == "typ"
}

impl LocalTransport {
    /// Our side as a fragment: the answer to an ICE restart. `mid` is the section that
    /// carries the transport.
    #[must_use]
    pub fn fragment(&self, kind: MediaKind, mid: &str) -> String {
        let media = if kind == MediaKind::Audio { "audio" } else { "video" };
        let mut out = String::new();
        if self.ice_lite {
            out.push_str("a=ice-lite\r\n");
        }
        let _ = write!(
            out,
            "a=group:BUNDLE {mid}\r\nm={media} 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
            self.ice.ufrag, self.ice.pwd
        );
        for (index, candidate) in self.candidates.iter().enumerate() {
            let _ = write!(out, "a={}\r\n", candidate.to_text(index));
        }
        out.push_str("a=end-of-candidates\r\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host \
        generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n";

    #[test]
    fn a_trickled_fragment_is_read() {
        let fragment = IceFragment::parse(TRICKLE).unwrap();
        assert_eq!((fragment.ice.ufrag.as_str(), fragment.candidates), ("EsAw", 1));
    }

    #[test]
    fn fragments_without_sense_are_refused() {
        for bad in [
            "",
            "hello",
            "v=0\r\n",
            "a=ice-ufrag:EsAw\r\n",
            &TRICKLE.replace("61764", "port"),
            &TRICKLE.replace("EsAw\r\n", "x\r\n"),
            &"a=mid:0\r\n".repeat(2_000),
            &"x".repeat(70_000),
        ] {
            assert!(IceFragment::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn our_fragment_reads_back() {
        let local = LocalTransport {
            ice: IceCredentials { ufrag: "abcd".into(), pwd: "x".repeat(24) },
            fingerprint: String::new(),
            candidates: vec![crate::HostCandidate { addr: "192.0.2.1:7000".parse().unwrap(), tcp: false }],
            ice_lite: true,
        };
        let text = local.fragment(MediaKind::Video, "1");
        assert!(text.contains("m=video 9") && text.contains("a=mid:1\r\n"));
        let read = IceFragment::parse(&text).unwrap();
        assert_eq!((read.ice, read.candidates), (local.ice, 1));
    }
}
