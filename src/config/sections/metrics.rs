//! `metrics`: figures for Prometheus.

use crate::config::setting::section;
use crate::config::value::Secret;

section! {
    /// Figures for Prometheus at /metrics. Off unless address or token is set.
    pub struct Metrics {
        /// Address of a listener of their own, e.g. 127.0.0.1:9090. Without it they are on the main port, for the token.
        address: String = String::new(), "address", env ["METRICS_ADDRESS"];
        /// Bearer token that scrapers must show; at least 16 characters. Needed on the main port.
        token: Secret = Secret::default(), "token", env ["METRICS_TOKEN"];
        /// Rooms that get figures of their own; the others share those of `other`.
        rooms: u32 = 100, "rooms", env ["METRICS_ROOMS"];
    }
}
