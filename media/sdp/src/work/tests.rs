//! Hostile descriptions: whatever part of one grows, the work grows no faster.

use super::steps;
use crate::{
    AnswerChoices, Answerer, AnswererConfig, ClientQuirks, CodecTable, IceCredentials, LocalTransport,
    SdpError, SendTrack,
};
use bedrud_rtp::MediaKind;
use std::fmt::Write as _;
use std::sync::Arc;

const SESSION: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
    a=fingerprint:sha-256 5A:1C:2E:0B:1B:44:87:19:0C:88:6F:2D:9A:1E:55:70:3B:6C:9D:0F:21:43:65:87:A9:CB:ED:0F:12:34:56:78\r\n";

/// An offer of sections, each with the same lines.
fn offer(sections: usize, media: &str, lines: &str) -> String {
    let mut out = format!("{SESSION}a=group:BUNDLE");
    for mid in 0..sections {
        write!(out, " {mid}").unwrap();
    }
    out.push_str("\r\n");
    for mid in 0..sections {
        write!(out, "m={media}\r\na=mid:{mid}\r\na=rtcp-mux\r\n{lines}").unwrap();
    }
    out
}

fn repeated(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(|i| format!("{}\r\n", line(i))).collect()
}

/// Makes a description of a size.
type Maker = Box<dyn Fn(usize) -> String>;

/// Offers whose size is that of the argument, 1 at least and 64 at most, in one respect each.
fn hostile() -> Vec<(&'static str, Maker)> {
    let many_formats = |n: usize| (0..n).map(|i| format!(" {i}")).collect::<String>();
    let section =
        |lines: fn(usize) -> String| move |n| offer(20, "video 9 UDP/TLS/RTP/SAVPF 96", &lines(n * 16));
    vec![
        (
            "sections",
            Box::new(|n| {
                offer(n * 8, "video 9 UDP/TLS/RTP/SAVPF 96", "a=recvonly\r\na=rtpmap:96 VP8/90000\r\n")
            }),
        ),
        (
            "sections without a codec of ours",
            Box::new(|n| {
                offer(n * 8, "video 9 UDP/TLS/RTP/SAVPF 96", "a=recvonly\r\na=rtpmap:96 AV1/90000\r\n")
            }),
        ),
        ("sections of a foreign kind", Box::new(|n| offer(n * 8, "text 9 x y", ""))),
        ("sections stopped", Box::new(|n| offer(n * 8, "video 0 UDP/TLS/RTP/SAVPF 96", ""))),
        (
            "payload types",
            Box::new(move |n| offer(40, &format!("audio 9 UDP/TLS/RTP/SAVPF{}", many_formats(n)), "")),
        ),
        (
            "payload types, described, and feedback for all",
            Box::new(move |n| {
                let mut lines = repeated(n, |i| format!("a=rtpmap:{i} VP8/90000"));
                lines += &repeated(12, |i| format!("a=rtcp-fb:* nack{i}"));
                offer(40, &format!("video 9 UDP/TLS/RTP/SAVPF{}", many_formats(n)), &lines)
            }),
        ),
        (
            "repairs of repairs",
            Box::new(move |n| {
                let lines = repeated(n, |i| {
                    format!("a=rtpmap:{i} {}/90000\r\na=fmtp:{i} apt={}", ["rtx", "VP9"][i % 2], i + 1)
                });
                offer(40, &format!("video 9 UDP/TLS/RTP/SAVPF{}", many_formats(n)), &lines)
            }),
        ),
        (
            "parameters of one payload type",
            Box::new(section(|n| repeated(n, |i| format!("a=fmtp:96 a={i}")))),
        ),
        ("feedback", Box::new(section(|n| repeated(n, |i| format!("a=rtcp-fb:96 x{i}"))))),
        (
            "candidates",
            Box::new(section(|n| repeated(n, |i| format!("a=candidate:{i} 1 udp 1 ::1 9 typ host")))),
        ),
        ("unknown lines", Box::new(section(|n| repeated(n, |i| format!("a=x{i}"))))),
        ("fingerprints", Box::new(section(|n| repeated(n, |_| "a=fingerprint:sha-512 00".to_owned())))),
        (
            "sources and their groups",
            Box::new(|n| {
                let mut lines = repeated(n, |i| format!("a=ssrc:{i} cname:x"));
                lines += &repeated(n, |i| format!("a=ssrc-group:FID {i} {}", i + 1));
                offer(40, "video 9 UDP/TLS/RTP/SAVPF 96", &lines)
            }),
        ),
        (
            "extensions",
            Box::new(|n| {
                let mid = "urn:ietf:params:rtp-hdrext:sdes:mid";
                offer(
                    40,
                    "audio 9 UDP/TLS/RTP/SAVPF 111",
                    &repeated(n, |i| format!("a=extmap:{} {mid}", i % 14 + 1)),
                )
            }),
        ),
    ]
}

