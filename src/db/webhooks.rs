//! The outbox of webhooks: events that still have to reach a receiver, and those that never did.

use diesel::prelude::*;

use crate::db::{Db, DbResult, Moment, schema::webhook_deliveries as table};

const PENDING: &str = "pending";
const DEAD: &str = "dead";
const AGAIN: &str = "again";

/// An event to be sent to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = table)]
pub struct NewDelivery {
    /// `EV_…`, the same for all receivers.
    pub event_id: String,
    /// Name of the event.
    pub event: String,
    /// Receiver.
    pub url: String,
    /// What the order is kept within.
    pub room: String,
    /// What is sent, JSON.
    pub body: String,
    /// Not to be sent before.
    pub next_at: Moment,
    /// When it happened.
    pub created_at: Moment,
    /// As `created_at`.
    pub updated_at: Moment,
}

/// What deciding about a delivery needs: all but its body.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = table)]
pub struct Waiting {
    /// Row; the order of events.
    pub id: i64,
    /// Receiver.
    pub url: String,
    /// What the order is kept within.
    pub room: String,
    /// Failed attempts.
    pub attempts: i64,
    /// Not to be sent before.
    pub next_at: Moment,
    /// When it happened.
    pub created_at: Moment,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = table)]
#[serde(rename_all = "camelCase")]
pub struct Dead {
    /// Row.
    pub id: i64,
    /// `EV_…`
    pub event_id: String,
    /// Name of the event.
    pub event: String,
    /// Receiver.
    pub url: String,
    /// Room.
    pub room: String,
    /// Failed attempts.
    pub attempts: i64,
    /// What went wrong last.
    pub last_error: String,
    /// When it happened.
    pub created_at: Moment,
    /// When it was given up.
    pub updated_at: Moment,
}

/// Adds a delivery and returns its row.
///
/// # Errors
/// The database's.
pub fn insert(c: &mut Db, delivery: &NewDelivery) -> DbResult<i64> {
    Ok(diesel::insert_into(table::table).values(delivery).returning(table::id).get_result(c)?)
}

/// Deliveries not given up, oldest first, of rows after `after`.
///
/// # Errors
/// The database's.
pub fn waiting(c: &mut Db, after: i64, limit: i64) -> DbResult<Vec<Waiting>> {
    let rows = table::table.filter(table::state.ne(DEAD)).filter(table::id.gt(after));
    Ok(rows.order(table::id).limit(limit).select(Waiting::as_select()).load(c)?)
}

/// The body of a delivery, `None` when the row is gone.
///
/// # Errors
/// The database's.
pub fn body(c: &mut Db, id: i64) -> DbResult<Option<String>> {
    Ok(table::table.find(id).select(table::body).first(c).optional()?)
}

/// Forgets a delivery that arrived.
///
/// # Errors
/// The database's.
pub fn delivered(c: &mut Db, id: i64) -> DbResult<()> {
    diesel::delete(table::table.find(id)).execute(c)?;
    Ok(())
}

/// Remembers a failed attempt and when the next one is due.
///
/// # Errors
/// The database's.
pub fn failed(c: &mut Db, id: i64, attempts: i64, error: &str, now: Moment, next_at: Moment) -> DbResult<()> {
    let set = (
        table::attempts.eq(attempts),
        table::last_error.eq(error),
        table::updated_at.eq(now),
        table::next_at.eq(next_at),
    );
    diesel::update(table::table.find(id)).set(set).execute(c)?;
    Ok(())
}

/// Gives a delivery up.
///
/// # Errors
/// The database's.
pub fn bury(c: &mut Db, id: i64, attempts: i64, error: &str, now: Moment) -> DbResult<()> {
    let set = (
        table::state.eq(DEAD),
        table::attempts.eq(attempts),
        table::last_error.eq(error),
        table::updated_at.eq(now),
    );
    diesel::update(table::table.find(id)).set(set).execute(c)?;
    Ok(())
}

/// Gives up all deliveries to receivers other than `urls`. Returns how many.
///
/// # Errors
/// The database's.
pub fn bury_strangers(c: &mut Db, urls: &[String], now: Moment) -> DbResult<usize> {
    let alive = table::table.filter(table::state.ne(DEAD));
    let known: Vec<String> = alive.select(table::url).distinct().load(c)?;
    let mut buried = 0;
    for url in known.iter().filter(|url| !urls.contains(url)) {
        let rows = table::table.filter(table::state.ne(DEAD)).filter(table::url.eq(url));
        let error = "this receiver is not configured any more";
        let set = (table::state.eq(DEAD), table::last_error.eq(error), table::updated_at.eq(now));
        buried += diesel::update(rows).set(set).execute(c)?;
    }
    Ok(buried)
}

/// Keeps the newest `keep` dead deliveries. Returns how many went.
///
/// # Errors
/// The database's.
pub fn trim_dead(c: &mut Db, keep: i64) -> DbResult<usize> {
    let dead = table::table.filter(table::state.eq(DEAD));
    let last: Option<i64> =
        dead.order(table::id.desc()).offset(keep).select(table::id).first(c).optional()?;
    let Some(last) = last else { return Ok(0) };
    let old = table::table.filter(table::state.eq(DEAD)).filter(table::id.le(last));
    Ok(diesel::delete(old).execute(c)?)
}

