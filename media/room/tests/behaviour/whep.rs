//! Watching a room by one offer and one answer.

use crate::sdp::Section;
use crate::whip::{open, section, transport};
use crate::world::{World, join};
use bedrud_room::{OneShotOpened, OneShotRole, PlayWish, ServiceRequest, VideoGrant};
use bedrud_rtp::Codec;
use bedrud_sfu::{AudioLevel, DownTrackConfig, Event};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    MuteTrackRequest, ParticipantPermission, RoomParticipantIdentity, SubscriptionPermission,
    UpdateParticipantRequest,
};
use std::time::Duration;

fn one_of_each() -> Vec<Section> {
    vec![section("a", false, "recvonly", false), section("v", true, "recvonly", false)]
}

fn watch(w: &mut World, wish: PlayWish, sections: &[Section]) -> OneShotOpened {
    open(w, "viewer", OneShotRole::Play(wish), sections, |_| {}).unwrap()
}

fn of(participants: &[&str], tracks: &[&str]) -> PlayWish {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    PlayWish { participants: owned(participants), tracks: owned(tracks) }
}

/// What is sent on a section of the viewer.
fn on(w: &World, opened: &OneShotOpened, mid: &str) -> Option<DownTrackConfig> {
    let mut mine =
        w.shard.downs.values().filter(|d| d.transport == transport(opened) && d.mid.as_str() == mid);
    let down = mine.next().cloned();
    assert!(mine.next().is_none(), "a section carries one track");
    down
}

/// Whose track it is.
fn source(w: &mut World, opened: &OneShotOpened, mid: &str) -> Option<String> {
    let track = on(w, opened, mid)?.source;
    let names: Vec<&'static str> = w.clients.keys().copied().collect();
    let transport = w.shard.ups[&track].transport;
    names.into_iter().find(|n| w.client(n).publisher == Some(transport)).map(str::to_owned)
}

fn speaks(w: &mut World, name: &str, level: u8) {
    let transport = w.client(name).publisher.unwrap();
    let audio = w.shard.ups.values().find(|u| u.transport == transport && u.mid.as_str() == mic_mid(w, name));
    let track = audio.unwrap().id;
    let active_percent = if level < 127 { 90 } else { 0 };
    for _ in 0..3 {
        w.shard_event(Event::AudioLevels(vec![AudioLevel { track, level, active_percent }]));
    }
    w.settle();
}

fn mic_mid(w: &World, name: &str) -> String {
    let sections = &w.clients[name].sections;
    sections.iter().find(|s| s.track.as_deref() == Some("mic")).unwrap().mid.clone()
}

#[test]
fn player_receives_sound_and_picture_on_its_sections() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    for mid in ["a", "v"] {
        let down = on(&w, &opened, mid).unwrap();
        assert!(opened.answer.contains(&format!("a=ssrc:{} cname:", down.ssrc)), "{}", opened.answer);
    }
    assert_eq!(opened.answer.matches("a=sendonly").count(), 2);
    let streams: Vec<&str> =
        opened.answer.lines().filter_map(|l| l.strip_prefix("a=msid:")?.split(' ').next()).collect();
    assert!(streams.len() == 2 && streams[0] == streams[1], "sound and picture are one stream: {streams:?}");
    assert!(w.client("alice").sees("viewer").is_some());
}

#[test]
fn sections_of_an_empty_room_fill_when_somebody_publishes() {
    let mut w = World::new();
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    assert!(w.shard.downs.is_empty() && opened.answer.matches("a=sendonly").count() == 2);
    w.join("alice", join(true));
    w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("alice"));
    assert_eq!(source(&mut w, &opened, "a").as_deref(), Some("alice"));
}

#[test]
fn next_track_takes_the_section_under_the_same_ssrc() {
    let mut w = World::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        w.publish(name, "cam", true);
    }
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("bob"), "the newest picture");
    let before = on(&w, &opened, "v").unwrap();
    w.join("carol", join(false));
    w.publish("carol", "cam", true);
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("bob"), "what is shown stays");
    w.unpublish("bob", "cam");
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("carol"));
    let after = on(&w, &opened, "v").unwrap();
    assert_eq!((before.ssrc, before.rtx_ssrc), (after.ssrc, after.rtx_ssrc));
    let who = RoomParticipantIdentity { room: "room".into(), identity: "carol".into(), ..Default::default() };
    w.service(ServiceRequest::RemoveParticipant(who)).unwrap();
    w.settle();
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("alice"));
}

#[test]
fn sound_follows_the_speaker() {
    let mut w = World::new();
    for name in ["alice", "bob", "carol"] {
        w.join(name, join(false));
        w.publish(name, "mic", false);
        speaks(&mut w, name, 127);
    }
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    let hears = |w: &mut World| source(w, &opened, "a").unwrap();
    speaks(&mut w, "alice", 10);
    assert_eq!(hears(&mut w), "alice");
    speaks(&mut w, "bob", 5);
    assert_eq!(hears(&mut w), "alice", "who speaks is not interrupted");
    speaks(&mut w, "alice", 127);
    assert_eq!(hears(&mut w), "bob");
    speaks(&mut w, "bob", 127);
    assert_eq!(hears(&mut w), "bob", "silence changes nothing");
    speaks(&mut w, "carol", 20);
    assert_eq!(hears(&mut w), "carol");
}

