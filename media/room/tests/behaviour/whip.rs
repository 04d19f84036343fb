//! Publishing by one offer and one answer.

use crate::sdp::{self, Section};
use crate::world::{World, join};
use bedrud_room::{
    Claims, JoinError, JoinParams, OneShotOpened, OneShotReply, OneShotRequest, OneShotRole, OneShotSession,
    RoomEvent, ServiceErrorCode, ServiceRequest, ServiceResponse, VideoGrant,
};
use bedrud_sfu::{CloseReason, Event, TransportId};
use livekit_protocol::participant_info::State;
use livekit_protocol::{
    DisconnectReason, MoveParticipantRequest, MuteRoomTrackRequest, ParticipantPermission,
    RoomParticipantIdentity, TrackSource, UpdateParticipantRequest,
};
use std::time::Duration;

pub fn section(mid: &str, video: bool, direction: &'static str, simulcast: bool) -> Section {
    let track = (direction == "sendonly").then(|| format!("track-{mid}"));
    Section { mid: mid.into(), video, direction, track, simulcast }
}

fn camera_and_microphone() -> Vec<Section> {
    vec![section("0", false, "sendonly", false), section("1", true, "sendonly", false)]
}

pub fn open(
    w: &mut World,
    identity: &str,
    role: OneShotRole,
    sections: &[Section],
    grant: impl FnOnce(&mut VideoGrant),
) -> Result<OneShotOpened, JoinError> {
    let mut video = VideoGrant { room_join: true, room: "room".into(), ..VideoGrant::default() };
    grant(&mut video);
    let claims = Claims { sub: identity.into(), video: Some(video), ..Claims::default() };
    let params = Box::new(JoinParams { claims, ..JoinParams::default() });
    let offer = sdp::offer("oneshot1", sections);
    match w.one_shot(OneShotRequest::Open { params, role, offer })? {
        OneShotReply::Opened(opened) => Ok(*opened),
        other => panic!("{other:?}"),
    }
}

fn whip(w: &mut World, identity: &str) -> OneShotOpened {
    open(w, identity, OneShotRole::Publish, &camera_and_microphone(), |_| {}).unwrap()
}

pub fn transport(opened: &OneShotOpened) -> TransportId {
    TransportId::from_ufrag(opened.ice_session.as_bytes()).unwrap()
}

fn session(opened: &OneShotOpened, identity: &str) -> OneShotSession {
    OneShotSession {
        room: "room".into(),
        room_id: String::new(),
        identity: identity.into(),
        sid: opened.sid.clone(),
    }
}

fn patch(
    w: &mut World,
    session: &OneShotSession,
    if_match: &str,
    ufrag: &str,
) -> Result<OneShotReply, JoinError> {
    let fragment = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n");
    w.one_shot(OneShotRequest::Patch { session: session.clone(), if_match: if_match.into(), fragment })
}

fn permit(w: &mut World, identity: &str, permission: ParticipantPermission) {
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: identity.into(),
        permission: Some(permission),
        ..UpdateParticipantRequest::default()
    };
    assert!(w.service(ServiceRequest::UpdateParticipant(Box::new(request))).is_ok());
}

#[test]
fn publisher_is_a_participant_like_any_other() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    w.settle();
    let seen = w.client("alice").sees("obs").unwrap();
    assert_eq!((seen.sid.as_str(), seen.state), (opened.sid.as_str(), State::Active as i32));
    let sources: Vec<i32> = seen.tracks.iter().map(|t| t.source).collect();
    assert_eq!(sources.len(), 2);
    for source in [TrackSource::Microphone, TrackSource::Camera] {
        assert!(sources.contains(&(source as i32)));
    }
    assert_eq!(w.client("alice").receiving.len(), 2);
    let events = |w: &World, is: fn(&RoomEvent) -> bool| w.events.iter().filter(|e| is(e)).count();
    assert_eq!(events(&w, |e| matches!(e, RoomEvent::TrackPublished { .. })), 2);
    assert_eq!(events(&w, |e| matches!(e, RoomEvent::ParticipantJoined { .. })), 2);
    let joined = w.events.iter().position(
        |e| matches!(e, RoomEvent::ParticipantJoined { participant, .. } if participant.identity == "obs"),
    );
    let published = w.events.iter().position(|e| matches!(e, RoomEvent::TrackPublished { .. }));
    assert!(joined < published, "first it joins, then it publishes");
    w.join("late", join(true));
    assert_eq!(w.client("late").receiving.len(), 2);
}

