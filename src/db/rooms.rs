//! Rooms.

use diesel::prelude::*;

use crate::db::{
    Db, DbResult, Moment,
    schema::{room_participants, rooms},
};

/// A row of `rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = rooms)]
pub struct Room {
    /// UUID.
    pub id: String,
    /// Name; unique among active rooms.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// Can be joined.
    pub is_active: bool,
    /// Capacity; 0 means no bound.
    pub max_participants: i64,
    /// Creation.
    pub created_at: Moment,
    /// Last change.
    pub updated_at: Moment,
    /// When it closes by itself if nobody comes until then, unless it is persistent.
    pub expires_at: Moment,
    /// Who runs it.
    pub admin_id: String,
    /// Anyone with the link may join.
    pub is_public: bool,
    /// Chat is offered.
    pub settings_allow_chat: bool,
    /// Cameras are offered.
    pub settings_allow_video: bool,
    /// Microphones are offered.
    pub settings_allow_audio: bool,
    /// Joining wants approval.
    pub settings_require_approval: bool,
    /// End-to-end encryption is wanted.
    pub settings_e2_ee: bool,
    /// Never closes by itself.
    pub settings_is_persistent: bool,
    /// May be recorded.
    pub settings_recordings_allowed: bool,
    /// `standard`, `webinar` or `broadcast`.
    pub mode: String,
    /// Last creation, join or departure.
    pub last_activity_at: Option<Moment>,
    /// Archived since.
    pub deleted_at: Option<Moment>,
}

/// Adds a room.
///
/// # Errors
/// [`crate::db::Conflict::RoomName`] when an active room has the name.
pub fn insert(c: &mut Db, room: &Room) -> DbResult<()> {
    diesel::insert_into(rooms::table).values(room).execute(c)?;
    Ok(())
}

/// The room with this id.
///
/// # Errors
/// The database's.
pub fn by_id(c: &mut Db, id: &str) -> DbResult<Option<Room>> {
    Ok(rooms::table.find(id).select(Room::as_select()).first(c).optional()?)
}

/// The room a name means: the active one, else the newest.
///
/// # Errors
/// The database's.
pub fn by_name(c: &mut Db, name: &str) -> DbResult<Option<Room>> {
    let query =
        rooms::table.filter(rooms::name.eq(name)).order((rooms::is_active.desc(), rooms::created_at.desc()));
    Ok(query.select(Room::as_select()).first(c).optional()?)
}

/// As [`by_name`], and nobody else may judge who fits in until this transaction ends.
///
/// # Errors
/// The database's.
pub fn lock_by_name(c: &mut Db, name: &str) -> DbResult<Option<Room>> {
    if let Db::Postgres(pg) = c {
        let query = rooms::table.filter(rooms::name.eq(name)).filter(rooms::is_active);
        query.select(rooms::id).for_update().load::<String>(pg)?;
    }
    // SQLite has one writer at a time anyway.
    by_name(c, name)
}

/// As [`by_id`], locked as by [`lock_by_name`].
///
/// # Errors
/// The database's.
pub fn lock_by_id(c: &mut Db, id: &str) -> DbResult<Option<Room>> {
    if let Db::Postgres(pg) = c {
        rooms::table.find(id).select(rooms::id).for_update().load::<String>(pg)?;
    }
    by_id(c, id)
}

/// Active rooms made by a user.
///
/// # Errors
/// The database's.
pub fn count_active_of(c: &mut Db, user_id: &str) -> DbResult<i64> {
    let query = rooms::table.filter(rooms::created_by.eq(user_id)).filter(rooms::is_active);
    Ok(query.count().get_result(c)?)
}

/// Rooms made by a user that are not archived, newest first, at most `limit`.
///
/// # Errors
/// The database's.
pub fn of_creator(c: &mut Db, user_id: &str, limit: i64) -> DbResult<Vec<Room>> {
    let query = rooms::table.filter(rooms::created_by.eq(user_id)).filter(rooms::deleted_at.is_null());
    let query = query.order((rooms::created_at.desc(), rooms::id)).limit(limit);
    Ok(query.select(Room::as_select()).load(c)?)
}

/// A page of archived rooms of a user, newest first, and their number.
///
/// # Errors
/// The database's.
pub fn archived_of(c: &mut Db, user_id: &str, limit: i64, offset: i64) -> DbResult<(Vec<Room>, i64)> {
    let total = rooms::table
        .filter(rooms::created_by.eq(user_id))
        .filter(rooms::deleted_at.is_not_null())
        .count()
        .get_result(c)?;
    let page = rooms::table
        .filter(rooms::created_by.eq(user_id))
        .filter(rooms::deleted_at.is_not_null())
        .order((rooms::deleted_at.desc(), rooms::id))
        .limit(limit)
        .offset(offset)
        .select(Room::as_select())
        .load(c)?;
    Ok((page, total))
}

