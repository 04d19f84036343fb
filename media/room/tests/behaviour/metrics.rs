//! Figures for the operator.

use crate::world::{World, join};
use bedrud_room::{ByKind, ServiceRequest, Traffic};
use bedrud_sfu::{Event, TrackStats};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    ForwardParticipantRequest, LeaveRequest, MoveParticipantRequest, TrackSource, TrackType,
};
use std::time::Duration;

#[test]
fn what_rooms_hold_and_carry_is_counted() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    w.publish("bob", "mic", false);
    let figures = w.hub.metrics();
    let counters = figures.counters;
    assert_eq!((counters.joins, counters.joins_refused, counters.rooms_started), (2, 0, 1));
    assert_eq!((counters.participants_joined, counters.participants_left), (2, 0));
    assert_eq!((counters.audio_published, counters.video_published), (1, 1));
    assert!(counters.signals_in > 4 && counters.signals_out > 4);
    let [room] = figures.rooms.as_slice() else { panic!("rooms: {:?}", figures.rooms) };
    assert_eq!(room.participants, 2);
    assert_eq!(
        (room.published, room.subscribed),
        (ByKind { audio: 1, video: 1 }, ByKind { audio: 1, video: 1 })
    );

    let of = |bytes| TrackStats { packets: 1, bytes, ..TrackStats::default() };
    for _ in 0..2 {
        let up = w.shard.ups.keys().map(|id| (*id, 0, of(100))).collect();
        let down = w.shard.downs.keys().map(|id| (*id, of(30))).collect();
        w.shard_event(Event::Stats { up, down });
    }
    assert_eq!(w.hub.metrics().rooms[0].traffic, Traffic { bytes_in: 400, bytes_out: 120 });

    for name in ["alice", "bob"] {
        w.send(name, Request::Leave(LeaveRequest::default()));
    }
    w.advance(Duration::from_secs(600));
    let figures = w.hub.metrics();
    assert_eq!(figures.rooms, []);
    assert_eq!((figures.counters.rooms_finished, figures.counters.participants_left), (1, 2));
}

#[test]
fn what_takes_time_is_measured() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    w.advance(Duration::from_millis(120));
    let downs: Vec<_> = w.shard.downs.keys().copied().collect();
    assert_eq!(downs.len(), 1);
    for track in downs.iter().chain(&downs) {
        w.shard_event(Event::DownTrackStarted { track: *track });
    }
    w.advance(Duration::from_secs(5));
    w.send("alice", Request::Leave(LeaveRequest::default()));
    w.advance(Duration::from_secs(60));
    w.send("bob", Request::Leave(LeaveRequest::default()));
    w.advance(Duration::from_secs(600));

    let timings = w.hub.metrics().timings;
    assert_eq!(timings.session_start.count, 2);
    assert_eq!((timings.first_video.count, timings.first_audio.count), (1, 0), "a first packet comes once");
    assert!(timings.first_video.sum >= 120, "{:?}", timings.first_video);
    let [(source, kind, publish)] = timings.publish.as_slice() else { panic!("{:?}", timings.publish) };
    assert_eq!((*source, *kind, publish.count), (TrackSource::Camera, TrackType::Video, 1));
    assert_eq!(timings.session.count, 2);
    assert!(timings.session.sum >= 70_000, "five and sixty-five seconds");
    assert_eq!(timings.room.count, 1);
    assert!(timings.room.sum >= 65, "{:?}", timings.room);
}

#[test]
fn who_is_moved_or_shown_elsewhere_is_no_new_session() {
    let mut w = World::new();
    w.join("alice", join(true).protocol(16));
    w.join("bob", join(true));
    w.advance(Duration::from_secs(100));
    let to = |room: &str| (room.to_owned(), "alice".to_owned(), "room".to_owned());
    let (destination_room, identity, room) = to("hall");
    let forward = ForwardParticipantRequest { room, identity, destination_room };
    w.service(ServiceRequest::ForwardParticipant(forward)).unwrap();
    let (destination_room, identity, room) = to("attic");
    let moving = MoveParticipantRequest { room, identity, destination_room };
    w.service(ServiceRequest::MoveParticipant(moving)).unwrap();
    w.settle();
    let timings = w.hub.metrics().timings;
    assert_eq!((timings.session_start.count, timings.session.count), (2, 1));
    assert!(timings.session_start.sum < 100_000, "{:?}", timings.session_start);
}
