//! `http`: limits of the HTTP listener, and who may stand before it.

use crate::config::setting::section;

section! {
    /// The HTTP listener.
    pub struct Http {
        /// Reverse proxies that may name the client address: addresses or networks (10.0.0.0/8).
        trusted_proxies: Vec<String> = vec!["127.0.0.0/8".to_owned(), "::1".to_owned()], "trusted_proxies", env [];
        /// Header in which they name it.
        proxy_header: String = "X-Forwarded-For".to_owned(), "proxy_header", env [];
        /// Largest request head, bytes, join requests included. A token with all metadata and attributes that a participant may
        /// have is taken beyond it.
        max_header_size: u32 = 1_048_576, "max_header_size", env [];
        /// Seconds a client may take to send the head of a request. 0: no limit.
        read_timeout: u32 = 10, "read_timeout", env [];
        /// Seconds a connection may be idle between requests. 0: no limit.
        idle_timeout: u32 = 150, "idle_timeout", env [];
        /// Seconds until a request must have been read and answered; WebSockets are exempt. 0: no limit.
        write_timeout: u32 = 60, "write_timeout", env [];
        /// TCP connections open at once that are no WebSockets, and as many WebSockets.
        max_connections: u32 = 8_192, "max_connections", env [];
        /// Of these, no WebSockets, from one IPv4 address or IPv6 /64 that is no trusted proxy. 0: no limit.
        max_connections_per_address: u32 = 512, "max_connections_per_address", env [];
    }
}
