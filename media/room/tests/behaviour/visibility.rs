//! Participants that become hidden while they are there, and are shown again.

use crate::client::{Client, add_track, subscribe};
use crate::world::{World, join};
use bedrud_room::{ServiceRequest, ServiceResponse};
use bedrud_sfu::DataChannel;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ForwardParticipantRequest, ListParticipantsRequest, MuteTrackRequest, ParticipantInfo,
    ParticipantPermission, PublishDataTrackRequest, UpdateParticipantRequest,
};
use std::time::Duration;

fn hide(w: &mut World, identity: &str, hidden: bool) {
    let permission = ParticipantPermission {
        can_subscribe: true,
        can_publish: true,
        can_publish_data: true,
        hidden,
        ..ParticipantPermission::default()
    };
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: identity.into(),
        permission: Some(permission),
        ..UpdateParticipantRequest::default()
    };
    w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
    w.settle();
}

/// Entries about somebody that a client got, oldest first.
fn entries(client: &Client, identity: &str) -> Vec<ParticipantInfo> {
    let updates = client.inbox.iter().filter_map(|m| match m {
        Message::Update(u) => Some(u.participants.clone()),
        _ => None,
    });
    updates.flatten().filter(|p| p.identity == identity).collect()
}

fn call(single: bool) -> (World, String) {
    let mut w = World::new();
    w.join("alice", join(single));
    w.join("bob", join(!single));
    w.join("carol", join(single));
    let cam = w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    w.publish("bob", "cam", true);
    for c in w.clients.values_mut() {
        c.take();
    }
    (w, cam)
}

#[test]
fn becoming_hidden_is_leaving_and_back() {
    for single in [false, true] {
        let (mut w, cam) = call(single);
        assert_eq!(w.client("bob").receiving.len(), 2);
        hide(&mut w, "alice", true);
        for name in ["bob", "carol"] {
            let seen = entries(w.client(name), "alice");
            let last = seen.last().expect("told");
            assert_eq!(last.state, State::Disconnected as i32, "{name}");
            assert!(last.tracks.is_empty());
            assert!(!w.client(name).receiving.values().any(|t| *t == cam), "{name} receives nothing of her");
        }
        let alice = [w.client("alice").publisher, w.client("alice").subscriber];
        let from_alice = |w: &World| {
            let ups: Vec<_> =
                w.shard.ups.values().filter(|u| alice.contains(&Some(u.transport))).map(|u| u.id).collect();
            w.shard.downs.values().filter(|d| ups.contains(&d.source)).count()
        };
        assert_eq!(from_alice(&w), 0);
        // She herself knows, goes on and still receives the others.
        assert!(w.client("alice").sees("alice").unwrap().permission.unwrap().hidden);
        assert!(w.client("alice").closed.is_none());
        assert!(entries(w.client("alice"), "alice").iter().all(|p| p.state == State::Active as i32));
        assert_eq!(w.client("alice").receiving.len(), 1);
        // Nobody hears of what she does now, of her departure neither.
        for c in w.clients.values_mut() {
            c.take();
        }
        w.send("alice", Request::Mute(MuteTrackRequest { sid: cam.clone(), muted: true }));
        w.publish("alice", "screen", true);
        w.advance(Duration::from_secs(10));
        assert!(entries(w.client("bob"), "alice").is_empty());
        let room = ServiceRequest::ListParticipants(ListParticipantsRequest { room: "room".into() });
        let Ok(ServiceResponse::Participants(listed)) = w.service(room) else { panic!("list") };
        assert_eq!(listed.len(), 2);
        w.join("dave", join(true));
        assert!(w.client("dave").sees("alice").is_none());
        // Shown again she is somebody who joins, with what she publishes.
        hide(&mut w, "alice", false);
        for name in ["bob", "carol", "dave"] {
            let info = w.client(name).sees("alice").expect("shown");
            assert_eq!((info.state, info.tracks.len()), (State::Active as i32, 3), "{name}");
        }
        w.settle();
        assert_eq!(from_alice(&w), 9, "three tracks for three listeners");
        for c in w.clients.values_mut() {
            c.take();
        }
        w.send("alice", Request::Leave(Default::default()));
        let seen = entries(w.client("bob"), "alice");
        assert_eq!(seen.last().map(|p| p.state), Some(State::Disconnected as i32));
    }
}