fn answerer(single_connection: bool) -> Answerer {
    let codecs = Arc::new(CodecTable::default());
    let quirks = ClientQuirks::default();
    let mut out = Answerer::new(AnswererConfig { codecs, quirks, single_connection, session_id: 7 });
    for i in 0..if single_connection { 20 } else { 0 } {
        out.add_track(SendTrack {
            participant_sid: "PA_a".into(),
            track_sid: format!("TR_{i}"),
            stream_name: None,
            kind: MediaKind::Video,
            codecs: vec![crate::CodecSpec::plain(bedrud_rtp::Codec::Vp8)],
            ssrc: 1000 + 2 * i,
            rtx_ssrc: None,
            cname: "c".into(),
            stereo: false,
        });
    }
    out
}

/// Reads and answers an offer twice, as after an ICE restart; an error is an answer, too.
fn negotiate(sdp: &str, single_connection: bool) -> Result<(), SdpError> {
    let mut answerer = answerer(single_connection);
    for _ in 0..2 {
        answerer.apply_offer(sdp)?;
        let local = LocalTransport {
            ice: IceCredentials { ufrag: "abcd".into(), pwd: "x".repeat(24) },
            fingerprint: "sha-256 00".into(),
            candidates: Vec::new(),
            ice_lite: true,
        };
        answerer.answer(&local, &AnswerChoices::new())?;
    }
    Ok(())
}

#[test]
fn work_grows_no_faster_than_the_description() {
    for (what, sdp) in hostile() {
        for single in [false, true] {
            let cost = |n: usize| {
                let sdp = sdp(n);
                (steps(|| drop(negotiate(&sdp, single))), sdp.len() as u64)
            };
            for n in [8, 16, 32] {
                let ((little, _), (twice, size)) = (cost(n), cost(2 * n));
                assert!(little > 0);
                assert!(twice <= little * 11 / 5, "{what}: {little} steps become {twice}");
                // Read and answered twice.
                assert!(twice <= 2 * size, "{what}: {twice} steps for {size} bytes");
            }
        }
    }
}

#[test]
fn steps_of_a_hostile_description_are_counted() {
    // What is tested above would pass if the counter stood still.
    let (_, sections) = hostile().into_iter().next().unwrap();
    let sdp = sections(32);
    assert!(negotiate(&sdp, true).is_ok());
    let lines = sdp.lines().count() as u64;
    assert!(steps(|| drop(negotiate(&sdp, true))) > 2 * lines);
}

#[test]
fn limits_are_errors_that_say_which() {
    let many = |n: usize| (0..n).map(|i| format!(" {}", i % 100)).collect::<String>();
    let bundle = format!("{SESSION}a=group:BUNDLE{}\r\n", many(100_000));
    for (sdp, what) in [
        (offer(513, "audio 9 x 0", ""), "bundled sections"),
        (bundle, "bundled sections"),
        (offer(1, &format!("audio 9 UDP/TLS/RTP/SAVPF{}", many(129)), ""), "formats in a media section"),
        (offer(1, &format!("text 9 x{}", many(129)), ""), "formats in a media section"),
        (offer(1, "audio 9 x 0", &"a=b\r\n".repeat(3000)), "lines in a media section"),
        (offer(1, "audio 9 x 0", &repeated(65, |i| format!("a=ssrc:{i} x"))), "ssrcs in a media section"),
        (format!("{SESSION}{}", "a=b\r\n".repeat(3000)), "session lines"),
    ] {
        match negotiate(&sdp, true) {
            Err(SdpError::TooMany { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}
