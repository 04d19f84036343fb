//! Changing and ending a room.

use std::time::Duration;

use crate::{
    db::{
        Conflict, DbError, participants,
        rooms::{self, Room},
        users::User,
    },
    domain::{
        Platform, access, effective,
        rooms::{RoomFlags, restrictions},
    },
};

/// Between the message that a room ends and its end, so that clients can show why.
const FAREWELL: Duration = Duration::from_millis(400);

/// Why the room is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManageError {
    /// No such room.
    #[error("Room not found")]
    NotFound,
    /// Only the room's admin or a superadmin.
    #[error("Insufficient permissions")]
    NotOwner,
    /// Only its creator or a superadmin.
    #[error("Only the room creator can delete this room")]
    NotCreator,
    /// Outside the bounds.
    #[error("maxParticipants must be between 0 and {0}")]
    Capacity(i64),
    /// Too many rooms.
    #[error("Room limit reached (max {0} active rooms)")]
    TooMany(i64),
    /// Another active room has the name.
    #[error("a room with this name already exists")]
    NameTaken,
    /// The database's.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for ManageError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(Conflict::RoomName) => Self::NameTaken,
            other => Self::Db(other),
        }
    }
}

/// What shall change; `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// Anyone with the link may join.
    pub is_public: Option<bool>,
    /// Capacity.
    pub max_participants: Option<i64>,
    /// All switches; `is_persistent` keeps its value.
    pub flags: Option<RoomFlags>,
}

/// True for the room's admin and for superadmins.
fn is_owner(room: &Room, user: &User) -> bool {
    let admin = if room.admin_id.is_empty() { &room.created_by } else { &room.admin_id };
    *admin == user.id || access::at_least(&user.accesses.0, access::SUPERADMIN)
}

/// Changes a room and returns it as it is now.
///
/// # Errors
/// [`ManageError`].
pub async fn update(
    platform: &Platform,
    user: &User,
    id: &str,
    change: RoomChange,
) -> Result<Room, ManageError> {
    let (id, user, settings, now) = (id.to_owned(), user.clone(), platform.settings.clone(), platform.now());
    let room = platform
        .store
        .write(move |c| {
            let mut room = rooms::by_id(c, &id)?
                .filter(|room| room.deleted_at.is_none())
                .ok_or(ManageError::NotFound)?;
            if !is_owner(&room, &user) {
                return Err(ManageError::NotOwner);
            }
            if let Some(places) = change.max_participants {
                let limit = effective::load(c, &settings)?.limits.max_participants;
                if !(0..=limit).contains(&places) {
                    return Err(ManageError::Capacity(limit));
                }
                room.max_participants = places;
            }
            room.is_public = change.is_public.unwrap_or(room.is_public);
            if let Some(flags) = change.flags {
                RoomFlags { is_persistent: room.settings_is_persistent, ..flags }.put(&mut room);
            }
            rooms::update_settings(c, &room, now)?;
            room.updated_at = now;
            Ok::<_, ManageError>(room)
        })
        .await?;
    // Those who are inside lose what is switched off, and get back what is switched on.
    platform.media.restrict_room(&room.id, restrictions(&room));
    platform.media.send_system(&room.id, switched(RoomFlags::of(&room)));
    Ok(room)
}

/// Opens a room that closed or was ended, with everything as it was: its switches, who runs it, who is banned.
///
/// # Errors
/// [`ManageError`]; the name may have gone to another room.
pub async fn reopen(platform: &Platform, user: &User, id: &str) -> Result<Room, ManageError> {
    let (id, user, settings, now) = (id.to_owned(), user.clone(), platform.settings.clone(), platform.now());
    let until = now.plus(settings.limits.room_idle);
    platform
        .store
        .write(move |c| {
            let room = rooms::by_id(c, &id)?.ok_or(ManageError::NotFound)?;
            if room.created_by != user.id {
                return Err(ManageError::NotCreator);
            }
            if room.is_active {
                return Ok(room);
            }
            let bound = effective::load(c, &settings)?.limits.max_rooms_per_user;
            let free = access::at_least(&user.accesses.0, access::SUPERADMIN) || bound <= 0;
            if !free && rooms::count_active_of(c, &user.id)? >= bound {
                return Err(ManageError::TooMany(bound));
            }
            rooms::reopen(c, &id, now, until)?;
            rooms::by_id(c, &id)?.ok_or(ManageError::NotFound)
        })
        .await
}

/// Ends a room for everybody: they are told, then the room is archived and closed on the media server. Runs to its end
/// even when the caller goes away.
///
/// # Errors
/// [`ManageError`].
pub async fn end(platform: &std::sync::Arc<Platform>, user: &User, id: &str) -> Result<(), ManageError> {
    let (wanted, user) = (id.to_owned(), user.clone());
    let room = platform
        .store
        .read(move |c| {
            let room = rooms::by_id(c, &wanted)?
                .filter(|room| room.deleted_at.is_none())
                .ok_or(ManageError::NotFound)?;
            if room.created_by == user.id || access::at_least(&user.accesses.0, access::SUPERADMIN) {
                Ok(room)
            } else {
                Err(ManageError::NotCreator)
            }
        })
        .await?;
    let shared = std::sync::Arc::clone(platform);
    let work = tokio::spawn(async move {
        if room.is_active {
            shared
                .media
                .send_system(&room.id, farewell("room_ended", "The meeting has been ended by the creator"));
            tokio::time::sleep(FAREWELL).await;
        }
        let (now, id) = (shared.now(), room.id.clone());
        let ended = shared
            .store
            .write(move |c| {
                participants::all_left(c, &id, now)?;
                rooms::archive(c, &id, now)
            })
            .await?;
        if ended && room.is_active {
            shared.media.delete_room(&room.id);
        }
        Ok(())
    });
    work.await.unwrap_or_else(|error| Err(DbError::Bug(error.to_string()).into()))
}

/// Tells those who are inside what they may do now. Clients that do not know the event leave it alone.
fn switched(flags: RoomFlags) -> Vec<u8> {
    let settings = serde_json::json!({
        "allowChat": flags.allow_chat,
        "allowVideo": flags.allow_video,
        "allowAudio": flags.allow_audio,
    });
    serde_json::json!({ "type": "system", "event": "room_settings", "settings": settings })
        .to_string()
        .into_bytes()
}

/// A message of the server to everybody in a room.
fn farewell(event: &str, message: &str) -> Vec<u8> {
    serde_json::json!({ "type": "system", "event": event, "message": message }).to_string().into_bytes()
}
