use crate::client::{Client, subscribe};
use crate::world::{World, join};
use bedrud_rtp::Codec;
use bedrud_sfu::{AudioLevel, Event, TrackStats};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ConnectionQuality, StreamState, SubscribedQualityUpdate, UpdateTrackSettings, VideoQuality,
};
use std::time::Duration;

fn levels(w: &mut World, level: u8, active_percent: u8) {
    let track = *w.shard.ups.keys().next().unwrap();
    w.shard_event(Event::AudioLevels(vec![AudioLevel { track, level, active_percent }]));
}

fn speaking(c: &Client, sid: &str) -> Option<(bool, f32)> {
    c.find(|m| match m {
        Message::SpeakersChanged(s) => s.speakers.iter().find(|s| s.sid == sid).map(|s| (s.active, s.level)),
        _ => None,
    })
}

#[test]
fn speaker_is_announced_to_itself_and_its_subscribers_only_on_change() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("deaf", join(false).with(|p| p.auto_subscribe = false));
    w.publish("alice", "mic", false);
    let sid = w.client("alice").sid();
    for _ in 0..4 {
        levels(&mut w, 10, 90);
    }
    for name in ["alice", "bob"] {
        let (active, level) = speaking(w.client(name), &sid).unwrap();
        assert!(active && level > 0.0 && (level * 8.0).fract() == 0.0, "{name} {level}");
    }
    assert!(speaking(w.client("deaf"), &sid).is_none());
    let count = |c: &Client| c.log.iter().filter(|m| matches!(m, Message::SpeakersChanged(_))).count();
    let before = count(w.client("bob"));
    levels(&mut w, 10, 90);
    assert_eq!(count(w.client("bob")), before, "an unchanged level is not repeated");
    w.join("late", join(false));
    assert!(
        speaking(w.client("late"), &sid).is_some_and(|(active, _)| active),
        "a new subscriber learns the state"
    );
    levels(&mut w, 127, 0);
    assert_eq!(speaking(w.client("bob"), &sid), Some((false, 0.0)));
}

#[test]
fn quiet_sounds_are_not_speech_and_those_at_the_threshold_are() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "mic", false);
    let sid = w.client("alice").sid();
    for _ in 0..5 {
        levels(&mut w, 60, 100);
        levels(&mut w, 36, 100);
    }
    assert_eq!(speaking(w.client("alice"), &sid), None);
    // The shard has weighed it by how much of the interval was loud: -30 dBov in six tenths of it.
    levels(&mut w, 34, 60);
    assert!(speaking(w.client("alice"), &sid).unwrap().0);
}

#[test]
fn a_speaker_whose_track_ends_speaks_no_longer() {
    for unsubscribe in [false, true] {
        let mut w = World::new();
        w.join("alice", join(false));
        w.join("bob", join(false));
        let mic = w.publish("alice", "mic", false);
        let sid = w.client("alice").sid();
        levels(&mut w, 10, 90);
        assert!(speaking(w.client("bob"), &sid).unwrap().0);
        if unsubscribe {
            w.send("bob", subscribe(&mic, false));
            assert!(speaking(w.client("alice"), &sid).unwrap().0, "the others still hear it");
        } else {
            w.unpublish("alice", "mic");
            assert_eq!(speaking(w.client("alice"), &sid), Some((false, 0.0)));
        }
        assert_eq!(speaking(w.client("bob"), &sid), Some((false, 0.0)), "unsubscribe: {unsubscribe}");
    }
}

#[test]
fn a_room_without_media_knows_how_its_connections_are() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.advance(Duration::from_secs(6));
    let told = w.client("alice").find(|m| match m {
        Message::ConnectionQuality(u) => u.updates.first().map(|u| u.quality),
        _ => None,
    });
    assert_eq!(told, Some(ConnectionQuality::Excellent as i32));
}

#[test]
fn a_subscription_that_begins_anew_is_not_paused_any_more() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let cam = w.publish("alice", "cam", true);
    let state = |w: &mut World| {
        w.client("bob").find(|m| match m {
            Message::StreamStateUpdate(u) => u.stream_states.first().map(|s| (s.track_sid.clone(), s.state)),
            _ => None,
        })
    };
    let (down, source) = w.shard.downs.iter().map(|(id, d)| (*id, d.source)).next().unwrap();
    w.shard_event(Event::DownTrackCongested { track: down, paused: true });
    assert_eq!(state(&mut w), Some((cam.clone(), StreamState::Paused as i32)));
    // The publisher goes over to another codec, and the subscriber answers with that.
    w.shard_event(Event::UpLayerStarted { track: source, spatial: 0, ssrc: 1, codec: Codec::H264 });
    w.settle();
    assert_ne!(*w.shard.downs.keys().next().unwrap(), down);
    assert_eq!(state(&mut w), Some((cam, StreamState::Active as i32)));
}

