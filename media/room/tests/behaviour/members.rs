//! Rooms of an embedder that knows them by its own ids, and the people it says something about.

use crate::client::add_track;
use crate::world::{Join, World, join};
use bedrud_room::{Member, Present, Restrictions, RoomEvent, RoomRequest, ServiceRequest, ServiceResponse};
use bedrud_sfu::DataChannel;
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DataPacket, DeleteRoomRequest, MoveParticipantRequest, RoomParticipantIdentity, TrackSource,
    UpdateParticipantMetadata, UpdateParticipantRequest, UserPacket, data_stream,
};
use prost::Message as _;
use serde_json::json;

/// Somebody who comes to the room of an id. All rooms here have the same name.
fn to(id: &str) -> Join {
    let id = id.to_owned();
    join(false).with(move |p| p.claims.room_id = id)
}

fn member(how: Join, restrictions: Restrictions) -> Join {
    let metadata = [("accesses".to_owned(), json!(["user"])), ("chatBlocked".to_owned(), json!(null))];
    let member = Member { restrictions, metadata: metadata.into_iter().collect() };
    how.grant(|g| g.can_update_own_metadata = Some(true)).with(|p| p.member = Some(member))
}

fn without(sources: &[TrackSource]) -> Restrictions {
    Restrictions { sources: sources.to_vec(), ..Restrictions::default() }
}

fn others(w: &mut World, name: &str) -> Vec<String> {
    let joined = w.client(name).log.iter().find_map(|m| match m {
        Message::Join(j) => Some(j.other_participants.iter().map(|p| p.identity.clone()).collect()),
        _ => None,
    });
    joined.expect("joined")
}

fn presence(w: &mut World) -> Vec<Present> {
    let Ok(ServiceResponse::Presence(all)) = w.service(ServiceRequest::Presence) else { panic!("presence") };
    all
}

fn of_room(w: &mut World, id: &str, request: RoomRequest) -> bool {
    w.service(ServiceRequest::OfRoom(id.into(), request)).is_ok()
}

fn is_told(w: &mut World, name: &str, reason: Reason) -> bool {
    w.client(name).log.iter().any(|m| matches!(m, Message::RequestResponse(r) if r.reason == reason as i32))
}

#[test]
fn rooms_with_one_name_and_two_ids_are_two_rooms() {
    let mut w = World::new();
    w.join("alice", to("first"));
    w.join("bob", to("second"));
    assert_eq!(others(&mut w, "bob"), [""; 0], "who was in the other room is not here");
    w.join("carol", to("first"));
    assert_eq!(others(&mut w, "carol"), ["alice"], "an older token leads to the older room");
    // Whoever names the room only, means the newest.
    let mut found: Vec<_> = presence(&mut w).into_iter().map(|p| (p.identity, p.room_id)).collect();
    found.sort();
    let expected = [("alice", "first"), ("bob", "second"), ("carol", "first")];
    assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));

    assert!(of_room(&mut w, "first", RoomRequest::Delete));
    assert!(w.client("alice").closed.is_some() && w.client("carol").closed.is_some());
    assert!(w.client("bob").closed.is_none(), "the end of one room is not that of the other");
    let ended: Vec<_> = w
        .events
        .iter()
        .filter_map(|e| match e {
            RoomEvent::RoomFinished { id, .. } => Some(("finished", id.as_str())),
            RoomEvent::ParticipantLeft { id, .. } => Some(("left", id.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [("left", "first"), ("left", "first"), ("finished", "first")]);
    assert!(!of_room(&mut w, "first", RoomRequest::Delete));
    w.service(ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() })).unwrap();
    assert!(w.client("bob").closed.is_some());
    assert_eq!(w.hub.stats().rooms, 0);
}

#[test]
fn a_room_without_an_id_takes_that_of_the_first_who_brings_one() {
    let mut w = World::new();
    w.join("agent", join(false));
    w.join("alice", to("first"));
    assert_eq!(others(&mut w, "alice"), ["agent"]);
    w.join("bob", to("second"));
    assert_eq!(others(&mut w, "bob"), [""; 0]);
    assert!(of_room(&mut w, "first", RoomRequest::Delete));
    assert!(w.client("agent").closed.is_some());
}

