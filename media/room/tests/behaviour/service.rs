use crate::world::{World, join};
use bedrud_room::{ServiceErrorCode, ServiceRequest, ServiceResponse};
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    CreateRoomRequest, DeleteRoomRequest, DisconnectReason, ListParticipantsRequest, ListRoomsRequest,
    MuteRoomTrackRequest, RoomAgentDispatch, RoomParticipantIdentity, SendDataRequest,
    UpdateParticipantRequest, UpdateRoomMetadataRequest, UpdateSubscriptionsRequest,
};

fn who(identity: &str) -> RoomParticipantIdentity {
    RoomParticipantIdentity { room: "room".into(), identity: identity.into(), ..Default::default() }
}

#[test]
fn the_configuration_of_a_room_can_be_asked_for() {
    let mut w = World::new();
    let agent = RoomAgentDispatch { agent_name: "helper".into(), ..Default::default() };
    let request =
        CreateRoomRequest { name: "room".into(), agents: vec![agent.clone()], ..Default::default() };
    w.service(ServiceRequest::CreateRoom(Box::new(request))).unwrap();
    let ask = |name: &str| ServiceRequest::GetConfiguration(name.into());
    let Ok(ServiceResponse::Configuration(config)) = w.service(ask("room")) else { panic!("configuration") };
    assert_eq!(config.agents, [agent]);
    assert_eq!(w.service(ask("other")).unwrap_err().code, ServiceErrorCode::NotFound);
}

#[test]
fn rooms_are_created_once_changed_listed_and_deleted() {
    let mut w = World::new();
    let create = |metadata: &str| {
        ServiceRequest::CreateRoom(Box::new(CreateRoomRequest {
            name: "room".into(),
            metadata: metadata.into(),
            ..CreateRoomRequest::default()
        }))
    };
    let Ok(ServiceResponse::Room(first)) = w.service(create("a")) else { panic!("room") };
    let Ok(ServiceResponse::Room(second)) = w.service(create("b")) else { panic!("room") };
    assert_eq!(first.sid, second.sid);
    assert_eq!((first.metadata.as_str(), second.metadata.as_str()), ("a", "b"));
    let list = |w: &mut World, names: &[&str]| {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        match w.service(ServiceRequest::ListRooms(ListRoomsRequest { names })) {
            Ok(ServiceResponse::Rooms(rooms)) => rooms.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((list(&mut w, &[]), list(&mut w, &["room"]), list(&mut w, &["other"])), (1, 1, 0));
    let delete = ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() });
    assert_eq!(w.service(delete.clone()), Ok(ServiceResponse::Done));
    assert_eq!(w.service(delete).unwrap_err().code, ServiceErrorCode::NotFound);
}

#[test]
fn participants_are_listed_found_and_removed() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("ghost", join(false).grant(|g| g.hidden = true));
    let list = |w: &mut World, room: &str| match w
        .service(ServiceRequest::ListParticipants(ListParticipantsRequest { room: room.into() }))
    {
        Ok(ServiceResponse::Participants(p)) => p.into_iter().map(|p| p.identity).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list(&mut w, "room"), ["alice"]);
    assert!(list(&mut w, "nowhere").is_empty());
    assert!(w.service(ServiceRequest::GetParticipant(who("alice"))).is_ok());
    let removed = w.service(ServiceRequest::RemoveParticipant(who("alice")));
    assert!(matches!(removed, Ok(ServiceResponse::Removed(Some(_)))), "{removed:?}");
    let leave = w.client("alice").leave().unwrap();
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ParticipantRemoved as i32, 0));
    let error = w.service(ServiceRequest::GetParticipant(who("alice"))).unwrap_err();
    assert_eq!(error.code, ServiceErrorCode::NotFound);
}

#[test]
fn moderator_mutes_and_needs_a_setting_to_unmute() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let track_sid = w.publish("alice", "mic", false);
    let mute = |muted| {
        let (room, identity, track_sid) = ("room".into(), "alice".into(), track_sid.clone());
        ServiceRequest::MutePublishedTrack(MuteRoomTrackRequest { room, identity, track_sid, muted })
    };
    let Ok(ServiceResponse::Track(Some(track))) = w.service(mute(true)) else { panic!("track") };
    assert!(track.muted);
    assert!(w.client("alice").find(|m| matches!(m, Message::Mute(m) if m.muted).then_some(())).is_some());
    assert!(w.client("bob").sees("alice").unwrap().tracks[0].muted);
    assert_eq!(w.shard.muted.len(), 1);
    assert_eq!(w.service(mute(false)).unwrap_err().code, ServiceErrorCode::FailedPrecondition);
}

#[test]
fn moderator_changes_names_and_room_metadata() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let update = UpdateParticipantRequest {
        room: "room".into(),
        identity: "alice".into(),
        name: "Alice A.".into(),
        ..UpdateParticipantRequest::default()
    };
    w.service(ServiceRequest::UpdateParticipant(Box::new(update))).unwrap();
    assert_eq!(w.client("bob").sees("alice").unwrap().name, "Alice A.");
    let metadata = UpdateRoomMetadataRequest { room: "room".into(), metadata: "topic".into() };
    w.service(ServiceRequest::UpdateRoomMetadata(metadata)).unwrap();
    let room = w.client("bob").find(|m| match m {
        Message::RoomUpdate(u) => u.room.clone(),
        _ => None,
    });
    assert_eq!(room.unwrap().metadata, "topic");
}

#[test]
fn moderator_subscribes_somebody() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false).with(|p| p.auto_subscribe = false));
    let track = w.publish("alice", "cam", true);
    for (subscribe, count) in [(true, 1), (false, 0)] {
        let request = UpdateSubscriptionsRequest {
            room: "room".into(),
            identity: "bob".into(),
            track_sids: vec![track.clone()],
            subscribe,
            ..UpdateSubscriptionsRequest::default()
        };
        w.service(ServiceRequest::UpdateSubscriptions(request)).unwrap();
        w.settle();
        assert_eq!(w.shard.downs.len(), count);
    }
}

#[test]
fn invalid_requests_are_named() {
    let mut w = World::new();
    w.join("alice", join(false));
    let code = |w: &mut World, r| w.service(r).unwrap_err().code;
    let nonce = SendDataRequest { room: "room".into(), nonce: vec![1], ..SendDataRequest::default() };
    assert_eq!(code(&mut w, ServiceRequest::SendData(nonce)), ServiceErrorCode::InvalidArgument);
    let long = CreateRoomRequest { name: "x".repeat(257), ..CreateRoomRequest::default() };
    assert_eq!(code(&mut w, ServiceRequest::CreateRoom(Box::new(long))), ServiceErrorCode::InvalidArgument);
    let metadata = UpdateRoomMetadataRequest { room: "room".into(), metadata: "x".repeat(600_000) };
    assert_eq!(code(&mut w, ServiceRequest::UpdateRoomMetadata(metadata)), ServiceErrorCode::InvalidArgument);
    let absent = UpdateRoomMetadataRequest { room: "none".into(), metadata: String::new() };
    assert_eq!(code(&mut w, ServiceRequest::UpdateRoomMetadata(absent)), ServiceErrorCode::NotFound);
}
