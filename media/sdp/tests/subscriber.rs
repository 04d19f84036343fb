//! The subscriber connection of a dual-connection client: we offer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use bedrud_rtp::{Codec, Extension};
use bedrud_sdp::{ClientQuirks, Direction, Offerer, SdpError, SessionDescription, Setup};
use common::{
    BROWSERS, assert_well_formed, fixture, h264, h265, has_line, local, mid, offerer, plain, section_lines,
    track,
};

fn no_reuse() -> ClientQuirks {
    ClientQuirks { reuse_sections: false, ..ClientQuirks::default() }
}

/// Answers as a client that accepts everything.
fn answer_to(offer: &str) -> String {
    let mut sdp = SessionDescription::parse(offer).unwrap();
    sdp.ice_lite = false;
    for section in &mut sdp.media {
        section.direction = section.direction.reversed();
        section.msids.clear();
        section.ssrcs.clear();
        section.ssrc_groups.clear();
        section.candidates.clear();
        if section.transport.setup.is_some() {
            section.transport.setup = Some(Setup::Active);
        }
    }
    sdp.to_string()
}

fn round(o: &mut Offerer) -> SessionDescription {
    let offer = o.create_offer(&local(0)).unwrap();
    o.apply_answer(&answer_to(&offer.sdp)).unwrap();
    assert_well_formed(&offer.sdp)
}

#[test]
fn browsers_answer_a_session_step_by_step() {
    for browser in BROWSERS {
        for reuse in [true, false] {
            let mut o = offerer(if reuse { ClientQuirks::default() } else { no_reuse() });
            let mut generation = 0;
            let mut step = |o: &mut Offerer, name: &str| {
                assert!(o.needs_offer());
                let variant = if !reuse && matches!(name, "removed" | "reused") { "noreuse-" } else { "" };
                let offer = o.create_offer(&local(generation)).unwrap();
                assert!(!o.needs_offer() && o.in_flight() == Some(&offer));
                let parsed = assert_well_formed(&offer.sdp);
                let summary =
                    o.apply_answer(&fixture(&format!("{browser}-sub-{variant}{name}-answer"))).unwrap();
                assert_eq!(summary.offer_id, offer.id);
                assert!(summary.transport.sctp && o.in_flight().is_none());
                generation += 1;
                (offer, parsed, summary)
            };
            let (offer, parsed, _) = step(&mut o, "data");
            assert_eq!((offer.id, parsed.media.len()), (5, 1));

            o.add_track(track("TR_a1", &[plain(Codec::Red), plain(Codec::Opus)], 1_000)).unwrap();
            o.add_track(track("TR_v1", &[plain(Codec::Vp8)], 2_000)).unwrap();
            o.add_track(track("TR_v2", &[h264(), plain(Codec::Vp8)], 2_010)).unwrap();
            o.add_track(track("TR_v3", &[plain(Codec::Vp9)], 2_020)).unwrap();
            o.add_track(track("TR_v4", &[plain(Codec::Av1)], 2_030)).unwrap();
            o.add_track(track("TR_v5", &[h265()], 2_040)).unwrap();
            let (offer, _, summary) = step(&mut o, "media");
            assert_eq!((offer.id, offer.mid_to_track_id.len()), (6, 6));
            assert_eq!(offer.mid_to_track_id.get("1").map(String::as_str), Some("TR_a1"));
            let of = |sid: &str| summary.sections.iter().find(|s| s.track_sid == sid).unwrap();
            let opus = of("TR_a1").payloads.iter().any(|p| p.codec == Codec::Opus && p.pt == 111);
            assert!(opus && of("TR_v5").payloads.is_empty());
            assert_eq!(of("TR_a1").payloads.iter().any(|p| p.codec == Codec::Red), browser == "chromium");
            let vp8 = of("TR_v1").payloads[0];
            assert_eq!((vp8.pt, vp8.codec, vp8.rtx, vp8.nack), (96, Codec::Vp8, Some(97), true));
            let preferred = of("TR_v2").payloads[0].codec;
            assert_eq!(preferred, if browser == "chromium" { Codec::H264 } else { Codec::Vp8 });
            assert_eq!(summary.extensions.id(Extension::AbsSendTime), Some(2));

            let stereo = track("TR_a2", &[plain(Codec::Opus)], 1_010);
            o.add_track(bedrud_sdp::SendTrack { stereo: true, ..stereo }).unwrap();
            let (offer, _, _) = step(&mut o, "stereo");
            assert!(has_line(&offer.sdp, "7", "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1"));

            assert!(o.remove_track("TR_v1"));
            let (offer, parsed, summary) = step(&mut o, "removed");
            assert_eq!(parsed.media[2].direction, Direction::Inactive);
            assert_eq!(parsed.media[2].is_rejected(), !reuse);
            assert!(!offer.mid_to_track_id.contains_key("2"));
            assert!(summary.sections.iter().all(|s| s.track_sid != "TR_v1"));

            let at = o.add_track(track("TR_v6", &[plain(Codec::Vp9), plain(Codec::Vp8)], 2_050)).unwrap();
            assert_eq!(at, mid(if reuse { "2" } else { "8" }));
            let (_, parsed, summary) = step(&mut o, "reused");
            assert_eq!(parsed.media.len(), 8);
            assert_eq!(parsed.media[2].mid, Some(at));
            assert!(!summary.sections.iter().find(|s| s.mid == at).unwrap().payloads.is_empty());
        }
    }
}

