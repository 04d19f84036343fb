use crate::client::add_track;
use crate::world::{World, join, layers};
use bedrud_rtp::Codec;
use bedrud_sfu::{DownTrackConfig, Event, UpTrackId};
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{AddTrackRequest, SimulcastCodec, SubscriptionResponse};
use std::time::Duration;

fn codecs(list: &[(&str, &str)]) -> Vec<SimulcastCodec> {
    let one = |(codec, cid): &(&str, &str)| SimulcastCodec {
        codec: (*codec).into(),
        cid: (*cid).into(),
        ..SimulcastCodec::default()
    };
    list.iter().map(one).collect()
}

/// VP9 with VP8 as backup, as livekit-client announces it.
fn announce(policy: i32) -> AddTrackRequest {
    AddTrackRequest {
        width: 1280,
        height: 720,
        layers: layers(),
        simulcast_codecs: codecs(&[("vp9", "cam"), ("vp8", "")]),
        backup_codec_policy: policy,
        ..add_track("cam", true)
    }
}

fn publish(w: &mut World, policy: i32) -> String {
    let sid = w.publish_as("alice", announce(policy), false);
    let id = feed(w, 0);
    w.shard_event(Event::UpLayerStarted { track: id, spatial: 0, ssrc: 1, codec: Codec::Vp9 });
    sid
}

/// What livekit-client does when the backup codec is asked for.
fn publish_backup(w: &mut World, sid: &str) {
    let request = AddTrackRequest {
        sid: sid.into(),
        layers: layers(),
        simulcast_codecs: codecs(&[("vp8", "cam-vp8")]),
        ..add_track("cam-vp8", true)
    };
    w.send("alice", Request::AddTrack(request));
    w.client("alice").add_sending("cam-vp8", true, true);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    w.settle();
}

/// Up tracks in the order of their publication.
fn feed(w: &World, index: usize) -> UpTrackId {
    *w.shard.ups.keys().nth(index).expect("published")
}

fn start_backup(w: &mut World) {
    let id = feed(w, 1);
    w.shard_event(Event::UpLayerStarted { track: id, spatial: 0, ssrc: 2, codec: Codec::Vp8 });
}

/// Codecs of the last update, each with its number of enabled qualities, and those of the list for older clients.
fn wanted(w: &mut World) -> Option<(Vec<(String, usize)>, usize)> {
    w.client("alice").find(|m| match m {
        Message::SubscribedQualityUpdate(u) => {
            let on = |list: &[livekit_protocol::SubscribedQuality]| list.iter().filter(|q| q.enabled).count();
            let codecs = u.subscribed_codecs.iter().map(|c| (c.codec.clone(), on(&c.qualities))).collect();
            Some((codecs, on(&u.subscribed_qualities)))
        }
        _ => None,
    })
}

fn list(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
    entries.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect()
}

fn down_of(w: &mut World, name: &str) -> Option<DownTrackConfig> {
    let c = w.client(name);
    let id = if c.single_pc { c.publisher } else { c.subscriber }?;
    w.shard.downs.values().find(|d| d.transport == id).cloned()
}

fn subscription_error(w: &mut World, name: &str) -> Option<SubscriptionResponse> {
    w.client(name).find(|m| match m {
        Message::SubscriptionResponse(r) => Some(r.clone()),
        _ => None,
    })
}

#[test]
fn a_subscriber_without_the_codec_makes_the_publisher_send_the_backup_and_gets_it() {
    for single in [false, true] {
        let mut w = World::new();
        w.join("alice", join(single));
        w.join("bob", join(single));
        let sid = publish(&mut w, 1);
        assert_eq!(w.client("alice").confirmed("cam").unwrap().codecs.len(), 2);
        assert_eq!(wanted(&mut w).unwrap(), (list(&[("vp9", 3)]), 3));
        w.join("old", join(single).lacking(&["VP9"]));
        w.settle();
        assert_eq!(wanted(&mut w).unwrap(), (list(&[("vp9", 3), ("vp8", 3)]), 3));
        assert!(down_of(&mut w, "old").is_none(), "nothing can be forwarded yet");
        publish_backup(&mut w, &sid);
        let confirmed = w.client("alice").confirmed("cam-vp8").expect("confirmed by its own client id");
        assert_eq!(confirmed.sid, sid);
        let seen = w.client("bob").sees("alice").unwrap().tracks.remove(0);
        let mids: Vec<_> = seen.codecs.iter().map(|c| (c.mime_type.as_str(), !c.mid.is_empty())).collect();
        assert_eq!(
            (seen.mime_type.as_str(), mids),
            ("video/VP9", vec![("video/VP9", true), ("video/VP8", true)])
        );
        assert_ne!(seen.codecs[0].mid, seen.codecs[1].mid);
        assert_eq!(down_of(&mut w, "old").unwrap().source, feed(&w, 1));
        assert_eq!(down_of(&mut w, "bob").unwrap().source, feed(&w, 0));
        assert_eq!(w.hub.stats().tracks, 2, "one track in two codecs");
    }
}

