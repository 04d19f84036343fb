//! The listener: one TCP port for HTTP, WebSocket, TLS and ICE.

pub mod client_ip;
pub mod cors;
pub mod data_dir;
pub mod headers;
pub mod health;
pub mod http;
pub mod listen;
pub mod secrets;
pub mod shutdown;
pub mod sniff;
pub mod stream;
pub mod tls;
