//! Figures for the operator.

use crate::world::{World, join};
use bedrud_room::{ByKind, Traffic};
use bedrud_sfu::{Event, TrackStats};
use livekit_protocol::LeaveRequest;
use livekit_protocol::signal_request::Message as Request;

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
    w.advance(std::time::Duration::from_secs(600));
    let figures = w.hub.metrics();
    assert_eq!(figures.rooms, []);
    assert_eq!((figures.counters.rooms_finished, figures.counters.participants_left), (1, 2));
}