#[test]
fn offers_carry_stream_ids_ssrcs_feedback_and_fixed_extension_ids() {
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_a", &[plain(Codec::Red), plain(Codec::Opus)], 1)).unwrap();
    o.add_track(track("TR_v", &[plain(Codec::Vp8)], 3)).unwrap();
    let shared = track("TR_s", &[plain(Codec::Opus)], 7);
    o.add_track(bedrud_sdp::SendTrack { stream_name: Some("camera".into()), ..shared }).unwrap();
    let offer = o.create_offer(&local(0)).unwrap();
    for line in [
        "a=sendonly",
        "a=setup:actpass",
        "a=msid:PA_abc|TR_v TR_v",
        "a=ssrc-group:FID 3 4",
        "a=ssrc:3 cname:PA_abc",
        "a=ssrc:4 msid:PA_abc|TR_v TR_v",
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 nack pli",
        "a=fmtp:97 apt=96",
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    ] {
        assert!(has_line(&offer.sdp, "2", line), "{line}");
    }
    assert!(section_lines(&offer.sdp, "1")[0].ends_with("SAVPF 63 111"));
    assert!(!section_lines(&offer.sdp, "1").concat().contains("rtcp-fb"), "redundancy replaces NACK");
    assert!(has_line(&offer.sdp, "3", "a=msid:PA_abc|camera TR_s"));
    assert!(has_line(&offer.sdp, "3", "a=rtcp-fb:111 nack"));
    assert!(!offer.sdp.contains("simulcast"));
}

#[test]
fn offers_of_equal_content_differ_in_their_version_only() {
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_a", &[plain(Codec::Opus)], 1)).unwrap();
    o.add_track(track("TR_v", &[plain(Codec::Vp8)], 3)).unwrap();
    let without_origin =
        |sdp: &str| sdp.lines().filter(|l| !l.starts_with("o=")).collect::<Vec<_>>().join("\n");
    let mut seen = Vec::new();
    for _ in 0..3 {
        o.request_offer();
        let offer = o.create_offer(&local(0)).unwrap();
        o.apply_answer(&answer_to(&offer.sdp)).unwrap();
        seen.push(without_origin(&offer.sdp));
    }
    assert!(seen.iter().all(|s| *s == seen[0]));
    o.add_track(track("TR_v", &[plain(Codec::Vp8)], 3)).unwrap();
    assert!(!o.needs_offer(), "an equal track changes nothing");
}