#[test]
fn publisher_that_wants_both_codecs_keeps_both() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(true));
    w.join("old", join(true).lacking(&["VP9"]));
    let sid = publish(&mut w, 1);
    publish_backup(&mut w, &sid);
    start_backup(&mut w);
    assert_eq!(down_of(&mut w, "bob").unwrap().source, feed(&w, 0));
    assert_eq!(wanted(&mut w).unwrap().0, list(&[("vp9", 3), ("vp8", 3)]));
    w.send("old", Request::Leave(Default::default()));
    w.advance(Duration::from_secs(6));
    assert_eq!(wanted(&mut w).unwrap().0, list(&[("vp9", 3), ("vp8", 0)]), "nobody needs it any more");
}

#[test]
fn regression_moves_everybody_to_the_backup_codec_once_it_flows() {
    for policy in [0, 2] {
        let mut w = World::new();
        w.join("alice", join(true));
        w.join("bob", join(false));
        w.join("old", join(true).lacking(&["VP9"]));
        let sid = publish(&mut w, policy);
        publish_backup(&mut w, &sid);
        let before = down_of(&mut w, "bob").unwrap();
        assert_eq!(before.source, feed(&w, 0), "until there is something to see");
        start_backup(&mut w);
        let after = down_of(&mut w, "bob").unwrap();
        assert_eq!((after.source, after.ssrc, after.mid), (feed(&w, 1), before.ssrc, before.mid));
        assert_eq!(wanted(&mut w).unwrap(), (list(&[("vp9", 0), ("vp8", 3)]), 0));
        w.join("late", join(false));
        w.settle();
        assert_eq!(down_of(&mut w, "late").unwrap().source, feed(&w, 1));
    }
}

#[test]
fn large_rooms_prefer_both_codecs_to_regression() {
    let mut w = World::new();
    for name in ["alice", "bob", "carol", "dave"] {
        w.join(name, join(true));
    }
    w.join("old", join(true).lacking(&["VP9"]));
    let sid = publish(&mut w, 0);
    publish_backup(&mut w, &sid);
    start_backup(&mut w);
    assert_eq!(down_of(&mut w, "bob").unwrap().source, feed(&w, 0));
    assert_eq!(down_of(&mut w, "old").unwrap().source, feed(&w, 1));
}

#[test]
fn backup_that_never_comes_is_reported_to_who_waits() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("old", join(true).lacking(&["VP9"]));
    let sid = publish(&mut w, 0);
    w.advance(Duration::from_secs(14));
    assert_eq!(subscription_error(&mut w, "old"), None);
    w.advance(Duration::from_secs(2));
    let error = subscription_error(&mut w, "old").unwrap();
    assert_eq!((error.track_sid.as_str(), error.err), (sid.as_str(), 1));
    publish_backup(&mut w, &sid);
    assert!(down_of(&mut w, "old").is_some(), "it was still wanted");
}

#[test]
fn backup_ends_alone_or_with_its_track() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(true));
    w.join("old", join(true).lacking(&["VP9"]));
    let sid = publish(&mut w, 2);
    publish_backup(&mut w, &sid);
    start_backup(&mut w);
    w.unpublish("alice", "cam-vp8");
    assert_eq!((w.shard.ups.len(), w.hub.stats().tracks), (1, 1));
    assert_eq!(down_of(&mut w, "bob").unwrap().source, feed(&w, 0), "back to the preferred codec");
    assert!(down_of(&mut w, "old").is_none());
    publish_backup(&mut w, &sid);
    assert!(down_of(&mut w, "old").is_some());
    w.client("alice").stop_sending("cam");
    w.client("alice").stop_sending("cam-vp8");
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    w.settle();
    assert!(w.shard.ups.is_empty() && w.shard.downs.is_empty());
    assert!(w.client("bob").sees("alice").unwrap().tracks.is_empty());
}

#[test]
fn mute_covers_every_codec() {
    let mut w = World::new();
    w.join("alice", join(true));
    let sid = publish(&mut w, 1);
    publish_backup(&mut w, &sid);
    w.send("alice", Request::Mute(livekit_protocol::MuteTrackRequest { sid: sid.clone(), muted: true }));
    assert_eq!(w.shard.muted.len(), 2);
    w.send("alice", Request::Mute(livekit_protocol::MuteTrackRequest { sid, muted: false }));
    assert!(w.shard.muted.is_empty());
}