#[test]
fn a_session_is_resumed_in_its_own_room_alone() {
    let mut w = World::new();
    w.join("alice", to("first"));
    w.drop_socket("alice");
    // The same person is in the newer room, too, with a session of its own.
    let conn = w.new_conn();
    let mut params = to("second").params;
    params.claims.sub = "alice".into();
    params.claims.video = Some(join(false).grant);
    params.reconnect = Some(bedrud_room::Reconnect { sid: String::new(), reason: Default::default() });
    w.client("alice").conn = Some(conn);
    w.input(bedrud_room::Input::Join { conn, params: Box::new(params) });
    assert!(w.client("alice").closed.is_some(), "there is no session in that room");
    assert_eq!(presence(&mut w).len(), 1);
}

#[test]
fn tokens_are_revoked_for_the_room_they_were_made_for() {
    let mut w = World::new();
    let token = |id: &str| to(id).with(|p| p.token = "the same".into());
    w.join("alice", token("first"));
    let who = RoomParticipantIdentity { room: "room".into(), identity: "alice".into(), ..Default::default() };
    w.service(ServiceRequest::RemoveParticipant(who)).unwrap();
    w.join("alice", token("first"));
    assert_eq!(w.client("alice").refused.as_ref().map(|e| e.status), Some(401));
    w.join("alice", token("second"));
    assert_eq!(w.client("alice").refused, None);
}

#[test]
fn who_is_moved_belongs_to_the_other_room() {
    let mut w = World::new();
    w.join("alice", to("first"));
    w.join("bob", to("hall's").grant(|g| g.room = "hall".into()));
    let (room, identity, destination_room) = ("room".into(), "alice".into(), "hall".into());
    let moving = MoveParticipantRequest { room, identity, destination_room };
    w.service(ServiceRequest::MoveParticipant(moving)).unwrap();
    let claims = w.client("alice").tokens.last().expect("a new token").clone();
    assert_eq!((claims.room_id.as_str(), claims.video.unwrap().room.as_str()), ("hall's", "hall"));
    assert!(presence(&mut w).iter().all(|p| p.room_id == "hall's"));
}

#[test]
fn one_session_ends_and_no_other() {
    let mut w = World::new();
    w.join("alice", to("first").with(|p| p.claims.session_id = "s1".into()));
    w.join("bob", to("first"));
    let all = presence(&mut w);
    let alice = all.iter().find(|p| p.identity == "alice").unwrap();
    assert_eq!((alice.session_id.as_str(), alice.room.as_str(), alice.active), ("s1", "room", true));
    assert!(!of_room(&mut w, "first", RoomRequest::Remove { sid: "PA_other".into() }));
    assert!(of_room(&mut w, "first", RoomRequest::Remove { sid: alice.sid.clone() }));
    assert!(w.client("alice").closed.is_some() && w.client("bob").closed.is_none());
    let claims = w.client("bob").tokens.last().unwrap();
    assert_eq!(claims.room_id, "first", "refreshed tokens say which room they are for");
}

#[test]
fn what_is_switched_off_cannot_be_published_under_any_name() {
    let mut w = World::new();
    w.join("alice", member(to("first"), without(&[TrackSource::Camera])));
    w.publish("alice", "mic", false);
    w.send("alice", Request::AddTrack(add_track("cam", true)));
    assert!(is_told(&mut w, "alice", Reason::NotAllowed));
    assert!(w.client("alice").confirmed("cam").is_none());
    for source in [TrackSource::Microphone, TrackSource::Unknown] {
        let mut picture = add_track("disguised", true);
        picture.source = source as i32;
        w.send("alice", Request::AddTrack(picture));
        assert!(w.client("alice").confirmed("disguised").is_none(), "a picture as {source:?}");
    }
    let claims = w.client("alice").tokens.last().unwrap();
    let sources = &claims.video.as_ref().unwrap().can_publish_sources;
    assert_eq!(sources, &["microphone", "screen_share", "screen_share_audio"]);
}