/// Dead deliveries, newest first, of rows before `before`.
///
/// # Errors
/// The database's.
pub fn dead(c: &mut Db, before: Option<i64>, limit: i64) -> DbResult<Vec<Dead>> {
    let rows = table::table.filter(table::state.eq(DEAD)).filter(table::id.lt(before.unwrap_or(i64::MAX)));
    Ok(rows.order(table::id.desc()).limit(limit).select(Dead::as_select()).load(c)?)
}

/// Number of dead deliveries.
///
/// # Errors
/// The database's.
pub fn count_dead(c: &mut Db) -> DbResult<i64> {
    Ok(table::table.filter(table::state.eq(DEAD)).count().get_result(c)?)
}

/// Asks for dead deliveries to be sent once more: one, or all of them. Returns how many.
///
/// # Errors
/// The database's.
pub fn revive(c: &mut Db, id: Option<i64>, now: Moment) -> DbResult<usize> {
    let set =
        (table::state.eq(AGAIN), table::attempts.eq(0), table::next_at.eq(now), table::created_at.eq(now));
    let dead = table::table.filter(table::state.eq(DEAD));
    Ok(match id {
        Some(id) => diesel::update(dead.filter(table::id.eq(id))).set(set).execute(c)?,
        None => diesel::update(dead).set(set).execute(c)?,
    })
}

/// Whether [`revive`] asked for anything.
///
/// # Errors
/// The database's.
pub fn any_revived(c: &mut Db) -> DbResult<bool> {
    let rows = table::table.filter(table::state.eq(AGAIN));
    Ok(rows.select(table::id).first::<i64>(c).optional()?.is_some())
}

/// Takes what [`revive`] asked for: pending from now on.
///
/// # Errors
/// The database's.
pub fn take_revived(c: &mut Db, limit: i64) -> DbResult<Vec<Waiting>> {
    let rows = table::table.filter(table::state.eq(AGAIN));
    let found: Vec<Waiting> = rows.order(table::id).limit(limit).select(Waiting::as_select()).load(c)?;
    for row in &found {
        diesel::update(table::table.find(row.id)).set(table::state.eq(PENDING)).execute(c)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;

    fn new(url: &str, room: &str) -> NewDelivery {
        let at = Moment::from_secs(1000);
        NewDelivery {
            event_id: "EV_1".into(),
            event: "room_started".into(),
            url: url.into(),
            room: room.into(),
            body: format!("{{\"room\":\"{room}\"}}"),
            next_at: at,
            created_at: at,
            updated_at: at,
        }
    }

    fn ids(rows: &[Waiting]) -> Vec<i64> {
        rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn a_delivery_waits_in_order_until_it_arrived() {
        with_db(|c| {
            let one = insert(c, &new("u", "a")).unwrap();
            let two = insert(c, &new("u", "b")).unwrap();
            assert!(one < two);
            assert_eq!(ids(&waiting(c, 0, 10).unwrap()), [one, two]);
            assert_eq!(ids(&waiting(c, one, 10).unwrap()), [two]);
            assert_eq!(body(c, two).unwrap().as_deref(), Some(r#"{"room":"b"}"#));
            delivered(c, one).unwrap();
            assert_eq!(body(c, one).unwrap(), None);
            let (now, next) = (Moment::from_secs(1001), Moment::from_secs(1009));
            failed(c, two, 3, "status 500", now, next).unwrap();
            let left = waiting(c, 0, 10).unwrap();
            assert_eq!((left.len(), left[0].attempts, left[0].next_at), (1, 3, next));
        });
    }

    #[test]
    fn the_dead_are_kept_up_to_a_number_and_can_be_sent_again() {
        with_db(|c| {
            let rows: Vec<i64> = (0..5).map(|_| insert(c, &new("u", "a")).unwrap()).collect();
            let now = Moment::from_secs(2000);
            for id in &rows {
                bury(c, *id, 4, "status 404", now).unwrap();
            }
            assert_eq!(trim_dead(c, 3).unwrap(), 2);
            assert_eq!(count_dead(c).unwrap(), 3);
            let newest = dead(c, None, 2).unwrap();
            assert_eq!((newest[0].id, newest[0].attempts, newest[0].updated_at), (rows[4], 4, now));
            assert_eq!(newest[0].last_error, "status 404");
            assert_eq!(dead(c, Some(newest[1].id), 10).unwrap().len(), 1);
            assert!(waiting(c, 0, 10).unwrap().is_empty());

            assert_eq!(revive(c, Some(rows[4]), now).unwrap(), 1);
            assert_eq!(revive(c, Some(rows[4]), now).unwrap(), 0, "it is not dead any more");
            assert_eq!(revive(c, None, now).unwrap(), 2);
            assert!(any_revived(c).unwrap());
            let taken = take_revived(c, 10).unwrap();
            assert_eq!(ids(&taken), rows[2..]);
            assert_eq!((taken[0].attempts, taken[0].created_at), (0, now));
            assert!(!any_revived(c).unwrap() && take_revived(c, 10).unwrap().is_empty());
            assert_eq!(waiting(c, 0, 10).unwrap().len(), 3);
        });
    }

    #[test]
    fn receivers_that_are_not_configured_any_more_get_nothing() {
        with_db(|c| {
            insert(c, &new("old", "a")).unwrap();
            let kept = insert(c, &new("new", "a")).unwrap();
            assert_eq!(bury_strangers(c, &["new".into()], Moment::from_secs(2000)).unwrap(), 1);
            assert_eq!(ids(&waiting(c, 0, 10).unwrap()), [kept]);
            assert!(dead(c, None, 10).unwrap()[0].last_error.contains("configured"));
        });
    }
}
