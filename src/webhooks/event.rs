//! From what happened in a room to the event that receivers read.

use bedrud_media::RoomEvent;
use livekit_protocol as proto;

/// Names of the events that LiveKit's receivers know, those of services that are not here included.
pub const NAMES: [&str; 14] = [
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
    "agent_job_started",
    "agent_job_ended",
];

/// Which events are sent. What is included counts before what is excluded; neither means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these, unless empty.
    pub include: Vec<String>,
    /// Not these.
    pub exclude: Vec<String>,
}

impl Filter {
    /// Whether an event of this name is sent.
    #[must_use]
    pub fn allows(&self, event: &str) -> bool {
        if self.include.is_empty() {
            !self.exclude.iter().any(|name| name == event)
        } else {
            self.include.iter().any(|name| name == event)
        }
    }
}

/// The event as receivers read it, still without id and time; `None` when they are not told of it. Events of tracks name
/// room and participant only, unless `full_room`.
#[must_use]
pub fn describe(event: &RoomEvent, full_room: bool) -> Option<proto::WebhookEvent> {
    let of_room = |name: &str, room: &proto::Room| proto::WebhookEvent {
        event: name.to_owned(),
        room: Some(room.clone()),
        ..Default::default()
    };
    let of_participant = |name: &str, room: &proto::Room, participant: &proto::ParticipantInfo| {
        proto::WebhookEvent { participant: Some(participant.clone()), ..of_room(name, room) }
    };
    let of_track =
        |name: &str, room: &proto::Room, who: &proto::ParticipantInfo, track: &proto::TrackInfo| {
            let brief = proto::Room { sid: room.sid.clone(), name: room.name.clone(), ..Default::default() };
            let who = proto::ParticipantInfo {
                sid: who.sid.clone(),
                identity: who.identity.clone(),
                ..Default::default()
            };
            let room = if full_room { room } else { &brief };
            proto::WebhookEvent { track: Some(track.clone()), ..of_participant(name, room, &who) }
        };
    Some(match event {
        RoomEvent::RoomAgentsChanged { .. } | RoomEvent::TokensRevoked(_) => return None,
        RoomEvent::RoomStarted { room, .. } => of_room("room_started", room),
        RoomEvent::RoomFinished { room, .. } => of_room("room_finished", room),
        RoomEvent::ParticipantJoined { room, participant, .. } => {
            of_participant("participant_joined", room, participant)
        }
        RoomEvent::ParticipantLeft { room, participant, .. } => {
            of_participant("participant_left", room, participant)
        }
        RoomEvent::ParticipantConnectionAborted { room, participant, .. } => {
            of_participant("participant_connection_aborted", room, participant)
        }
        RoomEvent::TrackPublished { room, participant, track } => {
            of_track("track_published", room, participant, track)
        }
        RoomEvent::TrackUnpublished { room, participant, track } => {
            of_track("track_unpublished", room, participant, track)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> (proto::Room, proto::ParticipantInfo, proto::TrackInfo) {
        let room = proto::Room {
            sid: "RM_1".into(),
            name: "den".into(),
            empty_timeout: 300,
            creation_time: 1_800_000_000,
            ..Default::default()
        };
        let participant = proto::ParticipantInfo {
            sid: "PA_1".into(),
            identity: "ada".into(),
            state: proto::participant_info::State::Active as i32,
            ..Default::default()
        };
        let track = proto::TrackInfo {
            sid: "TR_1".into(),
            r#type: proto::TrackType::Video as i32,
            ..Default::default()
        };
        (room, participant, track)
    }

    #[test]
    fn events_are_written_as_the_reference_server_does() {
        let (room, participant, track) = parts();
        let event = RoomEvent::TrackPublished { room: room.clone(), participant: participant.clone(), track };
        let json = |event: &RoomEvent, full| {
            let event = proto::WebhookEvent {
                id: "EV_1".into(),
                created_at: 1_800_000_001,
                ..describe(event, full).unwrap()
            };
            serde_json::to_string(&event).unwrap()
        };
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json(&event, false)).unwrap(),
            serde_json::json!({
                "event": "track_published",
                "room": {"sid": "RM_1", "name": "den"},
                "participant": {"sid": "PA_1", "identity": "ada"},
                "track": {"sid": "TR_1", "type": "VIDEO"},
                "id": "EV_1",
                "createdAt": "1800000001",
            })
        );
        assert!(json(&event, true).contains(r#""emptyTimeout":300"#));
        let event = RoomEvent::ParticipantJoined { id: String::new(), room, participant };
        let text = json(&event, false);
        assert!(text.contains(r#""emptyTimeout":300"#) && text.contains(r#""state":"ACTIVE""#), "{text}");
        assert!(text.contains(r#""creationTime":"1800000000""#), "{text}");
    }

    #[test]
    fn every_event_has_a_known_name_and_its_room() {
        let (room, participant, track) = parts();
        let with =
            |f: fn(proto::Room, proto::ParticipantInfo) -> RoomEvent| f(room.clone(), participant.clone());
        let track = || (room.clone(), participant.clone(), track.clone());
        let events = [
            RoomEvent::RoomStarted { room: room.clone(), config: Box::default() },
            RoomEvent::RoomFinished { id: String::new(), room: room.clone() },
            with(|room, participant| RoomEvent::ParticipantJoined { id: String::new(), room, participant }),
            with(|room, participant| RoomEvent::ParticipantLeft { id: String::new(), room, participant }),
            with(|room, participant| RoomEvent::ParticipantConnectionAborted {
                id: String::new(),
                room,
                participant,
            }),
            {
                let (room, participant, track) = track();
                RoomEvent::TrackPublished { room, participant, track }
            },
            {
                let (room, participant, track) = track();
                RoomEvent::TrackUnpublished { room, participant, track }
            },
        ];
        for (event, name) in events.iter().zip(NAMES) {
            let event = describe(event, false).unwrap();
            assert_eq!((event.event.as_str(), event.room.unwrap().name.as_str()), (name, "den"));
        }
    }

    #[test]
    fn what_is_included_counts_before_what_is_excluded() {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let filter =
            |include: &[&str], exclude: &[&str]| Filter { include: list(include), exclude: list(exclude) };
        assert!(filter(&[], &[]).allows("room_started"));
        assert!(!filter(&[], &["room_started"]).allows("room_started"));
        assert!(filter(&["room_started"], &["room_started"]).allows("room_started"));
        assert!(!filter(&["room_started"], &[]).allows("room_finished"));
    }
}
