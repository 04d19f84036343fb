//! The Bedrud platform.

pub mod cli;
pub mod config;
pub mod server;
