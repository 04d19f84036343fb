//! SQLite: how a connection is set up.

use std::path::Path;

use diesel::{
    Connection, ConnectionError, ConnectionResult, SqliteConnection, connection::SimpleConnection,
    sql_types::Text,
};

use crate::db::Db;

/// Set on every connection. `foreign_keys` is off by default in SQLite.
const COMMON: &str = "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;";

/// The writer flushes at each commit: what was acknowledged survives a power cut. Grouped commits pay for it.
const WRITER: &str = "PRAGMA synchronous=FULL;";

/// Readers cannot write by accident.
const READER: &str = "PRAGMA synchronous=NORMAL; PRAGMA query_only=ON;";

diesel::define_sql_function! {
    /// Lower case. On SQLite replaced by a Unicode-aware one; never in an index.
    fn lower(x: Text) -> Text;
}

/// The connection that writes.
pub(super) fn open_writer(path: &Path) -> ConnectionResult<Db> {
    open(path, WRITER).map(Db::Sqlite)
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> ConnectionResult<Db> {
    open(path, READER).map(Db::Sqlite)
}

/// A connection for migrations.
pub(super) fn open_plain(path: &Path) -> ConnectionResult<SqliteConnection> {
    open(path, WRITER)
}

fn open(path: &Path, role: &str) -> ConnectionResult<SqliteConnection> {
    let path =
        path.to_str().ok_or_else(|| ConnectionError::BadConnection("database path is not UTF-8".into()))?;
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(COMMON).map_err(ConnectionError::CouldntSetupConfiguration)?;
    connection.batch_execute(role).map_err(ConnectionError::CouldntSetupConfiguration)?;
    lower_utils::register_impl(&mut connection, |text: String| text.to_lowercase())
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}
