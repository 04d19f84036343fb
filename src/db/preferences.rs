//! What a user keeps on the server for the web app: an opaque JSON object.

use diesel::{prelude::*, upsert::excluded};

use crate::db::{Both, Db, DbResult, Moment, schema::user_preferences};

/// The object as text, if one was kept.
///
/// # Errors
/// The database's.
pub fn get(c: &mut Db, user_id: &str) -> DbResult<Option<String>> {
    let query = user_preferences::table.find(user_id).select(user_preferences::preferences_json);
    Ok(query.first(c).optional()?)
}

/// Keeps the object.
///
/// # Errors
/// The database's.
pub fn put(c: &mut Db, user_id: &str, json: &str, now: Moment) -> DbResult<()> {
    let row = (
        user_preferences::user_id.eq(user_id),
        user_preferences::preferences_json.eq(json),
        user_preferences::updated_at.eq(now),
    );
    let upsert = diesel::insert_into(user_preferences::table)
        .values(row)
        .on_conflict(user_preferences::user_id)
        .do_update()
        .set((
            user_preferences::preferences_json.eq(excluded(user_preferences::preferences_json)),
            user_preferences::updated_at.eq(excluded(user_preferences::updated_at)),
        ));
    Both(upsert).execute(c)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        testing::with_db,
        users::{self, tests::sample},
    };

    #[test]
    fn the_last_object_is_kept() {
        with_db(|c| {
            users::insert(c, &sample("a")).unwrap();
            assert_eq!(get(c, "a").unwrap(), None);
            put(c, "a", "{}", Moment::EPOCH).unwrap();
            put(c, "a", "{\"a\":1}", Moment::EPOCH).unwrap();
            assert_eq!(get(c, "a").unwrap().as_deref(), Some("{\"a\":1}"));
        });
    }
}