#[test]
fn one_offer_at_a_time_and_later_changes_wait() {
    let mut o = offerer(ClientQuirks::default());
    assert!(matches!(o.apply_answer("v=0"), Err(SdpError::State(_))));
    let first = o.create_offer(&local(0)).unwrap();
    let at = o.add_track(track("TR_v", &[plain(Codec::Vp8)], 1)).unwrap();
    assert!(matches!(o.create_offer(&local(0)), Err(SdpError::State(_))));
    let summary = o.apply_answer(&answer_to(&first.sdp)).unwrap();
    assert!(summary.sections.is_empty() && o.needs_offer());
    let second = round(&mut o);
    assert_eq!(second.media[1].mid, Some(at));
}

#[test]
fn a_track_removed_before_it_was_offered_leaves_no_section() {
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_1", &[plain(Codec::Vp8)], 1)).unwrap();
    o.add_track(track("TR_2", &[plain(Codec::Vp8)], 3)).unwrap();
    o.remove_track("TR_1");
    let offer = round(&mut o);
    assert_eq!(offer.media.len(), 2);
    assert_eq!(o.mid_of("TR_2"), offer.media[1].mid);
}

#[test]
fn a_section_removed_while_its_offer_is_in_flight_is_not_reused_too_early() {
    for quirks in [ClientQuirks::default(), no_reuse()] {
        let mut o = offerer(quirks);
        o.add_track(track("TR_1", &[plain(Codec::Vp8)], 1)).unwrap();
        let offer = o.create_offer(&local(0)).unwrap();
        o.remove_track("TR_1");
        let other = o.add_track(track("TR_2", &[plain(Codec::Vp8)], 3)).unwrap();
        assert_eq!(other, mid("2"));
        let summary = o.apply_answer(&answer_to(&offer.sdp)).unwrap();
        assert_eq!(summary.sections[0].track_sid, "TR_1");
        let second = round(&mut o);
        assert_eq!(second.media[1].direction, Direction::Inactive);
        let third = o.add_track(track("TR_3", &[plain(Codec::Vp8)], 5)).unwrap();
        assert_eq!(third, mid(if quirks.reuse_sections { "1" } else { "3" }));
        assert_eq!(round(&mut o).media.len(), 3);
    }
}

#[test]
fn a_recycled_place_given_up_before_its_offer_goes_back_to_what_it_was() {
    let mut o = offerer(no_reuse());
    o.add_track(track("TR_1", &[plain(Codec::Vp8)], 1)).unwrap();
    round(&mut o);
    o.remove_track("TR_1");
    round(&mut o);
    o.request_offer();
    let in_flight = o.create_offer(&local(0)).unwrap();
    assert_eq!(o.add_track(track("TR_2", &[plain(Codec::Vp8)], 3)).unwrap(), mid("2"));
    o.apply_answer(&answer_to(&in_flight.sdp)).unwrap();
    assert_eq!(o.mid_of("TR_2"), Some(mid("2")), "the answer to the older offer does not stop it");
    o.remove_track("TR_2");
    let offer = round(&mut o);
    assert_eq!((offer.media.len(), offer.media[1].mid), (2, Some(mid("1"))));
    assert!(offer.media[1].is_rejected());
}

#[test]
fn a_rejected_section_is_reported_and_recycled() {
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_1", &[plain(Codec::Vp8)], 1)).unwrap();
    let offer = o.create_offer(&local(0)).unwrap();
    let mut answer = SessionDescription::parse(&answer_to(&offer.sdp)).unwrap();
    answer.media[1].port = 0;
    answer.media[1].direction = Direction::Inactive;
    answer.bundle.truncate(1);
    let summary = o.apply_answer(&answer.to_string()).unwrap();
    assert!(summary.sections[0].payloads.is_empty());
    assert!(o.remove_track("TR_1"));
    assert_eq!(o.add_track(track("TR_2", &[plain(Codec::Vp8)], 3)).unwrap(), mid("2"));
    assert_eq!(round(&mut o).media.len(), 2);
}

