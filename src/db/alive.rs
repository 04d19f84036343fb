//! Which of many sign-ins, accounts and rooms still count: asked every moment for all who are in a meeting.

use std::collections::HashSet;

use diesel::prelude::*;

use crate::db::{
    Db, DbResult,
    schema::{room_participants, rooms, sessions, users},
};

/// Ids in one question; both databases bound the parameters of a statement.
const CHUNK: usize = 500;

/// Those of the sign-ins that have not ended and whose account is switched on.
///
/// # Errors
/// The database's.
pub fn sessions(c: &mut Db, ids: &[String]) -> DbResult<HashSet<String>> {
    let mut out = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let query = sessions::table.inner_join(users::table);
        let query = query.filter(sessions::id.eq_any(ids)).filter(users::is_active);
        out.extend(query.select(sessions::id).load::<String>(c)?);
    }
    Ok(out)
}

/// Those of the accounts that are switched off.
///
/// # Errors
/// The database's.
pub fn deactivated(c: &mut Db, user_ids: &[String]) -> DbResult<HashSet<String>> {
    let mut out = HashSet::new();
    for ids in user_ids.chunks(CHUNK) {
        let query = users::table.filter(users::id.eq_any(ids)).filter(users::is_active.eq(false));
        out.extend(query.select(users::id).load::<String>(c)?);
    }
    Ok(out)
}

/// Those of the rooms that can be joined.
///
/// # Errors
/// The database's.
pub fn rooms(c: &mut Db, ids: &[String]) -> DbResult<HashSet<String>> {
    let mut out = HashSet::new();
    for ids in ids.chunks(CHUNK) {
        let query = rooms::table.filter(rooms::id.eq_any(ids)).filter(rooms::is_active);
        out.extend(query.select(rooms::id).load::<String>(c)?);
    }
    Ok(out)
}

/// Who is banned from these rooms, as room and user.
///
/// # Errors
/// The database's.
pub fn banned(c: &mut Db, room_ids: &[String]) -> DbResult<HashSet<(String, String)>> {
    let mut out = HashSet::new();
    for ids in room_ids.chunks(CHUNK) {
        let query = room_participants::table
            .filter(room_participants::room_id.eq_any(ids))
            .filter(room_participants::is_banned);
        let columns = (room_participants::room_id, room_participants::user_id);
        out.extend(query.select(columns).load::<(String, String)>(c)?);
    }
    Ok(out)
}
