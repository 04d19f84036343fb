//! The only connection of a single-connection client: it offers, we answer and send.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use bedrud_rtp::{Codec, Extension};
use bedrud_sdp::{Answer, AnswerChoices, Answerer, Direction, SectionCounts, SessionDescription};
use common::{
    BROWSERS, answerer, assert_well_formed, fixture, h265, has_line, local, mid, plain, section_lines, track,
};

const fn counts(audios: u32, videos: u32) -> SectionCounts {
    SectionCounts { audios, videos }
}

fn negotiate(a: &mut Answerer, offer: &str) -> Answer {
    a.apply_offer(offer).unwrap();
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    assert_well_formed(&answer.sdp);
    answer
}

#[test]
fn a_browser_session_is_answered_step_by_step() {
    for browser in BROWSERS {
        let step =
            |a: &mut Answerer, name: &str| negotiate(a, &fixture(&format!("{browser}-single-{name}-offer")));
        let mut a = answerer(true);
        let first = step(&mut a, "first");
        assert!(first.mid_to_track_id.is_empty());
        assert_eq!(first.sdp.matches("a=inactive\r\n").count(), 6);
        assert_eq!(a.take_requirement(), None);
        if browser == "chromium" {
            // Left out here, it would never be offered again, and the browser would refuse its own simulcast offer.
            assert!(
                first.extensions.id(Extension::Rid).is_some()
                    && first.extensions.id(Extension::TransportCc).is_some()
            );
        }

        a.add_track(track("TR_a1", &[plain(Codec::Red), plain(Codec::Opus)], 1_000));
        assert_eq!(a.take_requirement(), Some(counts(0, 0)));
        a.add_track(track("TR_v1", &[plain(Codec::Vp8)], 2_000));
        assert_eq!(a.take_requirement(), None, "an offer is on its way and the sections are there");
        a.add_track(track("TR_v2", &[plain(Codec::Vp9)], 2_010));
        a.add_track(track("TR_v3", &[plain(Codec::Av1)], 2_020));
        a.add_track(track("TR_v4", &[plain(Codec::Vp8)], 2_030));
        assert_eq!(a.missing_sections(), counts(0, 1));
        assert_eq!(a.take_requirement(), Some(counts(0, 1)));
        assert_eq!(a.take_requirement(), None);

        let bound = step(&mut a, "bound");
        let expected = [("0", "TR_a1"), ("3", "TR_v1"), ("4", "TR_v2"), ("5", "TR_v3")];
        let map: Vec<_> = bound.mid_to_track_id.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(map, expected);
        assert_eq!(a.take_requirement(), None, "the fourth video section was asked for before");
        assert!(has_line(&bound.sdp, "3", "a=sendonly"));
        assert!(has_line(&bound.sdp, "3", "a=msid:PA_abc|TR_v1 TR_v1"));
        assert!(has_line(&bound.sdp, "3", "a=ssrc:2000 cname:PA_abc"));
        assert!(has_line(&bound.sdp, "3", "a=ssrc-group:FID 2000 2001"));
        let audio = &bound.sections[0];
        assert_eq!(audio.sending.as_deref(), Some("TR_a1"));
        let first_codec = if browser == "chromium" { Codec::Red } else { Codec::Opus };
        assert_eq!(audio.payloads[0].codec, first_codec);
        let v1 = bound.sections.iter().find(|s| s.mid == mid("3")).unwrap();
        assert!(v1.payloads.iter().all(|p| p.codec == Codec::Vp8 && p.rtx.is_some() && p.nack));

        let publish = step(&mut a, "publish");
        assert_eq!(publish.mid_to_track_id.get("9").map(String::as_str), Some("TR_v4"));
        assert!(publish.sections.iter().filter(|s| s.receiving).count() == 2);
        assert!(has_line(&publish.sdp, "8", "a=simulcast:recv q;h;f"));
        for extension in [Extension::Mid, Extension::Rid, Extension::TransportCc, Extension::AbsSendTime] {
            assert!(publish.extensions.id(extension).is_some(), "{extension:?}");
        }
        for section in ["8", "9"] {
            let feedback = section_lines(&publish.sdp, section).concat();
            assert!(feedback.contains("goog-remb") && feedback.contains(" transport-cc"), "{section}");
        }

        assert!(a.remove_track("TR_v1") && !a.remove_track("TR_v1"));
        assert_eq!(a.take_requirement(), Some(counts(0, 0)));
        let removed = step(&mut a, "removed");
        assert!(has_line(&removed.sdp, "3", "a=inactive"));
        a.add_track(track("TR_v5", &[plain(Codec::Vp9)], 2_040));
        let reused = step(&mut a, "reused");
        assert!(has_line(&reused.sdp, "3", "a=msid:PA_abc|TR_v5 TR_v5"));

        let offer = a.apply_offer(&fixture(&format!("{browser}-single-restart-offer"))).unwrap();
        assert!(offer.ice_restart);
        let restarted = a.answer(&local(1), &AnswerChoices::new()).unwrap();
        assert_eq!(restarted.mid_to_track_id, reused.mid_to_track_id);
    }
}

