//! Accounts.

use diesel::{
    dsl::{exists, not},
    prelude::*,
};

use crate::db::{
    Db, DbResult, Json, Moment,
    schema::{room_participants, sessions, users},
};

/// A row of `users`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct User {
    /// UUID, or `guest-` and eight characters for guests by link.
    pub id: String,
    /// Canonical e-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// `local`, `passkey`, `guest`, `google`, `github`, `twitter`.
    pub provider: String,
    /// Picture; may be empty.
    pub avatar_url: String,
    /// PHC string; empty when the account has no password.
    pub password: String,
    /// Global access levels.
    pub accesses: Json<Vec<String>>,
    /// False: banned or switched off.
    pub is_active: bool,
    /// When the address was verified.
    pub email_verified_at: Option<Moment>,
    /// When the password was last changed.
    pub password_changed_at: Option<Moment>,
    /// Creation.
    pub created_at: Moment,
    /// Last change.
    pub updated_at: Moment,
}

/// Adds an account.
///
/// # Errors
/// [`crate::db::Conflict::UserEmail`] when the address is taken for the provider.
pub fn insert(c: &mut Db, user: &User) -> DbResult<()> {
    diesel::insert_into(users::table).values(user).execute(c)?;
    Ok(())
}

/// The account with this id.
///
/// # Errors
/// The database's.
pub fn by_id(c: &mut Db, id: &str) -> DbResult<Option<User>> {
    Ok(users::table.find(id).select(User::as_select()).first(c).optional()?)
}

/// The account with this address that was made by this provider.
///
/// # Errors
/// The database's.
pub fn by_email_and_provider(c: &mut Db, email: &str, provider: &str) -> DbResult<Option<User>> {
    let query = users::table.filter(users::email.eq(email)).filter(users::provider.eq(provider));
    Ok(query.select(User::as_select()).first(c).optional()?)
}

/// True when any account, of whatever provider, has this address.
///
/// # Errors
/// The database's.
pub fn email_taken(c: &mut Db, email: &str) -> DbResult<bool> {
    Ok(diesel::select(diesel::dsl::exists(users::table.filter(users::email.eq(email)))).get_result(c)?)
}

/// Sets the display name.
///
/// # Errors
/// The database's.
pub fn set_name(c: &mut Db, id: &str, name: &str, now: Moment) -> DbResult<()> {
    diesel::update(users::table.find(id))
        .set((users::name.eq(name), users::updated_at.eq(now)))
        .execute(c)?;
    Ok(())
}

/// Replaces the password hash if it still is `old`. False when it changed meanwhile.
///
/// # Errors
/// The database's.
pub fn set_password(
    c: &mut Db,
    id: &str,
    old: &str,
    new: &str,
    changed_at: Option<Moment>,
    now: Moment,
) -> DbResult<bool> {
    let target = users::table.filter(users::id.eq(id)).filter(users::password.eq(old));
    let rows = match changed_at {
        Some(at) => diesel::update(target)
            .set((
                users::password.eq(new),
                users::password_changed_at.eq(Some(at)),
                users::updated_at.eq(now),
            ))
            .execute(c)?,
        None => {
            diesel::update(target).set((users::password.eq(new), users::updated_at.eq(now))).execute(c)?
        }
    };
    Ok(rows == 1)
}

/// True when an active account has the access level.
///
/// # Errors
/// The database's.
pub fn anyone_with_access(c: &mut Db, level: &str) -> DbResult<bool> {
    // The column holds a JSON array of plain words, so the quotes mark whole entries.
    let pattern = format!("%\"{level}\"%");
    let query = users::table.filter(users::is_active).filter(users::accesses.like(pattern));
    Ok(diesel::select(diesel::dsl::exists(query)).get_result(c)?)
}

