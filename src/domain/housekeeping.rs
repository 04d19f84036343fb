//! What has to happen every minute.

use std::time::Duration;

use crate::{
    db::{DbResult, rooms, sessions},
    domain::Platform,
};

/// A room without anybody inside closes after this time, unless it is persistent.
pub const IDLE: Duration = Duration::from_secs(5 * 60);
/// Rooms closed in one go.
const BATCH: i64 = 200;

/// Closes rooms that ran out or were left, and forgets sessions that ran out.
///
/// # Errors
/// The database's; calling again in a minute is right.
pub async fn run(platform: &Platform) -> DbResult<()> {
    let now = platform.now();
    let (closed, forgotten) = platform
        .store
        .write(move |c| {
            DbResult::Ok((rooms::close_stale(c, now, now.minus(IDLE), BATCH)?, sessions::purge(c, now)?))
        })
        .await?;
    if !closed.is_empty() || forgotten > 0 {
        tracing::info!(rooms = closed.len(), sessions = forgotten, "housekeeping");
    }
    Ok(())
}