#[test]
fn further_codec_is_refused_with_a_reason() {
    let mut w = World::new();
    w.join("alice", join(true));
    let sid = publish(&mut w, 1);
    let audio = w.publish("alice", "mic", false);
    let mut ask = |sid: &str, codec: &str| {
        let request = AddTrackRequest {
            sid: sid.into(),
            simulcast_codecs: codecs(&[(codec, "other")]),
            ..add_track("other", true)
        };
        w.send("alice", Request::AddTrack(request));
        w.client("alice").find(|m| match m {
            Message::RequestResponse(r) => Some(r.reason),
            Message::TrackPublished(_) => Some(0),
            _ => None,
        })
    };
    assert_eq!(ask("TR_unknown", "vp8"), Some(Reason::NotFound as i32));
    assert_eq!(ask(&audio, "vp8"), Some(Reason::InvalidRequest as i32), "no codec of sound");
    assert_eq!(ask(&sid, "vp9"), Some(Reason::InvalidRequest as i32));
    assert_eq!(ask(&sid, "theora"), Some(Reason::InvalidRequest as i32));
    assert_eq!(ask(&sid, "h264"), Some(0), "one that was not announced is welcome");
    assert_eq!(ask(&sid, "h264"), Some(Reason::InvalidRequest as i32));
    w.unpublish("alice", "cam");
    assert_eq!(w.shard.ups.len(), 1);
    w.client("alice").add_sending("other", true, false);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    assert_eq!(w.shard.ups.len(), 1, "the announcement went with its track");
}

/// Sound in Opus (inside RED or plain) with G.711 as backup, as servers with telephones announce it.
fn announce_sound(plain: bool) -> AddTrackRequest {
    let simulcast_codecs = codecs(&[("opus", "mic"), ("pcmu", "")]);
    AddTrackRequest { simulcast_codecs, disable_red: plain, ..add_track("mic", false) }
}

/// Codecs of the last update of sound.
fn wanted_sound(w: &mut World) -> Option<Vec<(String, bool)>> {
    w.client("alice").find(|m| match m {
        Message::SubscribedAudioCodecUpdate(u) => {
            Some(u.subscribed_audio_codecs.iter().map(|c| (c.codec.clone(), c.enabled)).collect())
        }
        _ => None,
    })
}

#[test]
fn a_listener_without_the_codec_makes_the_publisher_send_the_other_one() {
    for plain in [false, true] {
        let mut w = World::new();
        w.join("alice", join(true));
        w.join("bob", join(false));
        let sid = w.publish_as("alice", announce_sound(plain), false);
        w.settle();
        let opus = ("opus".to_owned(), true);
        assert_eq!(wanted_sound(&mut w), Some(vec![opus.clone()]), "plain {plain}");
        w.join("phone", join(false).lacking(&["opus", "red"]));
        w.settle();
        assert_eq!(wanted_sound(&mut w), Some(vec![opus.clone(), ("pcmu".into(), true)]));
        assert!(down_of(&mut w, "phone").is_none(), "nothing it can hear yet");
        let request = AddTrackRequest {
            sid: sid.clone(),
            simulcast_codecs: codecs(&[("pcmu", "mic-pcmu")]),
            ..add_track("mic-pcmu", false)
        };
        w.send("alice", Request::AddTrack(request));
        w.client("alice").add_sending("mic-pcmu", false, false);
        let offer = w.client("alice").offer();
        w.send("alice", offer);
        w.settle();
        assert_eq!(w.client("alice").confirmed("mic-pcmu").expect("confirmed").sid, sid);
        let backup = feed(&w, 1);
        assert!(w.shard.ups[&backup].payload_types.iter().any(|p| p.codec == Codec::Pcmu));
        assert_eq!(down_of(&mut w, "phone").unwrap().source, backup);
        assert_eq!(down_of(&mut w, "bob").unwrap().source, feed(&w, 0));
        w.send("phone", Request::Leave(Default::default()));
        w.advance(Duration::from_secs(6));
        assert_eq!(wanted_sound(&mut w), Some(vec![opus, ("pcmu".into(), false)]));
    }
}

#[test]
fn sound_in_one_codec_is_never_asked_for() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(true));
    w.publish("alice", "mic", false);
    w.advance(Duration::from_secs(20));
    assert_eq!(wanted_sound(&mut w), None);
    let request = AddTrackRequest {
        sid: w.client("bob").sees("alice").unwrap().tracks.remove(0).sid,
        simulcast_codecs: codecs(&[("opus", "again")]),
        ..add_track("again", false)
    };
    w.send("alice", Request::AddTrack(request));
    let refused = w.client("alice").find(|m| match m {
        Message::RequestResponse(r) => Some(r.reason),
        _ => None,
    });
    assert_eq!(refused, Some(Reason::InvalidRequest as i32), "RED carries Opus already");
}
