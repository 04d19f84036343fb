//! Whatever is taken from a publisher has a way to subscribers, and what has none is refused whole.

use crate::sdp;
use crate::world::{World, join};
use bedrud_room::{
    Claims, JoinError, JoinParams, OneShotOpened, OneShotReply, OneShotRequest, OneShotRole, PlayWish,
    VideoGrant,
};
use bedrud_rtp::Codec;
use livekit_protocol::signal_response::Message;

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=mid:0\r\na=sendonly\r\na=msid:s a\r\n\
    a=ssrc:11 cname:x\r\na=rtpmap:111 opus/48000/2\r\n";

/// Opus, and a video section with these lines, the last of which are its codec.
fn offer(video: &str) -> String {
    offer_of(&[AUDIO, &format!("{VIDEO_HEAD}{video}")], "a=group:BUNDLE 0 1\r\n")
}

const VIDEO_HEAD: &str = "m=video 9 UDP/TLS/RTP/SAVPF 100\r\na=rtcp-mux\r\na=mid:1\r\na=sendonly\r\na=msid:s v\r\n\
    a=ssrc:12 cname:x\r\n";

fn offer_of(sections: &[&str], group: &str) -> String {
    let transport = format!(
        "a=ice-ufrag:oneshot1\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:{}\r\na=setup:actpass\r\n",
        sdp::FINGERPRINT
    );
    let sections: String = sections.iter().map(|s| format!("{s}{transport}")).collect();
    format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{group}{sections}")
}

fn open(w: &mut World, identity: &str, role: OneShotRole, offer: String) -> Result<OneShotOpened, JoinError> {
    let video = VideoGrant { room_join: true, room: "room".into(), ..VideoGrant::default() };
    let claims = Claims { sub: identity.into(), video: Some(video), ..Claims::default() };
    let params = Box::new(JoinParams { claims, ..JoinParams::default() });
    match w.one_shot(OneShotRequest::Open { params, role, offer })? {
        OneShotReply::Opened(opened) => Ok(*opened),
        other => panic!("{other:?}"),
    }
}

fn h264(profile: &str, mode: u8) -> String {
    format!("a=rtpmap:100 H264/90000\r\na=fmtp:100 profile-level-id={profile};packetization-mode={mode}\r\n")
}

/// Every video format somebody may send, and whether it is taken.
fn formats() -> Vec<(String, bool)> {
    let mut out = Vec::new();
    let profiles = [
        ("42e01f", true),  // Constrained Baseline
        ("42001f", true),  // Baseline
        ("4d0028", true),  // Main, of NVENC and VAAPI
        ("4d4028", true),  // Main, restricted as x264 writes it
        ("580028", false), // Extended
        ("58a01f", true),  // Extended that is Baseline, too
        ("640c1f", true),  // Constrained High
        ("640028", true),  // High, FFmpeg's default
        ("6e0028", false), // High 10
        ("7a0028", false), // High 4:2:2
        ("f40028", false), // High 4:4:4
    ];
    for (profile, taken) in profiles {
        for mode in [0, 1] {
            out.push((h264(profile, mode), taken));
        }
        // Interleaved.
        out.push((h264(profile, 2), false));
    }
    let others = [
        ("VP8/90000", "", true),
        ("VP9/90000", "profile-id=0", true),
        ("VP9/90000", "profile-id=1", true),
        ("VP9/90000", "profile-id=2", false),
        ("AV1/90000", "profile=0", true),
        ("AV1/90000", "profile=1", false),
        ("H265/90000", "profile-id=1", true),
        ("H265/90000", "profile-id=2", false),
        ("H264/90000", "", true),
        ("H263/90000", "", false),
        ("MP2T/90000", "", false),
    ];
    for (name, parameters, taken) in others {
        let fmtp = if parameters.is_empty() { String::new() } else { format!("a=fmtp:100 {parameters}\r\n") };
        out.push((format!("a=rtpmap:100 {name}\r\n{fmtp}"), taken));
    }
    out
}

