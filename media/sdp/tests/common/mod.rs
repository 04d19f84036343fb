//! Shared by the integration tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use bedrud_rtp::{Codec, MediaKind, Mid};
use bedrud_sdp::{
    Answerer, AnswererConfig, ClientQuirks, CodecSpec, CodecTable, H264Profile, HostCandidate,
    IceCredentials, LocalTransport, Offerer, OffererConfig, SendTrack, SessionDescription,
};
use std::sync::Arc;

pub(crate) const FINGERPRINT: &str =
    "sha-256 5A:1C:2E:0B:1B:44:87:19:0C:88:6F:2D:9A:1E:55:70:3B:6C:9D:0F:21:43:65:87:A9:CB:ED:0F:12:34:56:78";
pub(crate) const BROWSERS: [&str; 2] = ["chromium", "firefox"];

pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub(crate) fn all_fixtures() -> Vec<(String, String)> {
    let dir = format!("{}/tests/fixtures", env!("CARGO_MANIFEST_DIR"));
    let mut out: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "sdp"))
        .map(|p| {
            (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&p).unwrap())
        })
        .collect();
    out.sort();
    assert!(out.len() > 40);
    out
}

pub(crate) fn local(generation: u32) -> LocalTransport {
    LocalTransport {
        ice: IceCredentials {
            ufrag: format!("local{generation:07}"),
            pwd: format!("password{generation:016}"),
        },
        fingerprint: FINGERPRINT.into(),
        candidates: vec![
            HostCandidate { addr: "192.0.2.1:7000".parse().unwrap(), tcp: false },
            HostCandidate { addr: "192.0.2.1:7000".parse().unwrap(), tcp: true },
        ],
        ice_lite: true,
    }
}

pub(crate) fn answerer(single_connection: bool) -> Answerer {
    answerer_with(single_connection, CodecTable::default(), ClientQuirks::default())
}

pub(crate) fn answerer_with(single_connection: bool, codecs: CodecTable, quirks: ClientQuirks) -> Answerer {
    Answerer::new(AnswererConfig { codecs: Arc::new(codecs), quirks, single_connection, session_id: 77 })
}

pub(crate) fn offerer(quirks: ClientQuirks) -> Offerer {
    let codecs = Arc::new(CodecTable::default());
    Offerer::new(OffererConfig { codecs, quirks, session_id: 78, first_offer_id: 5 })
}

pub(crate) fn mid(text: &str) -> Mid {
    Mid::new(text).unwrap()
}

pub(crate) fn plain(codec: Codec) -> CodecSpec {
    CodecSpec::plain(codec)
}

pub(crate) fn h264() -> CodecSpec {
    CodecSpec::h264(H264Profile::ConstrainedBaseline, true)
}

pub(crate) fn h265() -> CodecSpec {
    CodecSpec { codec: Codec::H265, variant: 1 }
}

pub(crate) fn track(sid: &str, codecs: &[CodecSpec], ssrc: u32) -> SendTrack {
    let kind = codecs.first().unwrap().codec.kind();
    SendTrack {
        participant_sid: "PA_abc".into(),
        track_sid: sid.into(),
        stream_name: None,
        kind,
        codecs: codecs.to_vec(),
        ssrc,
        rtx_ssrc: (kind == MediaKind::Video).then_some(ssrc + 1),
        cname: "PA_abc".into(),
        stereo: false,
    }
}

/// Lines of the section with this mid, its `m=` line first.
pub(crate) fn section_lines(sdp: &str, mid: &str) -> Vec<String> {
    let mut sections: Vec<Vec<String>> = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line.to_owned());
        }
    }
    let wanted = format!("a=mid:{mid}");
    sections.into_iter().find(|s| s.contains(&wanted)).unwrap_or_else(|| panic!("no section {mid}"))
}

pub(crate) fn has_line(sdp: &str, mid: &str, line: &str) -> bool {
    section_lines(sdp, mid).iter().any(|l| l == line)
}

/// Every description we write has CRLF line ends and is understood by our own parser without loss.
pub(crate) fn assert_well_formed(sdp: &str) -> SessionDescription {
    assert!(sdp.ends_with("\r\n"));
    assert!(sdp.lines().all(|l| !l.is_empty()));
    let parsed = SessionDescription::parse(sdp).unwrap();
    assert_eq!(parsed.to_string(), sdp);
    for (i, section) in parsed.media.iter().enumerate() {
        let bundled = section.mid.is_some_and(|mid| parsed.bundle.contains(&mid));
        let alone = parsed.media.len() == 1 && parsed.bundle.is_empty();
        assert_eq!(bundled || alone && section.port != 0, !section.is_rejected(), "section {i}");
    }
    let tag = parsed.bundle.first();
    for section in parsed.media.iter().filter(|s| !s.is_rejected()) {
        assert_eq!(section.candidates.is_empty(), tag.is_some() && section.mid.as_ref() != tag);
        assert!(section.transport.ice.is_some() && section.transport.setup.is_some());
    }
    parsed
}
