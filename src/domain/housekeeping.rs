//! What has to happen every minute.

use crate::{
    db::{DbResult, revoked_tokens, rooms},
    domain::{Platform, purge},
};

/// Rooms closed in one go.
const BATCH: i64 = 200;

/// Closes rooms that nobody has come to for the configured time, and forgets guests, sessions and revoked tokens that ran out.
///
/// # Errors
/// The database's; calling again in a minute is right.
pub async fn run(platform: &Platform) -> DbResult<()> {
    let now = platform.now();
    let idle_since = now.minus(platform.settings.limits.room_idle);
    let (closed, tokens) = platform
        .store
        .write(move |c| {
            let closed = rooms::close_idle(c, now, idle_since, BATCH)?;
            DbResult::Ok((closed, revoked_tokens::purge(c, now)?))
        })
        .await?;
    let gone = purge::run(platform).await?;
    if !closed.is_empty() || gone.sessions + gone.guests + tokens > 0 {
        let (sessions, guests) = (gone.sessions, gone.guests);
        tracing::info!(rooms = closed.len(), sessions, guests, revoked_tokens = tokens, "housekeeping");
    }
    Ok(())
}
