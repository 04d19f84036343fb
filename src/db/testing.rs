//! A database for a test: SQLite in a directory of its own, or a schema of its own on the PostgreSQL server that
//! `BEDRUD_TEST_POSTGRES` names.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;

use crate::db::{DatabaseConfig, Db, DbError, PgConn, PostgresConfig, Store, migrate, sqlite};

/// A database that is removed at the end of the test.
pub(crate) struct TestDb {
    /// How to open it.
    pub(crate) config: DatabaseConfig,
    _dir: Option<tempfile::TempDir>,
    schema: Option<PostgresConfig>,
}

impl TestDb {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        match std::env::var("BEDRUD_TEST_POSTGRES") {
            Ok(url) => {
                let DatabaseConfig::Postgres(mut config) = DatabaseConfig::postgres_url(&url).unwrap() else {
                    panic!("BEDRUD_TEST_POSTGRES is not a PostgreSQL URL");
                };
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                config.schema = Some(format!("test_{}_{number}", std::process::id()));
                config.max_connections = 2;
                Self { config: DatabaseConfig::Postgres(config.clone()), _dir: None, schema: Some(*config) }
            }
            Err(_) => {
                let dir = tempfile::tempdir().unwrap();
                let config = DatabaseConfig::sqlite(dir.path().join("bedrud.db"));
                Self { config, _dir: Some(dir), schema: None }
            }
        }
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(self.config.clone()).await.unwrap()
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if let Some(config) = self.schema.take() {
            // Tests may end inside async code, where this connection must not be used.
            let drop_schema = move || {
                let schema = config.schema.clone().unwrap_or_default();
                let mut c = PgConn::connect(&PostgresConfig { schema: None, ..config }).unwrap();
                c.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE")).unwrap();
            };
            let _ = std::thread::spawn(drop_schema).join();
        }
    }
}

/// Runs `f` in a transaction of a fresh database and commits it.
pub(crate) fn with_db(f: impl FnOnce(&mut Db)) {
    let test = TestDb::new();
    migrate(&test.config).unwrap();
    let mut db = match &test.config {
        DatabaseConfig::Sqlite(path) => sqlite::open_writer(path).unwrap(),
        DatabaseConfig::Postgres(config) => Db::Postgres(PgConn::connect(config).unwrap()),
    };
    db.write(|c| {
        f(c);
        Ok::<_, DbError>(())
    })
    .unwrap();
}
