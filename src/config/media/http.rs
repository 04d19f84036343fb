//! `http`: limits of the HTTP listener, and who may stand before it.

use crate::config::setting::section;

section! {
    /// The HTTP listener.
    pub struct Http {
        /// Reverse proxies that may name the client address: addresses or networks (10.0.0.0/8).
        trusted_proxies: Vec<String> = vec!["127.0.0.0/8".to_owned(), "::1".to_owned()], "trusted_proxies", env [];
        /// Header in which they name it.
        proxy_header: String = "X-Forwarded-For".to_owned(), "proxy_header", env [];
        /// Largest request head, bytes: tokens and join requests are part of it.
        max_header_size: u32 = 1_048_576, "max_header_size", env [];
        /// Seconds a client may take to send the head of a request. 0: no limit.
        read_timeout: u32 = 30, "read_timeout", env [];
        /// Seconds until a request must have been read and answered; WebSockets are exempt. 0: no limit.
        write_timeout: u32 = 60, "write_timeout", env [];
        /// TCP connections open at once.
        max_connections: u32 = 8_192, "max_connections", env [];
        /// TCP connections open at once from one address that is no trusted proxy. 0: no limit.
        max_connections_per_address: u32 = 512, "max_connections_per_address", env [];
    }
}
