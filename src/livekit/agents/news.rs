//! From events of the media server to news for the dispatcher.

use super::dispatch::{News, Snapshot};
use bedrud_media::{RoomEvent, ServiceError, ServiceRequest, ServiceResponse, Sfu};
use livekit_protocol as proto;

/// What the dispatcher needs to know of an event.
pub(super) fn of(event: RoomEvent) -> Option<News> {
    Some(match event {
        RoomEvent::RoomStarted { room, config } => News::RoomStarted { room, agents: config.agents },
        RoomEvent::RoomAgentsChanged { room, config } => News::AgentsChanged { room, agents: config.agents },
        RoomEvent::RoomFinished { room, .. } => News::RoomFinished { sid: room.sid },
        RoomEvent::ParticipantJoined { room, participant, .. } => News::Joined { room, participant },
        RoomEvent::TrackPublished { room, participant, .. } => News::Published { room, participant },
        RoomEvent::ParticipantLeft { room, participant, .. } => News::Left { room, participant },
        RoomEvent::ParticipantConnectionAborted { .. }
        | RoomEvent::TrackUnpublished { .. }
        | RoomEvent::TokensRevoked(_) => return None,
    })
}

/// Everything there is now.
///
/// # Errors
/// The media server is stopping.
pub(super) async fn snapshot(sfu: &Sfu) -> Result<Vec<Snapshot>, ServiceError> {
    let request = ServiceRequest::ListRooms(proto::ListRoomsRequest::default());
    let ServiceResponse::Rooms(rooms) = sfu.service(request).await? else { return Ok(Vec::new()) };
    let mut snapshots = Vec::with_capacity(rooms.len());
    for room in rooms {
        let request = proto::ListParticipantsRequest { room: room.name.clone() };
        let answer = sfu.service(ServiceRequest::ListParticipants(request)).await?;
        let ServiceResponse::Participants(mut participants) = answer else { continue };
        // Those whose connection is not up yet are still to be announced.
        participants.retain(|p| p.state() == proto::participant_info::State::Active);
        let request = ServiceRequest::GetConfiguration(room.name.clone());
        // A room that closed meanwhile is not there any more; its end is still to be announced.
        let Ok(ServiceResponse::Configuration(config)) = sfu.service(request).await else { continue };
        let agents = config.agents;
        snapshots.push(Snapshot { room, agents, participants });
    }
    Ok(snapshots)
}
