//! The listener: one TCP port for HTTP, WebSocket, TLS and ICE.

pub mod announce;
pub mod client_ip;
pub mod clock;
pub mod cors;
pub mod data_dir;
pub mod edge;
pub mod files;
pub mod headers;
pub mod health;
pub mod http;
pub mod listen;
pub mod media;
pub mod media_only;
pub mod metrics;
pub mod patience;
pub mod platform;
pub mod presence;
pub mod router;
pub mod secrets;
pub mod settings;
pub mod shutdown;
pub mod stream;
pub mod stun;
pub mod tls;
mod watchdog;
pub mod webhooks;