/// Writes what may change of a room. Every other column keeps its value.
///
/// # Errors
/// The database's.
pub fn update_settings(c: &mut Db, room: &Room, now: Moment) -> DbResult<()> {
    let set = (
        rooms::is_public.eq(room.is_public),
        rooms::max_participants.eq(room.max_participants),
        rooms::settings_allow_chat.eq(room.settings_allow_chat),
        rooms::settings_allow_video.eq(room.settings_allow_video),
        rooms::settings_allow_audio.eq(room.settings_allow_audio),
        rooms::settings_require_approval.eq(room.settings_require_approval),
        rooms::settings_e2_ee.eq(room.settings_e2_ee),
        rooms::settings_is_persistent.eq(room.settings_is_persistent),
        rooms::settings_recordings_allowed.eq(room.settings_recordings_allowed),
        rooms::updated_at.eq(now),
    );
    diesel::update(rooms::table.find(&room.id)).set(set).execute(c)?;
    Ok(())
}

/// Notes that somebody came or went, and until when the room waits for the next one.
///
/// # Errors
/// The database's.
pub fn touch(c: &mut Db, id: &str, now: Moment, until: Moment) -> DbResult<()> {
    let set = (rooms::last_activity_at.eq(Some(now)), rooms::expires_at.eq(until));
    diesel::update(rooms::table.find(id)).set(set).execute(c)?;
    Ok(())
}

