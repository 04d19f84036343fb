use crate::client::add_track;
use crate::world::{World, description, join, layers};
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, SignalRequest, TrickleRequest, UpdateSubscription, UpdateTrackSettings,
    UpdateVideoLayers,
};
use proptest::prelude::*;
use prost::Message as _;

#[test]
fn malformed_offer_harms_only_its_sender() {
    for sdp in
        ["", "garbage", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", &"v=0\r\n".repeat(200_000)]
    {
        let mut w = World::new();
        w.join("alice", join(false));
        w.join("bob", join(false));
        w.publish("bob", "cam", true);
        w.send("alice", Request::Offer(description(sdp)));
        let leave = w.client("alice").leave().unwrap();
        assert_eq!((leave.reason, leave.action), (6, 2));
        assert_eq!(w.hub.stats().participants, 1);
        assert!(w.client("bob").closed.is_none() && w.shard.ups.len() == 1);
    }
}

#[test]
fn malformed_answer_harms_only_its_sender() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.client("alice").mute_negotiation = true;
    w.publish("bob", "cam", true);
    w.send("alice", Request::Answer(description("v=0 nonsense")));
    assert_eq!(w.client("alice").leave().unwrap().action, 2);
    assert!(w.client("bob").closed.is_none());
}

#[test]
fn answer_nobody_asked_for_is_ignored() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(false));
    for name in ["alice", "bob"] {
        w.send(name, Request::Answer(description("nonsense")));
        assert!(w.client(name).closed.is_none());
    }
}

#[test]
fn candidates_are_checked_and_otherwise_ignored() {
    let mut w = World::new();
    w.join("alice", join(false));
    let good = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.5 4 typ host","sdpMid":"0","sdpMLineIndex":0}"#;
    for _ in 0..1000 {
        w.send(
            "alice",
            Request::Trickle(TrickleRequest { candidate_init: good.into(), ..Default::default() }),
        );
    }
    assert!(!w.client("alice").log.iter().any(|m| matches!(m, Message::RequestResponse(_))));
    w.send("alice", Request::Trickle(TrickleRequest { candidate_init: "{".into(), ..Default::default() }));
    let reason = w.client("alice").find(|m| match m {
        Message::RequestResponse(r) => Some(r.reason),
        _ => None,
    });
    assert_eq!(reason, Some(Reason::UnclassifiedError as i32));
}

#[test]
fn oversized_lists_are_cut() {
    let mut w = World::new();
    w.join("alice", join(false));
    let track_sids: Vec<String> = (0..10_000).map(|i| format!("TR_{i}")).collect();
    for _ in 0..3 {
        let update =
            UpdateSubscription { track_sids: track_sids.clone(), subscribe: true, ..Default::default() };
        w.send("alice", Request::Subscription(update));
        let settings = UpdateTrackSettings { track_sids: track_sids.clone(), ..Default::default() };
        w.send("alice", Request::TrackSetting(settings));
    }
    let many =
        AddTrackRequest { layers: (0..100).flat_map(|_| layers()).collect(), ..add_track("cam", true) };
    w.send("alice", Request::AddTrack(many));
    w.send("alice", Request::AddTrack(add_track(&"x".repeat(100_000), true)));
    w.send("alice", Request::AddTrack(AddTrackRequest { r#type: 2, ..add_track("data", false) }));
    w.send("alice", Request::AddTrack(AddTrackRequest { source: 77, ..add_track("odd", false) }));
    let refused = w.client("alice").log.iter().filter(|m| matches!(m, Message::RequestResponse(_))).count();
    assert_eq!(refused, 4);
    w.settle();
    assert!(w.client("alice").closed.is_none());
}

#[test]
fn messages_on_unknown_sockets_and_empty_messages_are_ignored() {
    let mut w = World::new();
    w.join("alice", join(false));
    let conn = w.new_conn();
    w.input(bedrud_room::Input::Signal { conn, request: SignalRequest { message: Some(Request::Ping(1)) } });
    w.input(bedrud_room::Input::SignalClosed { conn });
    let conn = w.client("alice").conn.unwrap();
    w.input(bedrud_room::Input::Signal { conn, request: SignalRequest { message: None } });
    w.send("alice", Request::UpdateLayers(UpdateVideoLayers::default()));
    assert!(w.client("alice").closed.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_messages_never_panic_and_never_harm_others(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..40),
        tags in proptest::collection::vec(1u8..=23, 1..40),
    ) {
        let mut w = World::new();
        w.join("alice", join(false));
        w.join("bob", join(true));
        w.publish("bob", "cam", true);
        for (body, tag) in frames.iter().zip(&tags) {
            let mut frame = Vec::new();
            prost::encoding::encode_varint(u64::from(*tag) << 3 | 2, &mut frame);
            prost::encoding::encode_varint(body.len() as u64, &mut frame);
            frame.extend_from_slice(body);
            let Ok(request) = SignalRequest::decode(frame.as_slice()) else { continue };
            let Some(message) = request.message else { continue };
            if w.client("alice").closed.is_some() {
                break;
            }
            w.send("alice", message);
        }
        w.settle();
        prop_assert!(w.client("bob").closed.is_none());
        prop_assert_eq!(w.shard.ups.len(), 1);
    }
}