/// Forgets guests whose row did not change since `before`, who have no sign-in left and are in no room, at most `limit` of
/// them. One who was banned from a room stays known. Returns how many went.
///
/// # Errors
/// The database's.
pub fn purge_guests(c: &mut Db, before: Moment, limit: i64) -> DbResult<usize> {
    let signed_in = sessions::table.filter(sessions::user_id.eq(users::id));
    let needed = room_participants::table
        .filter(room_participants::user_id.eq(users::id))
        .filter(room_participants::is_active.or(room_participants::is_banned));
    let gone: Vec<String> = users::table
        .filter(users::provider.eq("guest"))
        .filter(users::updated_at.lt(before))
        .filter(not(exists(signed_in)))
        .filter(not(exists(needed)))
        .limit(limit)
        .select(users::id)
        .load(c)?;
    Ok(diesel::delete(users::table.filter(users::id.eq_any(&gone))).execute(c)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::db::{Conflict, DbError, testing::with_db};

    /// An account for tests.
    pub(crate) fn sample(id: &str) -> User {
        let now = Moment::from_micros(1_800_000_000_123_456);
        User {
            id: id.into(),
            email: format!("{id}@example.org"),
            name: format!("Name of {id}"),
            provider: "local".into(),
            avatar_url: String::new(),
            password: String::new(),
            accesses: Json(vec!["user".into()]),
            is_active: true,
            email_verified_at: None,
            password_changed_at: Some(now),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn an_account_comes_back_as_it_was_stored() {
        with_db(|c| {
            insert(c, &sample("a")).unwrap();
            assert_eq!(by_id(c, "a").unwrap(), Some(sample("a")));
            assert_eq!(by_id(c, "b").unwrap(), None);
            assert_eq!(by_email_and_provider(c, "a@example.org", "local").unwrap(), Some(sample("a")));
            assert_eq!(by_email_and_provider(c, "a@example.org", "google").unwrap(), None);
            assert!(email_taken(c, "a@example.org").unwrap());
            assert!(!email_taken(c, "b@example.org").unwrap());
        });
    }

    #[test]
    fn an_address_is_unique_per_provider() {
        with_db(|c| {
            insert(c, &sample("a")).unwrap();
            let twin = User { id: "b".into(), ..sample("a") };
            let refused = c.savepoint().map(|()| insert(c, &twin)).unwrap();
            c.rollback().unwrap();
            assert_eq!(refused, Err(DbError::Conflict(Conflict::UserEmail)));
            insert(c, &User { provider: "google".into(), ..twin }).unwrap();
        });
    }

    #[test]
    fn an_id_is_unique() {
        with_db(|c| {
            insert(c, &sample("a")).unwrap();
            let twin = User { email: "b@example.org".into(), ..sample("a") };
            assert_eq!(insert(c, &twin), Err(DbError::Conflict(Conflict::Id)));
        });
    }

    #[test]
    fn a_password_changes_only_from_the_known_one() {
        with_db(|c| {
            insert(c, &sample("a")).unwrap();
            let later = Moment::from_secs(1_900_000_000);
            assert!(!set_password(c, "a", "other", "new", Some(later), later).unwrap());
            assert!(set_password(c, "a", "", "new", Some(later), later).unwrap());
            let user = by_id(c, "a").unwrap().unwrap();
            assert_eq!((user.password.as_str(), user.password_changed_at), ("new", Some(later)));
        });
    }

    #[test]
    fn guests_are_forgotten_when_nothing_needs_them() {
        use crate::db::{participants, rooms, sessions};
        with_db(|c| {
            let old = Moment::from_secs(1000);
            let guest = |id: &str| User { provider: "guest".into(), updated_at: old, ..sample(id) };
            insert(c, &User { updated_at: old, ..sample("host") }).unwrap();
            rooms::insert(c, &rooms::tests::sample("r", "den", "host")).unwrap();
            for id in ["gone1", "gone2", "gone3", "signed-in", "inside", "banned", "was-inside"] {
                insert(c, &guest(id)).unwrap();
            }
            insert(c, &User { updated_at: Moment::from_secs(2001), ..guest("fresh") }).unwrap();
            let session = sessions::Session {
                id: "s".into(),
                user_id: "signed-in".into(),
                token_hash: "h".into(),
                created_at: old,
                rotated_at: old,
                expires_at: Moment::from_secs(9000),
            };
            sessions::insert(c, &session).unwrap();
            let row = |id: &str| participants::tests::sample(id, "r", id);
            participants::let_in(c, &row("inside")).unwrap();
            participants::connected(c, "r", "inside", "PA_1", old).unwrap();
            participants::let_in(c, &participants::Participant { is_banned: true, ..row("banned") }).unwrap();
            participants::let_in(c, &row("was-inside")).unwrap();
            let before = Moment::from_secs(2000);
            assert_eq!(purge_guests(c, before, 3).unwrap(), 3, "a batch");
            assert_eq!(purge_guests(c, before, 3).unwrap(), 1);
            assert_eq!(purge_guests(c, before, 3).unwrap(), 0);
            for (id, there) in
                [("signed-in", true), ("inside", true), ("banned", true), ("was-inside", false)]
            {
                assert_eq!(by_id(c, id).unwrap().is_some(), there, "{id}");
            }
            assert!(by_id(c, "host").unwrap().is_some() && by_id(c, "fresh").unwrap().is_some());
            assert_eq!(by_id(c, "gone1").unwrap(), None);
        });
    }

    #[test]
    fn access_levels_are_matched_whole() {
        with_db(|c| {
            insert(c, &User { accesses: Json(vec!["superadmin".into()]), ..sample("a") }).unwrap();
            assert!(anyone_with_access(c, "superadmin").unwrap());
            assert!(!anyone_with_access(c, "admin").unwrap());
            insert(c, &User { accesses: Json(vec!["admin".into()]), is_active: false, ..sample("b") })
                .unwrap();
            assert!(!anyone_with_access(c, "admin").unwrap());
        });
    }
}
