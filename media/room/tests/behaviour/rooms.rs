use crate::world::{World, join};
use bedrud_room::{HubStats, RoomEvent, ServiceErrorCode, ServiceRequest, ServiceResponse};
use bedrud_sfu::Event;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    CreateRoomRequest, DeleteRoomRequest, DisconnectReason, RoomAgentDispatch, RoomConfiguration,
};
use std::time::Duration;

fn leave(w: &mut World, name: &str) {
    w.send(name, Request::Leave(Default::default()));
}

#[test]
fn room_closes_a_while_after_the_last_one_left() {
    let mut w = World::new();
    w.join("alice", join(false));
    let sid = w.client("alice").join_response().room.as_ref().unwrap().sid.clone();
    leave(&mut w, "alice");
    w.advance(Duration::from_secs(19));
    assert_eq!(w.hub.stats().rooms, 1);
    w.advance(Duration::from_secs(2));
    assert_eq!(w.hub.stats(), HubStats::default());
    assert!(w.events.iter().any(|e| matches!(e, RoomEvent::RoomFinished { room, .. } if room.sid == sid)));
}

#[test]
fn room_that_nobody_joins_closes_after_its_empty_timeout() {
    let mut w = World::new();
    let request = CreateRoomRequest { name: "room".into(), empty_timeout: 60, ..Default::default() };
    w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    w.advance(Duration::from_secs(59));
    assert_eq!(w.hub.stats().rooms, 1);
    w.advance(Duration::from_secs(2));
    assert_eq!(w.hub.stats(), HubStats::default());
}

#[test]
fn somebody_coming_back_keeps_the_room() {
    let mut w = World::new();
    w.join("alice", join(false));
    leave(&mut w, "alice");
    w.advance(Duration::from_secs(10));
    w.join("bob", join(false));
    w.advance(Duration::from_secs(60));
    assert_eq!(w.hub.stats().rooms, 1);
}

#[test]
fn people_learn_at_once_that_a_recording_began_or_ended() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.advance(Duration::from_secs(6));
    let told = |w: &mut World| -> Vec<bool> {
        let recording = |m: Message| match m {
            Message::RoomUpdate(u) => u.room.map(|r| r.active_recording),
            _ => None,
        };
        w.client("alice").take().into_iter().filter_map(recording).collect()
    };
    told(&mut w);
    w.join("recorder", join(true).grant(|g| g.recorder = true));
    assert_eq!(told(&mut w), [true]);
    let first = w.client("recorder").join_response().room.as_ref().map(|r| r.active_recording);
    assert_eq!(first, Some(true), "and it comes as its first message");
    w.join("second", join(true).with(|p| p.claims.kind = "egress".into()));
    leave(&mut w, "recorder");
    assert_eq!(told(&mut w), [] as [bool; 0], "it goes on");
    leave(&mut w, "second");
    assert_eq!(told(&mut w), [false]);
}

#[test]
fn agents_and_recorders_do_not_keep_a_room_open() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("agent", join(true).grant(|g| g.agent = true));
    leave(&mut w, "alice");
    w.advance(Duration::from_secs(21));
    assert_eq!(w.client("agent").leave().unwrap().reason, DisconnectReason::RoomClosed as i32);
    assert_eq!(w.hub.stats(), HubStats::default());
}

#[test]
fn deleted_room_tells_everyone_and_a_new_room_of_the_name_is_another() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    let transport = w.client("alice").subscriber.unwrap();
    let old = w.client("alice").join_response().room.as_ref().unwrap().sid.clone();
    w.service(ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() })).unwrap();
    assert_eq!(w.client("alice").leave().unwrap().reason, DisconnectReason::RoomDeleted as i32);
    assert_eq!(w.hub.stats(), HubStats::default());
    w.join("bob", join(false));
    assert_ne!(w.client("bob").join_response().room.as_ref().unwrap().sid, old);
    w.shard_event(Event::Disconnected { id: transport });
    w.advance(Duration::from_secs(30));
    assert_eq!(w.hub.stats().participants, 1, "news about the old room does not reach the new one");
    w.join("alice2", join(false));
    assert_eq!(w.hub.stats().participants, 2);
}