#[test]
fn the_rust_sdk_offer_is_answered() {
    let mut a = answerer(true);
    a.add_track(track("TR_a", &[plain(Codec::Opus)], 1));
    a.add_track(track("TR_v", &[common::h264(), plain(Codec::Vp8)], 3));
    let answer = negotiate(&mut a, &fixture("livekit-rust-single-offer"));
    assert_eq!(answer.mid_to_track_id.len(), 2);
    assert!(answer.unsupported.is_empty());
}

#[test]
fn a_section_changes_its_track_only_through_an_inactive_answer() {
    let offer = fixture("chromium-single-first-offer");
    let mut a = answerer(true);
    for i in 0..3 {
        a.add_track(track(&format!("TR_{i}"), &[plain(Codec::Vp8)], 10 * (i + 1)));
    }
    assert_eq!(negotiate(&mut a, &offer).mid_to_track_id.len(), 3);
    a.remove_track("TR_0");
    a.add_track(track("TR_new", &[plain(Codec::Vp8)], 100));
    assert_eq!(a.take_requirement(), Some(counts(0, 0)), "the place of TR_0 will do");
    let answer = negotiate(&mut a, &offer);
    assert!(has_line(&answer.sdp, "3", "a=inactive") && a.mid_of("TR_new").is_none());
    assert_eq!(a.take_requirement(), Some(counts(0, 0)), "once more, now that it is inactive");
    let answer = negotiate(&mut a, &offer);
    assert_eq!(answer.mid_to_track_id.get("3").map(String::as_str), Some("TR_new"));
    assert_eq!(a.take_requirement(), None);

    // The same for a track that comes back at once: its client announces it again only after the direction changed.
    a.remove_track("TR_new");
    a.add_track(track("TR_new", &[plain(Codec::Vp8)], 200));
    assert_eq!(a.take_requirement(), Some(counts(0, 0)));
    let answer = negotiate(&mut a, &offer);
    assert!(has_line(&answer.sdp, "3", "a=inactive"));
    assert_eq!(a.take_requirement(), Some(counts(0, 0)));
    let answer = negotiate(&mut a, &offer);
    assert!(has_line(&answer.sdp, "3", "a=ssrc:200 cname:PA_abc"));
    // What was never answered was never announced: nothing has to be taken back first.
    a.add_track(track("TR_quick", &[plain(Codec::Vp8)], 300));
    a.remove_track("TR_quick");
    a.add_track(track("TR_quick", &[plain(Codec::Vp8)], 302));
    assert_eq!(a.take_requirement(), Some(counts(0, 1)));
}

#[test]
fn a_track_the_client_cannot_decode_is_reported_and_blocks_nothing() {
    let offer = fixture("chromium-single-first-offer");
    let mut a = answerer(true);
    a.add_track(track("TR_h", &[h265()], 1));
    a.add_track(track("TR_v", &[plain(Codec::Vp8)], 3));
    let answer = negotiate(&mut a, &offer);
    assert_eq!(answer.unsupported, ["TR_h"]);
    assert_eq!(answer.mid_to_track_id.len(), 1);
    assert_eq!((a.take_requirement(), a.missing_sections()), (None, counts(0, 0)));
    // Another codec of the publisher makes it possible.
    a.add_track(track("TR_h", &[h265(), plain(Codec::Vp8)], 1));
    assert_eq!(a.take_requirement(), Some(counts(0, 0)));
    let answer = negotiate(&mut a, &offer);
    assert!(answer.unsupported.is_empty() && answer.mid_to_track_id.len() == 2);
}

