//! The publisher connection of a dual-connection client.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use bedrud_rtp::{Codec, Extension, MediaKind};
use bedrud_sdp::{
    AnswerChoices, ClientQuirks, CodecSetting, CodecSpec, CodecTable, Direction, H264Profile, PublishChoice,
    SdpError, SessionDescription,
};
use common::{
    BROWSERS, answerer, answerer_with, assert_well_formed, fixture, has_line, local, mid, section_lines,
};

fn choice(m: &str, choice: PublishChoice) -> AnswerChoices {
    AnswerChoices::from([(mid(m), choice)])
}

#[test]
fn a_browser_session_is_answered_step_by_step() {
    for (browser, recycle_sections) in BROWSERS.into_iter().flat_map(|b| [(b, true), (b, false)]) {
        let quirks = ClientQuirks { recycle_sections, ..ClientQuirks::default() };
        let mut a = answerer_with(false, CodecTable::default(), quirks);
        let mut step = |name: &str, choices: &AnswerChoices, generation| {
            let offer = a.apply_offer(&fixture(&format!("{browser}-pub-{name}-offer"))).unwrap();
            let answer = a.answer(&local(generation), choices).unwrap();
            let parsed = assert_well_formed(&answer.sdp);
            (offer, answer, parsed)
        };
        let none = AnswerChoices::new();

        let (offer, answer, parsed) = step("data", &none, 0);
        assert!(offer.transport.sctp && offer.sections.is_empty() && !offer.ice_restart);
        assert!(answer.sdp.contains("a=ice-lite\r\n") && answer.sdp.contains("a=setup:passive\r\n"));
        assert_eq!(
            (parsed.media[0].sctp_port, parsed.media[0].max_message_size),
            (Some(5_000), Some(65_535))
        );

        let (offer, answer, parsed) = step("media", &none, 0);
        assert_eq!(offer.sections.len(), 2);
        assert!(offer.sections.iter().all(|s| s.started && s.sends.is_some() && !s.receives));
        let video = offer.sections[1].sends.as_ref().unwrap();
        let rids: Vec<_> = video.layers.iter().map(|l| l.rid.as_str().to_owned()).collect();
        assert_eq!(rids, ["q", "h", "f"]);
        assert!(video.track_id.is_some() && video.stream_id.is_some());
        assert_eq!(parsed.media[2].simulcast_recv.len(), 3);
        assert_eq!(parsed.media[2].rids_recv.len(), 3);
        assert!(parsed.media.iter().skip(1).all(|s| s.direction == Direction::RecvOnly));
        assert!(answer.sections.iter().all(|s| s.receiving && s.sending.is_none() && !s.payloads.is_empty()));
        for extension in [Extension::Mid, Extension::Rid, Extension::RepairedRid, Extension::TransportCc] {
            assert!(offer.extensions.id(extension).is_some(), "{extension:?}");
        }
        assert_eq!(offer.extensions.id(Extension::AbsSendTime), None);

        let stereo = choice("3", PublishChoice { stereo: true, dtx: false, red: false, codec: None });
        let (offer, _, _) = step("stereo", &stereo, 0);
        let started: Vec<_> = offer.sections.iter().map(|s| s.started).collect();
        assert_eq!(started, [false, false, true]);

        let (offer, answer, _) = step("restart", &stereo, 1);
        assert!(offer.ice_restart);
        assert!(answer.sdp.contains(&format!("a=ice-ufrag:{}\r\n", local(1).ice.ufrag)));

        let (offer, answer, parsed) = step("inactive", &none, 1);
        assert!(offer.sections[1].sends.is_none() && offer.sections[0].sends.is_some());
        assert_eq!(parsed.media[2].is_rejected(), recycle_sections);
        if !recycle_sections {
            assert_eq!(parsed.media[2].direction, Direction::Inactive);
            assert!(!answer.sections[1].receiving);
        }

        let (offer, _, parsed) = step("stop", &none, 1);
        assert!(offer.sections.iter().all(|s| s.mid != mid("2")));
        assert!(parsed.media[2].is_rejected());

        let (offer, answer, parsed) = step("recycle", &none, 1);
        assert_eq!(offer.sections[1].mid, mid("4"));
        assert!(offer.sections[1].started && answer.sections[1].receiving);
        assert_eq!(parsed.media.len(), 4);
        let (ssrc, rtx) = offer.sections[1].sends.as_ref().unwrap().ssrcs[0];
        assert!(ssrc != 0 && rtx.is_some());
    }
}

