//! The control plane panics at every possible step of what a room does: that room ends and its clients come back, the
//! other rooms do not notice, and nothing of it stays anywhere.

use crate::client::subscribe;
use crate::world::{World, join};
use bedrud_room::{HubStats, RoomEvent, ServiceError, ServiceErrorCode, ServiceRequest};
use bedrud_sfu::{DataChannel, Event};
use livekit_protocol::leave_request::Action;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    DeleteRoomRequest, ForwardParticipantRequest, MoveParticipantRequest, MuteTrackRequest,
    PerformRpcRequest, UpdateParticipantMetadata,
};
use std::time::Duration;

const BYSTANDERS: [&str; 2] = ["xenia", "yuri"];

fn elsewhere() -> crate::world::Join {
    join(true).grant(|g| g.room = "elsewhere".into())
}

/// Two rooms on two shards: one in which something will fail, and one that has nothing to do with it.
fn rooms() -> World {
    let mut w = World::with(|c| c.shards = 2);
    for name in ["alice", "bob"] {
        w.join(name, join(name == "bob"));
        w.settle();
    }
    w.publish("alice", "camera", true);
    w.publish("bob", "microphone", false);
    for name in BYSTANDERS {
        w.join(name, elsewhere());
        w.settle();
    }
    w.publish("xenia", "microphone", false);
    // Whatever was to be told a little later has been.
    w.advance(Duration::from_secs(20));
    w
}

/// Whoever is not in the room that failed has not heard of it, and goes on.
fn bystanders_go_on(w: &mut World, what: &str) {
    for name in BYSTANDERS {
        let c = w.client(name);
        assert!(c.closed.is_none() && c.leave().is_none(), "{what}: {name} was sent away");
    }
    w.publish("yuri", "camera", true);
    let seen = w.client("xenia").sees("yuri").unwrap();
    assert_eq!(seen.tracks.len(), 1, "{what}: xenia sees nothing new of yuri");
    let to = w.client("yuri").publisher.unwrap();
    let before = w.sent_to(to, DataChannel::Reliable).len();
    let packet = livekit_protocol::DataPacket {
        value: Some(livekit_protocol::data_packet::Value::User(livekit_protocol::UserPacket {
            payload: b"hello".to_vec(),
            ..Default::default()
        })),
        ..Default::default()
    };
    w.data("xenia", DataChannel::Reliable, prost::Message::encode_to_vec(&packet));
    assert_eq!(w.sent_to(to, DataChannel::Reliable).len(), before + 1, "{what}: a message did not arrive");
}

/// Those who were in the room are not told to stay away, and can come back.
fn the_others_come_back(w: &mut World, what: &str) {
    for (name, single) in [("alice", false), ("bob", true)] {
        let c = w.client(name);
        let told = c.leave().map(|leave| leave.action);
        assert!(c.closed.is_some() || c.refused.is_some(), "{what}: {name} hangs on a room that is gone");
        // Unless a second session of the same person had taken its place before.
        let replaced = name == "alice" && w.clients.contains_key("alice again");
        let fine = |action| action != Action::Disconnect as i32 || replaced;
        assert!(told.is_none_or(fine), "{what}: {name} was told {told:?}");
        w.join(name, join(single));
        w.settle();
    }
    w.publish("alice", "camera again", true);
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks.len(), 1, "{what}");
}

fn everybody_leaves(w: &mut World, what: &str) {
    for name in ["alice", "bob", "xenia", "yuri"] {
        if w.client(name).closed.is_none() {
            w.send(name, Request::Leave(Default::default()));
        }
    }
    w.advance(Duration::from_secs(600));
    assert_eq!(w.hub.stats(), HubStats::default(), "{what}: the hub still holds something");
    let shard = &w.shard;
    assert!(shard.transports.is_empty(), "{what}: {} transports are left", shard.transports.len());
    assert!(shard.ups.is_empty() && shard.downs.is_empty(), "{what}: tracks are left");
    let counters = w.hub.metrics().counters;
    assert_eq!(counters.rooms_started, counters.rooms_finished, "{what}: the platform is not told of an end");
    for event in &w.events {
        let RoomEvent::ParticipantJoined { room, participant, .. } = event else { continue };
        let ends = w.events.iter().filter(|e| {
            matches!(e, RoomEvent::ParticipantLeft { room: r, participant: p, .. }
                if (&r.sid, &p.sid) == (&room.sid, &participant.sid))
        });
        let (who, ends) = (&participant.identity, ends.count());
        assert_eq!(ends, 1, "{what}: the platform is told {ends} times that {who} left");
    }
}

/// Does it again and again, failing one step later each time, until it does not fail any more.
fn at_every_step(what: &str, act: impl Fn(&mut World)) -> usize {
    for step in 0.. {
        assert!(step < 2000, "{what} never ends");
        let mut w = rooms();
        w.hub.fail_after(step);
        act(&mut w);
        w.settle();
        if w.hub.take_fault() {
            assert_eq!(w.hub.metrics().counters.failures, 0);
            return step;
        }
        let what = format!("{what}, step {step}");
        let counters = w.hub.metrics().counters;
        assert_eq!((counters.failures, counters.rooms_failed), (1, 1), "{what}");
        bystanders_go_on(&mut w, &what);
        the_others_come_back(&mut w, &what);
        everybody_leaves(&mut w, &what);
    }
    0
}