#[test]
fn token_may_describe_the_room_it_creates() {
    let mut w = World::new();
    let config = RoomConfiguration {
        metadata: "m".into(),
        departure_timeout: 5,
        max_participants: 1,
        ..Default::default()
    };
    w.join(
        "alice",
        join(false).with(|p| {
            p.claims.sub = "alice".into();
            p.claims.room_config = Some(config);
        }),
    );
    let room = w.client("alice").join_response().room.clone().unwrap();
    assert_eq!((room.metadata.as_str(), room.departure_timeout, room.max_participants), ("m", 5, 1));
    w.join("bob", join(false));
    assert!(w.client("bob").leave().is_some());
}

fn started(w: &World) -> RoomConfiguration {
    let config = |e: &RoomEvent| match e {
        RoomEvent::RoomStarted { config, .. } => Some((**config).clone()),
        _ => None,
    };
    w.events.iter().rev().find_map(config).unwrap()
}

fn agent(name: &str) -> RoomAgentDispatch {
    RoomAgentDispatch { agent_name: name.into(), ..Default::default() }
}

fn with_preset() -> World {
    World::with(|c| {
        let preset = RoomConfiguration {
            name: "lecture".into(),
            empty_timeout: 7,
            departure_timeout: 8,
            max_participants: 9,
            metadata: "preset".into(),
            agents: vec![agent("scribe")],
            tags: [("kind".to_owned(), "lecture".to_owned())].into(),
            ..Default::default()
        };
        c.room_presets.insert("lecture".into(), preset);
    })
}

#[test]
fn preset_fills_only_what_the_call_left_open() {
    let mut w = with_preset();
    let request = CreateRoomRequest {
        name: "room".into(),
        room_preset: "lecture".into(),
        departure_timeout: 30,
        agents: vec![agent("own")],
        tags: [("x".to_owned(), "y".to_owned())].into(),
        ..Default::default()
    };
    let Ok(ServiceResponse::Room(room)) = w.service(ServiceRequest::CreateRoom(Box::new(request))) else {
        panic!("room")
    };
    assert_eq!((room.empty_timeout, room.departure_timeout, room.max_participants), (7, 30, 9));
    assert_eq!(room.metadata, "preset");
    let config = started(&w);
    assert_eq!(config.agents, [agent("own")]);
    assert_eq!((config.name.as_str(), config.tags.len()), ("lecture", 2));
}

#[test]
fn preset_of_a_token_applies_and_an_unknown_one_is_refused() {
    let mut w = with_preset();
    w.join("alice", join(false).with(|p| p.claims.room_preset = "lecture".into()));
    assert_eq!(started(&w).agents, [agent("scribe")]);
    assert_eq!(w.client("alice").join_response().room.as_ref().unwrap().departure_timeout, 8);
    w.join("bob", join(false).with(|p| p.claims.room_preset = "nothing".into()));
    let refused = w.client("bob").refused.clone().unwrap();
    assert_eq!(
        (refused.status, refused.message.as_str()),
        (400, "unknown room configuration in create room request")
    );
    let unknown = CreateRoomRequest { name: "x".into(), room_preset: "nothing".into(), ..Default::default() };
    let error = w.service(ServiceRequest::CreateRoom(Box::new(unknown))).unwrap_err();
    assert_eq!(error.code, ServiceErrorCode::InvalidArgument);
}

#[test]
fn later_call_changes_the_agents_of_an_open_room_once() {
    let mut w = World::new();
    let create = |w: &mut World, agents: Vec<RoomAgentDispatch>| {
        let request = CreateRoomRequest { name: "room".into(), agents, ..Default::default() };
        w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    };
    create(&mut w, vec![]);
    assert!(started(&w).agents.is_empty());
    for agents in [vec![agent("a")], vec![agent("a")], vec![]] {
        create(&mut w, agents);
    }
    let changes: Vec<_> = w
        .events
        .iter()
        .filter(|e| matches!(e, RoomEvent::RoomAgentsChanged { config, .. } if config.agents == [agent("a")]))
        .collect();
    assert_eq!(changes.len(), 1);
}

