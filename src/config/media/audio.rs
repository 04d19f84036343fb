//! `audio`: who counts as speaking.

use crate::config::setting::section;
use crate::config::value::Unread;

section! {
    /// Who counts as speaking.
    pub struct Audio {
        /// Loudness from which somebody speaks, -dBov: a lower number is louder.
        active_level: u32 = 35, "active_level", env [];
        /// Share of an interval that must be loud, per cent.
        min_percentile: u32 = 40, "min_percentile", env [];
        /// Interval of speaker updates, milliseconds.
        update_interval: u32 = 400, "update_interval", env [];
        /// Intervals over which loudness is averaged.
        smooth_intervals: u32 = 2, "smooth_intervals", env [];
        /// Read over.
        active_red_encoding: Unread = Unread, "active_red_encoding", env [], inert;
        /// Read over.
        enable_loss_proxying: Unread = Unread, "enable_loss_proxying", env [], inert;
    }
}
