//! Settings changed at run time, one row per key, values in JSON.

use std::collections::BTreeMap;

use diesel::{prelude::*, upsert::excluded};
use serde_json::Value;

use crate::db::{Both, Db, DbResult, Json, Moment, schema::settings};

/// All stored settings.
///
/// # Errors
/// The database's; [`crate::db::DbError::Bug`] when a value is not JSON.
pub fn all(c: &mut Db) -> DbResult<BTreeMap<String, Value>> {
    let rows: Vec<(String, Json<Value>)> =
        settings::table.select((settings::key, settings::value)).load(c)?;
    Ok(rows.into_iter().map(|(key, value)| (key, value.0)).collect())
}

/// Stores one setting.
///
/// # Errors
/// The database's.
pub fn put(c: &mut Db, key: &str, value: &Value, now: Moment) -> DbResult<()> {
    let row = (settings::key.eq(key), settings::value.eq(value.to_string()), settings::updated_at.eq(now));
    let upsert =
        diesel::insert_into(settings::table).values(row).on_conflict(settings::key).do_update().set((
            settings::value.eq(excluded(settings::value)),
            settings::updated_at.eq(excluded(settings::updated_at)),
        ));
    Both(upsert).execute(c)?;
    Ok(())
}

/// Forgets a setting, so that the configuration counts again.
///
/// # Errors
/// The database's.
pub fn remove(c: &mut Db, key: &str) -> DbResult<()> {
    diesel::delete(settings::table.find(key)).execute(c)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;
    use serde_json::json;

    #[test]
    fn settings_are_replaced_and_forgotten() {
        with_db(|c| {
            put(c, "a", &json!(true), Moment::EPOCH).unwrap();
            put(c, "a", &json!([1, "x"]), Moment::EPOCH).unwrap();
            put(c, "b", &json!(null), Moment::EPOCH).unwrap();
            remove(c, "b").unwrap();
            assert_eq!(all(c).unwrap(), BTreeMap::from([("a".to_owned(), json!([1, "x"]))]));
        });
    }
}
