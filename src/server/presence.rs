//! Carries what happens in the rooms into the database, and what happens in the database into the rooms.

use crate::domain::live::{self, Change};
use crate::domain::{Platform, rooms};
use bedrud_media::{EventReceiver, Present, RoomRequest, ServiceRequest, ServiceResponse, Sfu, SfuEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How often everybody in the rooms is looked up.
const ROUND: Duration = Duration::from_millis(400);
/// The look-ups take at most one part of the time in this many, however long they take.
const SHARE: u32 = 20;

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
    for person in present(sfu).await.into_iter().filter(|person| person.active) {
        let change = Change::Connected { room: person.room_id, identity: person.identity, sid: person.sid };
        live::store(platform, &change).await;
    }
    Ok(())
}

async fn present(sfu: &Sfu) -> Vec<Present> {
    match sfu.service(ServiceRequest::Presence).await {
        Ok(ServiceResponse::Presence(all)) => all,
        // The media server is ending: nobody is there.
        _ => Vec::new(),
    }
}

/// Ends the media sessions of those who may be in a meeting no longer, within a second of the cause: sign-out, a new
/// password, a stolen refresh token, a ban, an account that is switched off or removed, by whatever process.
pub async fn part_with_intruders(platform: Arc<Platform>, sfu: Sfu) {
    loop {
        let begun = Instant::now();
        match rooms::intruders(&platform, present(&sfu).await).await {
            Ok(found) => {
                for room_id in found.rooms {
                    platform.media.delete_room(&room_id);
                }
                for person in found.people {
                    tracing::info!(room = person.room, participant = person.sid, "no right to stay, removed");
                    let request = RoomRequest::Remove { sid: person.sid };
                    if let Err(error) = sfu.service(ServiceRequest::OfRoom(person.room_id, request)).await {
                        tracing::debug!(%error, "media server");
                    }
                }
            }
            // Meetings go on without the database; what happened meanwhile is seen when it is back.
            Err(error) => tracing::debug!(%error, "cannot look up who is in the rooms"),
        }
        sleep(ROUND.max(begun.elapsed() * SHARE)).await;
    }
}
