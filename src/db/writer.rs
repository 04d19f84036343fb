//! The one writer of a SQLite file: a thread that owns the connection. What is queued shares a commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use diesel::connection::SimpleConnection;
use tokio::sync::{mpsc, oneshot};

use crate::db::{Db, DbError, sqlite};

/// Closures waiting at most.
const QUEUE: usize = 1024;
/// Closures that share a commit at most.
const GROUP: usize = 64;
/// Longest wait for a place in the queue.
const WAIT: Duration = Duration::from_secs(2);

/// Sends the kept result once the fate of the commit is known.
type Answer = Box<dyn FnOnce(Result<(), DbError>) + Send>;

/// A queued closure.
trait Work: Send {
    /// Runs inside a savepoint. False means: roll back to it.
    fn run(self: Box<Self>, db: &mut Db) -> (bool, Answer);
    /// Answers without having run.
    fn refuse(self: Box<Self>, error: DbError);
}

struct Queued<F, T, E> {
    f: F,
    tx: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Queued<F, T, E>
where
    F: FnOnce(&mut Db) -> Result<T, E> + Send,
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    fn run(self: Box<Self>, db: &mut Db) -> (bool, Answer) {
        let Self { f, tx } = *self;
        let result = catch_unwind(AssertUnwindSafe(|| f(db)))
            .unwrap_or_else(|_| Err(DbError::Bug("a write ended abnormally".into()).into()));
        let keep = result.is_ok();
        let answer = move |outcome: Result<(), DbError>| {
            // Who no longer listens has gone away; the write stands all the same.
            let _ = tx.send(match outcome {
                Ok(()) => result,
                // The closure's own refusal tells more than the failed commit of its neighbours.
                Err(error) => result.and_then(|_| Err(error.into())),
            });
        };
        (keep, Box::new(answer))
    }

    fn refuse(self: Box<Self>, error: DbError) {
        let _ = self.tx.send(Err(error.into()));
    }
}

enum Message {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

/// Handle of the writer thread.
#[derive(Clone)]
pub(super) struct Writer {
    tx: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread over an open connection to the file at `path`.
    pub(super) fn start(db: Db, path: &Path) -> std::io::Result<Self> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let state = State { db: Some(db), path: path.to_owned() };
        thread::Builder::new().name("db-writer".into()).spawn(move || state.serve(rx))?;
        Ok(Self { tx })
    }

    /// Queues `f` and waits for its commit.
    pub(super) async fn run<T, E>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (tx, rx) = oneshot::channel();
        match self.tx.send_timeout(Message::Work(Box::new(Queued { f, tx })), WAIT).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(DbError::Busy.into()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(closed().into()),
        }
        rx.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// Finishes what is queued, folds the write-ahead log into the file and ends the thread.
    pub(super) async fn close(&self) {
        let (tx, rx) = oneshot::channel();
        if self.tx.send(Message::Close(tx)).await.is_ok() {
            let _ = rx.await;
        }
    }
}

fn closed() -> DbError {
    DbError::Unavailable("database is closed".into())
}

struct State {
    db: Option<Db>,
    path: PathBuf,
}

impl State {
    fn serve(mut self, mut rx: mpsc::Receiver<Message>) {
        let mut waiting: Option<oneshot::Sender<()>> = None;
        while let Some(message) = rx.blocking_recv() {
            match message {
                Message::Close(done) => waiting = Some(done),
                Message::Work(first) => {
                    if let Some(done) = self.group(first, &mut rx) {
                        waiting = Some(done);
                    }
                }
            }
            if waiting.is_some() {
                rx.close();
            }
        }
        if let Some(Db::Sqlite(connection)) = &mut self.db
            && let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "could not fold the write-ahead log into the database file");
        }
        drop(self);
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }

    /// Runs `first` and what is queued behind it in one transaction. Returns a request to close met on the way.
    fn group(
        &mut self,
        first: Box<dyn Work>,
        rx: &mut mpsc::Receiver<Message>,
    ) -> Option<oneshot::Sender<()>> {
        let mut close = None;
        let mut db = match self.connection() {
            Ok(db) => db,
            Err(error) => {
                first.refuse(error);
                return None;
            }
        };
        if let Err(error) = db.begin() {
            first.refuse(error.into());
            // Kept only when it is clean: a failed begin may leave a broken one.
            self.keep(db);
            return None;
        }
        let mut answers = Vec::new();
        let mut next = Some(first);
        let mut failed = None;
        while let Some(work) = next.take() {
            match one(&mut db, work) {
                (answer, None) => answers.push(answer),
                (answer, Some(error)) => {
                    answers.push(answer);
                    failed = Some(error);
                    break;
                }
            }
            if answers.len() < GROUP && close.is_none() {
                match rx.try_recv() {
                    Ok(Message::Work(work)) => next = Some(work),
                    Ok(Message::Close(done)) => close = Some(done),
                    Err(_) => {}
                }
            }
        }
        let outcome = match failed {
            None => db.commit().map_err(DbError::from),
            Some(error) => Err(error),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, writes = answers.len(), "database commit failed");
        }
        self.keep(db);
        for answer in answers {
            answer(outcome.clone());
        }
        close
    }

    fn connection(&mut self) -> Result<Db, DbError> {
        match self.db.take() {
            Some(db) => Ok(db),
            None => sqlite::open_writer(&self.path).map_err(|error| DbError::Unavailable(error.to_string())),
        }
    }

    /// Keeps the connection for the next group unless a transaction is stuck in it.
    fn keep(&mut self, mut db: Db) {
        while db.depth().is_some_and(|depth| depth > 0) && db.rollback().is_ok() {}
        if db.depth() == Some(0) && !db.is_broken() {
            self.db = Some(db);
        }
    }
}

/// One closure in its savepoint. An error means that the group's transaction is lost.
fn one(db: &mut Db, work: Box<dyn Work>) -> (Answer, Option<DbError>) {
    let outer = db.depth();
    if let Err(error) = db.savepoint() {
        let error = DbError::from(error);
        let lost = error.clone();
        let answer: Answer = Box::new(move |outcome| work.refuse(outcome.err().unwrap_or(lost)));
        return (answer, Some(error));
    }
    let (keep, answer) = work.run(db);
    let end = if keep {
        db.commit()
    } else {
        // An abnormal end may have left savepoints of its own behind.
        let mut end = db.rollback();
        while end.is_ok() && db.depth() > outer {
            end = db.rollback();
        }
        end
    };
    let lost = end.err().map(DbError::from).or_else(|| (db.depth() != outer).then(lost_transaction));
    (answer, lost)
}

fn lost_transaction() -> DbError {
    DbError::Unavailable("the transaction was lost".into())
}