#[test]
fn simulcast_layers_are_ordered_by_their_names() {
    let mut w = World::new();
    w.join("alice", join(false));
    let sections = [section("v", true, "sendonly", true)];
    let opened = open(&mut w, "page", OneShotRole::Publish, &sections, |_| {}).unwrap();
    assert!(opened.answer.contains("a=simulcast:recv q;h;f"));
    let up = w.shard.ups.values().next().unwrap();
    let rids: Vec<String> = up.layers.iter().map(|l| l.rid.unwrap().to_string()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    let track = &w.client("alice").sees("page").unwrap().tracks[0];
    assert_eq!((track.simulcast, track.layers.len()), (true, 3));
}

#[test]
fn nothing_of_a_session_is_timed_by_signalling() {
    let mut w = World::new();
    w.join("alice", join(false));
    whip(&mut w, "obs");
    w.advance(Duration::from_secs(4 * 3600));
    assert_eq!(w.client("alice").sees("obs").unwrap().state, State::Active as i32);
    assert_eq!(w.shard.ups.len(), 2);
}

#[test]
fn publisher_that_never_connects_is_removed() {
    let mut w = World::new();
    w.shard.reachable = false;
    whip(&mut w, "obs");
    w.advance(Duration::from_secs(61));
    assert!(w.shard.transports.is_empty());
    assert_eq!(w.hub.stats().participants, 0);
    assert!(w.events.iter().any(|e| matches!(e, RoomEvent::ParticipantConnectionAborted { .. })));
}

#[test]
fn publisher_that_vanishes_is_removed_and_one_that_says_goodbye_at_once() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = transport(&whip(&mut w, "obs"));
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(3));
    w.shard_event(Event::Reconnected { id });
    w.advance(Duration::from_secs(60));
    assert_eq!(w.client("alice").sees("obs").unwrap().state, State::Active as i32);
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(25));
    let gone = w.client("alice").sees("obs").unwrap();
    assert_eq!(gone.state, State::Disconnected as i32);
    assert_eq!(gone.disconnect_reason, DisconnectReason::ConnectionTimeout as i32);
    for (reason, told) in [
        (CloseReason::ClosedByPeer, DisconnectReason::ClientInitiated),
        (CloseReason::TimedOut, DisconnectReason::ConnectionTimeout),
    ] {
        let id = transport(&whip(&mut w, "obs"));
        w.shard_event(Event::Closed { id, reason });
        assert_eq!(w.client("alice").sees("obs").unwrap().disconnect_reason, told as i32);
        assert_eq!(w.hub.stats().tracks, 0);
    }
}

#[test]
fn client_ends_its_session_and_its_address_is_gone() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    let session = session(&opened, "obs");
    let close = |session: &OneShotSession| OneShotRequest::Close { session: session.clone() };
    let other = OneShotSession { identity: "alice".into(), ..session.clone() };
    assert_eq!(w.one_shot(close(&other)).unwrap_err().status, 404);
    assert_eq!(w.one_shot(close(&session)), Ok(OneShotReply::Closed));
    assert_eq!(w.client("alice").sees("obs").unwrap().state, State::Disconnected as i32);
    assert!(!w.shard.transports.contains_key(&transport(&opened)));
    assert_eq!(w.one_shot(close(&session)).unwrap_err().status, 404);
}

/// Encoders close their connection and send DELETE right behind; either may arrive first.
#[test]
fn ending_a_session_whose_connection_said_goodbye_succeeds_once() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    let session = session(&opened, "obs");
    w.shard_event(Event::Closed { id: transport(&opened), reason: CloseReason::ClosedByPeer });
    assert_eq!(w.client("alice").sees("obs").unwrap().state, State::Disconnected as i32);
    let close = |session: &OneShotSession| OneShotRequest::Close { session: session.clone() };
    let other = OneShotSession { identity: "alice".into(), ..session.clone() };
    assert_eq!(w.one_shot(close(&other)).unwrap_err().status, 404);
    assert_eq!(w.one_shot(close(&session)), Ok(OneShotReply::Closed));
    assert_eq!(w.one_shot(close(&session)).unwrap_err().status, 404);
}

#[test]
fn session_of_an_sdk_is_no_session_of_whip() {
    let mut w = World::new();
    let sid = w.join("alice", join(false)).sid();
    let session =
        OneShotSession { room: "room".into(), room_id: String::new(), identity: "alice".into(), sid };
    assert_eq!(w.one_shot(OneShotRequest::Close { session }).unwrap_err().status, 404);
    // Nor can a socket take over a session of WHIP.
    let opened = whip(&mut w, "obs");
    let how = join(true).with(|p| {
        p.claims.sub = "obs".into();
        p.reconnect = Some(bedrud_room::Reconnect { sid: opened.sid, reason: Default::default() });
    });
    let c = w.join("thief", how);
    assert!(c.leave().is_some() && c.closed.is_some());
    assert_eq!(w.shard.ups.len(), 2);
}

#[test]
fn second_offer_of_an_identity_replaces_the_first_session() {
    let mut w = World::new();
    w.join("alice", join(false));
    let first = whip(&mut w, "obs");
    let second = whip(&mut w, "obs");
    assert_ne!(first.sid, second.sid);
    assert_eq!(patch(&mut w, &session(&first, "obs"), "*", "other1").unwrap_err().status, 404);
    assert_eq!(
        patch(&mut w, &session(&second, "obs"), &second.ice_session, "oneshot1"),
        Ok(OneShotReply::Trickled)
    );
    assert_eq!((w.hub.stats().participants, w.shard.ups.len()), (2, 2));
}

