//! The rooms' live state follows the media server: who is inside is what it says, and nothing else.

use std::time::Duration;

use bedrud_media::{Revocation, RoomEvent};

use crate::{
    db::{Db, DbError, DbResult, Moment, participants, revoked_tokens, rooms},
    domain::{Platform, revocations},
};

/// Pause before a change that could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A change to be stored. Rooms go by id, participants by identity, which is the user id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A participant's media connection came up.
    Connected {
        /// Room id.
        room: String,
        /// User id.
        identity: String,
        /// The media server's id of this connection.
        sid: String,
    },
    /// A participant is gone.
    Disconnected {
        /// Room id.
        room: String,
        /// User id.
        identity: String,
        /// The media server's id of this connection.
        sid: String,
    },
    /// A room closed on the media server.
    Finished {
        /// Room id.
        room: String,
    },
    /// Tokens of a participant that was removed.
    Revoked(Revocation),
}

impl Change {
    /// What an event means for the database, if anything.
    #[must_use]
    pub fn of(event: &RoomEvent) -> Option<Self> {
        match event {
            RoomEvent::ParticipantJoined { id, participant, .. } => Some(Self::Connected {
                room: id.clone(),
                identity: participant.identity.clone(),
                sid: participant.sid.clone(),
            }),
            RoomEvent::ParticipantLeft { id, participant, .. }
            | RoomEvent::ParticipantConnectionAborted { id, participant, .. } => Some(Self::Disconnected {
                room: id.clone(),
                identity: participant.identity.clone(),
                sid: participant.sid.clone(),
            }),
            RoomEvent::RoomFinished { id, .. } => Some(Self::Finished { room: id.clone() }),
            RoomEvent::TokensRevoked(entry) => Some(Self::Revoked(entry.clone())),
            RoomEvent::RoomStarted { .. }
            | RoomEvent::RoomAgentsChanged { .. }
            | RoomEvent::TrackPublished { .. }
            | RoomEvent::TrackUnpublished { .. } => None,
        }
    }

    /// Stores the change; a room that was visited waits for the next visit until `until`. Rooms and identities the platform
    /// does not know belong to other users of the media server.
    ///
    /// # Errors
    /// The database's.
    pub fn apply(&self, c: &mut Db, now: Moment, until: Moment) -> DbResult<()> {
        let (room, changed) = match self {
            Self::Connected { room, identity, sid } => {
                (room, participants::connected(c, room, identity, sid, now)?)
            }
            Self::Disconnected { room, identity, sid } => {
                (room, participants::disconnected(c, room, identity, sid, now)?)
            }
            Self::Finished { room } => (room, participants::all_left(c, room, now)? > 0),
            // Rooms that only the media server knows count as well.
            Self::Revoked(entry) => return revoked_tokens::put(c, &revocations::rows(entry)),
        };
        if changed { rooms::touch(c, room, now, until) } else { Ok(()) }
    }
}

/// To be called before the media server takes anybody in: after a restart all rooms are empty.
///
/// # Errors
/// The database's.
pub async fn reset(platform: &Platform) -> DbResult<()> {
    let now = platform.now();
    let gone = platform.store.write(move |c| participants::nobody_anywhere(c, now)).await?;
    if gone > 0 {
        tracing::info!(participants = gone, "emptied rooms after a restart");
    }
    Ok(())
}

/// Stores a change, however long the database takes: a change that was dropped would leave somebody inside for ever.
/// One that can never be stored is given up, so that the others get through.
pub async fn store(platform: &Platform, change: &Change) {
    loop {
        let (now, pending) = (platform.now(), change.clone());
        let until = now.plus(platform.settings.limits.room_idle);
        match platform.store.write(move |c| pending.apply(c, now, until)).await {
            Ok(()) => return,
            Err(error @ (DbError::Busy | DbError::Unavailable(_))) => {
                tracing::warn!(%error, "live state could not be stored, trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                tracing::error!(%error, ?change, "live state could not be stored");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        participants::tests::sample as participant,
        rooms::tests::sample as room,
        testing::with_db,
        users::{self, tests::sample as user},
    };
    use livekit_protocol as proto;

    fn connected(sid: &str) -> Change {
        let room = proto::Room { name: "den".into(), ..Default::default() };
        let participant =
            proto::ParticipantInfo { identity: "a".into(), sid: sid.into(), ..Default::default() };
        Change::of(&RoomEvent::ParticipantJoined { id: "r".into(), room, participant }).unwrap()
    }

    #[test]
    fn presence_follows_the_events() {
        with_db(|c| {
            users::insert(c, &user("a")).unwrap();
            rooms::insert(c, &room("r", "den", "a")).unwrap();
            participants::let_in(c, &participant("p", "r", "a")).unwrap();
            let now = Moment::from_secs(2000);
            connected("PA_1").apply(c, now, Moment::from_secs(9000)).unwrap();
            assert_eq!(participants::count_present(c, "r").unwrap(), 1);
            connected("PA_2").apply(c, now, Moment::from_secs(9000)).unwrap();
            let left =
                |sid: &str| Change::Disconnected { room: "r".into(), identity: "a".into(), sid: sid.into() };
            left("PA_1").apply(c, now, Moment::from_secs(9000)).unwrap();
            assert_eq!(participants::count_present(c, "r").unwrap(), 1, "an older connection ended");
            left("PA_2").apply(c, Moment::from_secs(2001), Moment::from_secs(9000)).unwrap();
            assert_eq!(participants::count_present(c, "r").unwrap(), 0);
            assert_eq!(
                rooms::by_id(c, "r").unwrap().unwrap().last_activity_at,
                Some(Moment::from_secs(2001))
            );
            connected("PA_3").apply(c, now, Moment::from_secs(9000)).unwrap();
            Change::Finished { room: "r".into() }.apply(c, now, Moment::from_secs(9000)).unwrap();
            assert_eq!(participants::count_present(c, "r").unwrap(), 0);
            assert!(rooms::by_id(c, "r").unwrap().unwrap().is_active, "an empty room can be joined again");
        });
    }

    #[test]
    fn revocations_are_kept_for_rooms_of_others_too() {
        with_db(|c| {
            let entry = Revocation {
                room: "elsewhere".into(),
                identity: "a".into(),
                not_before: 10,
                until: 20,
                tokens: vec!["t".into()],
            };
            let change = Change::of(&RoomEvent::TokensRevoked(entry)).unwrap();
            change.apply(c, Moment::EPOCH, Moment::from_secs(9000)).unwrap();
            assert_eq!(revoked_tokens::all(c, Moment::EPOCH).unwrap().len(), 2);
        });
    }

    #[test]
    fn strangers_are_ignored() {
        with_db(|c| {
            connected("PA_1").apply(c, Moment::EPOCH, Moment::from_secs(9000)).unwrap();
            users::insert(c, &user("b")).unwrap();
            rooms::insert(c, &room("r", "den", "b")).unwrap();
            connected("PA_1").apply(c, Moment::EPOCH, Moment::from_secs(9000)).unwrap();
            assert_eq!(participants::count_present(c, "r").unwrap(), 0);
        });
    }
}
