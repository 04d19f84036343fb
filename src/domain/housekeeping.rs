//! What has to happen every minute.

use crate::{
    db::{DbResult, revoked_tokens, rooms, sessions},
    domain::Platform,
};

/// Rooms closed in one go.
const BATCH: i64 = 200;

/// Closes rooms that nobody has come to for the configured time, and forgets sessions and revoked tokens that ran out.
///
/// # Errors
/// The database's; calling again in a minute is right.
pub async fn run(platform: &Platform) -> DbResult<()> {
    let now = platform.now();
    let idle_since = now.minus(platform.settings.limits.room_idle);
    let (closed, sessions, tokens) = platform
        .store
        .write(move |c| {
            let closed = rooms::close_idle(c, now, idle_since, BATCH)?;
            DbResult::Ok((closed, sessions::purge(c, now)?, revoked_tokens::purge(c, now)?))
        })
        .await?;
    if !closed.is_empty() || sessions + tokens > 0 {
        tracing::info!(rooms = closed.len(), sessions, revoked_tokens = tokens, "housekeeping");
    }
    Ok(())
}
