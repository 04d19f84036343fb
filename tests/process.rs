//! The real binary: start, readiness, restart, signals, messages to the operator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests and their helpers")]

#[path = "process/agents.rs"]
mod agents;
#[path = "process/bad_start.rs"]
mod bad_start;
#[path = "process/livekit.rs"]
mod livekit;
#[path = "process/platform.rs"]
mod platform;
#[path = "process/server.rs"]
mod server;