#[test]
fn signalling() {
    let steps = at_every_step("publishing", |w| {
        w.send("bob", Request::AddTrack(crate::client::add_track("screen", true)));
        let client = w.client("bob");
        if client.closed.is_none() {
            client.add_sending("screen", true, false);
            let offer = client.offer();
            w.send("bob", offer);
        }
    });
    assert!(steps > 5, "{steps}");
    at_every_step("muting", |w| {
        let sid = w.client("alice").confirmed("camera").unwrap().sid;
        w.send("alice", Request::Mute(MuteTrackRequest { sid, muted: true }));
    });
    at_every_step("unsubscribing", |w| {
        let sid = w.client("alice").confirmed("camera").unwrap().sid;
        w.send("bob", subscribe(&sid, false));
        if w.client("bob").closed.is_none() {
            w.send("bob", subscribe(&sid, true));
        }
    });
    at_every_step("new metadata", |w| {
        let update = UpdateParticipantMetadata { metadata: "new".into(), ..Default::default() };
        w.send("alice", Request::UpdateMetadata(update));
    });
}

#[test]
fn coming_and_going() {
    at_every_step("a second session", |w| {
        w.rejoin("alice", "alice again", join(true));
    });
    at_every_step("a newcomer", |w| {
        w.join("carol", join(false));
    });
    at_every_step("leaving", |w| {
        w.send("bob", Request::Leave(Default::default()));
        if w.client("alice").closed.is_none() {
            w.send("alice", Request::Leave(Default::default()));
        }
    });
}

#[test]
fn news_of_a_shard_and_timers() {
    at_every_step("a connection that closes", |w| {
        let id = w.client("alice").publisher.unwrap();
        w.shard.transports.remove(&id);
        w.shard.ups.retain(|_, u| u.transport != id);
        w.shard.downs.retain(|_, d| d.transport != id);
        w.shard_event(Event::Closed { id, reason: bedrud_sfu::CloseReason::ProtocolError });
        if w.client("bob").closed.is_none() {
            w.send("bob", Request::Leave(Default::default()));
        }
    });
    at_every_step("a path that stays silent", |w| {
        let id = w.client("alice").publisher.unwrap();
        w.shard_event(Event::Disconnected { id });
        w.advance(Duration::from_secs(90));
        for name in ["alice", "bob"] {
            if w.client(name).closed.is_none() {
                w.send(name, Request::Leave(Default::default()));
            }
        }
    });
}

#[test]
fn calls_of_the_server_api_get_an_error() {
    let call = |w: &mut World, request: ServiceRequest| {
        w.start_service(1, request);
        w.replies.clone()
    };
    let failed = |replies: &[Result<_, ServiceError>]| {
        let first: &Result<bedrud_room::ServiceResponse, _> = replies.first().expect("an answer");
        matches!(first, Err(e) if e.code == ServiceErrorCode::Internal)
    };
    let mut w = rooms();
    w.hub.fail_after(0);
    let replies = call(&mut w, ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() }));
    assert!(failed(&replies), "{replies:?}");
    bystanders_go_on(&mut w, "deleting a room");
    the_others_come_back(&mut w, "deleting a room");
    everybody_leaves(&mut w, "deleting a room");

    // A call that waits for a participant ends with the room.
    let mut w = rooms();
    let (room, destination_identity, method) = ("room".into(), "bob".into(), "greet".into());
    let rpc = PerformRpcRequest { room, destination_identity, method, ..Default::default() };
    assert!(call(&mut w, ServiceRequest::PerformRpc(rpc)).is_empty());
    w.hub.fail_after(0);
    w.send("alice", Request::Ping(1));
    assert_eq!(w.replies.len(), 1, "the caller waits for ever");
    assert!(w.replies[0].is_err());
    bystanders_go_on(&mut w, "a call");
    the_others_come_back(&mut w, "a call");
    everybody_leaves(&mut w, "a call");
}

/// What concerns two rooms takes both down, and no third one.
#[test]
fn forwarding_and_moving() {
    let forward = |w: &mut World| {
        let (room, identity, destination_room) = ("room".into(), "alice".into(), "stage".into());
        let r = ForwardParticipantRequest { room, identity, destination_room };
        w.start_service(1, ServiceRequest::ForwardParticipant(r));
    };
    let r#move = |w: &mut World| {
        let (room, identity, destination_room) = ("room".into(), "alice".into(), "stage".into());
        let r = MoveParticipantRequest { room, identity, destination_room };
        w.start_service(1, ServiceRequest::MoveParticipant(r));
    };
    for (what, act) in [("forwarding", &forward as &dyn Fn(&mut World)), ("moving", &r#move)] {
        for occupied in [false, true] {
            for step in 0.. {
                assert!(step < 500, "{what} never ends");
                let mut w = rooms();
                if occupied {
                    // On a shard of its own: a relay is needed, or a new connection.
                    w.join("dora", join(true).grant(|g| g.room = "stage".into()));
                    w.settle();
                }
                w.hub.fail_after(step);
                act(&mut w);
                w.settle();
                if w.hub.take_fault() {
                    assert!(step > 0);
                    break;
                }
                let what = format!("{what} to a room in use: {occupied}, step {step}");
                let counters = w.hub.metrics().counters;
                assert!((1..=2).contains(&counters.rooms_failed), "{what}: {}", counters.rooms_failed);
                bystanders_go_on(&mut w, &what);
                for name in ["alice", "bob", "dora"] {
                    if w.clients.get(name).is_some_and(|c| c.closed.is_none()) {
                        w.send(name, Request::Leave(Default::default()));
                    }
                }
                everybody_leaves(&mut w, &what);
            }
        }
    }
}