#[test]
fn ice_restart_gives_new_credentials_and_time_to_use_them() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    let (id, session) = (transport(&opened), session(&opened, "obs"));
    let quoted = format!("\"{}\"", opened.ice_session);
    assert_eq!(patch(&mut w, &session, &quoted, "oneshot1"), Ok(OneShotReply::Trickled));
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(15));
    let Ok(OneShotReply::Restarted { fragment, ice_session }) = patch(&mut w, &session, "*", "oneshot2")
    else {
        panic!("restarted")
    };
    assert_ne!(ice_session, opened.ice_session);
    assert!(
        fragment.contains(&format!("a=ice-ufrag:{ice_session}\r\n")) && fragment.contains("a=candidate:")
    );
    assert!(fragment.contains("a=mid:0\r\n"), "{fragment}");
    assert_eq!(w.shard.transport(id).ufrags.last(), Some(&ice_session));
    assert_eq!(patch(&mut w, &session, &quoted, "oneshot2").unwrap_err().status, 412);
    w.advance(Duration::from_secs(15));
    w.shard_event(Event::Reconnected { id });
    w.advance(Duration::from_secs(60));
    assert_eq!(w.client("alice").sees("obs").unwrap().state, State::Active as i32);
}

#[test]
fn server_mutes_unmutes_and_removes_the_publisher() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    let track = w.client("alice").sees("obs").unwrap().tracks[0].sid.clone();
    for muted in [true, false] {
        let request = MuteRoomTrackRequest {
            room: "room".into(),
            identity: "obs".into(),
            track_sid: track.clone(),
            muted,
        };
        let Ok(ServiceResponse::Track(Some(info))) = w.service(ServiceRequest::MutePublishedTrack(request))
        else {
            panic!("track")
        };
        assert_eq!((info.muted, w.shard.muted.len()), (muted, usize::from(muted)));
    }
    let who = RoomParticipantIdentity { room: "room".into(), identity: "obs".into(), ..Default::default() };
    assert!(w.service(ServiceRequest::RemoveParticipant(who)).is_ok());
    assert!(!w.shard.transports.contains_key(&transport(&opened)));
    assert_eq!(w.hub.stats().participants, 1);
}

#[test]
fn a_session_cannot_be_moved() {
    let mut w = World::new();
    w.join("alice", join(false));
    let opened = whip(&mut w, "obs");
    let before = w.hub.stats();
    let (room, identity, destination_room) = ("room".into(), "obs".into(), "hall".into());
    let request = MoveParticipantRequest { room, identity, destination_room };
    let refused = w.service(ServiceRequest::MoveParticipant(request)).unwrap_err();
    assert_eq!(refused.code, ServiceErrorCode::FailedPrecondition);
    assert_eq!(w.hub.stats(), before, "no other room was made for it");
    assert!(w.shard.transports.contains_key(&transport(&opened)));
    assert_eq!(w.client("alice").sees("obs").unwrap().tracks.len(), 2);
}

#[test]
fn permission_decides_what_of_the_offer_is_published() {
    let mut w = World::new();
    w.join("alice", join(false));
    let camera_only = |g: &mut VideoGrant| g.can_publish_sources = vec!["camera".into()];
    open(&mut w, "obs", OneShotRole::Publish, &camera_and_microphone(), camera_only).unwrap();
    let tracks = |w: &mut World| -> Vec<i32> {
        w.client("alice").sees("obs").unwrap().tracks.iter().map(|t| t.source).collect()
    };
    assert_eq!(tracks(&mut w), [TrackSource::Camera as i32]);
    let all = ParticipantPermission { can_publish: true, can_subscribe: true, ..Default::default() };
    permit(&mut w, "obs", all.clone());
    assert_eq!(tracks(&mut w).len(), 2);
    permit(&mut w, "obs", ParticipantPermission { can_publish: false, ..all.clone() });
    assert_eq!((tracks(&mut w).len(), w.shard.ups.len()), (0, 0));
    permit(&mut w, "obs", all);
    assert_eq!((tracks(&mut w).len(), w.shard.ups.len()), (2, 2));
}

#[test]
fn refused_offer_leaves_nothing_behind() {
    let mut w = World::new();
    let nothing = [section("0", false, "recvonly", false)];
    assert_eq!(open(&mut w, "obs", OneShotRole::Publish, &nothing, |_| {}).unwrap_err().status, 400);
    let deny = |g: &mut VideoGrant| g.can_publish = Some(false);
    let denied = open(&mut w, "obs", OneShotRole::Publish, &camera_and_microphone(), deny);
    assert_eq!(denied.unwrap_err().status, 401);
    assert_eq!(w.hub.stats(), Default::default());
}

#[test]
fn everything_is_given_back_at_the_end() {
    let mut w = World::new();
    for _ in 0..20 {
        whip(&mut w, "obs");
    }
    let who = RoomParticipantIdentity { room: "room".into(), identity: "obs".into(), ..Default::default() };
    w.service(ServiceRequest::RemoveParticipant(who)).unwrap();
    w.advance(Duration::from_secs(60));
    assert_eq!(w.hub.stats(), Default::default());
    assert!(w.shard.transports.is_empty());
}
