use crate::client::{Client, add_track, subscribe};
use crate::world::{World, join, layers};
use bedrud_sfu::{DownTrackConfig, Event};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, ParticipantTracks, SubscriptionError, SubscriptionPermission, TrackPermission,
    UpdateSubscription, UpdateTrackSettings, VideoQuality,
};
use std::time::Duration;

fn only_down(w: &World) -> DownTrackConfig {
    assert_eq!(w.shard.downs.len(), 1);
    w.shard.downs.values().next().unwrap().clone()
}

#[test]
fn everyone_receives_a_new_track_in_either_topology() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("carol", join(true));
    let sid = w.publish("alice", "cam", true);
    assert_eq!(w.shard.downs.len(), 2);
    for name in ["bob", "carol"] {
        let pa = w.client("alice").sid();
        let c = w.client(name);
        assert_eq!(c.receiving.values().collect::<Vec<_>>(), [&sid], "{name}");
        assert!(c.last_server_sdp.contains(&format!("a=msid:{pa}|{sid} {sid}")), "{name}");
    }
}

#[test]
fn late_joiner_receives_what_is_published_with_its_first_description() {
    for single in [false, true] {
        let mut w = World::new();
        w.join("alice", join(false));
        let sid = w.publish("alice", "cam", true);
        let c = w.join("bob", join(single));
        let first = c.log.iter().find_map(|m| match m {
            Message::Offer(d) | Message::Answer(d) => {
                Some(d.mid_to_track_id.values().cloned().collect::<Vec<_>>())
            }
            _ => None,
        });
        assert_eq!(first, Some(vec![sid]));
        assert_eq!(w.shard.downs.len(), 1);
    }
}

#[test]
fn subscriber_knows_the_track_before_its_sdp_arrives() {
    for single in [false, true] {
        let mut w = World::new();
        w.join("alice", join(false));
        w.join("bob", join(single));
        w.client("bob").take();
        let sid = w.publish("alice", "cam", true);
        let log = w.client("bob").take();
        let known = log.iter().position(
            |m| matches!(m, Message::Update(u) if u.participants.iter().any(|p| p.tracks.iter().any(|t| t.sid == sid))),
        );
        let sdp = log.iter().position(|m| {
            matches!(m, Message::Offer(d) | Message::Answer(d) if d.mid_to_track_id.values().any(|t| *t == sid))
        });
        assert!(known.unwrap() < sdp.unwrap());
    }
}

#[test]
fn single_connection_client_is_asked_for_missing_sections() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(true));
    for i in 0..10 {
        w.publish("alice", &format!("v{i}"), true);
        w.publish("alice", &format!("a{i}"), false);
    }
    assert_eq!(w.shard.downs.len(), 20);
    assert_eq!(w.client("bob").receiving.len(), 20);
    let asked = |c: &Client| {
        c.log.iter().any(|m| matches!(m, Message::MediaSectionsRequirement(r) if r.num_videos > 0))
    };
    assert!(asked(w.client("bob")));
}

#[test]
fn twenty_tracks_at_once_reach_a_dual_connection_client() {
    let mut w = World::new();
    w.join("bob", join(false));
    w.join("alice", join(true));
    for i in 0..10 {
        w.publish("alice", &format!("v{i}"), true);
        w.publish("alice", &format!("a{i}"), false);
    }
    assert_eq!(w.client("bob").receiving.len(), 20);
    assert_eq!(w.shard.downs.len(), 20);
    let mut ssrcs: Vec<u32> =
        w.shard.downs.values().flat_map(|d| [Some(d.ssrc), d.rtx_ssrc]).flatten().collect();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 30, "SSRCs are unique on a connection");
}

#[test]
fn at_most_one_offer_is_in_flight() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(false));
    w.client("bob").mute_negotiation = true;
    w.client("bob").take();
    w.publish("alice", "one", true);
    w.publish("alice", "two", true);
    let offers: Vec<_> =
        w.client("bob").take().into_iter().filter(|m| matches!(m, Message::Offer(_))).collect();
    assert_eq!(offers.len(), 1);
    w.client("bob").mute_negotiation = false;
    let Message::Offer(offer) = offers[0].clone() else { unreachable!() };
    w.client("bob").receive(Message::Offer(offer));
    w.run();
    let answer = w.client("bob").outbox.pop().unwrap();
    w.send("bob", answer);
    w.settle();
    assert_eq!(w.shard.downs.len(), 2, "what came up meanwhile follows the answer");
}

