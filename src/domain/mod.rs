//! The rules of the platform: accounts, roles, rooms. No HTTP here, and no SQL: the API, the command line and the tests
//! all call these functions.

pub mod access;
pub mod accounts;
pub mod effective;
pub mod email;
pub mod housekeeping;
pub mod live;
pub mod names;
mod platform;
pub mod purge;
pub mod revocations;
pub mod rooms;
pub mod settings;
pub mod setup;

pub use platform::{Clock, MediaControl, NoMedia, Platform};
