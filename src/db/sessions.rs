//! Sign-ins and the refresh tokens that grew from them. Tokens are kept as SHA-256 in hexadecimal.

use diesel::prelude::*;

use crate::db::{
    Db, DbResult, Moment,
    schema::{blocked_refresh_tokens, sessions},
};

/// A row of `sessions`: one sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
pub struct Session {
    /// UUID; the `sid` of its tokens.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// Hash of the newest refresh token.
    pub token_hash: String,
    /// Sign-in.
    pub created_at: Moment,
    /// Last exchange of the refresh token.
    pub rotated_at: Moment,
    /// When the newest refresh token runs out.
    pub expires_at: Moment,
}

/// A row of `blocked_refresh_tokens`: a token that was exchanged or given back.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = blocked_refresh_tokens)]
pub struct Blocked {
    /// UUID.
    pub id: String,
    /// Hash of the token.
    pub token: String,
    /// Whose.
    pub user_id: String,
    /// The session it belonged to.
    pub session_id: Option<String>,
    /// When the token would have run out.
    pub expires_at: Moment,
    /// When it was exchanged.
    pub created_at: Moment,
}

/// Adds a sign-in.
///
/// # Errors
/// The database's.
pub fn insert(c: &mut Db, session: &Session) -> DbResult<()> {
    diesel::insert_into(sessions::table).values(session).execute(c)?;
    Ok(())
}

/// The sign-in with this id.
///
/// # Errors
/// The database's.
pub fn by_id(c: &mut Db, id: &str) -> DbResult<Option<Session>> {
    Ok(sessions::table.find(id).select(Session::as_select()).first(c).optional()?)
}

/// Exchanges `old` for `new`. False when `old` is not the newest token of the session any more: somebody was faster.
///
/// # Errors
/// The database's.
pub fn rotate(c: &mut Db, id: &str, old: &str, new: &str, now: Moment, expires_at: Moment) -> DbResult<bool> {
    let target = sessions::table.filter(sessions::id.eq(id)).filter(sessions::token_hash.eq(old));
    let set =
        (sessions::token_hash.eq(new), sessions::rotated_at.eq(now), sessions::expires_at.eq(expires_at));
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

/// Ends a sign-in. False when it had ended already.
///
/// # Errors
/// The database's.
pub fn delete(c: &mut Db, id: &str) -> DbResult<bool> {
    Ok(diesel::delete(sessions::table.find(id)).execute(c)? == 1)
}

/// Ends all sign-ins of a user, except perhaps one. Returns how many.
///
/// # Errors
/// The database's.
pub fn delete_of_user(c: &mut Db, user_id: &str, except: Option<&str>) -> DbResult<usize> {
    let target = sessions::table
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::id.ne(except.unwrap_or_default()));
    Ok(diesel::delete(target).execute(c)?)
}

/// Remembers a token that must not be seen again.
///
/// # Errors
/// [`crate::db::Conflict::RefreshToken`] when it is known already.
pub fn block(c: &mut Db, blocked: &Blocked) -> DbResult<()> {
    diesel::insert_into(blocked_refresh_tokens::table).values(blocked).execute(c)?;
    Ok(())
}

/// What is remembered of a token.
///
/// # Errors
/// The database's.
pub fn blocked(c: &mut Db, hash: &str) -> DbResult<Option<Blocked>> {
    let query = blocked_refresh_tokens::table.filter(blocked_refresh_tokens::token.eq(hash));
    Ok(query.select(Blocked::as_select()).first(c).optional()?)
}

/// Forgets sign-ins and tokens that ran out before `now`, at most `limit` of each. Returns how many rows went.
///
/// # Errors
/// The database's.
pub fn purge(c: &mut Db, now: Moment, limit: i64) -> DbResult<usize> {
    let over = sessions::table.filter(sessions::expires_at.lt(now)).limit(limit);
    let over: Vec<String> = over.select(sessions::id).load(c)?;
    let sessions = diesel::delete(sessions::table.filter(sessions::id.eq_any(&over))).execute(c)?;
    let old = blocked_refresh_tokens::table.filter(blocked_refresh_tokens::expires_at.lt(now)).limit(limit);
    let old: Vec<String> = old.select(blocked_refresh_tokens::id).load(c)?;
    let old = blocked_refresh_tokens::table.filter(blocked_refresh_tokens::id.eq_any(&old));
    Ok(sessions + diesel::delete(old).execute(c)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        testing::with_db,
        users::{self, tests::sample},
    };

    fn session(id: &str, hash: &str) -> Session {
        let at = Moment::from_secs(1000);
        Session {
            id: id.into(),
            user_id: "a".into(),
            token_hash: hash.into(),
            created_at: at,
            rotated_at: at,
            expires_at: Moment::from_secs(2000),
        }
    }

    #[test]
    fn a_token_is_exchanged_once() {
        with_db(|c| {
            users::insert(c, &sample("a")).unwrap();
            insert(c, &session("s", "one")).unwrap();
            let (now, end) = (Moment::from_secs(1100), Moment::from_secs(2100));
            assert!(rotate(c, "s", "one", "two", now, end).unwrap());
            assert!(!rotate(c, "s", "one", "three", now, end).unwrap());
            let seen = by_id(c, "s").unwrap().unwrap();
            assert_eq!((seen.token_hash.as_str(), seen.rotated_at, seen.expires_at), ("two", now, end));
        });
    }

    #[test]
    fn one_sign_in_may_be_spared() {
        with_db(|c| {
            users::insert(c, &sample("a")).unwrap();
            for id in ["s", "t", "u"] {
                insert(c, &session(id, id)).unwrap();
            }
            assert_eq!(delete_of_user(c, "a", Some("t")).unwrap(), 2);
            assert!(by_id(c, "t").unwrap().is_some());
            assert_eq!(delete_of_user(c, "a", None).unwrap(), 1);
        });
    }

    #[test]
    fn what_ran_out_is_forgotten() {
        with_db(|c| {
            users::insert(c, &sample("a")).unwrap();
            insert(c, &session("s", "one")).unwrap();
            let gone = Blocked {
                id: "b".into(),
                token: "zero".into(),
                user_id: "a".into(),
                session_id: Some("s".into()),
                expires_at: Moment::from_secs(1500),
                created_at: Moment::from_secs(1000),
            };
            block(c, &gone).unwrap();
            assert_eq!(blocked(c, "zero").unwrap(), Some(gone));
            assert_eq!(purge(c, Moment::from_secs(1501), 9).unwrap(), 1);
            assert_eq!(blocked(c, "zero").unwrap(), None);
            assert_eq!(purge(c, Moment::from_secs(2001), 9).unwrap(), 1);
        });
    }
}
