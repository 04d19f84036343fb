//! Forgetting accounts of guests and sign-ins that are over, in batches: nobody waits behind a long transaction.

use std::time::Duration;

use crate::{
    db::{DbResult, sessions, users},
    domain::Platform,
};

/// A guest is forgotten after so long without a visit.
pub const GUEST_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows in one transaction.
const BATCH: i64 = 500;
/// Transactions in one go; the next minute goes on.
const BATCHES: usize = 20;

/// How much went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Sign-ins, and tokens remembered of them.
    pub sessions: usize,
    /// Guests.
    pub guests: usize,
}

/// Forgets what is over.
///
/// # Errors
/// The database's; what went until then is gone.
pub async fn run(platform: &Platform) -> DbResult<Purged> {
    let now = platform.now();
    let mut all = Purged::default();
    for _ in 0..BATCHES {
        let (sessions, guests) = platform
            .store
            .write(move |c| {
                let sessions = sessions::purge(c, now, BATCH)?;
                DbResult::Ok((sessions, users::purge_guests(c, now.minus(GUEST_LIFETIME), BATCH)?))
            })
            .await?;
        all.sessions += sessions;
        all.guests += guests;
        if sessions + guests == 0 {
            break;
        }
    }
    platform.throttle.tidy(now);
    Ok(all)
}
