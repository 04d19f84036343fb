//! The handle on a running media server.

use crate::config::SfuConfig;
use crate::control::{Control, Failure, Link, Plugs, Request};
use crate::error::{StartError, Unhealthy};
use crate::events::EventReceiver;
use crate::outbox::outbox;
use crate::session::{Session, UNDER_WAY};
use crate::stats::{SfuMetrics, SfuStats};
use bedrud_net::{AdoptError, EventSink, FailureSink, Heartbeat, MediaNet, candidate_ips};
use bedrud_room::{
    ConnId, Hub, JoinError, JoinParams, Limits, OneShotRequest, OneShotResult, Revocation, RoomEvent,
    ServiceError, ServiceErrorCode, ServiceRequest, ServiceResponse,
};
use bedrud_transport::TransportContext;
use livekit_protocol::ServerInfo;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

/// Shard events that may wait for the control plane. Then the shards hold them back, each with bounds of its own, by
/// bytes and by transport: so few are kept before that.
const SHARD_EVENTS: usize = 1024;

/// The control thread has so long to end; if it does not it is left behind.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// A running media server; clones share it. When the last one is dropped it stops at once, without goodbyes.
#[derive(Clone)]
pub struct Sfu(Arc<Inner>);

struct Inner {
    net: Arc<MediaNet>,
    link: Link,
    events: broadcast::Sender<Box<RoomEvent>>,
    stop: watch::Sender<bool>,
    heartbeat: Heartbeat,
    failure: Failure,
    control: Mutex<Option<JoinHandle<()>>>,
    next_conn: AtomicU64,
    session_queue: usize,
    session_bytes: usize,
    udp_candidates: Vec<SocketAddr>,
    tcp_candidates: Vec<SocketAddr>,
    server: ServerInfo,
    limits: Limits,
    auto_create: bool,
}

