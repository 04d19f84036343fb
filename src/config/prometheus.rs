//! `prometheus` of LiveKit's configuration.

use super::setting::section;
use super::value::Secret;

section! {
    /// Figures for Prometheus.
    pub struct Prometheus {
        /// Port of their listener, at the addresses of the main port. 0: off.
        port: u16 = 0, "port", env [];
        /// User name that scrapers must show.
        username: String = String::new(), "username", env [];
        /// Password that scrapers must show.
        password: Secret = Secret::default(), "password", env [];
        /// Rooms that get figures of their own; the others share those of `other`. Not a key of the reference server.
        rooms: u32 = 100, "rooms", env [];
    }
}
