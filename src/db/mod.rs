//! Storage: one set of queries for SQLite and PostgreSQL.
//!
//! [`Store`] hands out connections: [`Store::read`] for looking, [`Store::write`] for one transaction. Both take a
//! closure that runs on a thread made for blocking, so a dropped future never leaves a transaction half done.
//! Repositories (one file per aggregate) take `&mut Db`, never the store, so that they compose in one transaction.

pub mod alive;
mod config;
mod connection;
mod error;
pub mod invites;
mod migrate;
pub mod participants;
mod pool;
mod postgres;
pub mod preferences;
pub mod revoked_tokens;
pub mod rooms;
pub mod schema;
pub mod sessions;
pub mod settings;
pub mod setup;
mod sqlite;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod types;
pub mod users;
pub mod webhooks;
mod writer;

pub use config::{DatabaseConfig, PostgresConfig, SslMode};
pub use connection::{Both, Db, MultiBackend};
pub use error::{Conflict, DbError, DbResult};
pub use migrate::{MigrateError, migrate};
pub use postgres::PgConn;
pub use store::{OpenError, Store};
pub use types::{Json, Moment, Ts};
