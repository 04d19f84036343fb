use crate::client::{add_track, subscribe};
use crate::world::{World, join};
use bedrud_room::{ServiceRequest, ServiceResponse};
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, ParticipantPermission, TrackSource, UpdateParticipantMetadata, UpdateParticipantRequest,
};

fn reason(m: &Message) -> Option<i32> {
    match m {
        Message::RequestResponse(r) => Some(r.reason),
        _ => None,
    }
}

fn allow(w: &mut World, identity: &str, permission: ParticipantPermission) {
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: identity.into(),
        permission: Some(permission),
        ..UpdateParticipantRequest::default()
    };
    let reply = w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
    assert!(matches!(reply, ServiceResponse::Participant(_)));
    w.settle();
}

fn everything() -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: true,
        can_publish: true,
        can_publish_data: true,
        ..Default::default()
    }
}

#[test]
fn every_combination_of_publish_rights_is_obeyed() {
    let sources = [
        TrackSource::Camera,
        TrackSource::Microphone,
        TrackSource::ScreenShare,
        TrackSource::ScreenShareAudio,
    ];
    let names = ["camera", "microphone", "screen_share", "screen_share_audio"];
    for can_publish in [None, Some(true), Some(false)] {
        for mask in 0..16u32 {
            let mut w = World::new();
            let listed: Vec<String> =
                (0..4).filter(|i| mask & (1 << i) != 0).map(|i| names[i].to_owned()).collect();
            w.join(
                "alice",
                join(false).grant(|g| {
                    g.can_publish = can_publish;
                    g.can_publish_sources = listed;
                }),
            );
            for (i, source) in sources.iter().enumerate() {
                let video = matches!(source, TrackSource::Camera | TrackSource::ScreenShare);
                let cid = format!("c{i}");
                let request = AddTrackRequest { source: *source as i32, ..add_track(&cid, video) };
                w.send("alice", Request::AddTrack(request));
                let expected = can_publish != Some(false) && (mask == 0 || mask & (1 << i) != 0);
                assert_eq!(
                    w.client("alice").confirmed(&cid).is_some(),
                    expected,
                    "{can_publish:?} {mask:04b} {source:?}"
                );
                if !expected {
                    assert_eq!(w.client("alice").find(reason), Some(Reason::NotAllowed as i32));
                }
            }
        }
    }
}

#[test]
fn participant_that_may_not_subscribe_receives_nothing_and_needs_no_subscriber_connection() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    w.join("bob", join(false).grant(|g| g.can_subscribe = Some(false)));
    assert!(!w.client("bob").join_response().subscriber_primary);
    w.settle();
    assert!(w.client("bob").subscriber.is_none() && w.shard.downs.is_empty());
    let offer = w.client("bob").offer();
    w.send("bob", offer);
    let active = w.client("alice").sees("bob").unwrap();
    assert_eq!(active.state, 2);
    allow(&mut w, "bob", everything());
    assert_eq!(w.shard.downs.len(), 1, "a right that is given later takes effect");
    allow(&mut w, "bob", ParticipantPermission { can_subscribe: false, ..everything() });
    assert!(w.shard.downs.is_empty());
}

#[test]
fn lost_publish_right_ends_the_tracks_and_is_told() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let cam = w.publish("alice", "cam", true);
    let mic = w.publish("alice", "mic", false);
    allow(&mut w, "alice", ParticipantPermission { can_publish_sources: vec![2], ..everything() });
    let told = |m: &Message| match m {
        Message::TrackUnpublished(t) => Some(t.track_sid.clone()),
        _ => None,
    };
    assert_eq!(w.client("alice").find(told), Some(cam));
    let tracks = w.client("bob").sees("alice").unwrap().tracks;
    assert_eq!(tracks.iter().map(|t| &t.sid).collect::<Vec<_>>(), [&mic]);
    allow(&mut w, "alice", ParticipantPermission { can_publish: false, ..everything() });
    let seen = w.client("bob").sees("alice").unwrap();
    assert!(seen.tracks.is_empty() && !seen.is_publisher);
    assert!(w.shard.ups.is_empty());
    let own = w.client("alice").sees("alice").unwrap().permission.unwrap();
    assert!(!own.can_publish, "the participant itself is told");
    assert!(!w.client("alice").tokens.last().unwrap().permission().can_publish, "and so is its next token");
}

#[test]
fn old_client_is_muted_instead_of_unpublished() {
    let mut w = World::new();
    w.join("alice", join(false).protocol(6));
    w.publish("alice", "mic", false);
    allow(&mut w, "alice", ParticipantPermission { can_publish: false, ..everything() });
    assert!(w.client("alice").find(|m| matches!(m, Message::Mute(m) if m.muted).then_some(())).is_some());
}

