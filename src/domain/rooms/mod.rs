//! Rooms: making, joining, running and ending them.

mod admission;
mod connect;
mod create;
mod guest_id;
mod guest_join;
mod intruders;
mod join;
mod manage;
mod media_access;
mod presence;
mod rights;

pub use admission::{Refusal, admit};
pub use connect::{Admitted, ConnectError, Shown, connect};
pub use create::{CreateError, NewRoom, RoomFlags, create};
pub use guest_join::{GuestJoined, guest_join};
pub use intruders::{Intruders, intruders};
pub use join::{JoinError, Joined, check, join, renew_token};
pub use manage::{ManageError, RoomChange, end, reopen, update};
pub use presence::{PresenceError, count, participants};
pub use rights::restrictions;

use crate::{
    db::{Db, DbResult, rooms, rooms::Room},
    domain::Platform,
};

/// Rooms in one list at most.
const LIST_LIMIT: i64 = 500;

/// Rooms of a user that are not archived, newest first, one per name.
///
/// # Errors
/// The database's.
pub async fn list(platform: &Platform, user_id: &str) -> DbResult<Vec<Room>> {
    let id = user_id.to_owned();
    let mut all = platform.store.read(move |c: &mut Db| rooms::of_creator(c, &id, LIST_LIMIT)).await?;
    let mut seen = std::collections::HashSet::new();
    // An active room stands for its name even when an ended one is newer.
    let active: std::collections::HashSet<String> =
        all.iter().filter(|room| room.is_active).map(|room| room.name.clone()).collect();
    all.retain(|room| (room.is_active || !active.contains(&room.name)) && seen.insert(room.name.clone()));
    Ok(all)
}

/// A page of archived rooms of a user and their number.
///
/// # Errors
/// The database's.
pub async fn archived(
    platform: &Platform,
    user_id: &str,
    limit: i64,
    offset: i64,
) -> DbResult<(Vec<Room>, i64)> {
    let id = user_id.to_owned();
    platform.store.read(move |c: &mut Db| rooms::archived_of(c, &id, limit, offset)).await
}
