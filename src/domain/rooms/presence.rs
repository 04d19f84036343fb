//! Who is in a room now, as the media server said.

use crate::{
    db::{DbError, participants, participants::Present, rooms},
    domain::Platform,
};

/// Participants listed at most.
const LIST_LIMIT: i64 = 1000;

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// No such room, or a private one.
    #[error("Room not found")]
    NotFound,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Connected participants of a room. A private room shows nobody.
///
/// # Errors
/// [`PresenceError`].
pub async fn participants(platform: &Platform, id: &str) -> Result<Vec<Present>, PresenceError> {
    let id = id.to_owned();
    platform
        .store
        .read(move |c| {
            let room = rooms::by_id(c, &id)?.ok_or(PresenceError::NotFound)?;
            if room.is_public { Ok(participants::present(c, &id, LIST_LIMIT)?) } else { Ok(Vec::new()) }
        })
        .await
}

/// Their number. Of a private room not even that.
///
/// # Errors
/// [`PresenceError`].
pub async fn count(platform: &Platform, id: &str) -> Result<i64, PresenceError> {
    let id = id.to_owned();
    platform
        .store
        .read(move |c| {
            rooms::by_id(c, &id)?.filter(|room| room.is_public).ok_or(PresenceError::NotFound)?;
            Ok(participants::count_present(c, &id)?)
        })
        .await
}
