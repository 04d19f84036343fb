//! Participants moved to another room and shown in another room.

use crate::world::{Join, World, join};
use bedrud_room::{
    HubStats, Input, RoomEvent, ServiceError, ServiceErrorCode, ServiceRequest, ServiceResponse,
};
use bedrud_sfu::{AudioLevel, DataChannel, Event};
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::{KindDetail, State};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DeleteRoomRequest, DisconnectReason, ForwardParticipantRequest, ListParticipantsRequest,
    MoveParticipantRequest, MuteRoomTrackRequest, MuteTrackRequest, ParticipantInfo, PerformRpcRequest,
    RoomMovedResponse, RoomParticipantIdentity, UpdateParticipantMetadata, UpdateParticipantRequest,
    UpdateSubscriptionsRequest, UpdateTrackSettings,
};
use std::time::Duration;

fn into(room: &'static str) -> Join {
    join(false).grant(|g| g.room = room.into())
}

fn moving(identity: &str, to: &str) -> ServiceRequest {
    let (room, identity, destination_room) = ("room".into(), identity.into(), to.into());
    ServiceRequest::MoveParticipant(MoveParticipantRequest { room, identity, destination_room })
}

fn forwarding(identity: &str, to: &str) -> ServiceRequest {
    let (room, identity, destination_room) = ("room".into(), identity.into(), to.into());
    ServiceRequest::ForwardParticipant(ForwardParticipantRequest { room, identity, destination_room })
}

fn who(room: &str, identity: &str) -> RoomParticipantIdentity {
    RoomParticipantIdentity { room: room.into(), identity: identity.into(), ..Default::default() }
}

fn moved(w: &mut World, name: &str) -> Option<RoomMovedResponse> {
    w.client(name).find(|m| match m {
        Message::RoomMoved(m) => Some(m.clone()),
        _ => None,
    })
}

fn list(w: &mut World, room: &str) -> Vec<ParticipantInfo> {
    match w.service(ServiceRequest::ListParticipants(ListParticipantsRequest { room: room.into() })) {
        Ok(ServiceResponse::Participants(list)) => list,
        other => panic!("{other:?}"),
    }
}

fn ok(w: &mut World, request: ServiceRequest) {
    let answer = w.service(request);
    assert!(matches!(answer, Ok(ServiceResponse::Done | ServiceResponse::Removed(_))), "{answer:?}");
    w.settle();
}

/// Rooms on one shard, or each on its own.
fn apart(shards: u16) -> World {
    World::with(|c| c.shards = shards)
}

/// Sources of what a client receives.
fn receives(w: &mut World, name: &str) -> usize {
    let id = w.client(name).subscriber.unwrap();
    w.shard.downs.values().filter(|d| d.transport == id).count()
}

/// Events as `kind room identity`.
fn story(w: &mut World) -> Vec<String> {
    let of = |e: &RoomEvent| {
        Some(match e {
            RoomEvent::RoomStarted { room, .. } => format!("started {}", room.name),
            RoomEvent::RoomFinished { room, .. } => format!("finished {}", room.name),
            RoomEvent::ParticipantJoined { room, participant, .. } => {
                format!("joined {} {}", room.name, participant.identity)
            }
            RoomEvent::ParticipantLeft { room, participant, .. } => {
                format!("left {} {}", room.name, participant.identity)
            }
            RoomEvent::TrackPublished { room, participant, .. } => {
                format!("published {} {}", room.name, participant.identity)
            }
            RoomEvent::TrackUnpublished { room, participant, .. } => {
                format!("unpublished {} {}", room.name, participant.identity)
            }
            _ => return None,
        })
    };
    std::mem::take(&mut w.events).iter().filter_map(of).collect()
}

