//! What clients of older protocol versions are sent.

use crate::world::{Join, World, join};
use livekit_protocol::participant_info::State;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    CreateRoomRequest, MuteRoomTrackRequest, ParticipantPermission, UpdateParticipantMetadata,
    UpdateParticipantRequest, simulate_scenario::Scenario,
};
use std::time::Duration;

/// Everything that depends on the version, as one client of that version saw it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    subscriber_primary: bool,
    speakers: bool,
    reused_section: bool,
    quality: bool,
    unpublished: bool,
    media_in_first_offer: bool,
    missed_departure: bool,
    shared_stream: bool,
    ghost_of_replaced: bool,
    leave_action: Option<i32>,
    ok_response: bool,
}

impl Seen {
    fn expected(version: i32) -> Self {
        Self {
            subscriber_primary: version >= 3,
            speakers: version >= 3,
            reused_section: version >= 4,
            quality: version >= 5,
            unpublished: version >= 7,
            media_in_first_offer: version >= 8,
            missed_departure: version >= 9,
            shared_stream: version >= 10,
            ghost_of_replaced: version < 12,
            leave_action: (version >= 13).then_some(2),
            ok_response: version >= 15,
        }
    }
}

fn old(version: i32) -> Join {
    join(false).protocol(version).grant(|g| g.can_update_own_metadata = Some(true))
}

fn any(w: &mut World, pick: impl Fn(&Message) -> bool) -> bool {
    w.client("old").log.iter().any(pick)
}

fn mid_of(w: &mut World, track: &str) -> String {
    let receiving = &w.client("old").receiving;
    receiving.iter().find(|(_, t)| *t == track).map(|(mid, _)| mid.clone()).expect("received")
}

fn sections(sdp: &str) -> usize {
    sdp.lines().filter(|l| l.starts_with("m=video")).count()
}

fn observe(version: i32) -> Seen {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("ghost", join(false));
    let cam = w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    w.client("alice").take();
    w.join("old", old(version));
    let first = w.client("old").find(|m| match m {
        Message::Offer(o) => Some(o.mid_to_track_id.is_empty()),
        _ => None,
    });
    let first_offer = w.client("old").log.iter().find_map(|m| match m {
        Message::Offer(o) => Some(!o.mid_to_track_id.is_empty()),
        _ => None,
    });
    assert!(first.is_some(), "it gets offers");
    if version < 3 {
        let offer = w.client("old").offer();
        w.send("old", offer);
    }
    w.settle();
    assert_eq!(w.client("old").receiving.len(), 2, "media arrives in the end: {version}");

    w.send(
        "alice",
        Request::Simulate(livekit_protocol::SimulateScenario { scenario: Some(Scenario::SpeakerUpdate(1)) }),
    );
    w.advance(Duration::from_secs(2));
    let tell = bedrud_sfu::Event::Stats {
        up: w
            .shard
            .ups
            .keys()
            .map(|id| (*id, 0, bedrud_sfu::TrackStats { packets: 100, ..Default::default() }))
            .collect(),
        down: vec![],
    };
    w.shard_event(tell);

    // A section is freed and a new track comes.
    let before = mid_of(&mut w, &cam);
    w.unpublish("alice", "cam");
    let screen = w.publish("alice", "screen", true);
    let reused_section = mid_of(&mut w, &screen) == before;
    assert_eq!(sections(&w.client("old").last_server_sdp), 1, "its place is used again in any case");

    // Own metadata.
    let update = UpdateParticipantMetadata { metadata: "x".into(), request_id: 3, ..Default::default() };
    w.send("old", Request::UpdateMetadata(update));
    let ok_response =
        any(&mut w, |m| matches!(m, Message::RequestResponse(r) if r.reason == Reason::Ok as i32));

    // Somebody is replaced.
    w.rejoin("ghost", "ghost2", join(false));
    let ghost_of_replaced = any(
        &mut w,
        |m| matches!(m, Message::Update(u) if u.participants.iter().any(|p| p.identity == "ghost" && p.state == State::Disconnected as i32)),
    );

    // It publishes and loses the right to.
    w.publish("old", "own", false);
    let permission = ParticipantPermission { can_subscribe: true, ..Default::default() };
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: "old".into(),
        permission: Some(permission),
        ..Default::default()
    };
    w.service(bedrud_room::ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
    let unpublished = any(&mut w, |m| matches!(m, Message::TrackUnpublished(_)));
    let muted = any(&mut w, |m| matches!(m, Message::Mute(_)));
    assert_ne!(unpublished, muted, "one or the other");

    // It misses a departure.
    w.drop_socket("old");
    w.advance(Duration::from_secs(1));
    w.send("ghost2", Request::Leave(Default::default()));
    let before = w.client("old").log.len();
    w.resume("old", old(version));
    let missed_departure = w.client("old").log[before..].iter().any(|m| {
        matches!(m, Message::Update(u) if u.participants.iter().any(|p| p.identity == "ghost" && p.state == State::Disconnected as i32))
    });

    // It is told to start over.
    w.client("old").mute_negotiation = true;
    w.publish("alice", "more", true);
    w.advance(Duration::from_secs(20));
    let leave = w.client("old").leave().expect("told to start over");
    assert!(leave.action == 2 || leave.can_reconnect);

    Seen {
        subscriber_primary: w.client("old").join_response().subscriber_primary,
        speakers: any(&mut w, |m| matches!(m, Message::SpeakersChanged(_))),
        reused_section,
        quality: any(&mut w, |m| matches!(m, Message::ConnectionQuality(_))),
        unpublished,
        media_in_first_offer: first_offer == Some(true),
        missed_departure,
        shared_stream: shares_stream(version),
        ghost_of_replaced,
        leave_action: (leave.action != 0).then_some(leave.action),
        ok_response,
    }
}

fn shares_stream(version: i32) -> bool {
    let mut w = World::new();
    let request = CreateRoomRequest { name: "room".into(), sync_streams: true, ..Default::default() };
    w.service(bedrud_room::ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    w.join("old", old(version));
    w.settle();
    let sid = w.client("alice").sid();
    w.client("old").last_server_sdp.contains(&format!("a=msid:{sid}|camera "))
}

#[test]
fn each_protocol_version_gets_what_it_understands() {
    for version in 3..=17 {
        assert_eq!(observe(version), Seen::expected(version), "protocol {version}");
    }
}

#[test]
fn unknown_future_version_is_served_as_the_newest() {
    assert_eq!(observe(99), Seen::expected(17));
}

#[test]
fn server_mute_reaches_every_version() {
    for version in [3, 7, 17] {
        let mut w = World::new();
        w.join("old", old(version));
        let track_sid = w.publish("old", "mic", false);
        let request =
            MuteRoomTrackRequest { room: "room".into(), identity: "old".into(), track_sid, muted: true };
        w.service(bedrud_room::ServiceRequest::MutePublishedTrack(request)).unwrap();
        assert!(any(&mut w, |m| matches!(m, Message::Mute(m) if m.muted)), "protocol {version}");
    }
}
