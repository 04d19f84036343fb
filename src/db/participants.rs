//! Who belongs to a room and who is in it now.

use diesel::{prelude::*, upsert::excluded};

use crate::db::{
    Both, Db, DbResult, Moment,
    schema::{room_participants, rooms, users},
};

/// A row of `room_participants`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = room_participants)]
pub struct Participant {
    /// UUID.
    pub id: String,
    /// Room.
    pub room_id: String,
    /// User.
    pub user_id: String,
    /// Last time they were let in.
    pub joined_at: Moment,
    /// When they left; null while they are inside or on their way.
    pub left_at: Option<Moment>,
    /// Connected to the media server now.
    pub is_active: bool,
    /// Was let in once and may come back, even when the room has become private.
    pub is_approved: bool,
    /// Muted by a moderator.
    pub is_muted: bool,
    /// Camera switched off by a moderator.
    pub is_video_off: bool,
    /// May not chat.
    pub is_chat_blocked: bool,
    /// May not come back.
    pub is_banned: bool,
    /// On the stage.
    pub is_on_stage: bool,
    /// Moderates this room.
    pub is_moderator: bool,
    /// The media server's id of the participant; a user who reconnects gets a new one.
    pub media_sid: String,
}

impl Participant {
    /// They are connected, or were let in after `since` and are on their way.
    #[must_use]
    pub fn has_place(&self, since: Moment) -> bool {
        self.is_active || self.left_at.is_none() && self.joined_at > since
    }
}

/// What is shown of a participant.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Present {
    /// Media identity: the user id.
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Picture; may be empty.
    pub avatar_url: String,
}

/// The row of a user in a room.
///
/// # Errors
/// The database's.
pub fn find(c: &mut Db, room_id: &str, user_id: &str) -> DbResult<Option<Participant>> {
    let query = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::user_id.eq(user_id));
    Ok(query.select(Participant::as_select()).first(c).optional()?)
}

/// Lets a user in: a new row, or the old one with a new time of joining. Whether they are connected, muted, banned and
/// so on stays as it is.
///
/// # Errors
/// [`crate::db::DbError::Reference`] when the room or the user does not exist.
pub fn let_in(c: &mut Db, row: &Participant) -> DbResult<()> {
    let upsert = diesel::insert_into(room_participants::table)
        .values(row)
        .on_conflict((room_participants::room_id, room_participants::user_id))
        .do_update()
        .set((
            room_participants::joined_at.eq(excluded(room_participants::joined_at)),
            room_participants::left_at.eq(None::<Moment>),
            room_participants::is_approved.eq(true),
        ));
    Both(upsert).execute(c)?;
    Ok(())
}

/// Places taken in a room, one user left out of the count: those connected, and those let in after `since` who are still
/// on their way.
///
/// # Errors
/// The database's.
pub fn count_places(c: &mut Db, room_id: &str, except: &str, since: Moment) -> DbResult<i64> {
    let on_the_way = room_participants::left_at.is_null().and(room_participants::joined_at.gt(since));
    let query = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::user_id.ne(except))
        .filter(room_participants::is_banned.eq(false))
        .filter(room_participants::is_active.or(on_the_way));
    Ok(query.count().get_result(c)?)
}

/// Number of connected participants.
///
/// # Errors
/// The database's.
pub fn count_present(c: &mut Db, room_id: &str) -> DbResult<i64> {
    let query = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::is_active);
    Ok(query.count().get_result(c)?)
}

/// Connected participants in order of joining, at most `limit`.
///
/// # Errors
/// The database's.
pub fn present(c: &mut Db, room_id: &str, limit: i64) -> DbResult<Vec<Present>> {
    let query = room_participants::table
        .inner_join(users::table)
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::is_active)
        .order((room_participants::joined_at, room_participants::id))
        .limit(limit);
    Ok(query.select((users::id, users::name, users::avatar_url)).load(c)?)
}

/// The media server says that a user is connected. False when no such user was let in.
///
/// # Errors
/// The database's.
pub fn connected(c: &mut Db, room_id: &str, user_id: &str, sid: &str, now: Moment) -> DbResult<bool> {
    let target = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::user_id.eq(user_id));
    let set = (
        room_participants::is_active.eq(true),
        room_participants::left_at.eq(None::<Moment>),
        room_participants::joined_at.eq(now),
        room_participants::media_sid.eq(sid),
    );
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

/// The media server says that a participant is gone. False when it was not the user's newest connection.
///
/// # Errors
/// The database's.
pub fn disconnected(c: &mut Db, room_id: &str, user_id: &str, sid: &str, now: Moment) -> DbResult<bool> {
    let target = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::user_id.eq(user_id))
        .filter(room_participants::media_sid.eq(sid))
        .filter(room_participants::is_active);
    let set = (room_participants::is_active.eq(false), room_participants::left_at.eq(Some(now)));
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

