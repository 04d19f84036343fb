//! LiveKit Agents: workers on `/agent`, and the dispatches that give them jobs.
//!
//! The decisions are in [`dispatch`]; here are the sockets, the clock, and one task that carries news of the rooms and
//! messages of the workers to it and its outputs back.

mod codec;
mod dispatch;
mod news;
mod service;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use dispatch::DispatchStats;
pub(super) use dispatch::{DispatchError, check_deployment};
pub(super) use socket::connect;

use crate::auth::media_token::ApiKeys;
use crate::server::shutdown::Guard;
use bedrud_media::{ServiceError, Sfu};
use dispatch::Conn;
use livekit_protocol as proto;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Messages and calls that may wait for the dispatcher; then their senders wait.
const REQUESTS: usize = 1024;
/// Messages that may wait for a worker; then it is cut off.
const TO_WORKER: usize = 256;

/// A failed call of AgentDispatchService.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The dispatcher refused.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The media server refused to make the room.
    #[error(transparent)]
    Room(#[from] ServiceError),
    /// The server is stopping.
    #[error("the server is shutting down")]
    Gone,
}

type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// What the dispatcher's task is asked.
#[derive(Debug)]
enum Request {
    Open { conn: Conn, api_key: String, outputs: mpsc::Sender<ToWorker> },
    Message { conn: Conn, message: Box<proto::WorkerMessage> },
    Closed { conn: Conn },
    Create { request: Box<proto::CreateAgentDispatchRequest>, reply: Reply<proto::AgentDispatch> },
    Delete { request: proto::DeleteAgentDispatchRequest, reply: Reply<proto::AgentDispatch> },
    List { request: proto::ListAgentDispatchRequest, reply: Reply<Vec<proto::AgentDispatch>> },
    Stats { reply: oneshot::Sender<DispatchStats> },
}

/// Asks for figures without keeping the dispatcher alive.
#[derive(Debug, Clone)]
pub(crate) struct AgentFigures(mpsc::WeakSender<Request>);

impl AgentFigures {
    /// Figures as of now; `None` when the dispatcher has ended.
    pub(crate) async fn read(&self) -> Option<DispatchStats> {
        let (reply, answer) = oneshot::channel();
        self.0.upgrade()?.send(Request::Stats { reply }).await.ok()?;
        answer.await.ok()
    }
}

/// What a worker's socket must do.
#[derive(Debug)]
enum ToWorker {
    /// Send this.
    Message(Box<proto::server_message::Message>),
    /// Close, with this reason. Nothing follows.
    Close(&'static str),
}

/// The handle on the dispatcher. It ends with the last handle, the media server, or the process.
#[derive(Debug)]
pub(super) struct Agents {
    requests: mpsc::Sender<Request>,
    next_conn: AtomicU64,
}

impl Agents {
    /// Starts the dispatcher's task on the current Tokio runtime.
    pub(super) fn start(sfu: &Sfu, keys: ApiKeys, guard: Guard) -> Self {
        let (requests, queue) = mpsc::channel(REQUESTS);
        // Subscribed before anything can happen, not when the task first runs.
        let events = sfu.events();
        tokio::spawn(service::run(sfu.clone(), keys, events, queue, guard));
        Self { requests, next_conn: AtomicU64::new(1) }
    }

    /// For those who count.
    pub(super) fn figures(&self) -> AgentFigures {
        AgentFigures(self.requests.downgrade())
    }

    /// Adds a dispatch, and makes the room if need be and allowed.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) async fn create(
        &self,
        request: proto::CreateAgentDispatchRequest,
    ) -> Result<proto::AgentDispatch, CallError> {
        self.call(|reply| Request::Create { request: Box::new(request), reply }).await
    }

    /// Ends a dispatch and its jobs.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) async fn delete(
        &self,
        request: proto::DeleteAgentDispatchRequest,
    ) -> Result<proto::AgentDispatch, CallError> {
        self.call(|reply| Request::Delete { request, reply }).await
    }

    /// Dispatches of a room.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) async fn list(
        &self,
        request: proto::ListAgentDispatchRequest,
    ) -> Result<Vec<proto::AgentDispatch>, CallError> {
        self.call(|reply| Request::List { request, reply }).await
    }

    async fn call<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| CallError::Gone)?;
        answer.await.map_err(|_| CallError::Gone)?
    }

    /// Announces a worker's socket; `None` when the server is stopping.
    async fn open(&self, api_key: String) -> Option<Link> {
        let conn = Conn(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let (sender, outputs) = mpsc::channel(TO_WORKER);
        self.requests.send(Request::Open { conn, api_key, outputs: sender }).await.ok()?;
        Some(Link { conn, requests: self.requests.clone(), outputs })
    }
}

/// A worker's socket on its way to and from the dispatcher.
#[derive(Debug)]
struct Link {
    conn: Conn,
    requests: mpsc::Sender<Request>,
    outputs: mpsc::Receiver<ToWorker>,
}

impl Link {
    /// Hands over a message; false when the server is stopping.
    async fn send(&self, message: proto::WorkerMessage) -> bool {
        self.requests.send(Request::Message { conn: self.conn, message: Box::new(message) }).await.is_ok()
    }

    /// Says that the socket is gone.
    async fn close(self) {
        let _ = self.requests.send(Request::Closed { conn: self.conn }).await;
    }
}