#[test]
fn moved_participant_keeps_its_connections_and_tracks() {
    let mut w = World::new();
    w.join("alice", into("room"));
    w.join("bob", into("room"));
    w.join("carol", into("hall"));
    let mic = w.publish("alice", "mic", false);
    w.publish("bob", "bobmic", false);
    let song = w.publish("carol", "song", false);
    let before = w.shard.transports.len();
    let old = w.client("alice").sid();
    story(&mut w);
    ok(&mut w, moving("alice", "hall"));

    assert_eq!(
        story(&mut w),
        ["unpublished room alice", "left room alice", "joined hall alice", "published hall alice",]
    );
    let told = moved(&mut w, "alice").unwrap();
    let own = told.participant.unwrap();
    assert_eq!(told.room.unwrap().name, "hall");
    assert_ne!(own.sid, old);
    assert_eq!((own.identity.as_str(), own.tracks[0].sid.as_str()), ("alice", mic.as_str()));
    let others: Vec<_> = told.other_participants.iter().map(|p| p.identity.as_str()).collect();
    assert_eq!(others, ["carol"]);
    let token = w.client("alice").tokens.last().unwrap();
    assert_eq!(token.video.as_ref().unwrap().room, "hall");

    let gone = w.client("bob").sees("alice").unwrap();
    assert_eq!(gone.state, State::Disconnected as i32);
    assert_eq!(gone.disconnect_reason, DisconnectReason::Migration as i32);
    let here = w.client("carol").sees("alice").unwrap();
    assert_eq!((here.state, here.tracks.len()), (State::Active as i32, 1));
    assert_eq!((receives(&mut w, "bob"), receives(&mut w, "carol"), receives(&mut w, "alice")), (0, 1, 1));
    assert!(w.client("alice").receiving.values().any(|t| *t == song));
    assert_eq!(w.shard.transports.len(), before);
    assert!(w.client("alice").leave().is_none() && w.client("alice").closed.is_none());
}

#[test]
fn moved_participant_speaks_publishes_and_resumes_in_its_new_room() {
    let mut w = World::new();
    for (name, room) in [("alice", "room"), ("bob", "room"), ("carol", "hall")] {
        w.join(name, into(room));
        let offer = w.client(name).offer();
        w.send(name, offer);
    }
    ok(&mut w, moving("alice", "hall"));
    w.publish("alice", "cam", true);
    assert_eq!((receives(&mut w, "carol"), receives(&mut w, "bob")), (1, 0));
    let packet = prost::Message::encode_to_vec(&livekit_protocol::DataPacket {
        value: Some(livekit_protocol::data_packet::Value::User(Default::default())),
        ..Default::default()
    });
    w.data("alice", DataChannel::Reliable, packet);
    let (bob, carol) = (w.client("bob").subscriber.unwrap(), w.client("carol").subscriber.unwrap());
    assert_eq!(w.sent_to(bob, DataChannel::Reliable).len(), 0);
    assert_eq!(w.sent_to(carol, DataChannel::Reliable).len(), 1);
    w.drop_socket("alice");
    // The sid of its join: an SDK may not take over the new one.
    w.resume("alice", into("hall"));
    assert!(w.client("alice").closed.is_none());
    assert!(w.client("alice").find(|m| matches!(m, Message::Reconnect(_)).then_some(())).is_some());
    w.send("alice", Request::Leave(Default::default()));
    assert_eq!(w.client("carol").sees("alice").unwrap().state, State::Disconnected as i32);
    assert_eq!(list(&mut w, "hall").len(), 1);
}

#[test]
fn move_works_on_one_connection_and_makes_the_room() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.publish("alice", "mic", false);
    story(&mut w);
    ok(&mut w, moving("alice", "hall"));
    assert!(story(&mut w).contains(&"started hall".to_owned()));
    w.join("dave", join(true).grant(|g| g.room = "hall".into()));
    w.publish("dave", "cam", true);
    w.settle();
    assert_eq!(w.shard.downs.len(), 2);
    w.advance(Duration::from_secs(60));
    assert_eq!(w.hub.stats().rooms, 1, "the room it left has closed");
    assert_eq!(w.hub.stats().participants, 2);
}