#[test]
fn oversized_agents_are_refused() {
    let mut w = World::new();
    let huge = RoomAgentDispatch { metadata: "x".repeat(600_000), ..Default::default() };
    let wide =
        RoomAgentDispatch { attributes: [("k".to_owned(), "v".repeat(70_000))].into(), ..Default::default() };
    for (agents, text) in [
        (vec![huge], "metadata size exceeds limits 524288"),
        (vec![wide], "attribute size exceeds limits 65536"),
        (vec![agent("a"); 65], "too many agents or tags"),
    ] {
        let request = CreateRoomRequest { name: "room".into(), agents, ..Default::default() };
        let error = w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (ServiceErrorCode::InvalidArgument, text));
    }
    assert_eq!(w.hub.stats(), HubStats::default());
}

#[test]
fn creating_an_idle_room_again_renews_its_time() {
    let mut w = World::new();
    let create = |w: &mut World, empty_timeout| {
        let request = CreateRoomRequest { name: "room".into(), empty_timeout, ..Default::default() };
        w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    };
    create(&mut w, 10);
    w.advance(Duration::from_secs(8));
    create(&mut w, 20);
    w.advance(Duration::from_secs(19));
    assert_eq!(w.hub.stats().rooms, 1);
    w.advance(Duration::from_secs(2));
    assert_eq!(w.hub.stats(), HubStats::default());
}

#[test]
fn synchronised_tracks_share_a_stream() {
    let mut w = World::new();
    let request = CreateRoomRequest { name: "room".into(), sync_streams: true, ..Default::default() };
    w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "mic", false);
    w.publish("alice", "cam", true);
    let sid = w.client("alice").sid();
    let shared = format!("{sid}|camera");
    assert!(w.client("bob").last_server_sdp.matches(&shared).count() >= 2);
}

#[test]
fn counts_follow_within_five_seconds() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("bob", "mic", false);
    w.advance(Duration::from_secs(5));
    let room = w.client("alice").find(|m| match m {
        Message::RoomUpdate(u) => u.room.clone(),
        _ => None,
    });
    let room = room.unwrap();
    assert_eq!((room.num_participants, room.num_publishers), (2, 1));
}

#[test]
fn three_hundred_joins_and_leaves_leave_nothing_behind() {
    let mut w = World::new();
    let names: Vec<&'static str> = (0..300).map(|i| &*format!("p{i}").leak()).collect();
    for (i, name) in names.iter().enumerate() {
        w.join(name, join(i % 2 == 0));
        if i % 3 == 0 {
            w.publish(name, "cam", true);
        }
        if i >= 4 {
            let old = names[i - 4];
            match i % 4 {
                0 => leave(&mut w, old),
                1 => {
                    let id = if i % 2 == 0 { w.client(old).publisher } else { w.client(old).subscriber };
                    w.drop_socket(old);
                    if let Some(id) = id.filter(|id| w.shard.transports.contains_key(id)) {
                        w.shard_event(Event::Disconnected { id });
                    }
                }
                2 => {
                    w.rejoin(old, old, join(true));
                    leave(&mut w, old);
                }
                _ => leave(&mut w, old),
            }
        }
    }
    for name in names {
        if w.client(name).conn.is_some() && w.client(name).closed.is_none() {
            leave(&mut w, name);
        }
    }
    w.advance(Duration::from_secs(90));
    assert_eq!(w.hub.stats(), HubStats::default());
    assert!(w.shard.transports.is_empty() && w.shard.ups.is_empty() && w.shard.downs.is_empty());
    assert_eq!(w.shard.ignored, 0);
}
