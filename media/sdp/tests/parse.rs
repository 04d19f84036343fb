//! Parsing and printing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use bedrud_rtp::MediaKind;
use bedrud_sdp::{Direction, SdpError, SectionKind, SessionDescription, Setup};
use common::{all_fixtures, fixture};
use proptest::prelude::*;

#[test]
fn every_fixture_parses_and_printing_is_a_fixed_point() {
    for (name, text) in all_fixtures() {
        let first = SessionDescription::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let printed = first.to_string();
        let second = SessionDescription::parse(&printed).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(first, second, "{name}");
        assert_eq!(printed, second.to_string(), "{name}");
    }
}

#[test]
fn chromium_simulcast_offer_is_read_in_full() {
    let sdp = SessionDescription::parse(&fixture("chromium-pub-media-offer")).unwrap();
    assert!(sdp.extmap_allow_mixed);
    assert_eq!(sdp.bundle.len(), 3);
    let video = &sdp.media[2];
    assert_eq!(video.kind, SectionKind::Media(MediaKind::Video));
    assert_eq!(video.direction, Direction::SendOnly);
    assert_eq!(video.transport.setup, Some(Setup::ActPass));
    assert!(video.transport.fingerprints[0].starts_with("sha-256 "));
    assert!(video.rtcp_mux && video.rtcp_rsize);
    let rids: Vec<_> = video.simulcast_send.iter().map(|s| s.rid.as_str().to_owned()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    let vp8 = video.payload(96).unwrap();
    assert_eq!((vp8.name.as_str(), vp8.clock_rate, vp8.channels), ("VP8", 90_000, None));
    assert!(vp8.has_feedback("nack pli") && vp8.has_feedback("ccm fir"));
    let opus = sdp.media[1].payload(111).unwrap();
    assert_eq!((opus.channels, opus.fmtp.as_deref()), (Some(2), Some("minptime=10;useinbandfec=1")));
    let data = &sdp.media[0];
    assert_eq!((data.sctp_port, data.max_message_size), (Some(5_000), Some(262_144)));
}

#[test]
fn firefox_bundle_only_section_is_alive_and_a_stopped_one_is_not() {
    let sdp = SessionDescription::parse(&fixture("firefox-single-first-offer")).unwrap();
    let bundle_only = sdp.media.iter().filter(|s| s.bundle_only && s.port == 0).count();
    assert!(bundle_only >= 4);
    assert!(sdp.media.iter().all(|s| !s.is_rejected()));
    let stopped = SessionDescription::parse(&fixture("firefox-pub-stop-offer")).unwrap();
    assert_eq!(stopped.media.iter().filter(|s| s.is_rejected()).count(), 1);
}

#[test]
fn pion_offer_has_session_fingerprint_and_candidates_with_ufrag() {
    let sdp = SessionDescription::parse(&fixture("pion-pub-media-offer")).unwrap();
    assert_eq!(sdp.transport.fingerprints.len(), 1);
    assert!(sdp.media[0].transport.fingerprints.is_empty());
    assert_eq!(sdp.media[0].candidates.len(), 3);
    assert!(sdp.media[0].end_of_candidates);
}

#[test]
fn oddities_of_older_stacks_are_tolerated() {
    let text = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\nb=AS:100\na=unknown\na=group:LS 0\na=group:BUNDLE 0\n\
        m=video 9/2 UDP/TLS/RTP/SAVPF 96 97 96\nc=IN IP4 0.0.0.0\nb=TIAS:1\na=mid:0\na=rtpmap:96 vp8/90000\n\
        a=rtcp-fb:* nack\na=rtcp-fb:96 nack\na=rtcp-fb:55 nack\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n\
        a=fmtp:96 x-google-start-bitrate=700\na=fmtp:96 max-fr=30\na=fmtp:98 unknown=1\na=extmap:5000 urn:later\n\
        a=simulcast: send rid=~q,q2;h\na=rid:q send pt=96;max-width=320\na=rid:h send\na=ssrc:5 mslabel:x\n\
        a=ssrc:5 msid:stream track\na=ssrc:5 cname:c\na=candidate:nonsense\na=fingerprint:SHA-256 \
        ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab\n";
    let sdp = SessionDescription::parse(text).unwrap();
    let video = &sdp.media[0];
    assert_eq!(video.payloads.len(), 2);
    assert_eq!(video.payloads[0].feedback, ["nack"]);
    assert_eq!(video.payloads[1].feedback, ["nack"]);
    assert_eq!(video.payloads[0].fmtp.as_deref(), Some("x-google-start-bitrate=700;max-fr=30"));
    assert_eq!(video.extmap[0].id, 0);
    assert_eq!(video.simulcast_send.len(), 2);
    assert_eq!(video.msids[0].track.as_deref(), Some("track"));
    assert!(video.transport.fingerprints[0].starts_with("sha-256 AB:AB"));
    assert_eq!(sdp, SessionDescription::parse(&sdp.to_string()).unwrap());
}

#[test]
fn bad_lines_are_named_by_number() {
    let endless = format!("v=0\nm=audio 9 RTP/AVP 0\na=mid:{}\n", "x".repeat(256));
    let cases = [
        ("", SdpError::Missing("v=")),
        ("hello", SdpError::Malformed { line: 1, reason: "expected <type>=<value>" }),
        ("v=1\n", SdpError::Malformed { line: 1, reason: "expected v=0" }),
        ("v=0\nm=audio\n", SdpError::Malformed { line: 2, reason: "bad m= line" }),
        ("v=0\nm=audio 9 RTP/AVP 128\n", SdpError::Malformed { line: 2, reason: "bad m= line" }),
        ("v=0\nm=audio 9 RTP/AVP 1\na=rtpmap:1 x\n", SdpError::Malformed { line: 3, reason: "bad rtpmap" }),
        ("v=0\na=setup:maybe\n", SdpError::Malformed { line: 2, reason: "bad setup" }),
        ("v=0\na=ice-ufrag:a b c d\n", SdpError::Malformed { line: 2, reason: "bad ICE credential" }),
        ("v=0\na=ice-pwd:short\n", SdpError::Malformed { line: 2, reason: "bad ICE credential" }),
        ("v=0\na=fingerprint:sha-256 AB\n", SdpError::Malformed { line: 2, reason: "bad fingerprint" }),
        ("v=0\ns=a\u{0}b\n", SdpError::Malformed { line: 2, reason: "control character" }),
        ("v=0\ns=a\rb\n", SdpError::Malformed { line: 2, reason: "control character" }),
        (
            "v=0\nm=audio 9 RTP/AVP 0\na=mid:0\nm=audio 9 RTP/AVP 0\na=mid:0\n",
            SdpError::Malformed { line: 5, reason: "duplicate mid" },
        ),
        ("v=0\nm=audio 9 RTP/AVP 0\na=mid:a b\n", SdpError::Malformed { line: 3, reason: "bad mid" }),
        (&endless, SdpError::Malformed { line: 3, reason: "bad mid" }),
    ];
    for (text, error) in cases {
        assert_eq!(SessionDescription::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn sizes_and_counts_are_limited() {
    let large = format!("v=0\r\ns={}\r\n", "x".repeat(3 << 20));
    assert!(matches!(SessionDescription::parse(&large), Err(SdpError::TooLarge { .. })));
    let section = |n: usize| format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:{n}\n");
    let sections = |n: usize| format!("v=0\n{}", (0..n).map(section).collect::<String>());
    assert_eq!(SessionDescription::parse(&sections(512)).unwrap().media.len(), 512);
    assert!(matches!(SessionDescription::parse(&sections(513)), Err(SdpError::TooMany { limit: 512, .. })));
    let repeated = |line: &str, n: usize| {
        let lines: String = (0..n).map(|i| line.replace('N', &i.to_string()) + "\n").collect();
        SessionDescription::parse(&format!("v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n{lines}"))
    };
    assert!(repeated("a=whatever:N", 2_048).is_ok());
    assert!(matches!(repeated("a=whatever:N", 2_049), Err(SdpError::TooMany { .. })));
    assert!(matches!(repeated("a=ssrc:N cname:c", 65), Err(SdpError::TooMany { .. })));
    assert!(matches!(repeated("a=extmap:1 urn:N", 65), Err(SdpError::TooMany { .. })));
    assert!(matches!(repeated("a=rid:rN send", 9), Err(SdpError::Malformed { .. })));
    assert_eq!(
        repeated("a=candidate:N 1 udp 1 192.0.2.1 9 typ host", 200).unwrap().media[0].candidates.len(),
        64
    );
}

#[test]
fn errors_and_debug_output_hold_no_password() {
    let text = fixture("chromium-pub-media-offer");
    let sdp = SessionDescription::parse(&text).unwrap();
    let pwd = sdp.media[0].transport.ice.as_ref().unwrap().pwd.clone();
    assert!(pwd.len() >= 22);
    assert!(!format!("{sdp:?}").contains(&pwd));
    let broken = text.replacen("a=ice-pwd:", "a=ice-pwd:\u{7f}", 1);
    let error = SessionDescription::parse(&broken).unwrap_err();
    assert!(!error.to_string().contains(&pwd));
}

/// Lines of real descriptions, shuffled and damaged.
fn mangled() -> impl Strategy<Value = String> {
    let lines: Vec<String> =
        all_fixtures().iter().flat_map(|(_, t)| t.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let line =
        (prop::sample::select(lines), any::<prop::sample::Index>(), "[ -~\\x00\\xff;/=:~]{0,4}", 0..4_u8);
    prop::collection::vec(line, 1..60).prop_map(|lines| {
        let mut out = String::from("v=0\r\n");
        for (mut line, at, insert, damage) in lines {
            if damage == 0 {
                let cut = at.index(line.len() + 1);
                if line.is_char_boundary(cut) {
                    line.insert_str(cut, &insert);
                }
            }
            out.push_str(&line);
            out.push_str("\r\n");
        }
        out
    })
}

/// A real description with a few lines dropped, doubled, exchanged or damaged: mostly still an offer or answer.
fn edited() -> impl Strategy<Value = String> {
    let edit = (0..5_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~]{0,3}");
    (prop::sample::select(all_fixtures()), prop::collection::vec(edit, 0..6)).prop_map(
        |((_, text), edits)| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            for (what, at, other, insert) in edits {
                let (i, j) = (at.index(lines.len()), other.index(lines.len()));
                match what {
                    0 if lines.len() > 1 => drop(lines.remove(i)),
                    1 => lines.insert(i, lines[j].clone()),
                    2 => lines.swap(i, j),
                    _ => {
                        let cut = other.index(lines[i].len() + 1);
                        lines[i].insert_str(cut, &insert);
                    }
                }
            }
            lines.join("\r\n") + "\r\n"
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = SessionDescription::parse(&text);
        let _ = SessionDescription::parse(&format!("v=0\n{text}"));
        let _ = SessionDescription::parse(&format!("v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na={text}"));
    }

    #[test]
    fn what_parses_prints_to_a_fixed_point(text in mangled()) {
        if let Ok(first) = SessionDescription::parse(&text) {
            let printed = first.to_string();
            let second = SessionDescription::parse(&printed);
            prop_assert_eq!(second.as_ref(), Ok(&first));
        }
    }

    #[test]
    fn edited_descriptions_are_answered_or_refused_and_never_confuse_the_session(
        first in edited(), second in edited(), mangled in mangled(),
    ) {
        for single in [false, true] {
            let mut answerer = common::answerer(single);
            for (i, offer) in [&first, &mangled, &second, &first].into_iter().enumerate() {
                let sid = format!("TR_{i}");
                answerer.add_track(common::track(&sid, &[common::plain(bedrud_rtp::Codec::Vp8)], 2 * i as u32));
                let Ok(parsed) = answerer.apply_offer(offer) else { continue };
                let answer = answerer.answer(&common::local(0), &Default::default()).unwrap();
                let sdp = common::assert_well_formed(&answer.sdp);
                prop_assert_eq!(sdp.media.len(), SessionDescription::parse(offer).unwrap().media.len());
                prop_assert_eq!(answer.sections.len(), parsed.sections.len());
                prop_assert!(single || answer.mid_to_track_id.is_empty());
                answerer.take_requirement();
            }
        }
        let mut offerer = common::offerer(Default::default());
        offerer.add_track(common::track("TR_v", &[common::plain(bedrud_rtp::Codec::Vp8)], 1)).unwrap();
        offerer.create_offer(&common::local(0)).unwrap();
        for answer in [&mangled, &first, &second] {
            let _ = offerer.apply_answer(answer);
        }
    }
}
