//! `audio`: who counts as speaking.

use crate::config::setting::section;
use crate::config::value::Unread;

section! {
    /// Who counts as speaking.
    pub struct Audio {
        /// Loudness from which somebody speaks, -dBov: a lower number is louder.
        active_level: u32 = 35, "active_level", env [];
        /// Read over: 40 per cent of an interval must be loud.
        min_percentile: Unread = Unread, "min_percentile", env [], inert;
        /// Interval of speaker updates, milliseconds.
        update_interval: u32 = 400, "update_interval", env [];
        /// Read over: loudness is averaged over two intervals.
        smooth_intervals: Unread = Unread, "smooth_intervals", env [], inert;
        /// Read over.
        active_red_encoding: Unread = Unread, "active_red_encoding", env [], inert;
        /// Read over.
        enable_loss_proxying: Unread = Unread, "enable_loss_proxying", env [], inert;
    }
}
