//! The Bedrud platform.

pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod intake;
pub mod livekit;
pub mod metrics;
pub mod observe;
mod proto_json;
pub mod server;
pub mod ui;
pub mod webhooks;