#[test]
fn client_that_does_not_answer_must_start_over() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(false));
    w.client("bob").mute_negotiation = true;
    w.publish("alice", "one", true);
    w.advance(Duration::from_secs(16));
    let leave = w.client("bob").leave().unwrap();
    assert_eq!((leave.reason, leave.action), (6, 2));
}

#[test]
fn manual_subscription_without_auto_subscribe() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false).with(|p| p.auto_subscribe = false));
    let sid = w.publish("alice", "cam", true);
    assert!(w.shard.downs.is_empty());
    w.send("bob", subscribe(&sid, true));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1);
    w.send("bob", subscribe(&sid, false));
    w.settle();
    assert!(w.shard.downs.is_empty() && w.client("bob").receiving.is_empty());
    let nested = ParticipantTracks { track_sids: vec![sid], ..Default::default() };
    let update =
        UpdateSubscription { participant_tracks: vec![nested], subscribe: true, ..Default::default() };
    w.send("bob", Request::Subscription(update));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1);
}

#[test]
fn unknown_track_is_given_up_after_a_minute() {
    let mut w = World::new();
    w.join("bob", join(false));
    w.send("bob", subscribe("TR_nowhere", true));
    w.advance(Duration::from_secs(59));
    let response = |m: &Message| match m {
        Message::SubscriptionResponse(r) => Some(r.err),
        _ => None,
    };
    assert_eq!(w.client("bob").find(response), None);
    w.advance(Duration::from_secs(2));
    assert_eq!(w.client("bob").find(response), Some(SubscriptionError::SeTrackNotfound as i32));
}

#[test]
fn client_without_the_codec_is_told_and_keeps_its_other_tracks() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.client("bob").refuse_video = true;
    let video = w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    let response = w.client("bob").find(|m| match m {
        Message::SubscriptionResponse(r) => Some((r.track_sid.clone(), r.err)),
        _ => None,
    });
    assert_eq!(response, Some((video, SubscriptionError::SeCodecUnsupported as i32)));
    assert_eq!(w.shard.downs.len(), 1);
    assert!(w.client("bob").closed.is_none());
}

#[test]
fn publisher_learns_once_that_somebody_receives() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("hidden", join(false).grant(|g| g.hidden = true));
    let sid = w.publish("alice", "mic", false);
    let told = |c: &Client| {
        c.log.iter().filter(|m| matches!(m, Message::TrackSubscribed(t) if t.track_sid == sid)).count()
    };
    assert_eq!(told(w.client("alice")), 0, "hidden subscribers do not count");
    w.join("bob", join(false));
    w.join("carol", join(true));
    w.settle();
    assert_eq!(told(w.client("alice")), 1);
}

#[test]
fn requested_size_selects_the_layer() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "cam", true);
    assert_eq!(only_down(&w).settings.max_spatial, 2);
    for (width, height, layer) in
        [(320, 180, 0), (350, 195, 0), (500, 300, 1), (640, 360, 1), (1920, 1080, 2)]
    {
        let s = UpdateTrackSettings { track_sids: vec![sid.clone()], width, height, ..Default::default() };
        w.send("bob", Request::TrackSetting(s));
        w.settle();
        assert_eq!(only_down(&w).settings.max_spatial, layer, "{width}x{height}");
    }
    let low = UpdateTrackSettings {
        track_sids: vec![sid],
        quality: VideoQuality::Low as i32,
        fps: 10,
        ..Default::default()
    };
    w.send("bob", Request::TrackSetting(low));
    w.settle();
    let settings = only_down(&w).settings;
    assert_eq!((settings.max_spatial, settings.max_temporal), (0, 1));
}

