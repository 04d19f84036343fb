//! SQLite: how a connection is set up.

use std::{path::Path, thread::park_timeout, time::Duration};

use diesel::{
    Connection, ConnectionError, ConnectionResult, QueryResult, SqliteConnection,
    connection::SimpleConnection, result::Error::DatabaseError, sql_types::Text,
};

use crate::db::Db;

/// Set on every connection. `foreign_keys` is off by default in SQLite.
const COMMON: &str = "PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON;";

/// Kept in the file once set. Two starters that switch a new file at once get "locked" without the busy timeout being
/// waited for, so that is tried again this often, this far apart.
const JOURNAL: &str = "PRAGMA journal_mode=WAL;";
const JOURNAL_TRIES: u32 = 100;
const JOURNAL_PAUSE: Duration = Duration::from_millis(20);

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

/// A connection that only looks: nothing is set up in the file.
pub(super) fn open_bare(path: &Path) -> ConnectionResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(text(path)?)?;
    connection.batch_execute(COMMON).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// A connection for migrations.
pub(super) fn open_plain(path: &Path) -> ConnectionResult<SqliteConnection> {
    open(path, WRITER)
}

fn use_wal(connection: &mut SqliteConnection) -> QueryResult<()> {
    let mut result = connection.batch_execute(JOURNAL);
    for _ in 0..JOURNAL_TRIES {
        match &result {
            Err(DatabaseError(_, why)) if why.message().contains("locked") => park_timeout(JOURNAL_PAUSE),
            _ => break,
        }
        result = connection.batch_execute(JOURNAL);
    }
    result
}

fn text(path: &Path) -> ConnectionResult<&str> {
    path.to_str().ok_or_else(|| ConnectionError::BadConnection("database path is not UTF-8".into()))
}

fn open(path: &Path, role: &str) -> ConnectionResult<SqliteConnection> {
    let mut connection = open_bare(path)?;
    use_wal(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    connection.batch_execute(role).map_err(ConnectionError::CouldntSetupConfiguration)?;
    lower_utils::register_impl(&mut connection, |text: String| text.to_lowercase())
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}
