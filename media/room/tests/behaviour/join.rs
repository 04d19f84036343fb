use crate::world::{World, join};
use bedrud_room::{Input, RoomEvent};
use bedrud_sfu::TransportId;
use livekit_protocol::client_info::Sdk;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, Ping, leave_request::Action};
use std::time::Duration;

#[test]
fn join_response_carries_what_sdks_depend_on() {
    let mut w = World::new();
    let unix = w.unix_ms();
    let c = w.join("alice", join(false));
    let j = c.join_response();
    let info = j.server_info.as_ref().unwrap();
    assert_eq!(info.protocol, 17);
    assert!(info.node_id.starts_with("ND_") && info.node_id.len() == 15, "{}", info.node_id);
    let version: Vec<u32> = info.version.split('.').map(|n| n.parse().unwrap()).collect();
    assert!(version.len() == 3 && version >= vec![1, 8, 0], "SDKs refuse RPC otherwise");
    assert_eq!(j.server_version, info.version);
    assert_eq!((j.ping_interval, j.ping_timeout), (5, 15));
    let room = j.room.as_ref().unwrap();
    assert!(room.sid.starts_with("RM_") && room.name == "room");
    assert_eq!((room.empty_timeout, room.departure_timeout), (300, 20));
    assert_eq!(room.creation_time_ms, i64::try_from(unix).unwrap());
    let p = j.participant.as_ref().unwrap();
    assert!(p.sid.starts_with("PA_") && p.identity == "alice");
    assert_eq!(p.state, State::Joining as i32);
    assert_eq!((p.client_protocol, &*p.capabilities), (2, &[2][..]));
    let permission = p.permission.as_ref().unwrap();
    assert!(permission.can_publish && permission.can_publish_data && permission.can_subscribe);
    assert!(j.fast_publish && j.subscriber_primary && !j.sif_trailer.is_empty());
    let mimes: Vec<&str> = j.enabled_publish_codecs.iter().map(|c| c.mime.as_str()).collect();
    assert_eq!(&mimes[..2], ["video/VP8", "video/H264"]);
    let first_audio = mimes.iter().position(|m| m.starts_with("audio/")).unwrap();
    assert!(mimes[first_audio..].iter().all(|m| m.starts_with("audio/")) && !mimes.contains(&"video/rtx"));
}

#[test]
fn dual_connection_client_gets_a_subscriber_offer_with_data_channels_at_once() {
    let mut w = World::new();
    let c = w.join("alice", join(false));
    let Some(Message::Offer(offer)) = c.log.iter().find(|m| matches!(m, Message::Offer(_))) else {
        panic!("offer")
    };
    assert!(offer.sdp.contains("m=application") && offer.sdp.contains("a=setup:actpass"));
    assert!((2..=257).contains(&offer.id));
    assert!(offer.sdp.contains("a=ice-lite") && offer.sdp.contains("192.0.2.1 8090"));
    assert_eq!(c.tokens.len(), 1);
}

#[test]
fn single_connection_client_gets_its_answer_with_the_join() {
    let mut w = World::new();
    let c = w.join("alice", join(true));
    assert!(!c.join_response().subscriber_primary);
    assert!(
        c.log
            .iter()
            .any(|m| matches!(m, Message::Answer(a) if a.id == 1 && a.sdp.contains("a=setup:passive")))
    );
    assert!(!c.log.iter().any(|m| matches!(m, Message::Offer(_) | Message::MediaSectionsRequirement(_))));
    let aborted = |e: &RoomEvent| matches!(e, RoomEvent::ParticipantJoined { participant, .. } if participant.identity == "alice");
    assert!(w.events.iter().any(aborted));
}

#[test]
fn a_go_client_gets_its_answer_when_it_has_set_its_offer() {
    let mut w = World::new();
    let c = w.join("alice", join(true).with(|p| p.client_info.sdk = Sdk::Go as i32));
    let answers = |log: &[Message]| log.iter().filter(|m| matches!(m, Message::Answer(_))).count();
    assert_eq!((c.log.iter().any(|m| matches!(m, Message::Join(_))), answers(&c.log)), (true, 0));
    w.advance(Duration::from_millis(100));
    assert_eq!(answers(&w.client("alice").log), 1);
    w.advance(Duration::from_secs(5));
    assert_eq!(answers(&w.client("alice").log), 1);
}

#[test]
fn single_connection_client_without_an_offer_may_offer_later() {
    let mut w = World::new();
    let mut how = join(true);
    how.offer = false;
    w.join("alice", how);
    assert!(w.shard.transports.is_empty());
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    assert!(w.client("alice").publisher.is_some());
}

#[test]
fn others_see_a_participant_appear_and_become_active() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(true));
    let seen = w.client("alice").sees("bob").unwrap();
    assert_eq!(seen.state, State::Active as i32);
    let others = &w.client("bob").join_response().other_participants;
    assert_eq!(others.iter().map(|p| p.identity.as_str()).collect::<Vec<_>>(), ["alice"]);
}

#[test]
fn versions_of_a_participant_only_grow() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("bob", "cam", true);
    w.publish("bob", "mic", false);
    let mut last = 0;
    for m in &w.client("alice").log {
        if let Message::Update(u) = m {
            for p in u.participants.iter().filter(|p| p.identity == "bob") {
                assert!(p.version > last);
                last = p.version;
            }
        }
    }
    assert!(last > 2);
}