/// Everybody in the room is gone. Returns how many that were.
///
/// # Errors
/// The database's.
pub fn all_left(c: &mut Db, room_id: &str, now: Moment) -> DbResult<usize> {
    let target = room_participants::table
        .filter(room_participants::room_id.eq(room_id))
        .filter(room_participants::left_at.is_null());
    let set = (room_participants::is_active.eq(false), room_participants::left_at.eq(Some(now)));
    Ok(diesel::update(target).set(set).execute(c)?)
}

/// Everybody in every room is gone: the media server has just started. The rooms count as left now.
///
/// # Errors
/// The database's.
pub fn nobody_anywhere(c: &mut Db, now: Moment) -> DbResult<usize> {
    let inside =
        room_participants::table.filter(room_participants::is_active).select(room_participants::room_id);
    let touched = rooms::table.filter(rooms::id.eq_any(inside));
    diesel::update(touched).set(rooms::last_activity_at.eq(Some(now))).execute(c)?;
    let set = (room_participants::is_active.eq(false), room_participants::left_at.eq(Some(now)));
    Ok(diesel::update(room_participants::table.filter(room_participants::is_active)).set(set).execute(c)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::db::{
        rooms::{self, tests::sample as room},
        testing::with_db,
        users::{self, tests::sample as user},
    };

    /// A row for tests.
    pub(crate) fn sample(id: &str, room_id: &str, user_id: &str) -> Participant {
        Participant {
            id: id.into(),
            room_id: room_id.into(),
            user_id: user_id.into(),
            joined_at: Moment::from_secs(1000),
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
        }
    }

    fn prepared(c: &mut Db) {
        for id in ["a", "b"] {
            users::insert(c, &user(id)).unwrap();
        }
        rooms::insert(c, &room("r", "den", "a")).unwrap();
        let_in(c, &sample("p1", "r", "a")).unwrap();
        let_in(c, &sample("p2", "r", "b")).unwrap();
    }

    #[test]
    fn coming_again_keeps_the_row_and_what_moderators_set() {
        with_db(|c| {
            prepared(c);
            diesel::update(room_participants::table.find("p2"))
                .set((room_participants::is_muted.eq(true), room_participants::is_banned.eq(true)))
                .execute(c)
                .unwrap();
            let again = Participant { joined_at: Moment::from_secs(2000), ..sample("p3", "r", "b") };
            let_in(c, &again).unwrap();
            let row = find(c, "r", "b").unwrap().unwrap();
            let expected = Participant {
                is_muted: true,
                is_banned: true,
                joined_at: again.joined_at,
                ..sample("p2", "r", "b")
            };
            assert_eq!(row, expected);
        });
    }

    #[test]
    fn places_count_the_connected_and_those_on_their_way() {
        with_db(|c| {
            prepared(c);
            let early = Moment::from_secs(999);
            let late = Moment::from_secs(1000);
            assert_eq!(count_places(c, "r", "", early).unwrap(), 2);
            assert_eq!(count_places(c, "r", "b", early).unwrap(), 1);
            assert_eq!(count_places(c, "r", "", late).unwrap(), 0);
            assert!(connected(c, "r", "a", "PA_1", Moment::from_secs(1001)).unwrap());
            assert_eq!(count_places(c, "r", "", Moment::from_secs(9000)).unwrap(), 1);
            assert_eq!(count_present(c, "r").unwrap(), 1);
            let shown = Present { identity: "a".into(), name: "Name of a".into(), avatar_url: String::new() };
            assert_eq!(present(c, "r", 10).unwrap(), [shown]);
        });
    }

    #[test]
    fn only_the_newest_connection_can_leave() {
        with_db(|c| {
            prepared(c);
            let now = Moment::from_secs(1001);
            assert!(connected(c, "r", "a", "PA_1", now).unwrap());
            assert!(connected(c, "r", "a", "PA_2", now).unwrap());
            assert!(!disconnected(c, "r", "a", "PA_1", now).unwrap());
            assert_eq!(count_present(c, "r").unwrap(), 1);
            assert!(disconnected(c, "r", "a", "PA_2", now).unwrap());
            assert_eq!(find(c, "r", "a").unwrap().unwrap().left_at, Some(now));
            assert!(!connected(c, "r", "stranger", "PA_3", now).unwrap());
        });
    }

    #[test]
    fn a_fresh_start_empties_every_room() {
        with_db(|c| {
            prepared(c);
            let now = Moment::from_secs(1001);
            assert!(connected(c, "r", "a", "PA_1", now).unwrap());
            let restart = Moment::from_secs(3000);
            assert_eq!(nobody_anywhere(c, restart).unwrap(), 1);
            assert_eq!(count_present(c, "r").unwrap(), 0);
            assert_eq!(rooms::by_id(c, "r").unwrap().unwrap().last_activity_at, Some(restart));
            assert_eq!(find(c, "r", "a").unwrap().unwrap().left_at, Some(restart));
            assert_eq!(all_left(c, "r", restart).unwrap(), 1);
        });
    }
}
