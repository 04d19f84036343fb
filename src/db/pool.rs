//! A small pool: a semaphore, idle connections, and closures on threads made for blocking.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel::ConnectionResult;
use tokio::sync::Semaphore;

use crate::db::{Db, DbError};

/// Longest wait for a free connection before the caller is told to come back later.
const WAIT: Duration = Duration::from_secs(2);

type Opener = dyn Fn() -> ConnectionResult<Db> + Send + Sync;

/// Connections that are opened when they are first needed and thrown away when they break.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Vec<Db>>,
    permits: Arc<Semaphore>,
    open: Box<Opener>,
}

impl Pool {
    /// A pool of at most `size` connections made by `open`.
    pub(super) fn new(size: usize, open: impl Fn() -> ConnectionResult<Db> + Send + Sync + 'static) -> Self {
        let permits = Arc::new(Semaphore::new(size.max(1)));
        Self { shared: Arc::new(Shared { idle: Mutex::default(), permits, open: Box::new(open) }) }
    }

    /// Runs `f` with a connection.
    pub(super) async fn run<T, E>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let waiting = Arc::clone(&self.shared.permits).acquire_owned();
        let permit = match tokio::time::timeout(WAIT, waiting).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(DbError::Unavailable("database is closed".into()).into()),
            Err(_) => return Err(DbError::Busy.into()),
        };
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || {
            let mut connection = shared.take().map_err(E::from)?;
            let result = f(&mut connection);
            shared.give_back(connection);
            drop(permit);
            result
        });
        match work.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(DbError::Bug("a query ended abnormally".into()).into()),
            Err(_) => Err(DbError::Unavailable("shutting down".into()).into()),
        }
    }

    /// Refuses further work and drops what is idle.
    pub(super) fn close(&self) {
        self.shared.permits.close();
        self.shared.lock().clear();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Db>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Db, DbError> {
        loop {
            let Some(mut connection) = self.lock().pop() else { break };
            // A connection may have died while it lay idle.
            if !connection.is_broken() {
                return Ok(connection);
            }
        }
        (self.open)().map_err(|error| DbError::Unavailable(error.to_string()))
    }

    fn give_back(&self, mut connection: Db) {
        let clean = connection.depth() == Some(0) && !connection.is_broken();
        if clean && !self.permits.is_closed() {
            self.lock().push(connection);
        }
    }
}
