//! What differs from client to client besides its protocol version.

use crate::client::add_track;
use crate::world::{World, join};
use bedrud_rtp::{Codec, PlayoutDelay};
use livekit_protocol::client_info::Sdk;
use livekit_protocol::{AddTrackRequest, RoomConfiguration, SimulcastCodec, encryption};

fn wants(codec: &str) -> AddTrackRequest {
    let codec = SimulcastCodec { codec: codec.into(), cid: "cam".into(), ..SimulcastCodec::default() };
    AddTrackRequest { simulcast_codecs: vec![codec], ..add_track("cam", true) }
}

#[test]
fn a_device_is_told_what_it_cannot_do_and_spared_it() {
    let mut w = World::new();
    w.join(
        "safari",
        join(true).with(|p| {
            p.client_info.browser = "Safari".into();
            p.client_info.browser_version = "18.5".into();
        }),
    );
    let told = w.client("safari").join_response().clone();
    let disabled = told.client_configuration.unwrap().disabled_codecs.unwrap();
    let names = |list: &[livekit_protocol::Codec]| list.iter().map(|c| c.mime.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&disabled.codecs), names(&disabled.publish)),
        (vec!["video/AV1".into()], vec!["video/VP9".into()])
    );
    let enabled = names(&told.enabled_publish_codecs);
    assert!(enabled.contains(&"video/VP8".to_owned()));
    assert!(!enabled.iter().any(|m| m == "video/VP9" || m == "video/AV1"));
    w.publish_as("safari", wants("vp9"), false);
    assert_eq!(w.client("safari").confirmed("cam").unwrap().codecs[0].mime_type, "video/VP8");
    let answered = &w.client("safari").last_server_sdp;
    let sending = answered.split("m=video").find(|s| s.contains("a=recvonly")).unwrap();
    assert!(!sending.contains("VP9"), "it does not get the idea: {sending}");
    // It can still receive VP9.
    w.join("chrome", join(true));
    assert!(w.client("chrome").join_response().client_configuration.is_none());
    w.publish_as("chrome", wants("vp9"), false);
    w.settle();
    let down = w.shard.downs.values().find(|d| Some(d.transport) == w.clients["safari"].publisher).unwrap();
    assert_eq!(down.payload_types[0].codec, Codec::Vp9);
}

#[test]
fn a_codec_the_room_has_not_is_replaced_in_description_and_answer() {
    let mut w = World::with(|c| c.codecs = vec![Codec::H264, Codec::Opus]);
    w.join("alice", join(true));
    let listed = &w.client("alice").join_response().enabled_publish_codecs;
    assert_eq!(listed.iter().map(|c| c.mime.as_str()).collect::<Vec<_>>(), ["video/H264", "audio/opus"]);
    w.publish_as("alice", wants("vp8"), false);
    let up = w.shard.ups.values().next().unwrap();
    assert!(up.payload_types.iter().all(|p| p.codec == Codec::H264));
    assert_eq!(w.client("alice").confirmed("cam").unwrap().codecs[0].mime_type, "video/H264");
}

#[test]
fn frame_metadata_reaches_only_who_can_read_it() {
    for (features, reader, stripped) in
        [(vec![0], true, false), (vec![0, 1], false, true), (vec![], false, false)]
    {
        let mut w = World::new();
        w.join("alice", join(true));
        w.join(
            "bob",
            join(true).with(|p| {
                p.client_info.capabilities = if reader { vec![1, 2] } else { vec![2] };
            }),
        );
        let request = AddTrackRequest { packet_trailer_features: features.clone(), ..add_track("cam", true) };
        w.publish_as("alice", request, false);
        let down = w.shard.downs.values().next().unwrap();
        assert_eq!(down.strip_trailer, stripped, "{features:?} {reader}");
        let seen = w.client("bob").sees("alice").unwrap().tracks.remove(0);
        assert_eq!(seen.packet_trailer_features, features);
    }
}

#[test]
fn a_second_connection_that_only_publishes_has_a_name_of_its_own() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("bob", "cam", true);
    w.join(
        "second",
        join(false).with(|p| {
            p.publish = Some("screen".into());
            p.claims.sub = "alice".into();
        }),
    );
    let me = w.client("second").join_response().participant.clone().unwrap();
    assert_eq!(me.identity, "alice#screen");
    assert!(!me.permission.unwrap().can_subscribe);
    assert!(!w.client("second").join_response().subscriber_primary);
    assert!(w.client("alice").closed.is_none(), "the first connection stays");
    w.publish("second", "screen", true);
    assert!(w.client("second").receiving.is_empty());
    assert_eq!(w.client("bob").sees("alice#screen").unwrap().tracks.len(), 1);
    w.join("mute", join(false).grant(|g| g.can_publish = Some(false)).with(|p| p.publish = Some("x".into())));
    assert_eq!(w.client("mute").refused.as_ref().unwrap().status, 401);
}

#[test]
fn stacks_that_learn_a_stream_by_its_first_packet_get_one() {
    for (sdk, announced) in [(Sdk::Js, false), (Sdk::Python, false), (Sdk::Go, true), (Sdk::Unknown, true)] {
        let mut w = World::new();
        w.join("alice", join(true));
        w.join("bob", join(true).with(|p| p.client_info.sdk = sdk as i32));
        w.publish("alice", "mic", false);
        assert_eq!(w.shard.downs.values().next().unwrap().announce, announced, "{sdk:?}");
    }
}

#[test]
fn frames_of_our_own_are_marked_in_encrypted_tracks_only() {
    for encryption in [encryption::Type::None, encryption::Type::Gcm] {
        let mut w = World::new();
        w.join("alice", join(true));
        w.join("bob", join(true));
        let request = AddTrackRequest { encryption: encryption as i32, ..add_track("mic", false) };
        w.publish_as("alice", request, false);
        let trailer = w.client("bob").join_response().sif_trailer.clone();
        assert!(trailer.len() >= 8);
        let expected = if encryption == encryption::Type::None { Vec::new() } else { trailer };
        assert_eq!(w.shard.downs.values().next().unwrap().frame_trailer, expected);
    }
}

#[test]
fn playout_limits_of_the_room_reach_receivers_of_video() {
    for (min, max, expected) in [
        (0, 0, None),
        (100, 0, Some(PlayoutDelay { min: 10, max: 1000 })),
        (5, 200, Some(PlayoutDelay { min: 1, max: 20 })),
        (300, 200, Some(PlayoutDelay { min: 30, max: 30 })),
        (u32::MAX, u32::MAX, Some(PlayoutDelay { min: 4095, max: 4095 })),
    ] {
        let mut w = World::new();
        let config = RoomConfiguration {
            min_playout_delay: min,
            max_playout_delay: max,
            ..RoomConfiguration::default()
        };
        w.join("alice", join(true).with(|p| p.claims.room_config = Some(config)));
        w.join("bob", join(false));
        w.publish("alice", "mic", false);
        assert_eq!(w.shard.downs.values().next().unwrap().playout_delay, None, "sound is not held back");
        let sid = w.publish("alice", "cam", true);
        let video = w.shard.downs.values().find(|d| d.rtx_ssrc.is_some()).unwrap();
        assert_eq!(video.playout_delay, expected, "{min} {max} {sid}");
        assert!(w.client("bob").last_server_sdp.contains("rtp-hdrext/playout-delay"));
    }
}