#[test]
fn older_client_is_told_to_connect_anew_with_a_token_for_the_new_room() {
    for protocol in [9, 13, 15] {
        let mut w = World::new();
        w.join("alice", into("room").protocol(protocol));
        w.join("bob", into("room"));
        ok(&mut w, moving("alice", "hall"));
        assert!(moved(&mut w, "alice").is_none());
        let token = w.client("alice").tokens.last().unwrap();
        assert_eq!(token.video.as_ref().unwrap().room, "hall");
        let leave = w.client("alice").leave().unwrap();
        if protocol >= 13 {
            assert_eq!(leave.action, Action::Reconnect as i32);
        } else {
            assert!(leave.can_reconnect);
        }
        assert_eq!(w.client("alice").closed, Some(true));
        assert_eq!(w.client("bob").sees("alice").unwrap().state, State::Disconnected as i32);
        assert_eq!(list(&mut w, "hall").len(), 0);
    }
}

#[test]
fn rooms_on_different_shards_are_told_apart() {
    let mut w = World::with(|c| c.shards = 2);
    w.join("alice", into("room"));
    w.join("bob", into("hall"));
    let shard = |w: &mut World, name: &str| w.client(name).subscriber.unwrap().shard;
    assert_ne!(shard(&mut w, "alice"), shard(&mut w, "bob"), "rooms take turns");
    let before = w.shard.transports.len();
    for fresh in ["new1", "new2", "new3"] {
        ok(&mut w, forwarding("alice", fresh));
    }
    assert_eq!(w.shard.transports.len(), before, "a new room is opened where the stream is");
    ok(&mut w, moving("alice", "hall"));
    assert_eq!(w.client("alice").leave().unwrap().action, Action::Reconnect as i32);
}

#[test]
fn streams_reach_a_room_on_another_shard_over_a_relay() {
    let mut w = apart(2);
    w.join("alice", into("room"));
    w.join("bob", into("hall"));
    let mic = w.publish("alice", "mic", false);
    let before = (w.shard.transports.len(), w.shard.ups.len(), w.shard.downs.len());
    ok(&mut w, forwarding("alice", "hall"));
    let bob = w.client("bob").subscriber.unwrap();
    let received = w.shard.downs.values().find(|d| d.transport == bob).unwrap().source;
    let (near, far) = w.shard.relay();
    assert_ne!(near.shard, far.shard);
    assert_eq!(w.shard.ups[&received].transport, far);
    let ssrc = w.shard.ups[&received].layers[0].ssrc.unwrap();
    let carried = w.shard.downs.values().find(|d| d.transport == near).unwrap();
    assert_eq!(carried.ssrc, ssrc);
    assert_eq!(carried.payload_types, w.shard.ups[&received].payload_types);

    // Every layer travels, so that each subscriber there chooses for itself.
    w.publish("alice", "cam", true);
    let camera = w.shard.ups.values().find(|u| u.transport == far && u.layers.len() == 3).unwrap().clone();
    let mut layers: Vec<_> = w.shard.downs.values().filter(|d| d.transport == near).collect();
    layers.retain(|d| d.rtx_ssrc.is_some());
    let carried: Vec<_> = layers.iter().map(|d| (d.settings.max_spatial, d.ssrc, d.rtx_ssrc)).collect();
    let expected: Vec<_> = camera.layers.iter().map(|l| (l.spatial, l.ssrc.unwrap(), l.rtx_ssrc)).collect();
    assert_eq!(carried, expected);

    // A mute is known there too.
    w.send("alice", Request::Mute(MuteTrackRequest { sid: mic.clone(), muted: true }));
    assert!(w.shard.muted.contains(&received));
    w.send("alice", Request::Mute(MuteTrackRequest { sid: mic, muted: false }));
    assert!(!w.shard.muted.contains(&received));

    ok(&mut w, ServiceRequest::RemoveParticipant(who("hall", "alice")));
    w.unpublish("alice", "cam");
    assert_eq!((w.shard.transports.len(), w.shard.ups.len(), w.shard.downs.len()), before);
    assert_eq!(w.shard.ignored, 0);
}

