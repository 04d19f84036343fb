//! What has to happen every minute.

use std::time::Duration;

use crate::{
    db::{DbResult, revoked_tokens, rooms, sessions},
    domain::Platform,
};

/// A room without anybody inside closes after this time, unless it is persistent.
pub const IDLE: Duration = Duration::from_secs(5 * 60);
/// Rooms closed in one go.
const BATCH: i64 = 200;

/// Closes rooms that ran out or were left, and forgets sessions and revoked tokens that ran out.
///
/// # Errors
/// The database's; calling again in a minute is right.
pub async fn run(platform: &Platform) -> DbResult<()> {
    let now = platform.now();
    let (closed, sessions, tokens) = platform
        .store
        .write(move |c| {
            let closed = rooms::close_stale(c, now, now.minus(IDLE), BATCH)?;
            DbResult::Ok((closed, sessions::purge(c, now)?, revoked_tokens::purge(c, now)?))
        })
        .await?;
    if !closed.is_empty() || sessions + tokens > 0 {
        tracing::info!(rooms = closed.len(), sessions, revoked_tokens = tokens, "housekeeping");
    }
    Ok(())
}