fn told(c: &Client) -> Option<(Option<VideoQuality>, usize)> {
    let count = c.log.iter().filter(|m| matches!(m, Message::SubscribedQualityUpdate(_))).count();
    let last: SubscribedQualityUpdate = c.find(|m| match m {
        Message::SubscribedQualityUpdate(u) => Some(u.clone()),
        _ => None,
    })?;
    let codec = &last.subscribed_codecs[0];
    assert_eq!((codec.codec.as_str(), codec.qualities.len()), ("vp8", 3));
    assert_eq!(codec.qualities, last.subscribed_qualities);
    let on = codec.qualities.iter().filter(|q| q.enabled).map(|q| VideoQuality::try_from(q.quality).unwrap());
    Some((on.max(), count))
}

fn want(w: &mut World, name: &str, sid: &str, quality: VideoQuality) {
    let quality = quality as i32;
    let s = UpdateTrackSettings { track_sids: vec![sid.into()], quality, ..Default::default() };
    w.send(name, Request::TrackSetting(s));
    w.settle();
}

#[test]
fn unwatched_track_is_paused_after_ten_seconds() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    w.advance(Duration::from_secs(9));
    assert_eq!(told(w.client("alice")), None);
    w.advance(Duration::from_secs(1));
    assert_eq!(told(w.client("alice")), Some((None, 1)));
    w.join("bob", join(false));
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::High), 2)), "demand is told at once");
}

#[test]
fn lower_demand_is_told_late_and_higher_demand_at_once() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("carol", join(false));
    let sid = w.publish("alice", "cam", true);
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::High), 1)));
    want(&mut w, "bob", &sid, VideoQuality::Low);
    want(&mut w, "carol", &sid, VideoQuality::Medium);
    w.advance(Duration::from_secs(3));
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::High), 1)));
    w.advance(Duration::from_secs(3));
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::Medium), 2)));
    want(&mut w, "bob", &sid, VideoQuality::High);
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::High), 3)));
    want(&mut w, "bob", &sid, VideoQuality::Low);
    want(&mut w, "bob", &sid, VideoQuality::High);
    w.advance(Duration::from_secs(10));
    assert_eq!(told(w.client("alice")), Some((Some(VideoQuality::High), 3)), "a short dip is not told");
}

#[test]
fn how_soon_publishers_pause_and_who_speaks_can_be_set() {
    let mut w = World::with(|c| {
        c.timeouts.dynacast_pause = Duration::from_secs(60);
        c.active_level = 70;
    });
    w.join("alice", join(false));
    w.join("bob", join(true));
    w.publish("alice", "mic", false);
    levels(&mut w, 50, 20);
    let sid = w.client("alice").sid();
    assert!(speaking(w.client("bob"), &sid).is_some_and(|(active, _)| active));
    w.publish("alice", "cam", true);
    w.send("bob", Request::Leave(Default::default()));
    w.advance(Duration::from_secs(50));
    assert_ne!(told(w.client("alice")).unwrap().0, None);
    w.advance(Duration::from_secs(11));
    assert_eq!(told(w.client("alice")).unwrap().0, None);
}

#[test]
fn demand_ends_with_the_last_subscriber() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(true));
    w.publish("alice", "cam", true);
    w.send("bob", Request::Leave(Default::default()));
    w.advance(Duration::from_secs(6));
    assert_eq!(told(w.client("alice")).unwrap().0, None);
}

#[test]
fn loss_lowers_the_connection_quality_everyone_sees() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("old", join(false).protocol(4));
    w.publish("alice", "cam", true);
    let track = *w.shard.ups.keys().next().unwrap();
    let sid = w.client("alice").sid();
    let seen = |w: &mut World, name: &str| {
        w.client(name).find(|m| match m {
            Message::ConnectionQuality(u) => u.updates.iter().find(|q| q.participant_sid == sid).cloned(),
            _ => None,
        })
    };
    let report = |w: &mut World, lost| {
        let stats = TrackStats { packets: 1000, lost, ..TrackStats::default() };
        w.shard_event(Event::Stats { up: vec![(track, 0, stats)], down: vec![] });
    };
    report(&mut w, 0);
    let q = seen(&mut w, "bob").unwrap();
    assert_eq!(q.quality, ConnectionQuality::Excellent as i32);
    assert!(q.score > 4.0 && q.score <= 4.5);
    for _ in 0..4 {
        report(&mut w, 200);
    }
    assert_eq!(seen(&mut w, "bob").unwrap().quality, ConnectionQuality::Poor as i32);
    assert_eq!(seen(&mut w, "alice").unwrap().quality, ConnectionQuality::Poor as i32);
    assert!(seen(&mut w, "old").is_none());
}