#[test]
fn as_many_tracks_as_sections_are_shown_and_none_twice() {
    let mut w = World::new();
    for name in ["alice", "bob", "carol"] {
        w.join(name, join(false));
        w.publish(name, "cam", true);
    }
    let sections = [section("v1", true, "recvonly", false), section("v2", true, "recvonly", false)];
    let opened = watch(&mut w, PlayWish::default(), &sections);
    let mut shown = [source(&mut w, &opened, "v1").unwrap(), source(&mut w, &opened, "v2").unwrap()];
    shown.sort();
    assert_eq!(shown, ["bob", "carol"]);
}

#[test]
fn limit_of_subscriptions_counts_sections() {
    let mut w = World::with(|c| c.limits.subscriptions_video = 1);
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        w.publish(name, "cam", true);
    }
    let sections = [section("v1", true, "recvonly", false), section("v2", true, "recvonly", false)];
    let opened = watch(&mut w, PlayWish::default(), &sections);
    assert!(on(&w, &opened, "v1").is_some() && on(&w, &opened, "v2").is_none());
}

#[test]
fn publisher_without_audio_levels_counts_as_speaking() {
    let mut w = World::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        w.publish(name, "mic", false);
    }
    speaks(&mut w, "alice", 127);
    speaks(&mut w, "bob", 127);
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    let sections = [section("0", false, "sendonly", false)];
    let studio = open(&mut w, "studio", OneShotRole::Publish, &sections, |_| {}).unwrap();
    w.settle();
    let up = w.shard.ups.values().find(|u| u.transport == transport(&studio)).unwrap().id;
    assert_ne!(on(&w, &opened, "a").unwrap().source, up, "nothing has been heard of it");
    w.shard_event(Event::UpLayerStarted { track: up, spatial: 0, ssrc: 7, codec: Codec::Opus });
    w.settle();
    assert_eq!(on(&w, &opened, "a").unwrap().source, up);
    speaks(&mut w, "alice", 5);
    assert_eq!(on(&w, &opened, "a").unwrap().source, up, "it is not interrupted");
}

#[test]
fn muted_picture_gives_way_to_one_that_is_not() {
    let mut w = World::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
    }
    w.publish("alice", "cam", true);
    let sid = w.publish("bob", "cam", true);
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("bob"));
    w.send("bob", Request::Mute(MuteTrackRequest { sid, muted: true }));
    w.settle();
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("alice"));
}

#[test]
fn address_chooses_participants_and_tracks() {
    let mut w = World::new();
    let mut sids = Vec::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        sids.push(w.publish(name, "cam", true));
        w.publish(name, "mic", false);
    }
    let opened = watch(&mut w, of(&["alice"], &[]), &one_of_each());
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("alice"));
    assert_eq!(source(&mut w, &opened, "a").as_deref(), Some("alice"));
    speaks(&mut w, "bob", 5);
    assert_eq!(source(&mut w, &opened, "a").as_deref(), Some("alice"));
    let opened = watch(&mut w, of(&[], &[&sids[1]]), &one_of_each());
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("bob"));
    assert_eq!(source(&mut w, &opened, "a"), None);
    let opened = watch(&mut w, of(&["nobody"], &[]), &one_of_each());
    assert!(on(&w, &opened, "v").is_none());
}

#[test]
fn track_in_a_codec_the_player_lacks_is_passed_over() {
    let mut w = World::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        w.publish(name, "cam", true);
    }
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("bob"));
    let track = on(&w, &opened, "v").unwrap().id;
    w.shard_event(Event::DownTrackUnsupported { track, codec: Codec::Av1 });
    w.settle();
    assert_eq!(source(&mut w, &opened, "v").as_deref(), Some("alice"));
}

#[test]
fn rights_to_subscribe_are_respected_at_any_time() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    let opened = watch(&mut w, PlayWish::default(), &one_of_each());
    let permit = |w: &mut World, can_subscribe| {
        let permission = ParticipantPermission { can_subscribe, ..Default::default() };
        let request = UpdateParticipantRequest {
            room: "room".into(),
            identity: "viewer".into(),
            permission: Some(permission),
            ..Default::default()
        };
        w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
        w.settle();
    };
    permit(&mut w, false);
    assert!(on(&w, &opened, "v").is_none());
    permit(&mut w, true);
    assert!(on(&w, &opened, "v").is_some());
    for all in [false, true] {
        let rules = SubscriptionPermission { all_participants: all, ..Default::default() };
        w.send("alice", Request::SubscriptionPermission(rules));
        w.settle();
        assert_eq!(on(&w, &opened, "v").is_some(), all);
    }
}

#[test]
fn hidden_player_is_seen_by_nobody() {
    let mut w = World::new();
    w.join("alice", join(false));
    let hide = |g: &mut VideoGrant| g.hidden = true;
    open(&mut w, "viewer", OneShotRole::Play(PlayWish::default()), &one_of_each(), hide).unwrap();
    assert!(w.client("alice").sees("viewer").is_none());
}

#[test]
fn everything_is_given_back_at_the_end() {
    let mut w = World::new();
    w.join("alice", join(false));
    for _ in 0..10 {
        watch(&mut w, PlayWish::default(), &one_of_each());
        w.publish("alice", "cam", true);
        w.unpublish("alice", "cam");
    }
    for identity in ["viewer", "alice"] {
        let who =
            RoomParticipantIdentity { room: "room".into(), identity: identity.into(), ..Default::default() };
        w.service(ServiceRequest::RemoveParticipant(who)).unwrap();
    }
    w.advance(Duration::from_secs(60));
    assert_eq!(w.hub.stats(), Default::default());
    assert!(w.shard.downs.is_empty() && w.shard.transports.is_empty());
}