#[test]
fn hidden_participant_is_shown_to_nobody() {
    let mut w = World::new();
    w.join("bob", join(false));
    w.join("ghost", join(false).grant(|g| g.hidden = true));
    w.join("carol", join(true));
    w.settle();
    assert!(w.client("bob").sees("ghost").is_none());
    assert!(w.client("carol").sees("ghost").is_none());
    assert!(w.client("ghost").sees("bob").is_some() && w.client("ghost").sees("carol").is_some());
    assert_eq!(w.client("carol").join_response().room.as_ref().unwrap().num_participants, 2);
    w.drop_socket("ghost");
}

#[test]
fn own_metadata_needs_the_right() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false).grant(|g| g.can_update_own_metadata = Some(true)));
    let update = UpdateParticipantMetadata {
        metadata: "m".into(),
        name: "Robert".into(),
        attributes: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
        request_id: 9,
    };
    w.send("alice", Request::UpdateMetadata(update.clone()));
    assert_eq!(w.client("alice").find(reason), Some(Reason::NotAllowed as i32));
    w.send("bob", Request::UpdateMetadata(update.clone()));
    for name in ["alice", "bob"] {
        let seen = w.client(name).sees("bob").unwrap();
        assert_eq!((seen.name.as_str(), seen.metadata.as_str(), seen.attributes.len()), ("Robert", "m", 2));
    }
    let ok = w.client("bob").find(|m| match m {
        Message::RequestResponse(r) => Some((r.request_id, r.reason)),
        _ => None,
    });
    assert_eq!(ok, Some((9, Reason::Ok as i32)));
    assert_eq!(w.client("bob").tokens.last().unwrap().name, "Robert");
    let delete =
        UpdateParticipantMetadata { attributes: [("a".into(), String::new())].into(), ..Default::default() };
    w.send("bob", Request::UpdateMetadata(delete));
    let seen = w.client("alice").sees("bob").unwrap();
    assert_eq!((seen.name.as_str(), seen.attributes.len()), ("Robert", 1));
    let long = UpdateParticipantMetadata { name: "x".repeat(257), ..update };
    w.send("bob", Request::UpdateMetadata(long));
    assert_eq!(w.client("bob").find(reason), Some(Reason::LimitExceeded as i32));
}

#[test]
fn what_somebody_unsubscribed_from_stays_away_whatever_else_changes() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let cam = w.publish("alice", "cam", true);
    w.publish("alice", "mic", false);
    assert_eq!(w.shard.downs.len(), 2);
    w.send("bob", subscribe(&cam, false));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1);
    allow(&mut w, "bob", ParticipantPermission { can_update_metadata: true, ..everything() });
    assert_eq!(w.shard.downs.len(), 1, "a right that has nothing to do with it");
    allow(&mut w, "bob", ParticipantPermission { can_subscribe: false, ..everything() });
    assert_eq!(w.shard.downs.len(), 0);
    allow(&mut w, "bob", everything());
    assert_eq!(w.shard.downs.len(), 1, "the microphone alone comes back");
    w.send("bob", subscribe(&cam, true));
    w.settle();
    assert_eq!(w.shard.downs.len(), 2);
    allow(&mut w, "bob", ParticipantPermission { can_subscribe: false, ..everything() });
    allow(&mut w, "bob", everything());
    assert_eq!(w.shard.downs.len(), 2, "its own wish counts again");
}

#[test]
fn a_new_name_reaches_the_token_although_the_rights_stay() {
    let mut w = World::new();
    w.join("alice", join(false));
    allow(&mut w, "alice", everything());
    let request = UpdateParticipantRequest {
        room: "room".into(),
        identity: "alice".into(),
        name: "Alice B.".into(),
        permission: Some(everything()),
        ..UpdateParticipantRequest::default()
    };
    w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
    w.settle();
    assert_eq!(w.client("alice").tokens.last().unwrap().name, "Alice B.");
}

#[test]
fn a_token_for_a_reconnect_carries_what_was_changed_however_long() {
    let mut w = World::new();
    w.join("alice", join(false));
    for size in [30_000, 40_000, 500_000] {
        let request = UpdateParticipantRequest {
            room: "room".into(),
            identity: "alice".into(),
            metadata: "m".repeat(size),
            attributes: [("k".to_owned(), "v".to_owned())].into(),
            ..UpdateParticipantRequest::default()
        };
        w.service(ServiceRequest::UpdateParticipant(Box::new(request))).unwrap();
        w.settle();
        let token = w.client("alice").tokens.last().unwrap();
        assert_eq!(token.metadata.len(), size);
        assert_eq!(token.attributes["k"], "v");
    }
}
