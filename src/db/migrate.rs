//! Bringing the schema up to date, one starter at a time.

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::db::{DatabaseConfig, PgConn, sqlite};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Key of the advisory lock that keeps two starters apart. diesel does not lock by itself.
const LOCK: i64 = 0x6265_6472_7564;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why the schema is not up to date. Nothing was changed on SQLite; on PostgreSQL the migrations before the failed one stand.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error("cannot open the database: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Run(Failure),
}

/// Runs what is pending and returns how many migrations that were. Blocks; several processes may call it at once.
///
/// # Errors
/// [`MigrateError`].
pub fn migrate(config: &DatabaseConfig) -> Result<usize, MigrateError> {
    match config {
        DatabaseConfig::Sqlite(path) => {
            let mut c = sqlite::open_plain(path)?;
            // Every migration becomes a savepoint of this transaction: all or nothing.
            c.immediate_transaction::<_, Wrapped, _>(|c| {
                Ok(c.run_pending_migrations(SQLITE).map_err(Wrapped)?.len())
            })
            .map_err(|wrapped| MigrateError::Run(wrapped.0))
        }
        DatabaseConfig::Postgres(config) => {
            let mut c = PgConn::connect(config)?;
            let run = |c: &mut PgConn| -> Result<usize, Failure> {
                // A migration and the wait for another starter may take longer than a statement of a request.
                c.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
                // A session lock, not a transaction: an index may be built concurrently under it.
                c.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))?;
                if let Some(schema) = &config.schema {
                    c.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""))?;
                }
                let done = c.run_pending_migrations(POSTGRES).map(|versions| versions.len());
                c.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
                done
            };
            run(&mut c).map_err(MigrateError::Run)
        }
    }
}

/// Carries a migration's error through diesel's transaction.
struct Wrapped(Failure);

impl From<diesel::result::Error> for Wrapped {
    fn from(error: diesel::result::Error) -> Self {
        Self(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs};

    fn folders(database: &str) -> BTreeSet<String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        fs::read_dir(format!("{root}/{database}"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        assert_eq!(folders("sqlite"), folders("postgres"));
    }

    #[test]
    fn every_folder_is_built_in() {
        use diesel::migration::{Migration, MigrationSource};
        let built_in: Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> = SQLITE.migrations().unwrap();
        let names: BTreeSet<String> = built_in.iter().map(|m| m.name().to_string()).collect();
        assert_eq!(names, folders("sqlite"));
    }

    #[test]
    fn starters_at_once_do_not_collide() {
        let dir = tempfile::tempdir().unwrap();
        let config = DatabaseConfig::sqlite(dir.path().join("bedrud.db"));
        let done: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| migrate(&config).unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).sum()
        });
        assert_eq!(done, folders("sqlite").len());
    }
}
