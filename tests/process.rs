//! The real binary: start, readiness, restart, signals, messages to the operator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests and their helpers"
)]

#[path = "process/agents.rs"]
mod agents;
#[path = "process/bad_start.rs"]
mod bad_start;
#[path = "process/big_room.rs"]
mod big_room;
#[path = "process/drain.rs"]
mod drain;
#[path = "process/hostile.rs"]
mod hostile;
#[path = "process/journal.rs"]
mod journal;
#[path = "process/livekit.rs"]
mod livekit;
#[path = "process/livekit_commands.rs"]
mod livekit_commands;
#[path = "process/platform.rs"]
mod platform;
#[path = "process/price.rs"]
mod price;
#[path = "process/revoked.rs"]
mod revoked;
#[path = "process/rights.rs"]
mod rights;
#[path = "process/server.rs"]
mod server;
#[path = "process/server_sdk.rs"]
mod server_sdk;
#[path = "process/signalling.rs"]
mod signalling;
#[path = "process/signals.rs"]
mod signals;
#[path = "process/silence.rs"]
mod silence;
#[path = "process/strangers.rs"]
mod strangers;
#[path = "process/stuck.rs"]
mod stuck;
