//! Entering a room.

use std::time::Duration;

use crate::{
    auth::media_token::MediaTokenError,
    db::{
        Db, DbError, Moment, participants,
        participants::Participant,
        rooms::{self, Room},
        users::User,
    },
    domain::{
        Platform, names,
        names::RoomNameError,
        rooms::{
            Refusal,
            admission::{by_link, is_full},
            admit, media_access,
        },
    },
};

/// Somebody who was let in keeps a place this long until the media server has seen them.
pub(super) const ON_THE_WAY: Duration = Duration::from_secs(60);

/// Why nobody entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No room was named.
    #[error("roomName required")]
    NoName,
    /// The name breaks the rule, so there can be no such room.
    #[error(transparent)]
    Name(#[from] RoomNameError),
    /// No such room.
    #[error("Room not found")]
    NotFound,
    /// A rule of the room.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No guest name.
    #[error("Guest name is required")]
    NoGuestName,
    /// Over 50 bytes.
    #[error("Guest name too long (max 50 characters)")]
    GuestNameTooLong,
    /// No guests.
    #[error("Guest login is currently disabled")]
    GuestsDisabled,
    /// The guest's account was switched off.
    #[error("Account is deactivated")]
    Deactivated,
    /// The token could not be made.
    #[error("media token: {0}")]
    Token(#[from] MediaTokenError),
    /// A session for a guest could not be made.
    #[error(transparent)]
    Account(#[from] crate::domain::accounts::AccountError),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// The way is free.
    In {
        /// The room.
        room: Box<Room>,
        /// Media token.
        token: String,
    },
    /// The room is over, and its creator may start it again.
    Over(Box<Room>),
}

/// Lets a user into a room.
///
/// # Errors
/// [`JoinError`].
pub async fn join(platform: &Platform, user: &User, session: &str, name: &str) -> Result<Joined, JoinError> {
    let now = platform.now();
    let until = now.plus(platform.settings.limits.room_idle);
    let (key, row_id, id) = (names::room_key(name), platform.entropy.uuid(), user.id.clone());
    let room = platform
        .store
        .write(move |c| {
            let room = rooms::lock_by_name(c, &key)?.ok_or(JoinError::NotFound)?;
            if room.is_active || room.created_by != id {
                enter(c, &room, &id, row_id, (now, until))?;
            }
            Ok::<_, JoinError>(room)
        })
        .await?;
    if !room.is_active {
        return Ok(Joined::Over(Box::new(room)));
    }
    let token = media_access::token(platform, &room, (user, session), now)?;
    Ok(Joined::In { room: Box::new(room), token })
}

/// The rules, and a place for who passes them. The room waits for the next one until the second moment.
pub(super) fn enter(
    c: &mut Db,
    room: &Room,
    user_id: &str,
    row_id: String,
    (now, until): (Moment, Moment),
) -> Result<(), JoinError> {
    let row = participants::find(c, &room.id, user_id)?;
    let taken = participants::count_places(c, &room.id, user_id, now.minus(ON_THE_WAY))?;
    admit(room, user_id, row.as_ref(), taken)?;
    let row = Participant {
        id: row_id,
        room_id: room.id.clone(),
        user_id: user_id.to_owned(),
        joined_at: now,
        left_at: None,
        is_active: false,
        is_approved: true,
        is_muted: false,
        is_video_off: false,
        is_chat_blocked: false,
        is_banned: false,
        is_on_stage: false,
        is_moderator: false,
        media_sid: String::new(),
    };
    participants::let_in(c, &row)?;
    rooms::touch(c, &room.id, now, until)?;
    Ok(())
}

/// A new media token for somebody who is in the room or may enter it. It takes no place: connecting does.
///
/// # Errors
/// [`JoinError`].
pub async fn renew_token(
    platform: &Platform,
    user: &User,
    session: &str,
    name: &str,
) -> Result<String, JoinError> {
    let key = names::room_key(name);
    if key.is_empty() {
        return Err(JoinError::NoName);
    }
    let now = platform.now();
    let (id, since) = (user.id.clone(), now.minus(ON_THE_WAY));
    let room = platform
        .store
        .read(move |c| {
            let room = rooms::by_name(c, &key)?.ok_or(JoinError::NotFound)?;
            let row = participants::find(c, &room.id, &id)?;
            let has_place = row.as_ref().is_some_and(|row| row.has_place(since));
            let taken = if has_place { 0 } else { participants::count_places(c, &room.id, &id, since)? };
            admit(&room, &id, row.as_ref(), taken)?;
            Ok::<_, JoinError>(room)
        })
        .await?;
    Ok(media_access::token(platform, &room, (user, session), now)?)
}

/// The canonical name of a room that a stranger could enter now.
///
/// # Errors
/// [`JoinError`].
pub async fn check(platform: &Platform, name: &str) -> Result<String, JoinError> {
    let key = names::room_name(name)?;
    let since = platform.now().minus(ON_THE_WAY);
    platform
        .store
        .read(move |c| {
            let room = rooms::by_name(c, &key)?.ok_or(JoinError::NotFound)?;
            room.check_open()?;
            if !room.is_public {
                return Err(Refusal::Private.into());
            }
            by_link(&room)?;
            if is_full(&room, participants::count_places(c, &room.id, "", since)?) {
                return Err(Refusal::Full.into());
            }
            Ok(room.name)
        })
        .await
}
