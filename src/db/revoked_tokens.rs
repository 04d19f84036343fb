//! Media tokens that open a room no more.

use diesel::{dsl::case_when, prelude::*, upsert::excluded};

use crate::db::{Both, Db, DbResult, Moment, schema::revoked_tokens as table};

/// One token, or all that are older than a time.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = table)]
pub struct RevokedToken {
    /// Room name.
    pub room: String,
    /// Participant identity.
    pub identity: String,
    /// Digest or id of one token; empty for all that were issued before `not_before`.
    pub token: String,
    /// Seconds since the epoch; 0 in rows of one token.
    pub not_before: i64,
    /// The row can be forgotten then.
    pub expires_at: Moment,
}

/// Stores rows. What is there already is only ever extended, so the order of writers does not matter.
///
/// # Errors
/// The database's.
pub fn put(c: &mut Db, rows: &[RevokedToken]) -> DbResult<()> {
    for row in rows {
        let key = (table::room, table::identity, table::token);
        let upsert = diesel::insert_into(table::table).values(row).on_conflict(key).do_update().set((
            table::not_before.eq(case_when(
                excluded(table::not_before).gt(table::not_before),
                excluded(table::not_before),
            )
            .otherwise(table::not_before)),
            table::expires_at.eq(case_when(
                excluded(table::expires_at).gt(table::expires_at),
                excluded(table::expires_at),
            )
            .otherwise(table::expires_at)),
        ));
        Both(upsert).execute(c)?;
    }
    Ok(())
}

/// All rows that still matter, by room and identity.
///
/// # Errors
/// The database's.
pub fn all(c: &mut Db, now: Moment) -> DbResult<Vec<RevokedToken>> {
    let rows = table::table.filter(table::expires_at.ge(now));
    let order = (table::room, table::identity, table::token);
    Ok(rows.order(order).select(RevokedToken::as_select()).load(c)?)
}

/// Forgets rows whose tokens have ended by themselves. Returns how many.
///
/// # Errors
/// The database's.
pub fn purge(c: &mut Db, now: Moment) -> DbResult<usize> {
    Ok(diesel::delete(table::table.filter(table::expires_at.lt(now))).execute(c)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;

    fn row(identity: &str, token: &str, not_before: i64, expires_at: i64) -> RevokedToken {
        RevokedToken {
            room: "den".into(),
            identity: identity.into(),
            token: token.into(),
            not_before,
            expires_at: Moment::from_secs(expires_at),
        }
    }

    #[test]
    fn rows_are_extended_and_never_shortened() {
        with_db(|c| {
            put(c, &[row("ada", "", 100, 200), row("ada", "x", 0, 200)]).unwrap();
            put(c, &[row("ada", "", 110, 190)]).unwrap();
            put(c, &[row("ada", "", 90, 210), row("ada", "x", 0, 150), row("bob", "", 1, 300)]).unwrap();
            let wanted = [row("ada", "", 110, 210), row("ada", "x", 0, 200), row("bob", "", 1, 300)];
            assert_eq!(all(c, Moment::EPOCH).unwrap(), wanted);
        });
    }

    #[test]
    fn rows_end_with_their_tokens() {
        with_db(|c| {
            put(c, &[row("ada", "", 100, 200), row("ada", "x", 0, 201), row("bob", "", 1, 300)]).unwrap();
            assert_eq!(all(c, Moment::from_secs(201)).unwrap().len(), 2);
            assert_eq!(purge(c, Moment::from_secs(201)).unwrap(), 1);
            assert_eq!(purge(c, Moment::from_secs(201)).unwrap(), 0);
            assert_eq!(all(c, Moment::EPOCH).unwrap(), [row("ada", "x", 0, 201), row("bob", "", 1, 300)]);
        });
    }
}