#[test]
fn bidirectional_sections_of_add_track_are_only_received_on() {
    for browser in BROWSERS {
        let mut a = answerer(false);
        let offer = a.apply_offer(&fixture(&format!("{browser}-pub-addtrack-offer"))).unwrap();
        assert!(offer.sections.iter().all(|s| s.sends.is_some() && s.started && !s.receives));
        let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
        let parsed = assert_well_formed(&answer.sdp);
        assert!(parsed.media.iter().all(|s| s.direction == Direction::RecvOnly));
        assert!(answer.mid_to_track_id.is_empty());
    }
}

#[test]
fn pion_offer_is_answered() {
    let mut a = answerer(false);
    let offer = a.apply_offer(&fixture("pion-pub-media-offer")).unwrap();
    let video = offer.sections[1].sends.as_ref().unwrap();
    assert_eq!(video.track_id.as_deref(), Some("TR_video"));
    assert!(video.layers[1].paused && !video.layers[0].paused);
    let audio = offer.sections[0].sends.as_ref().unwrap();
    assert_eq!(audio.ssrcs, [(2_231_627_014, None)]);
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    assert_well_formed(&answer.sdp);
    assert!(has_line(&answer.sdp, "1", "a=simulcast:recv q;h"));
}

#[test]
fn answers_echo_payload_types_and_order_them_by_choice() {
    let offer = fixture("chromium-pub-media-offer");
    let answer = |choices: AnswerChoices| {
        let mut a = answerer(false);
        a.apply_offer(&offer).unwrap();
        a.answer(&local(0), &choices).unwrap()
    };
    let m_line = |sdp: &str, m: &str| section_lines(sdp, m)[0].clone();

    let default = answer(AnswerChoices::new());
    assert!(m_line(&default.sdp, "1").ends_with("SAVPF 63 111 0 8"));
    assert!(m_line(&default.sdp, "2").ends_with("SAVPF 96 97 108 109 114 115 45 46 98 99"));
    assert!(has_line(&default.sdp, "1", "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1"));
    assert!(has_line(&default.sdp, "1", "a=rtcp-fb:111 nack"));
    let video = section_lines(&default.sdp, "2");
    let feedback: Vec<_> = video.iter().filter(|l| l.starts_with("a=rtcp-fb:96 ")).cloned().collect();
    let values = ["transport-cc", "ccm fir", "nack", "nack pli"];
    assert_eq!(feedback, values.map(|v| format!("a=rtcp-fb:96 {v}")));

    let h264 = answer(choice("2", PublishChoice { codec: Some(Codec::H264), ..PublishChoice::default() }));
    assert!(m_line(&h264.sdp, "2").ends_with("SAVPF 108 109 114 115 96 97 45 46 98 99"));
    let first = h264.sections[1].payloads[0];
    assert_eq!((first.pt, first.codec, first.rtx, first.nack), (108, Codec::H264, Some(109), true));
    assert_ne!(first.variant, h264.sections[1].payloads[1].variant);

    let plain = PublishChoice { codec: Some(Codec::Opus), stereo: true, dtx: false, red: false };
    let plain = answer(choice("1", plain));
    assert!(m_line(&plain.sdp, "1").ends_with("SAVPF 111 0 8"));
    let opus = "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=510000";
    assert!(has_line(&plain.sdp, "1", opus));

    let pcmu = answer(choice("1", PublishChoice { codec: Some(Codec::Pcmu), ..PublishChoice::default() }));
    assert_eq!(pcmu.sections[0].payloads[0].codec, Codec::Pcmu);
}

#[test]
fn plain_baseline_is_constrained_baseline_where_nothing_else_is_offered() {
    let offer =
        fixture("chromium-pub-media-offer").replace("profile-level-id=42e01f", "profile-level-id=42000c");
    let mut a = answerer(false);
    a.apply_offer(&offer).unwrap();
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    let h264 = answer.sections[1].payloads.iter().find(|p| p.codec == Codec::H264).unwrap();
    assert_eq!(h264.spec(), CodecSpec::h264(H264Profile::Baseline, true));
    let carriers = bedrud_sdp::CodecTable::default().carriers(h264.spec());
    assert_eq!(carriers, [CodecSpec::h264(H264Profile::ConstrainedBaseline, true)]);
    let line = format!("a=fmtp:{} ", h264.pt);
    let fmtp = section_lines(&answer.sdp, "2").into_iter().find(|l| l.starts_with(&line)).unwrap();
    assert!(fmtp.contains("profile-level-id=4200"), "the answer keeps the words of the offer: {fmtp}");
}