#[test]
fn a_switch_counts_at_once_for_those_inside_and_for_members_alone() {
    let mut w = World::new();
    w.join("alice", member(to("first"), Restrictions::default()));
    w.join("agent", to("first"));
    let camera = w.publish("alice", "cam", true);
    w.publish("agent", "cam", true);
    assert!(of_room(&mut w, "first", RoomRequest::Restrict(without(&[TrackSource::Camera]))));
    w.settle();
    let ended = |w: &mut World, sid: &str| {
        let log = &w.client("alice").log;
        log.iter().any(|m| matches!(m, Message::TrackUnpublished(t) if t.track_sid == sid))
    };
    assert!(ended(&mut w, &camera));
    w.send("alice", Request::AddTrack(add_track("again", true)));
    assert!(w.client("alice").confirmed("again").is_none());
    w.send("agent", Request::AddTrack(add_track("again", true)));
    assert!(w.client("agent").confirmed("again").is_some(), "a token of the operator's own");
    assert!(of_room(&mut w, "first", RoomRequest::Restrict(Restrictions::default())));
    w.send("alice", Request::AddTrack(add_track("allowed", true)));
    assert!(w.client("alice").confirmed("allowed").is_some());
    let claims = w.client("alice").tokens.last().unwrap();
    assert!(claims.video.as_ref().unwrap().can_publish_sources.is_empty());
}

#[test]
fn forbidden_topics_are_not_passed_on() {
    let mut w = World::new();
    let topics = ["", "chat"].map(str::to_owned).to_vec();
    w.join("alice", member(to("first"), Restrictions { topics, ..Restrictions::default() }));
    w.join("bob", to("first"));
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let user = |topic: &str| {
        let user = UserPacket { topic: Some(topic.into()), payload: b"x".to_vec(), ..UserPacket::default() };
        DataPacket { value: Some(Value::User(user)), ..DataPacket::default() }
    };
    let header = data_stream::Header { topic: "chat".into(), stream_id: "s".into(), ..Default::default() };
    let stream = DataPacket { value: Some(Value::StreamHeader(header)), ..DataPacket::default() };
    for packet in [user("chat"), user(""), stream, user("stage")] {
        for channel in [DataChannel::Reliable, DataChannel::Lossy] {
            w.data("alice", channel, packet.encode_to_vec());
        }
    }
    w.data("alice", DataChannel::Unlabelled, b"bare".to_vec());
    let id = w.client("bob").subscriber.unwrap();
    for channel in [DataChannel::Reliable, DataChannel::Lossy] {
        let got = w.sent_to(id, channel);
        let topics: Vec<_> = got
            .iter()
            .map(|p| match DataPacket::decode(p.as_slice()).unwrap().value {
                Some(Value::User(user)) => user.topic.unwrap_or_default(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(topics, ["stage"]);
    }
}

#[test]
fn roles_in_metadata_are_the_servers() {
    let mut w = World::new();
    w.join("bob", to("first"));
    let forged = r#"{"accesses":["superadmin"],"displayName":"A"}"#;
    w.join("alice", member(to("first"), Restrictions::default()).with(|p| p.metadata = forged.into()));
    // What the others were told last.
    let seen = |w: &mut World| {
        let mut updates = w.client("bob").log.iter().filter_map(|m| match m {
            Message::Update(u) => u.participants.iter().find(|p| p.identity == "alice"),
            _ => None,
        });
        serde_json::from_str::<serde_json::Value>(&updates.next_back().unwrap().metadata).unwrap()
    };
    w.settle();
    assert_eq!(seen(&mut w), json!({"accesses": ["user"], "displayName": "A"}));
    let write = |w: &mut World, text: &str| {
        let update = UpdateParticipantMetadata { metadata: text.into(), ..Default::default() };
        w.send("alice", Request::UpdateMetadata(update));
    };
    write(&mut w, r#"{"accesses":["superadmin"],"chatBlocked":false,"avatarUrl":"/b"}"#);
    assert_eq!(seen(&mut w), json!({"accesses": ["user"], "avatarUrl": "/b"}));
    let claims = w.client("alice").tokens.last().unwrap();
    assert!(!claims.metadata.contains("superadmin"), "nor do they get into refreshed tokens");
    write(&mut w, "{accesses:['superadmin']}");
    assert!(is_told(&mut w, "alice", Reason::InvalidRequest));
    assert_eq!(seen(&mut w), json!({"accesses": ["user"], "avatarUrl": "/b"}));
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: "alice".into(),
        metadata: r#"{"accesses":["user","moderator"]}"#.into(),
        ..UpdateParticipantRequest::default()
    };
    w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
    write(&mut w, r#"{"deafened":true}"#);
    assert_eq!(seen(&mut w), json!({"accesses": ["user", "moderator"], "deafened": true}));
}