#[test]
fn what_is_taken_reaches_subscribers_and_the_rest_is_refused_whole() {
    for (format, taken) in formats() {
        let mut w = World::new();
        w.join("dual", join(false));
        w.join("single", join(true));
        // The receiver of the test answers with what it is offered and offers itself VP8, VP9 and one H.264: whoever
        // lacks a codec must be told, and nothing else may keep a track away.
        let opened = open(&mut w, "encoder", OneShotRole::Publish, offer(&format));
        w.settle();
        let Ok(opened) = opened else {
            let error = opened.unwrap_err();
            assert!(!taken, "{format}: {error:?}");
            assert_eq!(error.status, 406, "{format}");
            assert!(error.message.contains("video section 1"), "{format}: {}", error.message);
            assert!(w.shard.ups.is_empty() && w.client("dual").sees("encoder").is_none(), "{format}");
            continue;
        };
        assert!(taken, "{format} is taken");
        assert!(!opened.answer.contains(" 0 UDP/TLS/RTP/SAVPF"), "{format}: {}", opened.answer);
        let video = |w: &World| w.shard.ups.values().find(|u| u.mid.as_str() == "1").unwrap().clone();
        let up = video(&w);
        assert_eq!(up.payload_types.len(), 1, "{format}");
        let sent = up.payload_types[0];
        let downs: Vec<_> = w.shard.downs.values().filter(|d| d.source == up.id).cloned().collect();
        for name in ["dual", "single"] {
            let client = w.client(name);
            let transport = if name == "dual" { client.subscriber } else { client.publisher };
            let down = downs.iter().find(|d| Some(d.transport) == transport);
            let told = client.find(|m| match m {
                Message::SubscriptionResponse(r) => Some(r.err),
                _ => None,
            });
            if name == "single" && matches!(sent.codec, Codec::Av1 | Codec::H265)
                || format.contains("profile-id=1\r\n") && down.is_none()
            {
                assert!(told.is_some() && down.is_none(), "{format}: {name} has no such codec");
                continue;
            }
            let down = down.unwrap_or_else(|| panic!("{format}: {name} is sent nothing, {told:?}"));
            let way = down.payload_types.iter().find(|p| (p.codec, p.variant) == (sent.codec, sent.variant));
            let way = way.unwrap_or_else(|| panic!("{format}: {name} has no payload type for it"));
            let line = format!("a=rtpmap:{} {}/", way.pt, sent.codec.name());
            assert!(client.last_server_sdp.contains(&line), "{format}: {line}");
        }
    }
}

#[test]
fn a_player_gets_high_profile_under_the_payload_type_it_has() {
    let mut w = World::new();
    open(&mut w, "ffmpeg", OneShotRole::Publish, offer(&h264("640028", 1))).unwrap();
    w.settle();
    let play = offer(&h264("42e01f", 1)).replace("a=sendonly", "a=recvonly");
    open(&mut w, "viewer", OneShotRole::Play(PlayWish::default()), play).unwrap();
    w.settle();
    let up = w.shard.ups.values().find(|u| u.mid.as_str() == "1").unwrap().clone();
    let down = w.shard.downs.values().find(|d| d.source == up.id).expect("it is shown");
    let sent = up.payload_types[0];
    assert!(down.payload_types.iter().any(|p| (p.pt, p.codec, p.variant) == (100, sent.codec, sent.variant)));
}

#[test]
fn single_nal_units_go_where_only_the_other_mode_is_known_but_not_the_other_way_round() {
    for (published, received, goes) in [(0, 0, true), (0, 1, true), (1, 1, true), (1, 0, false)] {
        let mut w = World::new();
        open(&mut w, "encoder", OneShotRole::Publish, offer(&h264("42e01f", published))).unwrap();
        w.settle();
        let play = offer(&h264("42e01f", received)).replace("a=sendonly", "a=recvonly");
        open(&mut w, "viewer", OneShotRole::Play(PlayWish::default()), play).unwrap();
        w.settle();
        let up = w.shard.ups.values().find(|u| u.mid.as_str() == "1").unwrap().id;
        let shown = w.shard.downs.values().any(|d| d.source == up);
        assert_eq!(shown, goes, "published in mode {published}, received in mode {received}");
    }
}

