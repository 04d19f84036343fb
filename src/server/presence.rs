//! Carries what happens in the rooms into the database.

use crate::domain::Platform;
use crate::domain::live::{self, Change};
use bedrud_media::{EventReceiver, ServiceRequest, ServiceResponse, Sfu, SfuEvent, protocol as proto};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Follows the media server until told to stop; what happened until then is still stored.
pub async fn follow(
    platform: Arc<Platform>,
    sfu: Sfu,
    mut events: EventReceiver,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            _ = &mut stop => None,
        };
        let Some(event) = event else { return };
        match event {
            SfuEvent::Room(event) => {
                if let Some(change) = Change::of(&event) {
                    live::store(&platform, &change).await;
                }
            }
            SfuEvent::Missed(count) => {
                tracing::warn!(count, "events of the media server were missed; presence is read anew");
                if let Err(error) = read_anew(&platform, &sfu).await {
                    tracing::error!(%error, "presence could not be read anew");
                }
            }
        }
    }
}

/// Empties all rooms in the database and fills in who is there, and which tokens are refused. Events that arrive meanwhile are applied after.
async fn read_anew(platform: &Platform, sfu: &Sfu) -> anyhow::Result<()> {
    live::reset(platform).await?;
    for entry in sfu.revocations().await {
        live::store(platform, &Change::Revoked(entry)).await;
    }
    let request = ServiceRequest::ListRooms(proto::ListRoomsRequest::default());
    let ServiceResponse::Rooms(rooms) = sfu.service(request).await? else { return Ok(()) };
    for room in rooms {
        let request = proto::ListParticipantsRequest { room: room.name.clone() };
        let answer = sfu.service(ServiceRequest::ListParticipants(request)).await?;
        let ServiceResponse::Participants(participants) = answer else { continue };
        for participant in participants {
            let change = Change::Connected {
                room: room.name.clone(),
                identity: participant.identity,
                sid: participant.sid,
            };
            live::store(platform, &change).await;
        }
    }
    Ok(())
}
