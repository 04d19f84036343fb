//! Invite tokens for registration.

use diesel::prelude::*;

use crate::db::{Db, DbResult, Moment, schema::invite_tokens};

/// A row of `invite_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = invite_tokens)]
pub struct Invite {
    /// UUID.
    pub id: String,
    /// The token itself.
    pub token: String,
    /// Whom it was meant for; may be empty.
    pub email: String,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it runs out.
    pub expires_at: Moment,
    /// When it was used.
    pub used_at: Option<Moment>,
    /// By whom.
    pub used_by: Option<String>,
    /// Creation.
    pub created_at: Moment,
}

/// Adds an invite.
///
/// # Errors
/// [`crate::db::Conflict::InviteToken`] when the token exists.
pub fn insert(c: &mut Db, invite: &Invite) -> DbResult<()> {
    diesel::insert_into(invite_tokens::table).values(invite).execute(c)?;
    Ok(())
}

/// True when the token is unused and has not run out.
///
/// # Errors
/// The database's.
pub fn is_valid(c: &mut Db, token: &str, now: Moment) -> DbResult<bool> {
    let query = invite_tokens::table
        .filter(invite_tokens::token.eq(token))
        .filter(invite_tokens::used_at.is_null())
        .filter(invite_tokens::expires_at.gt(now));
    Ok(diesel::select(diesel::dsl::exists(query)).get_result(c)?)
}

/// Uses a token up. False when it is unknown, used or has run out.
///
/// # Errors
/// The database's.
pub fn consume(c: &mut Db, token: &str, user_id: &str, now: Moment) -> DbResult<bool> {
    let target = invite_tokens::table
        .filter(invite_tokens::token.eq(token))
        .filter(invite_tokens::used_at.is_null())
        .filter(invite_tokens::expires_at.gt(now));
    let set = (invite_tokens::used_at.eq(Some(now)), invite_tokens::used_by.eq(Some(user_id)));
    Ok(diesel::update(target).set(set).execute(c)? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;

    #[test]
    fn an_invite_works_once_and_in_time() {
        with_db(|c| {
            let invite = Invite {
                id: "i".into(),
                token: "t".into(),
                email: String::new(),
                created_by: None,
                expires_at: Moment::from_secs(100),
                used_at: None,
                used_by: None,
                created_at: Moment::from_secs(1),
            };
            insert(c, &invite).unwrap();
            assert!(!is_valid(c, "t", Moment::from_secs(100)).unwrap());
            assert!(!consume(c, "t", "u", Moment::from_secs(100)).unwrap());
            assert!(is_valid(c, "t", Moment::from_secs(99)).unwrap());
            assert!(consume(c, "t", "u", Moment::from_secs(99)).unwrap());
            assert!(!consume(c, "t", "u", Moment::from_secs(99)).unwrap());
        });
    }
}