#[test]
fn a_relay_that_a_shard_closes_ends_the_showing() {
    let mut w = apart(2);
    w.join("alice", into("room"));
    w.join("bob", into("hall"));
    w.publish("alice", "mic", false);
    ok(&mut w, forwarding("alice", "hall"));
    let (_, far) = w.shard.relay();
    w.shard_event(Event::Closed { id: far, reason: bedrud_sfu::CloseReason::ProtocolError });
    assert_eq!(list(&mut w, "hall").len(), 1);
    assert_eq!(list(&mut w, "room").len(), 1);
    ok(&mut w, forwarding("alice", "hall"));
    assert_eq!(receives(&mut w, "bob"), 1, "it can be forwarded again");
}

#[test]
fn refused_transfers_have_their_codes_and_change_nothing() {
    use ServiceErrorCode as C;
    let mut w = World::with(|c| c.max_participants = 2);
    w.join("alice", into("room"));
    w.join("alice2", into("busy").with(|p| p.claims.sub = "alice".into()));
    w.join("bob", into("full"));
    w.join("carol", into("full"));
    let stats = w.hub.stats();
    for make in [moving as fn(&str, &str) -> ServiceRequest, forwarding] {
        for (identity, to, code) in [
            ("alice", "room", C::InvalidArgument),
            ("alice", "", C::InvalidArgument),
            ("alice", "busy", C::AlreadyExists),
            ("alice", "full", C::ResourceExhausted),
            ("nobody", "hall", C::NotFound),
        ] {
            let error: ServiceError = w.service(make(identity, to)).unwrap_err();
            assert_eq!(error.code, code, "{identity} to {to}");
        }
        let long = w.service(make("alice", &"x".repeat(257))).unwrap_err();
        assert_eq!(long.message, "room name length exceeds limits");
    }
    let text = w.service(moving("alice", "room")).unwrap_err().message;
    assert_eq!(text, "destination room cannot be the same as source room");
    assert_eq!(w.hub.stats(), stats);
    w.drop_socket("alice");
    assert_eq!(w.service(moving("alice", "hall")).unwrap_err().code, C::Unavailable);
    assert_eq!(w.hub.stats().rooms, stats.rooms);
}

#[test]
fn forwarded_participant_appears_with_its_tracks() {
    for shards in [1, 2] {
        let mut w = apart(shards);
        w.join("alice", into("room").with(|p| p.claims.name = "Alice".into()));
        w.join("bob", into("hall"));
        let mic = w.publish("alice", "mic", false);
        story(&mut w);
        ok(&mut w, forwarding("alice", "hall"));
        assert_eq!(story(&mut w), ["joined hall alice", "published hall alice"]);
        let seen = w.client("bob").sees("alice").unwrap();
        assert_eq!((seen.name.as_str(), seen.tracks[0].sid.as_str()), ("Alice", mic.as_str()));
        assert_eq!(seen.kind_details, [KindDetail::Forwarded as i32]);
        assert_ne!(seen.sid, w.client("alice").sid());
        assert_eq!(receives(&mut w, "bob"), 1);
        ok(&mut w, forwarding("alice", "hall"));
        assert!(story(&mut w).is_empty(), "once is enough");

        let cam = w.publish("alice", "cam", true);
        assert_eq!(receives(&mut w, "bob"), 2);
        let mute = MuteTrackRequest { sid: mic.clone(), muted: true };
        w.send("alice", Request::Mute(mute));
        let seen = w.client("bob").sees("alice").unwrap();
        assert!(seen.tracks.iter().any(|t| t.sid == mic && t.muted));
        w.unpublish("alice", "cam");
        assert_eq!(receives(&mut w, "bob"), 1);
        assert!(w.client("bob").sees("alice").unwrap().tracks.iter().all(|t| t.sid != cam));
        assert_eq!(
            story(&mut w),
            [
                "published room alice",
                "published hall alice",
                "unpublished room alice",
                "unpublished hall alice"
            ]
        );
        assert_eq!(list(&mut w, "hall").len(), 2);
    }
}

