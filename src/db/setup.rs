//! The token of the link that makes the first administrator. At most one row.

use diesel::prelude::*;

use crate::db::{Db, DbResult, Moment, schema::setup_tokens};

/// A row of `setup_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = setup_tokens)]
pub struct SetupToken {
    /// UUID.
    pub id: String,
    /// SHA-256 of the token in hexadecimal.
    pub token_hash: String,
    /// When it runs out.
    pub expires_at: Moment,
    /// Creation.
    pub created_at: Moment,
}

/// Puts the token in the place of any earlier one. True when the earlier one was still valid.
///
/// # Errors
/// The database's.
pub fn replace(c: &mut Db, token: &SetupToken, now: Moment) -> DbResult<bool> {
    let valid = setup_tokens::table.filter(setup_tokens::expires_at.gt(now));
    let replaced = diesel::select(diesel::dsl::exists(valid)).get_result(c)?;
    diesel::delete(setup_tokens::table).execute(c)?;
    diesel::insert_into(setup_tokens::table).values(token).execute(c)?;
    Ok(replaced)
}

/// True when the token is the one that was handed out and has not run out.
///
/// # Errors
/// The database's.
pub fn is_valid(c: &mut Db, hash: &str, now: Moment) -> DbResult<bool> {
    let query = setup_tokens::table
        .filter(setup_tokens::token_hash.eq(hash))
        .filter(setup_tokens::expires_at.gt(now));
    Ok(diesel::select(diesel::dsl::exists(query)).get_result(c)?)
}

/// Uses the token up. False when it is not the one that was handed out or has run out.
///
/// # Errors
/// The database's.
pub fn consume(c: &mut Db, hash: &str, now: Moment) -> DbResult<bool> {
    let target = setup_tokens::table
        .filter(setup_tokens::token_hash.eq(hash))
        .filter(setup_tokens::expires_at.gt(now));
    Ok(diesel::delete(target).execute(c)? == 1)
}

/// Removes any token.
///
/// # Errors
/// The database's.
pub fn clear(c: &mut Db) -> DbResult<()> {
    diesel::delete(setup_tokens::table).execute(c)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;

    fn token(hash: &str) -> SetupToken {
        SetupToken {
            id: hash.into(),
            token_hash: hash.into(),
            expires_at: Moment::from_secs(100),
            created_at: Moment::from_secs(1),
        }
    }

    #[test]
    fn only_the_newest_token_works_and_only_once() {
        with_db(|c| {
            let now = Moment::from_secs(50);
            assert!(!replace(c, &token("one"), now).unwrap());
            assert!(replace(c, &token("two"), now).unwrap());
            assert!(!consume(c, "one", now).unwrap());
            assert!(!is_valid(c, "two", Moment::from_secs(100)).unwrap());
            assert!(is_valid(c, "two", now).unwrap());
            assert!(consume(c, "two", now).unwrap());
            assert!(!consume(c, "two", now).unwrap());
        });
    }
}