/// Opens a room that was closed or archived, as it was. False when it was open.
///
/// # Errors
/// [`crate::db::Conflict::RoomName`] when another active room has the name.
pub fn reopen(c: &mut Db, id: &str, now: Moment, until: Moment) -> DbResult<bool> {
    let target = rooms::table.filter(rooms::id.eq(id)).filter(rooms::is_active.eq(false));
    let set = (
        rooms::is_active.eq(true),
        rooms::deleted_at.eq(None::<Moment>),
        rooms::last_activity_at.eq(Some(now)),
        rooms::expires_at.eq(until),
        rooms::updated_at.eq(now),
    );
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

/// Archives a room: it cannot be joined and its name is free. False when it was archived already.
///
/// # Errors
/// The database's.
pub fn archive(c: &mut Db, id: &str, now: Moment) -> DbResult<bool> {
    let target = rooms::table.filter(rooms::id.eq(id)).filter(rooms::deleted_at.is_null());
    let set = (rooms::is_active.eq(false), rooms::deleted_at.eq(Some(now)), rooms::updated_at.eq(now));
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

/// Closes rooms where nobody has come or gone since `idle_since`; persistent ones and ones with somebody inside stay. At
/// most `limit` at once. Returns their ids.
///
/// # Errors
/// The database's.
pub fn close_idle(c: &mut Db, now: Moment, idle_since: Moment, limit: i64) -> DbResult<Vec<String>> {
    let inside = room_participants::table
        .filter(room_participants::room_id.eq(rooms::id))
        .filter(room_participants::is_active);
    let ids = rooms::table
        .filter(rooms::is_active)
        .filter(rooms::settings_is_persistent.eq(false))
        .filter(rooms::last_activity_at.lt(idle_since))
        .filter(diesel::dsl::not(diesel::dsl::exists(inside)))
        .limit(limit)
        .select(rooms::id)
        .load::<String>(c)?;
    let set = (rooms::is_active.eq(false), rooms::updated_at.eq(now));
    diesel::update(rooms::table.filter(rooms::id.eq_any(&ids))).set(set).execute(c)?;
    Ok(ids)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::db::{
        Conflict, DbError, participants,
        testing::with_db,
        users::{self, tests::sample as user},
    };

    /// A room for tests.
    pub(crate) fn sample(id: &str, name: &str, creator: &str) -> Room {
        let at = Moment::from_secs(1000);
        Room {
            id: id.into(),
            name: name.into(),
            created_by: creator.into(),
            is_active: true,
            max_participants: 20,
            created_at: at,
            updated_at: at,
            expires_at: Moment::from_secs(5000),
            admin_id: creator.into(),
            is_public: true,
            settings_allow_chat: true,
            settings_allow_video: true,
            settings_allow_audio: true,
            settings_require_approval: false,
            settings_e2_ee: false,
            settings_is_persistent: false,
            settings_recordings_allowed: true,
            mode: "standard".into(),
            last_activity_at: Some(at),
            deleted_at: None,
        }
    }

    #[test]
    fn a_name_is_unique_among_active_rooms_only() {
        with_db(|c| {
            users::insert(c, &user("a")).unwrap();
            let first = sample("r1", "den", "a");
            insert(c, &first).unwrap();
            c.savepoint().unwrap();
            assert_eq!(insert(c, &sample("r2", "den", "a")), Err(DbError::Conflict(Conflict::RoomName)));
            c.rollback().unwrap();
            assert!(archive(c, "r1", Moment::from_secs(2000)).unwrap());
            assert!(!archive(c, "r1", Moment::from_secs(2000)).unwrap());
            insert(c, &sample("r2", "den", "a")).unwrap();
            assert_eq!(by_name(c, "den").unwrap().unwrap().id, "r2");
            assert_eq!(lock_by_name(c, "den").unwrap().unwrap().id, "r2");
            assert_eq!(count_active_of(c, "a").unwrap(), 1);
            assert_eq!(of_creator(c, "a", 10).unwrap().len(), 1);
            let (archived, total) = archived_of(c, "a", 10, 0).unwrap();
            assert_eq!((archived.len(), total), (1, 1));
            assert_eq!(archived_of(c, "a", 10, 1).unwrap().0, Vec::new());
        });
    }

    #[test]
    fn a_room_needs_a_creator_that_exists() {
        with_db(|c| {
            assert!(matches!(insert(c, &sample("r", "den", "nobody")), Err(DbError::Reference(_))));
        });
    }

    #[test]
    fn settings_leave_the_rest_alone() {
        with_db(|c| {
            users::insert(c, &user("a")).unwrap();
            insert(c, &sample("r", "den", "a")).unwrap();
            let now = Moment::from_secs(3000);
            let changed = Room {
                is_public: false,
                mode: "webinar".into(),
                name: "x".into(),
                ..sample("r", "den", "a")
            };
            update_settings(c, &changed, now).unwrap();
            assert_eq!(
                by_id(c, "r").unwrap(),
                Some(Room { is_public: false, updated_at: now, ..sample("r", "den", "a") })
            );
        });
    }

    #[test]
    fn a_room_opens_again_as_it_was() {
        with_db(|c| {
            users::insert(c, &user("a")).unwrap();
            let den = Room { is_public: false, max_participants: 3, ..sample("r", "den", "a") };
            insert(c, &den).unwrap();
            let (now, until) = (Moment::from_secs(3000), Moment::from_secs(9000));
            assert!(!reopen(c, "r", now, until).unwrap(), "it is open");
            assert!(archive(c, "r", Moment::from_secs(2000)).unwrap());
            assert!(reopen(c, "r", now, until).unwrap());
            let open = Room { last_activity_at: Some(now), expires_at: until, updated_at: now, ..den };
            assert_eq!(by_id(c, "r").unwrap(), Some(open));
            archive(c, "r", now).unwrap();
            insert(c, &sample("newer", "den", "a")).unwrap();
            c.savepoint().unwrap();
            assert_eq!(reopen(c, "r", now, until), Err(DbError::Conflict(Conflict::RoomName)));
            c.rollback().unwrap();
        });
    }

    #[test]
    fn stale_rooms_close_unless_somebody_is_inside() {
        with_db(|c| {
            users::insert(c, &user("a")).unwrap();
            insert(c, &sample("idle", "idle", "a")).unwrap();
            insert(
                c,
                &Room { last_activity_at: Some(Moment::from_secs(3900)), ..sample("fresh", "fresh", "a") },
            )
            .unwrap();
            insert(c, &Room { settings_is_persistent: true, ..sample("kept", "kept", "a") }).unwrap();
            insert(c, &sample("used", "used", "a")).unwrap();
            participants::let_in(c, &participants::tests::sample("p", "used", "a")).unwrap();
            participants::connected(c, "used", "a", "PA_1", Moment::from_secs(1500)).unwrap();
            let now = Moment::from_secs(4000);
            assert_eq!(close_idle(c, now, Moment::from_secs(1000), 100).unwrap(), [""; 0]);
            assert_eq!(close_idle(c, now, Moment::from_secs(3700), 100).unwrap(), ["idle"]);
            assert_eq!(close_idle(c, now, Moment::from_secs(3700), 100).unwrap(), [""; 0]);
            assert_eq!(close_idle(c, now, Moment::from_secs(3950), 100).unwrap(), ["fresh"]);
            assert!(by_id(c, "used").unwrap().unwrap().is_active);
        });
    }
}