#[test]
fn answers_that_do_not_fit_are_refused_and_the_offer_stays_in_flight() {
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_v", &[plain(Codec::Vp8)], 1)).unwrap();
    let offer = o.create_offer(&local(0)).unwrap();
    let good = answer_to(&offer.sdp);
    for bad in [
        String::new(),
        good.replace("a=mid:1", "a=mid:7"),
        good.replace("a=setup:active", "a=setup:actpass"),
        good.replace("a=ice-ufrag:", "a=x:"),
        good.replace("sha-256", "sha-512"),
        fixture("chromium-sub-data-answer"),
    ] {
        assert!(o.apply_answer(&bad).is_err());
        assert_eq!(o.in_flight(), Some(&offer));
    }
    assert_eq!(o.apply_answer(&good).unwrap().sections[0].payloads.len(), 1);
}

#[test]
fn the_client_chooses_its_dtls_role_in_its_answer() {
    for (setup, dtls_server) in [("active", false), ("passive", true)] {
        let mut o = offerer(ClientQuirks::default());
        o.add_track(track("TR_v", &[plain(Codec::Vp8)], 1)).unwrap();
        let answer = answer_to(&o.create_offer(&local(0)).unwrap().sdp);
        let answer = answer.replace("a=setup:active", &format!("a=setup:{setup}"));
        assert_eq!(o.apply_answer(&answer).unwrap().transport.dtls_server, dtls_server);
    }
}

#[test]
fn subscribing_and_unsubscribing_two_hundred_times_reuses_sections() {
    for (quirks, most) in [(ClientQuirks::default(), 3), (no_reuse(), 3)] {
        let mut o = offerer(quirks);
        round(&mut o);
        for i in 0..200 {
            let (audio, video) = (format!("TR_a{i}"), format!("TR_v{i}"));
            o.add_track(track(&audio, &[plain(Codec::Opus)], 1)).unwrap();
            o.add_track(track(&video, &[plain(Codec::Vp8)], 3)).unwrap();
            assert_eq!(round(&mut o).media.len(), most);
            o.remove_track(&audio);
            o.remove_track(&video);
            assert_eq!(round(&mut o).media.len(), most);
        }
    }
}

#[test]
fn h264_high_is_never_offered_and_unknown_codecs_leave_a_valid_section() {
    let high = bedrud_sdp::CodecSpec::h264(bedrud_sdp::H264Profile::High, true);
    let unknown = bedrud_sdp::CodecSpec { codec: Codec::Vp9, variant: 3 };
    let mut o = offerer(ClientQuirks::default());
    o.add_track(track("TR_h", &[high, h264()], 1)).unwrap();
    o.add_track(track("TR_u", &[unknown], 3)).unwrap();
    let offer = o.create_offer(&local(0)).unwrap();
    assert!(!offer.sdp.contains("640032"));
    let summary = o.apply_answer(&answer_to(&offer.sdp)).unwrap();
    assert_eq!(summary.sections[0].payloads.len(), 1);
    assert!(summary.sections[1].payloads.is_empty());
}

#[test]
fn a_client_without_red_is_offered_opus_with_nack() {
    let mut o = offerer(ClientQuirks { no_red: true, ..ClientQuirks::default() });
    o.add_track(track("TR_a", &[plain(Codec::Red), plain(Codec::Opus)], 1)).unwrap();
    o.add_track(track("TR_e", &[plain(Codec::Red)], 3)).unwrap();
    let offer = o.create_offer(&local(0)).unwrap();
    assert!(section_lines(&offer.sdp, "1")[0].ends_with("SAVPF 111"));
    assert!(has_line(&offer.sdp, "1", "a=rtcp-fb:111 nack"));
    let summary = o.apply_answer(&answer_to(&offer.sdp)).unwrap();
    assert_eq!(summary.sections[0].payloads[0].codec, Codec::Opus);
    assert!(summary.sections[1].payloads.is_empty(), "encrypted redundancy cannot be unpacked");
}