#[test]
fn munged_parameters_do_not_disturb_matching() {
    let offer = fixture("chromium-pub-media-offer")
        .replace(
            "a=rtpmap:96 VP8/90000\r\n",
            "a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=700\r\n",
        )
        .replace("a=fmtp:98 profile-id=0", "a=fmtp:98 profile-id=0;x-google-start-bitrate=700")
        .replace("a=fmtp:111 minptime=10;useinbandfec=1", "a=fmtp:111 minptime=10;stereo=1;useinbandfec=1")
        .replace("a=extmap:12 ", "a=extmap:4 https://example.org/other\r\na=extmap:12 ");
    let mut a = answerer(false);
    a.apply_offer(&offer).unwrap();
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    let codecs: Vec<_> = answer.sections[1].payloads.iter().map(|p| p.pt).collect();
    assert_eq!(codecs, [96, 108, 114, 45, 98]);
    assert!(has_line(&answer.sdp, "2", "a=fmtp:96 x-google-start-bitrate=700"));
    assert!(!answer.sdp.contains("stereo=1"));
}

#[test]
fn a_dependency_descriptor_with_a_contradicting_id_is_left_out_of_that_section() {
    let dd = Extension::DependencyDescriptor.uri();
    let offer = fixture("chromium-pub-media-offer");
    let audio_id = format!("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:12 {dd}x\r\n");
    let offer = offer.replacen("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", &audio_id, 1);
    let offer =
        offer.replace(&format!("a=extmap:12 {dd}\r\n"), &format!("a=extmap:4 {dd}\r\na=extmap:16 {dd}\r\n"));
    let mut a = answerer(false);
    let parsed = a.apply_offer(&offer).unwrap();
    assert_eq!(parsed.extensions.id(Extension::Mid), Some(4));
    assert_eq!(parsed.extensions.id(Extension::DependencyDescriptor), Some(16));
}

#[test]
fn quirks_restrict_codecs() {
    let offer = fixture("chromium-pub-media-offer");
    let quirks = ClientQuirks { no_red: true, single_video_codec: true, ..ClientQuirks::default() };
    let mut a = answerer_with(false, CodecTable::default(), quirks);
    a.apply_offer(&offer).unwrap();
    let answer = a
        .answer(
            &local(0),
            &choice("2", PublishChoice { codec: Some(Codec::Vp9), ..PublishChoice::default() }),
        )
        .unwrap();
    assert!(answer.sections[0].payloads.iter().all(|p| p.codec != Codec::Red));
    assert!(answer.sections[1].payloads.iter().all(|p| p.codec == Codec::Vp9));

    let quirks = ClientQuirks { refused_publish: &[Codec::H264], ..ClientQuirks::default() };
    let mut a = answerer_with(false, CodecTable::default(), quirks);
    let parsed = a.apply_offer(&offer).unwrap();
    assert!(parsed.sections[1].payloads.iter().all(|p| p.codec != Codec::H264));
    assert!(!CodecTable::default().enabled_publish_codecs(&quirks).contains(&Codec::H264));
}

#[test]
fn only_configured_codecs_are_accepted_and_a_section_without_any_is_rejected() {
    let setting =
        |mime: &str, fmtp: Option<&str>| CodecSetting { mime: mime.into(), fmtp: fmtp.map(str::to_owned) };
    let table = CodecTable::new(&[
        setting("audio/OPUS", None),
        setting("video/h264", Some("profile-level-id=4d0028;packetization-mode=1")),
    ])
    .unwrap();
    let mut a = answerer_with(false, table, ClientQuirks::default());
    a.apply_offer(&fixture("chromium-pub-media-offer")).unwrap();
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    let pts: Vec<_> = answer.sections[1].payloads.iter().map(|p| (p.pt, p.rtx)).collect();
    assert_eq!(pts, [(116, None)], "main profile, RTX not configured");

    let table = CodecTable::new(&[setting("audio/opus", None)]).unwrap();
    let mut a = answerer_with(false, table, ClientQuirks::default());
    a.apply_offer(&fixture("chromium-pub-media-offer")).unwrap();
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    let parsed = assert_well_formed(&answer.sdp);
    assert!(parsed.media[2].is_rejected() && answer.sections[1].payloads.is_empty());
    assert!(!answer.sections[1].receiving && answer.sections[0].receiving);
    assert!(CodecTable::new(&[setting("video/rtx", None), setting("video/theora", None)]).is_err());
}