impl Sfu {
    /// Opens the media port and starts the threads.
    ///
    /// # Errors
    /// [`StartError`] when the port cannot be bound, or the system lacks what is needed.
    pub fn start(mut config: SfuConfig) -> Result<Self, StartError> {
        let mut seed = [0u8; 40];
        getrandom::fill(&mut seed).map_err(StartError::Random)?;
        let (hub_seed, net_seed) = seed.split_at(32);
        config.net.seed ^= net_seed.iter().fold(0, |n, b| n << 8 | u64::from(*b));

        let context = TransportContext::new(config.transport, config.certificate.take())?;
        let (shard_sender, shard_events) = mpsc::channel(SHARD_EVENTS);
        let sink: EventSink = Arc::new(move |shard, event| match shard_sender.try_send((shard, event)) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full((_, event))) => Err(event),
        });
        let failure = Failure(watch::Sender::new(None));
        let failed: FailureSink = {
            let failure = failure.clone();
            Arc::new(move |shard, why| failure.report(&format!("media thread {shard} cannot go on: {why}")))
        };
        let net = Arc::new(MediaNet::start(&config.net, &context, &sink, &failed)?);

        let ips = candidate_ips(net.local_addr(), &config.external_ips, config.loopback_candidate);
        let at = |port: u16| ips.iter().map(move |ip| SocketAddr::new(*ip, port));
        let udp_candidates: Vec<_> = at(net.local_addr().port()).collect();
        let tcp = config.tcp_port.map(at).into_iter().flatten();
        let tcp_candidates: Vec<_> = tcp.filter(|address| config.takes_tcp_at(address.ip())).collect();
        config.hub.udp_candidates.clone_from(&udp_candidates);
        config.hub.tcp_candidates.clone_from(&tcp_candidates);
        context.fingerprint().clone_into(&mut config.hub.fingerprint);
        config.hub.shards = net.shards();
        let mut secret = [0u8; 32];
        secret.copy_from_slice(hub_seed);
        let (limits, auto_create) = (config.hub.limits.clone(), config.hub.auto_create);
        let hub = Hub::new(config.hub, secret);
        let server = hub.server_info();

        let (requests, request_queue) = mpsc::channel(config.request_queue.max(1));
        let (closing, closing_queue) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(config.event_queue.max(1));
        let (stop, stopped) = watch::channel(false);
        let (reports, report_queue) = mpsc::unbounded_channel();
        let heartbeat = Heartbeat::new(now());
        let plugs = Plugs {
            net: Arc::clone(&net),
            events: events.clone(),
            reports,
            heartbeat: heartbeat.clone(),
            failure: failure.clone(),
        };
        let control = Control::new(hub, plugs);
        let queues = crate::control::Queues {
            requests: request_queue,
            closing: closing_queue,
            shard_events,
            reports: report_queue,
            stopped,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name("sfu-control".to_owned()).spawn({
            let failure = failure.clone();
            move || {
                if catch_unwind(AssertUnwindSafe(|| runtime.block_on(control.run(queues)))).is_err() {
                    tracing::error!("the control thread cannot go on");
                    failure.report("the control thread could not be put in order after a failure");
                }
            }
        })?;
        Ok(Self(Arc::new(Inner {
            net,
            link: Link { requests, closing },
            events,
            stop,
            heartbeat,
            failure,
            control: Mutex::new(Some(thread)),
            next_conn: AtomicU64::new(1),
            session_queue: config.session_queue,
            session_bytes: config.session_bytes,
            udp_candidates,
            tcp_candidates,
            server,
            limits,
            auto_create,
        })))
    }

    /// Joins or resumes. Resolves when the join is decided: the session's first output is the first message then.
    ///
    /// # Errors
    /// [`JoinError`] carries the HTTP status and the text that clients expect.
    pub async fn join(&self, params: JoinParams) -> Result<Session, JoinError> {
        let conn = ConnId(self.0.next_conn.fetch_add(1, Ordering::Relaxed));
        let (sender, outputs) = outbox(self.0.session_queue, self.0.session_bytes);
        let (reply, decided) = oneshot::channel();
        let link = &self.0.link;
        let request = Request::Join { conn, params: Box::new(params), outputs: sender, reply };
        link.requests.send(request).await.map_err(|_| gone())?;
        // From here on a dropped future must close the connection: the session does.
        let mut session = Session {
            conn,
            requests: link.requests.clone(),
            closing: link.closing.clone(),
            outputs,
            sent: AtomicU64::new(0),
            slots: Arc::new(Semaphore::new(UNDER_WAY)),
            ended: false,
        };
        match decided.await {
            Ok(Ok(())) => Ok(session),
            Ok(Err(error)) => {
                session.ended = true;
                Err(error)
            }
            Err(_) => Err(gone()),
        }
    }

    /// Whether a join would be accepted.
    ///
    /// # Errors
    /// As [`Sfu::join`].
    pub async fn validate(&self, params: JoinParams) -> Result<(), JoinError> {
        let (reply, decided) = oneshot::channel();
        let request = Request::Validate { params: Box::new(params), reply };
        self.0.link.requests.send(request).await.map_err(|_| gone())?;
        decided.await.map_err(|_| gone())?
    }

    /// A request of WHIP or WHEP: a participant whose signalling is one offer and one answer.
    ///
    /// # Errors
    /// [`JoinError`] carries the HTTP status: 400 for what cannot be understood, 401 for missing rights, 404 for unknown
    /// rooms and sessions, 412 for an ICE session that has been replaced, 503 when there is no place.
    pub async fn one_shot(&self, request: OneShotRequest) -> OneShotResult {
        let (reply, done) = oneshot::channel();
        let request = Request::OneShot { request: Box::new(request), reply };
        self.0.link.requests.send(request).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    /// Calls the room service. The caller has checked the grant.
    ///
    /// # Errors
    /// [`ServiceError`] with the code and text of the LiveKit API.
    pub async fn service(&self, request: ServiceRequest) -> Result<ServiceResponse, ServiceError> {
        let (reply, done) = oneshot::channel();
        let unavailable =
            || ServiceError::new(ServiceErrorCode::Unavailable, "the media server is shutting down");
        let request = Request::Service { request: Box::new(request), reply };
        self.0.link.requests.send(request).await.map_err(|_| unavailable())?;
        done.await.map_err(|_| unavailable())?
    }

    /// Tokens that are refused because their holder was removed.
    pub async fn revocations(&self) -> Vec<Revocation> {
        let (reply, answer) = oneshot::channel();
        if self.0.link.requests.send(Request::Revocations { reply }).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Takes back what [`RoomEvent::TokensRevoked`] told before a restart. Call it before anyone can join.
    pub async fn restore_revocations(&self, entries: Vec<Revocation>) {
        let (reply, done) = oneshot::channel();
        if self.0.link.requests.send(Request::Restore { entries, reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Subscribes to what happens in the rooms from now on.
    #[must_use]
    pub fn events(&self) -> EventReceiver {
        EventReceiver(self.0.events.subscribe())
    }

    /// Takes over a TCP connection that [`crate::sniff`] recognised as ICE/TCP; `prefix` is what was read from it.
    ///
    /// # Errors
    /// [`AdoptError`]; the connection is closed then.
    pub fn adopt_tcp(&self, stream: TcpStream, prefix: Vec<u8>) -> Result<(), AdoptError> {
        self.0.net.adopt_tcp(stream, prefix)
    }

    /// Bound UDP address of the media port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.net.local_addr()
    }

    /// UDP and TCP addresses offered to clients.
    #[must_use]
    pub fn local_candidates(&self) -> (&[SocketAddr], &[SocketAddr]) {
        (&self.0.udp_candidates, &self.0.tcp_candidates)
    }

    /// What clients are told about this server.
    #[must_use]
    pub fn server_info(&self) -> ServerInfo {
        self.0.server.clone()
    }

    /// Size limits of what clients and callers send.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Whether rooms come into being when they are first asked for.
    #[must_use]
    pub fn auto_create(&self) -> bool {
        self.0.auto_create
    }

    /// Whether the control plane works. Costs it next to nothing.
    pub async fn answers(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.0.link.requests.send(Request::Ping { reply }).await.is_ok() && answer.await.is_ok()
    }

    /// Whether every thread has been seen to live within `max_age`, and none has failed. Asks nobody, so it is cheap and
    /// does not wait.
    ///
    /// # Errors
    /// [`Unhealthy`] with what is wrong.
    pub fn health(&self, max_age: Duration) -> Result<(), Unhealthy> {
        if let Some(why) = &*self.0.failure.0.borrow() {
            return Err(Unhealthy::Failed(why.to_string()));
        }
        let now = now();
        for (thread, heartbeat) in self.threads() {
            let age = heartbeat.age(now);
            if age > max_age {
                return Err(Unhealthy::Silent { thread, age });
            }
        }
        Ok(())
    }

    /// Every thread of the media server by name, with a number that changes as long as it lives: at least once in
    /// two seconds, if the machine lets it.
    #[must_use]
    pub fn heartbeats(&self) -> Vec<(String, u64)> {
        self.threads().map(|(thread, heartbeat)| (thread, heartbeat.last())).collect()
    }

    fn threads(&self) -> impl Iterator<Item = (String, &Heartbeat)> {
        let shards = (0..).zip(self.0.net.heartbeats());
        let shards = shards.map(|(n, heartbeat): (usize, _)| (format!("media thread {n}"), heartbeat));
        std::iter::once(("control thread".to_owned(), &self.0.heartbeat)).chain(shards)
    }

    /// Resolves when the media server cannot go on, with the reason: a part of it has ended, and whoever depended on it
    /// is not served any more. The embedder should end the process, or start another server.
    pub async fn failed(&self) -> String {
        let mut failure = self.0.failure.0.subscribe();
        if let Ok(why) = failure.wait_for(Option::is_some).await {
            return why.as_deref().unwrap_or_default().to_owned();
        }
        // Not reached: the sender is in our hands.
        std::future::pending().await
    }

    /// What is held now; `None` after the end. A shard that does not answer is shown as it was last.
    pub async fn stats(&self) -> Option<SfuStats> {
        let (reply, answer) = oneshot::channel();
        self.0.link.requests.send(Request::Stats { reply }).await.ok()?;
        answer.await.ok()
    }

    /// Figures for monitoring; `None` after the end. The work grows with the number of participants.
    pub async fn metrics(&self) -> Option<SfuMetrics> {
        let (reply, answer) = oneshot::channel();
        self.0.link.requests.send(Request::Metrics { reply }).await.ok()?;
        answer.await.ok()
    }

    /// Lets no room open from now on: joins of rooms that are not open are refused, the others go on.
    pub async fn drain(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.link.requests.send(Request::Drain { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Says goodbye to everyone, waits up to `drain` for the messages to be taken, and stops. Resolves when every
    /// thread has ended and every socket is closed.
    pub async fn shutdown(&self, drain: Duration) {
        let (reply, done) = oneshot::channel();
        if self.0.link.requests.send(Request::Shutdown { drain, reply }).await.is_ok() {
            let _ = done.await;
        }
        self.0.join_control();
    }
}

impl std::fmt::Debug for Sfu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sfu").field("address", &self.0.net.local_addr()).finish_non_exhaustive()
    }
}

impl Inner {
    #[allow(
        clippy::disallowed_methods,
        reason = "a thread can be joined, or asked whether it has ended, and no more"
    )]
    fn join_control(&self) {
        let Some(thread) = self.control.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let deadline = now() + STOP_PATIENCE;
        while !thread.is_finished() && now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !thread.is_finished() {
            tracing::error!("the control thread does not end and is left behind");
        } else if thread.join().is_err() {
            tracing::error!("the control thread had panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.join_control();
    }
}

#[allow(clippy::disallowed_methods, reason = "signs of life are compared with the clock here")]
fn now() -> Instant {
    Instant::now()
}

fn gone() -> JoinError {
    JoinError { status: 503, message: "the media server is shutting down".to_owned() }
}

#[cfg(any(test, feature = "test-util"))]
impl Sfu {
    /// Lets a shard do something else, in which it is stuck; after an error it fails.
    pub fn occupy_shard(&self, shard: u16, act: Box<dyn FnOnce() -> std::io::Result<()> + Send>) {
        self.0.net.occupy(shard, act);
    }

    /// The next message of this session fails inside.
    pub async fn fail_next(&self, session: &Session) {
        let _ = self.0.link.requests.send(Request::Fail { conn: session.conn }).await;
    }
}