#[test]
fn who_resumes_learns_that_somebody_is_not_to_be_seen_any_more() {
    let (mut w, _) = call(false);
    w.drop_socket("bob");
    w.advance(Duration::from_secs(1));
    hide(&mut w, "alice", true);
    w.resume("bob", join(true));
    let last = entries(w.client("bob"), "alice");
    assert_eq!(last.last().map(|p| p.state), Some(State::Disconnected as i32));
}

#[test]
fn speaking_and_data_end_with_being_seen() {
    let (mut w, cam) = call(false);
    let publish = PublishDataTrackRequest { pub_handle: 1, name: "d".into(), ..Default::default() };
    w.send("alice", Request::PublishDataTrackRequest(publish));
    let sid = w.client("bob").sees("alice").unwrap().data_tracks[0].sid.clone();
    let wish = livekit_protocol::update_data_subscription::Update {
        track_sid: sid,
        subscribe: true,
        ..Default::default()
    };
    w.send(
        "bob",
        Request::UpdateDataSubscription(livekit_protocol::UpdateDataSubscription { updates: vec![wish] }),
    );
    let handles = |w: &mut World| {
        w.client("bob").find(|m| match m {
            Message::DataTrackSubscriberHandles(h) => Some(h.sub_handles.len()),
            _ => None,
        })
    };
    assert_eq!(handles(&mut w), Some(1));
    hide(&mut w, "alice", true);
    assert_eq!(handles(&mut w), Some(0));
    let id = w.client("bob").publisher.unwrap();
    let before = w.sent_to(id, DataChannel::DataTrack).len();
    w.data("alice", DataChannel::DataTrack, [0, 0, 0, 1].into_iter().chain([0; 8]).collect());
    assert_eq!(w.sent_to(id, DataChannel::DataTrack).len(), before);
    // As with anybody who was hidden from the start, only who knows a track's id may ask for it.
    w.send("bob", subscribe(&cam, true));
    w.settle();
    assert!(w.client("bob").receiving.values().any(|t| *t == cam));
}

#[test]
fn in_another_room_it_is_the_same() {
    let (mut w, _) = call(false);
    w.join("zoe", join(true).grant(|g| g.room = "stage".into()));
    let request = ForwardParticipantRequest {
        room: "room".into(),
        identity: "alice".into(),
        destination_room: "stage".into(),
    };
    w.service(ServiceRequest::ForwardParticipant(request)).unwrap();
    w.settle();
    assert_eq!(w.client("zoe").receiving.len(), 2);
    hide(&mut w, "alice", true);
    assert_eq!(w.client("zoe").sees("alice").unwrap().state, State::Disconnected as i32);
    assert!(w.client("zoe").receiving.is_empty());
    hide(&mut w, "alice", false);
    w.settle();
    assert_eq!(w.client("zoe").sees("alice").unwrap().state, State::Active as i32);
    assert_eq!(w.client("zoe").receiving.len(), 2);
}

#[test]
fn a_second_track_of_the_same_client_id_is_answered_at_once() {
    let answered = |w: &mut World| {
        let got = w.client("alice").take();
        got.iter().any(|m| matches!(m, Message::RequestResponse(_) | Message::TrackPublished(_)))
    };
    let old_rust = |p: &mut bedrud_room::JoinParams| {
        p.client_info.sdk = livekit_protocol::client_info::Sdk::Rust as i32;
        p.client_info.protocol = 9;
    };
    for old in [false, true] {
        let mut w = World::new();
        w.join(
            "alice",
            join(false).with(|p| {
                if old {
                    old_rust(p);
                }
            }),
        );
        w.send("alice", Request::AddTrack(add_track("cam", true)));
        w.client("alice").add_sending("cam", true, false);
        let offer = w.client("alice").offer();
        w.send("alice", offer);
        w.settle();
        w.client("alice").take();
        w.send("alice", Request::AddTrack(add_track("cam", true)));
        assert!(answered(&mut w), "old client: {old}");
        let sid = w.client("alice").confirmed("cam").unwrap().sid;
        assert_eq!(w.hub.stats().tracks, 1);
        w.unpublish("alice", "cam");
        let next = w.client("alice").confirmed("cam").unwrap().sid;
        // Who was told that it waits gets it now; who could not be told got the one there is.
        assert_eq!(next == sid, old);
    }
}