#[test]
fn an_answer_keeps_the_dtls_role_of_the_first() {
    let good = fixture("chromium-pub-media-offer");
    let passive = good.replace("a=setup:actpass", "a=setup:passive");
    for (first, ours) in [(&good, "a=setup:passive"), (&passive, "a=setup:active")] {
        let mut a = answerer(false);
        for offer in [first, &good] {
            a.apply_offer(offer).unwrap();
            assert!(a.answer(&local(0), &AnswerChoices::new()).unwrap().sdp.contains(ours));
        }
    }
}

#[test]
fn broken_offers_leave_the_session_usable() {
    let good = fixture("chromium-pub-media-offer");
    let mut a = answerer(false);
    assert!(matches!(a.answer(&local(0), &AnswerChoices::new()), Err(SdpError::State(_))));
    a.apply_offer(&good).unwrap();
    a.answer(&local(0), &AnswerChoices::new()).unwrap();
    let cases = [
        (good.replace("a=mid:1", "a=mid:9").replace("BUNDLE 0 1", "BUNDLE 0 9"), "another mid"),
        (good.replace("a=ice-ufrag", "a=x-ufrag"), "no ufrag"),
        (good.replace("a=fingerprint", "a=x-fingerprint"), "no fingerprint"),
        (fixture("chromium-pub-data-offer"), "fewer sections"),
        (String::new(), "empty"),
        (good.replace("a=mid:2", "a=x-mid:2"), "no mid"),
    ];
    for (offer, what) in cases {
        assert!(a.apply_offer(&offer).is_err(), "{what}");
    }
    let offer = a.apply_offer(&good).unwrap();
    assert!(!offer.ice_restart && offer.sections.iter().all(|s| !s.started));
    a.answer(&local(0), &AnswerChoices::new()).unwrap();
}

#[test]
fn unbundled_and_unmultiplexed_sections_are_rejected() {
    let offer = fixture("chromium-pub-media-offer").replace("BUNDLE 0 1 2", "BUNDLE 0 2");
    let mut a = answerer(false);
    let parsed = a.apply_offer(&offer).unwrap();
    assert_eq!(parsed.sections.len(), 1);
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    assert!(assert_well_formed(&answer.sdp).media[1].is_rejected());
    let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3\r\n\
        a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=fingerprint:"
        .to_owned()
        + common::FINGERPRINT
        + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=rtcp-mux\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n\
           m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:2\r\na=rtcp-mux\r\nm=application 9 DTLS/SCTP 5000\r\na=mid:3\r\n";
    let mut a = answerer(false);
    let offer = a.apply_offer(&text).unwrap();
    assert!(!offer.transport.sctp && offer.sections.is_empty());
    let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
    assert!(assert_well_formed(&answer.sdp).media.iter().all(bedrud_sdp::MediaSection::is_rejected));
}

#[test]
fn publishing_and_unpublishing_two_hundred_times_does_not_grow_the_answer() {
    let mut client = SessionDescription::parse(&fixture("chromium-pub-media-offer")).unwrap();
    let mut a = answerer(false);
    let mut sizes = Vec::new();
    for round in 0..200 {
        for publishing in [true, false] {
            client.media[2].direction = Direction::new(publishing, false);
            client.media[2].msids[0].track = Some(format!("track-{round:03}"));
            let offer = a.apply_offer(&client.to_string()).unwrap();
            assert_eq!(offer.sections[1].started, publishing);
            assert_eq!(offer.sections[1].kind, MediaKind::Video);
            let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
            assert_eq!(assert_well_formed(&answer.sdp).media.len(), client.media.len());
            sizes.push(answer.sdp.len());
        }
    }
    // Only the decimal digits of the version grow.
    assert!(sizes[sizes.len() - 1] <= sizes[1] + 3 && sizes[sizes.len() - 2] <= sizes[0] + 3);
}

#[test]
fn a_replaced_track_on_a_live_section_counts_as_started() {
    let mut client = SessionDescription::parse(&fixture("chromium-pub-media-offer")).unwrap();
    let mut a = answerer(false);
    a.apply_offer(&client.to_string()).unwrap();
    a.answer(&local(0), &AnswerChoices::new()).unwrap();
    client.media[2].msids[0].track = Some("another".into());
    let offer = a.apply_offer(&client.to_string()).unwrap();
    assert!(offer.sections[1].started && !offer.sections[0].started);
    assert_eq!(offer.sections[1].sends.as_ref().unwrap().track_id.as_deref(), Some("another"));
}