#[test]
fn updates_about_viewers_of_a_large_room_are_batched() {
    let mut w = World::new();
    w.join("alice", join(false));
    let names: Vec<&'static str> = (0..30).map(|i| &*format!("viewer{i}").leak()).collect();
    for name in &names {
        w.join(name, join(false));
    }
    w.client("alice").take();
    w.join("late", join(false));
    assert!(!w.client("alice").inbox.iter().any(|m| matches!(m, Message::Update(_))));
    w.advance(Duration::from_secs(3));
    assert!(w.client("alice").sees("late").is_some());
    w.publish("late", "cam", true);
    let update = w.client("alice").sees("late").unwrap();
    assert_eq!(update.tracks.len(), 1, "publishers are announced at once");
}

#[test]
fn both_kinds_of_ping_are_answered_in_milliseconds() {
    let mut w = World::new();
    w.join("alice", join(false));
    let now = i64::try_from(w.unix_ms()).unwrap();
    w.client("alice").take();
    w.send("alice", Request::Ping(5));
    w.send("alice", Request::PingReq(Ping { timestamp: 77, rtt: 3 }));
    let got = w.client("alice").take();
    assert!(matches!(got[0], Message::Pong(at) if at == now));
    assert!(matches!(&got[1], Message::PongResp(p) if p.last_ping_timestamp == 77 && p.timestamp == now));
}

#[test]
fn same_identity_replaces_the_older_session() {
    let mut w = World::new();
    w.join("watcher", join(false));
    w.join("old-watcher", join(false).protocol(11));
    w.join("alice", join(false));
    let old_sid = w.client("alice").sid();
    w.client("watcher").take();
    w.client("old-watcher").take();
    w.rejoin("alice", "alice2", join(true));
    let old = w.client("alice");
    assert_eq!(old.closed, Some(true));
    let leave = old.leave().unwrap();
    assert_eq!(
        (leave.reason, leave.action),
        (DisconnectReason::DuplicateIdentity as i32, Action::Disconnect as i32)
    );
    assert_ne!(w.client("alice2").sid(), old_sid);
    let gone = |m: &Message| matches!(m, Message::Update(u) if u.participants.iter().any(|p| p.sid == old_sid && p.state == State::Disconnected as i32));
    assert!(
        !w.client("watcher").inbox.iter().any(gone),
        "clients that key by identity must not see it leave"
    );
    assert!(w.client("old-watcher").inbox.iter().any(gone));
    assert_eq!(w.hub.stats().participants, 3);
}

#[test]
fn client_that_never_connects_is_removed_after_a_minute() {
    let mut w = World::new();
    w.shard.reachable = false;
    w.join("alice", join(false));
    w.advance(Duration::from_secs(14));
    assert!(w.client("alice").closed.is_none());
    w.advance(Duration::from_secs(50));
    let leave = w.client("alice").leave().unwrap();
    assert_eq!(leave.reason, DisconnectReason::JoinFailure as i32);
    assert_eq!(w.client("alice").closed, Some(true));
    assert!(w.events.iter().any(|e| matches!(e, RoomEvent::ParticipantConnectionAborted { .. })));
    assert!(w.shard.transports.is_empty());
}

#[test]
fn full_room_says_so_in_the_first_message() {
    let mut w = World::with(|c| c.max_participants = 1);
    w.join("alice", join(false));
    w.join("bob", join(false));
    let bob = w.client("bob");
    let leave = bob.leave().unwrap();
    assert_eq!((leave.reason, bob.log.len()), (DisconnectReason::JoinFailure as i32, 1));
    assert_eq!(bob.closed, Some(true));
    w.rejoin("alice", "alice2", join(false));
    assert!(w.client("alice2").closed.is_none(), "a returning identity takes its own place");
    w.join("recorder", join(false).grant(|g| g.recorder = true));
    assert!(w.client("recorder").closed.is_none(), "dependent participants are not counted");
}

#[test]
fn unknown_room_is_a_404_when_rooms_are_not_created_by_joining() {
    let mut w = World::with(|c| c.auto_create = false);
    w.join("alice", join(false));
    let error = w.client("alice").refused.clone().unwrap();
    assert_eq!((error.status, error.message.as_str()), (404, "requested room does not exist"));
    w.join("maker", join(false).grant(|g| g.room_create = true));
    assert!(w.client("maker").refused.is_none());
}

#[test]
fn token_without_rights_is_refused_before_anything_happens() {
    let mut w = World::new();
    w.join("alice", join(false).grant(|g| g.room_join = false));
    assert_eq!(w.client("alice").refused.clone().unwrap().status, 401);
    assert_eq!(w.hub.stats(), Default::default());
}

#[test]
fn tokens_are_refreshed_every_five_minutes() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.advance(Duration::from_secs(301));
    let c = w.client("alice");
    assert_eq!(c.tokens.len(), 2);
    assert_eq!(c.tokens[1].identity(), "alice");
    assert!(c.tokens[1].video.as_ref().unwrap().room_join);
}

#[test]
fn nothing_is_accepted_after_shutdown() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.input(Input::Shutdown);
    let leave = w.client("alice").leave().unwrap();
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ServerShutdown as i32, 0));
    w.join("bob", join(false));
    assert_eq!(w.client("bob").refused.clone().unwrap().status, 503);
    assert_eq!(w.hub.stats(), Default::default());
    assert!(w.shard.transports.is_empty());
}

#[test]
fn every_transport_is_reachable_by_its_ufrag() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "mic", false);
    let (publisher, subscriber) =
        (w.client("alice").publisher.unwrap(), w.client("alice").subscriber.unwrap());
    assert_ne!(publisher, subscriber);
    for id in [publisher, subscriber] {
        let ufrag = &w.shard.transport(id).ufrags[0];
        assert_eq!(TransportId::from_ufrag(ufrag.as_bytes()), Some(id));
    }
}
