//! The time of day, for everything below the server.

use crate::db::Moment;
use crate::domain::Clock;
use std::time::SystemTime;

/// The system's clock.
#[must_use]
pub fn system() -> Clock {
    Clock::new(|| Moment::from_micros(unix_micros()))
}

#[allow(clippy::disallowed_methods, reason = "the server is the edge")]
fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