#[test]
fn offers_rewritten_by_the_javascript_sdk_are_answered() {
    for (name, single, count) in [("single", true, 8), ("dual", false, 2)] {
        let mut a = answerer(single);
        let offer = a.apply_offer(&fixture(&format!("livekit-js-{name}-publish-offer"))).unwrap();
        assert_eq!(offer.sections.len(), count);
        assert!(offer.extensions.id(Extension::DependencyDescriptor).is_some());
        let published: Vec<_> = offer.sections.iter().filter_map(|s| s.sends.as_ref()).collect();
        assert_eq!(published.len(), 2);
        assert!(published.iter().all(|s| s.stream_id.is_none() && s.track_id.is_some()), "msid:- <track>");
        let video = offer.sections.iter().rfind(|s| s.sends.is_some()).unwrap();
        let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
        assert_well_formed(&answer.sdp);
        let lines = section_lines(&answer.sdp, video.mid.as_str());
        assert!(lines.contains(&"a=simulcast:recv q;h;f".to_owned()));
        assert!(lines.iter().any(|l| l.starts_with("a=fmtp:96 x-google-start-bitrate=")));
        assert_eq!(answer.sections.iter().filter(|s| s.receiving).count(), 2);
    }
}

/// A browser-like offer: data, then one audio section per `(mid, direction)`.
fn offer_of(sections: &[(&str, &str)]) -> String {
    let all = fixture("chromium-pub-media-offer");
    let head: String = all.split_inclusive("\r\n").take_while(|l| !l.starts_with("m=")).collect();
    let section = |m: &str| -> String { section_lines(&all, m).join("\r\n") + "\r\n" };
    let mids: Vec<&str> = std::iter::once("0").chain(sections.iter().map(|(m, _)| *m)).collect();
    let head = head.lines().map(|l| match l.starts_with("a=group:BUNDLE") {
        true => format!("a=group:BUNDLE {}\r\n", mids.join(" ")),
        false => format!("{l}\r\n"),
    });
    let mut out: String = head.collect();
    out += &section("0");
    for (m, direction) in sections {
        out += &section("1")
            .replace("a=mid:1\r\n", &format!("a=mid:{m}\r\n"))
            .replace("a=sendonly\r\n", &format!("a={direction}\r\n"))
            .replace("a=sendrecv\r\n", &format!("a={direction}\r\n"));
    }
    out
}

#[test]
fn sections_of_removed_tracks_are_rejected_so_that_the_next_track_takes_their_place() {
    let mut a = answerer(false);
    let mut step = |sections: &[(&str, &str)]| {
        let offer = a.apply_offer(&offer_of(sections)).unwrap();
        let answer = a.answer(&local(0), &AnswerChoices::new()).unwrap();
        let parsed = assert_well_formed(&answer.sdp);
        let rejected: Vec<bool> = parsed.media.iter().map(bedrud_sdp::MediaSection::is_rejected).collect();
        (offer, rejected)
    };
    let (_, rejected) = step(&[("1", "sendonly"), ("2", "sendonly")]);
    assert_eq!(rejected, [false, false, false]);
    // One is removed; the other stays.
    assert_eq!(step(&[("1", "inactive"), ("2", "sendonly")]).1, [false, true, false]);
    // Asked again, the answer is the same; a client that changes its mind may have it back.
    assert_eq!(step(&[("1", "inactive"), ("2", "sendonly")]).1, [false, true, false]);
    assert_eq!(step(&[("1", "sendonly"), ("2", "sendonly")]).1, [false, false, false]);
    assert_eq!(step(&[("1", "inactive"), ("2", "sendonly")]).1, [false, true, false]);
    // Its place goes to another section.
    let (offer, rejected) = step(&[("3", "sendonly"), ("2", "sendonly")]);
    assert_eq!(rejected, [false, false, false]);
    assert!(offer.sections.iter().any(|s| s.mid == mid("3") && s.started));
    // A section that never carried a track is no remains of one.
    assert_eq!(step(&[("3", "sendonly"), ("2", "sendonly"), ("4", "inactive")]).1, [false; 4]);
}
