//! Who came to and left which room, from the media server's events into the journal.

use crate::observe::journal;
use bedrud_media::protocol::{DisconnectReason, ParticipantInfo};
use bedrud_media::{EventReceiver, RoomEvent, SfuEvent};

/// Follows the media server until it ends.
pub async fn follow(mut events: EventReceiver) {
    while let Some(event) = events.recv().await {
        match event {
            SfuEvent::Room(event) => write(&event),
            SfuEvent::Missed(count) => tracing::warn!(count, "events of the media server are missing here"),
        }
    }
}

fn write(event: &RoomEvent) {
    match event {
        RoomEvent::RoomStarted { room, .. } => journal::room_opened(&room.name, &room.sid),
        RoomEvent::RoomFinished { room, .. } => journal::room_closed(&room.name, &room.sid),
        RoomEvent::ParticipantJoined { room, participant, .. } => {
            journal::participant_joined(&room.name, &participant.identity, &participant.sid);
        }
        RoomEvent::ParticipantLeft { room, participant, .. } => {
            journal::participant_left(
                &room.name,
                &participant.identity,
                &participant.sid,
                reason(participant),
            );
        }
        RoomEvent::ParticipantConnectionAborted { room, participant, .. } => {
            let (identity, sid) = (&participant.identity, &participant.sid);
            journal::participant_never_connected(&room.name, identity, sid, reason(participant));
        }
        _ => {}
    }
}

fn reason(participant: &ParticipantInfo) -> &'static str {
    DisconnectReason::try_from(participant.disconnect_reason).map_or("UNKNOWN_REASON", |r| r.as_str_name())
}