#[test]
fn encrypted_red_is_sent_as_red_only_but_names_its_opus() {
    let mut a = answerer(true);
    a.add_track(track("TR_a", &[plain(Codec::Red)], 1));
    let answer = negotiate(&mut a, &fixture("chromium-single-first-offer"));
    let sending = answer.sections.iter().find(|s| s.sending.is_some()).unwrap();
    assert_eq!(sending.payloads.iter().map(|p| p.codec).collect::<Vec<_>>(), [Codec::Red]);
    assert!(section_lines(&answer.sdp, "0")[0].ends_with("SAVPF 63 111"));
}

#[test]
fn a_client_that_starts_to_send_on_a_section_keeps_receiving_on_it() {
    let mut client = SessionDescription::parse(&fixture("chromium-single-first-offer")).unwrap();
    let mut a = answerer(true);
    a.add_track(track("TR_v", &[plain(Codec::Vp8)], 1));
    negotiate(&mut a, &client.to_string());
    client.media[3].direction = Direction::SendRecv;
    let offer = a.apply_offer(&client.to_string()).unwrap();
    let section = offer.sections.iter().find(|s| s.mid == mid("3")).unwrap();
    assert!(section.started && section.assigned.as_deref() == Some("TR_v"));
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    assert!(has_line(&answer.sdp, "3", "a=sendrecv"));
    // It stops receiving: the track waits for another section.
    client.media[3].direction = Direction::SendOnly;
    let answer = negotiate(&mut a, &client.to_string());
    assert_eq!(answer.mid_to_track_id.get("4").map(String::as_str), Some("TR_v"));
}

#[test]
fn a_request_crossed_by_an_offer_is_not_repeated_until_it_is_given_up() {
    let offer = fixture("chromium-single-first-offer");
    let mut a = answerer(true);
    negotiate(&mut a, &offer);
    for i in 0..5 {
        a.add_track(track(&format!("TR_{i}"), &[plain(Codec::Vp8)], 10 * (i + 1)));
    }
    assert_eq!(a.take_requirement(), Some(counts(0, 2)));
    negotiate(&mut a, &offer);
    assert_eq!((a.take_requirement(), a.missing_sections()), (None, counts(0, 2)));
    a.reset_requirement();
    assert_eq!(a.take_requirement(), Some(counts(0, 2)));
    // Demand that disappeared is not asked for.
    for i in 3..5 {
        a.remove_track(&format!("TR_{i}"));
    }
    negotiate(&mut a, &offer);
    assert_eq!((a.take_requirement(), a.missing_sections()), (None, counts(0, 0)));
}

#[test]
fn subscribing_and_unsubscribing_two_hundred_times_does_not_grow_the_answer() {
    let offer = fixture("chromium-single-first-offer");
    let mut a = answerer(true);
    let mut sizes = Vec::new();
    for round in 0..200 {
        let sid = format!("TR_{round:03}");
        a.add_track(track(&sid, &[plain(Codec::Vp8)], 1_000 + 2 * round));
        assert_eq!(a.take_requirement().is_some_and(SectionCounts::is_zero), round > 0);
        sizes.push(negotiate(&mut a, &offer).sdp.len());
        assert_eq!(a.mid_of(&sid), Some(mid("3")));
        assert!(a.remove_track(&sid));
        assert_eq!(a.take_requirement(), Some(counts(0, 0)));
        negotiate(&mut a, &offer);
    }
    assert!(sizes[199] <= sizes[0] + 3);
}

#[test]
fn a_dual_connection_client_is_never_asked_for_sections() {
    let mut a = answerer(false);
    a.add_track(track("TR_v", &[plain(Codec::Vp8)], 1));
    let answer = negotiate(&mut a, &fixture("chromium-single-first-offer"));
    assert!(answer.mid_to_track_id.is_empty() && a.take_requirement().is_none());
}