#[test]
fn forwarded_profile_and_voice_follow() {
    for shards in [1, 2] {
        let mut w = apart(shards);
        w.join("alice", into("room").grant(|g| g.can_update_own_metadata = Some(true)));
        w.join("bob", into("hall"));
        w.publish("alice", "mic", false);
        ok(&mut w, forwarding("alice", "hall"));
        let update = UpdateParticipantMetadata {
            name: "Al".into(),
            attributes: [("k".to_owned(), "v".to_owned())].into(),
            ..Default::default()
        };
        w.send("alice", Request::UpdateMetadata(update));
        let seen = w.client("bob").sees("alice").unwrap();
        assert_eq!((seen.name.as_str(), seen.attributes["k"].as_str()), ("Al", "v"));
        let track = *w.shard.ups.keys().next().unwrap();
        for _ in 0..4 {
            let level = AudioLevel { track, level: 10, active_percent: 100 };
            w.shard_event(Event::AudioLevels(vec![level]));
        }
        let heard = w.client("bob").find(|m| match m {
            Message::SpeakersChanged(s) => s.speakers.first().cloned(),
            _ => None,
        });
        assert_eq!(heard.unwrap().sid, seen.sid);
    }
}

#[test]
fn viewers_of_a_forwarded_track_keep_its_layers_alive() {
    for shards in [1, 2] {
        let mut w = apart(shards);
        w.join("alice", into("room"));
        w.join("bob", into("hall"));
        let cam = w.publish("alice", "cam", true);
        w.advance(Duration::from_secs(20));
        let wanted = |w: &mut World| {
            let update = w.client("alice").find(|m| match m {
                Message::SubscribedQualityUpdate(u) => Some(u.subscribed_qualities.clone()),
                _ => None,
            });
            update.unwrap().iter().filter(|q| q.enabled).count()
        };
        assert_eq!(wanted(&mut w), 0);
        ok(&mut w, forwarding("alice", "hall"));
        assert_eq!(wanted(&mut w), 3);
        assert!(w.client("alice").find(|m| matches!(m, Message::TrackSubscribed(_)).then_some(())).is_some());
        let settings = UpdateTrackSettings { track_sids: vec![cam], quality: 0, ..Default::default() };
        w.send("bob", Request::TrackSetting(settings));
        w.advance(Duration::from_secs(10));
        assert_eq!(wanted(&mut w), 1);
        ok(&mut w, ServiceRequest::RemoveParticipant(who("hall", "alice")));
        w.advance(Duration::from_secs(10));
        assert_eq!(wanted(&mut w), 0);
    }
}

#[test]
fn forwarding_ends_with_either_side() {
    for shards in [1, 2] {
        for end in 0..6 {
            let mut w = apart(shards);
            w.join("alice", into("room"));
            w.join("bob", into("hall"));
            w.publish("alice", "mic", false);
            ok(&mut w, forwarding("alice", "hall"));
            assert_eq!(receives(&mut w, "bob"), 1);
            match end {
                0 => w.send("alice", Request::Leave(Default::default())),
                1 => ok(&mut w, ServiceRequest::RemoveParticipant(who("room", "alice"))),
                2 => ok(&mut w, ServiceRequest::RemoveParticipant(who("hall", "alice"))),
                3 => ok(&mut w, ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() })),
                4 => ok(&mut w, moving("alice", "third")),
                _ => drop(w.join("real", into("hall").with(|p| p.claims.sub = "alice".into()))),
            }
            w.settle();
            assert_eq!(receives(&mut w, "bob"), 0, "{end}");
            let seen = w.client("bob").sees("alice").unwrap();
            let replaced = end == 5;
            assert_eq!(seen.state == State::Disconnected as i32, !replaced, "{end}");
            let there = list(&mut w, "room").iter().any(|p| p.identity == "alice");
            assert_eq!(there, matches!(end, 2 | 5), "the original is not touched by what ends there");
        }
    }
}

