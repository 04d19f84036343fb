//! The listener: one TCP port for HTTP, WebSocket, TLS and ICE.

pub mod client_ip;
