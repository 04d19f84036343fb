//! The way in: reads on a pool, writes in one transaction each.

use std::{path::Path, sync::Arc};

use diesel::connection::SimpleConnection;

use crate::{
    db::{
        DatabaseConfig, Db, DbError, DbResult, MigrateError, PgConn, migrate, pool::Pool, sqlite,
        writer::Writer,
    },
    each_db,
};

/// Reading connections to a SQLite file.
const READERS: usize = 4;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No connection.
    #[error("cannot open the database: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// The schema could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The writer thread could not be started.
    #[error("cannot start the database writer: {0}")]
    Thread(#[from] std::io::Error),
    /// The opening itself ended abnormally.
    #[error("opening the database ended abnormally")]
    Abnormal,
}

/// An open database. Cloning is cheap.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    /// SQLite has one writer; PostgreSQL writes through the pool.
    writer: Option<Writer>,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] says which of the two failed.
    pub async fn open(config: DatabaseConfig) -> Result<Self, OpenError> {
        // PostgreSQL connections may not be made inside async code.
        tokio::task::spawn_blocking(move || Self::open_blocking(config))
            .await
            .map_err(|_| OpenError::Abnormal)?
    }

    /// [`Store::open`] of a SQLite file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_sqlite(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open(DatabaseConfig::sqlite(path)).await
    }

    fn open_blocking(config: DatabaseConfig) -> Result<Self, OpenError> {
        migrate(&config)?;
        let (pool, writer) = match config {
            DatabaseConfig::Sqlite(path) => {
                let writer = Writer::start(sqlite::open_writer(&path)?, &path)?;
                (Pool::new(READERS, move || sqlite::open_reader(&path)), Some(writer))
            }
            DatabaseConfig::Postgres(config) => {
                let size = config.max_connections;
                (Pool::new(size, move || PgConn::connect(&config).map(Db::Postgres)), None)
            }
        };
        Ok(Self { inner: Arc::new(Inner { pool, writer }) })
    }

    /// Runs a closure that only reads.
    ///
    /// # Errors
    /// The closure's own, or [`DbError::Busy`] and [`DbError::Unavailable`] when no connection can be had.
    pub async fn read<T, E>(&self, f: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.inner.pool.run(f).await
    }

    /// Runs a closure in one transaction. It is answered after the commit has reached the disk; an error of the closure
    /// rolls everything it did back.
    ///
    /// # Errors
    /// The closure's own, or the database's.
    pub async fn write<T, E>(&self, f: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &self.inner.writer {
            Some(writer) => writer.run(f).await,
            None => self.inner.pool.run(|db| db.write(f)).await,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`DbError::Busy`] or [`DbError::Unavailable`].
    pub async fn ping(&self) -> DbResult<()> {
        self.read(|db| Ok(each_db!(db, db.batch_execute("SELECT 1"))?)).await
    }

    /// Finishes what is queued and closes. Later calls answer [`DbError::Unavailable`].
    pub async fn close(&self) {
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
        }
        self.inner.pool.close();
    }
}