#[test]
fn closing_the_destination_leaves_the_original_alone() {
    let mut w = World::new();
    w.join("alice", into("room"));
    w.join("bob", into("room"));
    w.publish("alice", "mic", false);
    ok(&mut w, forwarding("alice", "hall"));
    ok(&mut w, ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "hall".into() }));
    assert_eq!((receives(&mut w, "bob"), w.shard.ups.len()), (1, 1));
    w.publish("alice", "cam", true);
    assert_eq!(receives(&mut w, "bob"), 2);
    for name in ["alice", "bob"] {
        w.send(name, Request::Leave(Default::default()));
    }
    w.advance(Duration::from_secs(30));
    assert_eq!(w.hub.stats(), HubStats::default());
}

#[test]
fn forwarded_participant_is_not_changed_where_it_is_shown() {
    let mut w = World::new();
    w.join("alice", into("room"));
    let track_sid = w.publish("alice", "mic", false);
    ok(&mut w, forwarding("alice", "hall"));
    let (room, identity) = ("hall".to_owned(), "alice".to_owned());
    let requests = [
        ServiceRequest::UpdateParticipant(Box::new(UpdateParticipantRequest {
            room: room.clone(),
            identity: identity.clone(),
            name: "x".into(),
            ..Default::default()
        })),
        ServiceRequest::MutePublishedTrack(MuteRoomTrackRequest {
            room: room.clone(),
            identity: identity.clone(),
            track_sid: track_sid.clone(),
            muted: true,
        }),
        ServiceRequest::UpdateSubscriptions(UpdateSubscriptionsRequest {
            room: room.clone(),
            identity: identity.clone(),
            track_sids: vec![track_sid],
            subscribe: true,
            ..Default::default()
        }),
        ServiceRequest::MoveParticipant(MoveParticipantRequest {
            room: room.clone(),
            identity: identity.clone(),
            destination_room: "third".into(),
        }),
    ];
    for request in requests {
        assert_eq!(w.service(request).unwrap_err().code, ServiceErrorCode::FailedPrecondition);
    }
    let call =
        PerformRpcRequest { room, destination_identity: identity, method: "m".into(), ..Default::default() };
    assert_eq!(w.service(ServiceRequest::PerformRpc(call)).unwrap_err().code, ServiceErrorCode::NotFound);
    w.join(
        "thief",
        into("hall").with(|p| {
            p.claims.sub = "alice".into();
            p.reconnect = Some(bedrud_room::Reconnect { sid: String::new(), reason: Default::default() });
        }),
    );
    assert!(w.client("thief").leave().is_some(), "there is no session to resume");
    assert_eq!(list(&mut w, "hall").len(), 1);
    // Its tokens were never shown there.
    ok(&mut w, ServiceRequest::RemoveParticipant(who("hall", "alice")));
    assert!(!w.events.iter().any(|e| matches!(e, RoomEvent::TokensRevoked(_))));
}

#[test]
fn shutdown_with_forwarded_participants_leaves_nothing() {
    for shards in [1, 2] {
        let mut w = apart(shards);
        w.join("alice", into("room"));
        w.join("bob", into("hall"));
        w.publish("alice", "mic", false);
        ok(&mut w, forwarding("alice", "hall"));
        w.input(Input::Shutdown);
        assert_eq!(w.hub.stats(), HubStats::default());
    }
}
