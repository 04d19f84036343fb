//! Bringing the schema up to date, one starter at a time.

use std::collections::BTreeSet;

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_query,
    sql_types::{Bool, Text},
    sqlite::Sqlite,
};
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
    /// The schema is of a later version. Nothing was written.
    #[error(
        "the database belongs to a newer Bedrud: it has migration {newest}, and this is version {}, which knows \
         migrations up to {known} (start the newer version, or restore the backup from before the upgrade)",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Newest migration of the database.
        newest: String,
        /// Newest migration of this version.
        known: String,
    },
}

/// Runs what is pending and returns how many migrations that were. Blocks; several processes may call it at once.
///
/// # Errors
/// [`MigrateError`].
pub fn migrate(config: &DatabaseConfig) -> Result<usize, MigrateError> {
    match config {
        DatabaseConfig::Sqlite(path) => {
            if path.exists() {
                // Before anything is set up in the file.
                let mut c = sqlite::open_bare(path)?;
                refuse_newer(&applied_sqlite(&mut c)?, &versions::<Sqlite>(&SQLITE)?)?;
            }
            let mut c = sqlite::open_plain(path)?;
            // Every migration becomes a savepoint of this transaction: all or nothing.
            c.immediate_transaction::<_, MigrateError, _>(|c| {
                refuse_newer(&applied_sqlite(c)?, &versions::<Sqlite>(&SQLITE)?)?;
                Ok(c.run_pending_migrations(SQLITE).map_err(MigrateError::Run)?.len())
            })
        }
        DatabaseConfig::Postgres(config) => {
            let mut c = PgConn::connect(config)?;
            let run = |c: &mut PgConn| -> Result<usize, MigrateError> {
                // A migration and the wait for another starter may take longer than a statement of a request.
                c.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")?;
                // A session lock, not a transaction: an index may be built concurrently under it.
                c.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))?;
                refuse_newer(&applied_postgres(c)?, &versions::<Pg>(&POSTGRES)?)?;
                if let Some(schema) = &config.schema {
                    c.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""))?;
                }
                let done = c.run_pending_migrations(POSTGRES).map(|versions| versions.len());
                let done = done.map_err(MigrateError::Run);
                c.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
                done
            };
            run(&mut c)
        }
    }
}

impl From<diesel::result::Error> for MigrateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Run(Box::new(error))
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct There {
    #[diesel(sql_type = Bool)]
    there: bool,
}

/// What diesel noted. Asked by hand: diesel would make the table first.
const APPLIED: &str = "SELECT version FROM __diesel_schema_migrations";

fn applied_sqlite(c: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let there =
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations') AS there";
    if !sql_query(there).get_result::<There>(c)?.there {
        return Ok(Vec::new());
    }
    Ok(sql_query(APPLIED).load::<Version>(c)?.into_iter().map(|row| row.version).collect())
}

fn applied_postgres(c: &mut PgConn) -> QueryResult<Vec<String>> {
    let there = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS there";
    if !sql_query(there).get_result::<There>(c)?.there {
        return Ok(Vec::new());
    }
    Ok(sql_query(APPLIED).load::<Version>(c)?.into_iter().map(|row| row.version).collect())
}

/// Versions that are built in.
fn versions<DB: diesel::backend::Backend>(
    source: &impl MigrationSource<DB>,
) -> Result<BTreeSet<String>, MigrateError> {
    let all: Vec<Box<dyn Migration<DB>>> = source.migrations().map_err(MigrateError::Run)?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// A database that a later version changed is not touched: what its columns mean is not known here.
fn refuse_newer(applied: &[String], known: &BTreeSet<String>) -> Result<(), MigrateError> {
    let Some(newest) = applied.iter().filter(|version| !known.contains(*version)).max() else {
        return Ok(());
    };
    Err(MigrateError::Newer { newest: newest.clone(), known: known.last().cloned().unwrap_or_default() })
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

    #[test]
    fn a_database_of_a_later_version_is_refused_untouched() {
        let test = crate::db::testing::TestDb::new();
        migrate(&test.config).unwrap();
        let note = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
        let look = "SELECT version FROM __diesel_schema_migrations";
        let (refused, unchanged) = match &test.config {
            DatabaseConfig::Sqlite(path) => {
                let mut c = sqlite::open_plain(path).unwrap();
                c.batch_execute(note).unwrap();
                drop(c);
                let before = (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap());
                let refused = migrate(&test.config);
                let after = (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap());
                let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
                (refused, before == after && names == 1)
            }
            DatabaseConfig::Postgres(config) => {
                let mut c = PgConn::connect(config).unwrap();
                c.batch_execute(note).unwrap();
                let refused = migrate(&test.config);
                (
                    refused,
                    sql_query(look).load::<Version>(&mut c).unwrap().len() == folders("postgres").len() + 1,
                )
            }
        };
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("newer Bedrud") && text.contains("9999") && text.contains("backup"), "{text}");
        assert!(unchanged);
    }
}
