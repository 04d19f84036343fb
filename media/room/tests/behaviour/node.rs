//! What concerns all rooms of a node: its limits, and how it empties before a restart.

use crate::world::{World, join};
use bedrud_room::{Input, ServiceErrorCode, ServiceRequest};
use bedrud_sfu::{Event, TrackStats};
use livekit_protocol::CreateRoomRequest;
use livekit_protocol::signal_request::Message as Request;
use std::time::Duration;

fn refused(w: &mut World, name: &'static str, room: &str) -> Option<(u16, String)> {
    let client = w.join(name, join(false).grant(|g| g.room = room.into()));
    client.refused.clone().map(|e| (e.status, e.message))
}

fn full() -> Option<(u16, String)> {
    Some((503, "node has exceeded its configured limit".into()))
}

#[test]
fn node_with_as_many_tracks_as_it_may_carry_takes_nobody_in() {
    // One published track with one subscription counts twice.
    let mut w = World::with(|c| c.limits.tracks = 2);
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    assert_eq!(refused(&mut w, "carol", "other"), full());
    w.drop_socket("bob");
    w.resume("bob", join(false));
    assert!(w.client("bob").refused.is_none(), "who is here may come back");
    w.unpublish("alice", "cam");
    assert_eq!(refused(&mut w, "carol", "other"), None);
}

#[test]
fn node_that_carries_as_much_as_it_may_takes_nobody_in() {
    let mut w = World::with(|c| c.limits.bytes_per_second = 1_000_000);
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    let track = *w.shard.ups.keys().next().unwrap();
    let carry = |w: &mut World, bytes| {
        let stats = TrackStats { packets: 1, bytes, ..TrackStats::default() };
        w.shard_event(Event::Stats { up: vec![(track, 0, stats)], down: vec![] });
    };
    carry(&mut w, 4_900_000);
    assert_eq!(refused(&mut w, "bob", "room"), None);
    w.advance(Duration::from_secs(5));
    carry(&mut w, 5_000_000);
    assert_eq!(refused(&mut w, "carol", "room"), full());
    w.advance(Duration::from_secs(5));
    carry(&mut w, 10_000);
    assert_eq!(refused(&mut w, "carol", "room"), None);
    w.advance(Duration::from_secs(1));
    carry(&mut w, 5_000_000);
    assert_eq!(refused(&mut w, "dave", "room"), full());
    w.advance(Duration::from_secs(20));
    assert_eq!(refused(&mut w, "dave", "room"), None, "old figures say nothing");
}

#[test]
fn node_that_empties_opens_no_rooms_but_lets_open_ones_go_on() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.input(Input::Drain);
    let stopping = Some((503, "server is shutting down".to_owned()));
    assert_eq!(refused(&mut w, "bob", "other"), stopping);
    assert_eq!(refused(&mut w, "bob", "room"), None);
    w.drop_socket("alice");
    w.resume("alice", join(false));
    assert!(w.client("alice").closed.is_none() && w.client("alice").refused.is_none());
    let create = |w: &mut World, name: &str| {
        let request = CreateRoomRequest { name: name.into(), ..CreateRoomRequest::default() };
        w.service(ServiceRequest::CreateRoom(Box::new(request))).map(drop).map_err(|e| e.code)
    };
    assert_eq!(create(&mut w, "room"), Ok(()));
    assert_eq!(create(&mut w, "other"), Err(ServiceErrorCode::Unavailable));
    for name in ["alice", "bob"] {
        w.send(name, Request::Leave(Default::default()));
    }
    w.advance(Duration::from_secs(30));
    assert_eq!(w.hub.stats().rooms, 0);
    assert_eq!(refused(&mut w, "alice", "room"), stopping, "it does not open again");
}

#[test]
fn video_may_pause_as_the_node_says_unless_the_client_does() {
    for (node, client, expected) in
        [(false, None, false), (true, None, true), (true, Some(false), false), (false, Some(true), true)]
    {
        let mut w = World::with(|c| c.allow_pause = node);
        w.join("alice", join(false));
        w.join("bob", join(true).with(|p| p.subscriber_allow_pause = client));
        w.publish("alice", "cam", true);
        let down = w.shard.downs.values().next().unwrap();
        assert_eq!(down.settings.may_pause, expected, "{node} {client:?}");
    }
}