#[test]
fn the_best_of_a_single_stream_is_all_its_layers() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let request = AddTrackRequest { layers: layers(), ..add_track("cam", true) };
    let sid = w.publish_as("alice", request, false);
    assert_eq!(only_down(&w).settings.max_spatial, u8::MAX);
    for (quality, layer) in [(VideoQuality::Low, 0), (VideoQuality::Medium, 1), (VideoQuality::High, u8::MAX)]
    {
        let quality = quality as i32;
        let s = UpdateTrackSettings { track_sids: vec![sid.clone()], quality, ..Default::default() };
        w.send("bob", Request::TrackSetting(s));
        w.settle();
        assert_eq!(only_down(&w).settings.max_spatial, layer);
    }
}

#[test]
fn disabled_track_stops_and_resumes_at_once() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "cam", true);
    let set = |disabled| {
        Request::TrackSetting(UpdateTrackSettings {
            track_sids: vec![sid.clone()],
            disabled,
            quality: VideoQuality::High as i32,
            ..Default::default()
        })
    };
    w.send("bob", set(true));
    assert!(!only_down(&w).settings.paused, "collected first");
    w.advance(Duration::from_millis(100));
    assert!(only_down(&w).settings.paused);
    w.send("bob", set(false));
    assert!(!only_down(&w).settings.paused, "waking up does not wait");
}

#[test]
fn settings_sent_before_the_subscription_are_remembered() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false).with(|p| p.auto_subscribe = false));
    let sid = w.publish("alice", "cam", true);
    let s = UpdateTrackSettings { track_sids: vec![sid.clone()], quality: 0, ..Default::default() };
    w.send("bob", Request::TrackSetting(s));
    w.send("bob", subscribe(&sid, true));
    w.settle();
    assert_eq!(only_down(&w).settings.max_spatial, 0);
}

#[test]
fn adaptive_stream_starts_low() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false).with(|p| p.adaptive_stream = true));
    w.publish("alice", "cam", true);
    assert_eq!(only_down(&w).settings.max_spatial, 0);
}

#[test]
fn publisher_decides_who_may_subscribe() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("carol", join(true));
    let sid = w.publish("alice", "cam", true);
    assert_eq!(w.shard.downs.len(), 2);
    let entry =
        TrackPermission { participant_identity: "carol".into(), all_tracks: true, ..Default::default() };
    let rules = SubscriptionPermission { all_participants: false, track_permissions: vec![entry] };
    w.send("alice", Request::SubscriptionPermission(rules.clone()));
    w.settle();
    let carol = w.client("carol").publisher.unwrap();
    assert_eq!(only_down(&w).transport, carol);
    let told = |m: &Message| match m {
        Message::SubscriptionPermissionUpdate(u) if u.track_sid == sid => Some(u.allowed),
        _ => None,
    };
    assert_eq!(w.client("bob").find(told), Some(false));
    let nameless =
        SubscriptionPermission { all_participants: false, track_permissions: vec![Default::default()] };
    w.send("alice", Request::SubscriptionPermission(nameless));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1, "an entry that names nobody changes nothing");
    let all = SubscriptionPermission { all_participants: true, ..Default::default() };
    w.send("alice", Request::SubscriptionPermission(all));
    w.settle();
    assert_eq!(w.client("bob").find(told), Some(true));
    assert_eq!(w.shard.downs.len(), 2);
}

#[test]
fn congestion_is_reported_to_the_subscriber() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "cam", true);
    let track = only_down(&w).id;
    for (paused, state) in [(true, 1), (true, 1), (false, 0)] {
        w.shard_event(Event::DownTrackCongested { track, paused });
        let got = w.client("bob").find(|m| match m {
            Message::StreamStateUpdate(u) => {
                Some((u.stream_states[0].track_sid.clone(), u.stream_states[0].state))
            }
            _ => None,
        });
        assert_eq!(got, Some((sid.clone(), state)));
    }
    let count = w.client("bob").log.iter().filter(|m| matches!(m, Message::StreamStateUpdate(_))).count();
    assert_eq!(count, 2);
}

#[test]
fn old_client_gets_media_only_when_active() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    let c = w.join("bob", join(false).protocol(7));
    let first = c.log.iter().find_map(|m| match m {
        Message::Offer(d) => Some(d.mid_to_track_id.len()),
        _ => None,
    });
    assert_eq!(first, Some(0));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1);
}