#[test]
fn a_refusal_names_its_cause() {
    let video = format!("{VIDEO_HEAD}a=rtpmap:100 VP8/90000\r\n");
    let group = "a=group:BUNDLE 0 1\r\n";
    let cases = [
        (offer_of(&[AUDIO, &video], ""), 400, "a=group:BUNDLE"),
        (offer_of(&[AUDIO, &video], "a=group:BUNDLE 0\r\n"), 406, "video section 1 is not in a=group:BUNDLE"),
        (
            offer_of(&[AUDIO, &video.replace("a=rtcp-mux\r\n", "")], group),
            406,
            "video section 1 lacks a=rtcp-mux",
        ),
        (
            offer_of(&[AUDIO, &video.replace("TLS/RTP/SAVPF", "RTP/AVP")], group),
            406,
            "video section 1 does not use DTLS",
        ),
        (offer(&h264("f40028", 1)), 406, "H264 (profile-level-id=f40028;packetization-mode=1)"),
        (
            offer("a=rtpmap:100 MP2T/90000\r\n"),
            406,
            "MP2T, which nobody here could be sent; enabled are VP8, H264",
        ),
        (offer(&format!("a=rtpmap:100 {}/90000\r\n", "x".repeat(5000))), 406, "xxxx…"),
        (
            offer_of(&[AUDIO, "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:1\r\n"], group),
            406,
            "neither audio nor video",
        ),
        (offer("a=rtpmap:100 VP8/90000\r\n").replace("a=sendonly", "a=inactive"), 400, "sends nothing"),
    ];
    for (offer, status, text) in cases {
        let mut w = World::new();
        let error = open(&mut w, "encoder", OneShotRole::Publish, offer).unwrap_err();
        assert!(error.message.contains(text), "{}", error.message);
        assert!(!error.message.contains("ICE") && error.message.len() < 1000, "{}", error.message);
        assert_eq!(error.status, status, "{}", error.message);
        assert_eq!(w.hub.stats(), Default::default());
    }
}

#[test]
fn sections_and_layers_may_have_long_names() {
    const UUID: &str = "7b0d0d5e-8a0e-4e6a-9a53-0f1f8d2c7c11";
    let mut w = World::new();
    w.join("alice", join(false));
    let long = offer("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtpmap:100 VP8/90000\r\n")
        .replace("a=mid:1\r\n", &format!("a=mid:{UUID}\r\n"))
        .replace("BUNDLE 0 1", &format!("BUNDLE 0 {UUID}"))
        .replace("a=mid:0\r\n", "a=mid:0\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    let opened = open(&mut w, "encoder", OneShotRole::Publish, long.clone()).unwrap();
    w.settle();
    assert!(opened.answer.contains(&format!("a=mid:{UUID}\r\n")), "{}", opened.answer);
    assert!(opened.answer.contains(&format!("a=group:BUNDLE 0 {UUID}\r\n")), "{}", opened.answer);
    assert_eq!(opened.answer.matches("sdes:mid").count(), 1, "not on the section with the long name");
    assert_eq!(w.client("alice").receiving.len(), 2);
    let ssrcs: Vec<_> = w.shard.ups.values().map(|u| u.layers[0].ssrc).collect();
    assert!(ssrcs.contains(&Some(11)) && ssrcs.contains(&Some(12)), "known by what they declare");

    // Layers that cannot be recognised are not asked for: the client sends one stream.
    let layers = format!("a=rid:{UUID} send\r\na=rid:{UUID}x send\r\na=simulcast:send {UUID};{UUID}x\r\n");
    let simulcast = long.replace("a=ssrc:12 cname:x\r\n", &layers);
    let opened = open(&mut w, "page", OneShotRole::Publish, simulcast).unwrap();
    w.settle();
    assert!(!opened.answer.contains("a=simulcast") && !opened.answer.contains("a=rid"), "{}", opened.answer);
    assert_eq!(w.client("alice").receiving.len(), 4);
    // One that is too long even so is an error that says where.
    let endless = long.replace(UUID, &"x".repeat(256));
    let error = open(&mut w, "other", OneShotRole::Publish, endless).unwrap_err();
    assert!(error.status == 400 && error.message.contains("bad mid"), "{}", error.message);
}
