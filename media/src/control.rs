//! The control thread: owns the hub, and carries its outputs to sessions, shards and callers.

mod commands;
mod questions;

use crate::outbox::Outbox;
use crate::session::SessionOutput;
use crate::stats::{SfuMetrics, SfuStats};
use bedrud_net::{HEARTBEAT_INTERVAL, Heartbeat, MediaNet, ReportSink, ShardReport};
use bedrud_room::{
    ConnId, Hub, Input, JoinError, JoinParams, Now, OneShotRequest, OneShotResult, Output, Revocation,
    RoomEvent, ServiceError, ServiceId, ServiceRequest, ServiceResponse, ShardId,
};
use bedrud_sfu::Event;
use commands::{RETRY, Stuck, Waiting};
use livekit_protocol::SignalRequest;
use questions::{Answered, Questions};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

/// Inputs handled before the outputs are carried out and other queues are looked at.
const BURST: usize = 64;

/// What handles ask of the control thread.
#[derive(Debug)]
pub(crate) enum Request {
    Join {
        conn: ConnId,
        params: Box<JoinParams>,
        outputs: Outbox,
        reply: oneshot::Sender<Result<(), JoinError>>,
    },
    Validate {
        params: Box<JoinParams>,
        reply: oneshot::Sender<Result<(), JoinError>>,
    },
    Signal {
        conn: ConnId,
        request: Box<SignalRequest>,
        /// Of the session, given back when the message has been handled.
        slot: OwnedSemaphorePermit,
    },
    Service {
        request: Box<ServiceRequest>,
        reply: oneshot::Sender<Result<ServiceResponse, ServiceError>>,
    },
    OneShot {
        request: Box<OneShotRequest>,
        reply: oneshot::Sender<OneShotResult>,
    },
    Ping {
        reply: oneshot::Sender<()>,
    },
    Drain {
        reply: oneshot::Sender<()>,
    },
    Stats {
        reply: oneshot::Sender<SfuStats>,
    },
    Metrics {
        reply: oneshot::Sender<SfuMetrics>,
    },
    Revocations {
        reply: oneshot::Sender<Vec<Revocation>>,
    },
    Restore {
        entries: Vec<Revocation>,
        reply: oneshot::Sender<()>,
    },
    Shutdown {
        drain: Duration,
        reply: oneshot::Sender<()>,
    },
    /// The next message of this session fails inside.
    #[cfg(any(test, feature = "test-util"))]
    Fail {
        conn: ConnId,
    },
}

/// A session is gone, after it had handed over `sent` messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) conn: ConnId,
    pub(crate) sent: u64,
}

/// The senders held by handles. `closing` needs no bound: a session uses it once.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) closing: mpsc::UnboundedSender<Closing>,
}

/// Where the control thread's work comes from.
pub(crate) struct Queues {
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) closing: mpsc::UnboundedReceiver<Closing>,
    pub(crate) shard_events: mpsc::Receiver<(u16, Event)>,
    /// Answers to questions, by their number. Bounded by what may be asked of a shard at a time.
    pub(crate) reports: mpsc::UnboundedReceiver<(u64, u16, ShardReport)>,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// What the control thread is connected to.
pub(crate) struct Plugs {
    pub(crate) net: Arc<MediaNet>,
    pub(crate) events: broadcast::Sender<Box<RoomEvent>>,
    pub(crate) reports: mpsc::UnboundedSender<(u64, u16, ShardReport)>,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) failure: Failure,
}

/// Says that the process cannot go on. The first word counts.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) watch::Sender<Option<Arc<str>>>);

impl Failure {
    pub(crate) fn report(&self, why: &str) {
        self.0.send_if_modified(|first| {
            let new = first.is_none();
            if new {
                *first = Some(why.into());
            }
            new
        });
    }
}

struct Conn {
    outputs: Outbox,
    /// Set until the join is decided.
    reply: Option<oneshot::Sender<Result<(), JoinError>>>,
    received: u64,
    /// Close once this many messages have arrived.
    close_after: Option<u64>,
}

pub(crate) struct Control {
    hub: Hub,
    plugs: Plugs,
    waiting: Waiting,
    questions: Questions,
    /// Failures of this thread around the hub.
    failures: u64,
    #[cfg(any(test, feature = "test-util"))]
    fail: Option<ConnId>,
    conns: HashMap<ConnId, Conn>,
    validations: HashMap<ServiceId, oneshot::Sender<Result<(), JoinError>>>,
    calls: HashMap<ServiceId, oneshot::Sender<Result<ServiceResponse, ServiceError>>>,
    one_shots: HashMap<ServiceId, oneshot::Sender<OneShotResult>>,
    next_call: u64,
    /// Who is joining or resuming with the input that is carried out.
    greeted: Option<ConnId>,
    /// When to stop at the latest, and whom to tell.
    ending: Option<(Instant, Vec<oneshot::Sender<()>>)>,
}

enum Work {
    Request(Request),
    Closing(Closing),
    Shard(u16, Event),
    Report(u64, u16, Box<ShardReport>),
    Timeout,
    Stop,
}

impl Control {
    pub(crate) fn new(hub: Hub, plugs: Plugs) -> Self {
        Self {
            hub,
            plugs,
            waiting: Waiting::default(),
            questions: Questions::default(),
            failures: 0,
            #[cfg(any(test, feature = "test-util"))]
            fail: None,
            conns: HashMap::new(),
            validations: HashMap::new(),
            calls: HashMap::new(),
            one_shots: HashMap::new(),
            next_call: 0,
            greeted: None,
            ending: None,
        }
    }

    /// Runs until told to stop, then stops the media threads.
    pub(crate) async fn run(mut self, mut queues: Queues) {
        loop {
            let work = self.next(&mut queues).await;
            if matches!(work, Work::Stop) {
                break;
            }
            let now = now();
            self.plugs.heartbeat.beat(now.mono);
            self.guarded(now, work);
            for _ in 0..BURST {
                let more = if let Ok((shard, event)) = queues.shard_events.try_recv() {
                    Work::Shard(shard, event)
                } else if let Ok(request) = queues.requests.try_recv() {
                    Work::Request(request)
                } else {
                    break;
                };
                self.guarded(now, more);
            }
            if self.hub.poll_deadline().is_some_and(|t| t <= now.mono) {
                self.guarded(now, Work::Timeout);
            }
            let net = Arc::clone(&self.plugs.net);
            self.waiting.retry(|shard, command| net.command(shard, command));
            self.answer_questions(now);
            if self.is_drained(now.mono) {
                break;
            }
        }
        self.plugs.net.shutdown();
        let waiting = self.ending.take().map(|(_, w)| w).unwrap_or_default();
        // Everything this thread holds goes before anyone is told that it is gone.
        drop(self);
        drop(queues);
        for reply in waiting {
            let _ = reply.send(());
        }
    }

    async fn next(&self, queues: &mut Queues) -> Work {
        let ending = self.ending.as_ref().map(|(at, _)| *at);
        let deadline =
            [self.hub.poll_deadline(), ending, self.questions.deadline()].into_iter().flatten().min();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // At least as often as a thread that lives must be seen to.
        let rest = if self.waiting.is_empty() { HEARTBEAT_INTERVAL } else { RETRY };
        // While ending, look often whether the sessions have taken what was left for them.
        let poll = async {
            match ending {
                Some(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = queues.stopped.changed() => Work::Stop,
            Some((shard, event)) = queues.shard_events.recv() => Work::Shard(shard, event),
            Some(closing) = queues.closing.recv() => Work::Closing(closing),
            Some((number, shard, report)) = queues.reports.recv() => {
                Work::Report(number, shard, Box::new(report))
            }
            request = queues.requests.recv() => request.map_or(Work::Stop, Work::Request),
            () = timer => Work::Timeout,
            () = poll => Work::Timeout,
            () = tokio::time::sleep(rest) => Work::Timeout,
        }
    }

    /// Does one piece of work. What fails inside the hub is dealt with there; a failure around it costs the session whose
    /// request it was.
    fn guarded(&mut self, now: Now, work: Work) {
        let conn = match &work {
            Work::Request(Request::Join { conn, .. } | Request::Signal { conn, .. })
            | Work::Closing(Closing { conn, .. }) => Some(*conn),
            _ => None,
        };
        // Unwind safety: the tables here map ids to queues, and a missing entry is a session that is gone.
        if catch_unwind(AssertUnwindSafe(|| self.handle(now, work))).is_ok() {
            return;
        }
        self.failures += 1;
        tracing::error!(session = conn.map(|c| c.0), "the control thread failed at the work of this session");
        if let Some(conn) = conn {
            self.conns.remove(&conn);
            self.input(now, Input::SignalClosed { conn });
        }
    }

    fn handle(&mut self, now: Now, work: Work) {
        match work {
            Work::Request(request) => self.handle_request(now, request),
            Work::Closing(Closing { conn, sent }) => {
                let Some(known) = self.conns.get_mut(&conn) else { return };
                if known.received < sent {
                    known.close_after = Some(sent);
                } else {
                    self.conns.remove(&conn);
                    self.input(now, Input::SignalClosed { conn });
                }
            }
            Work::Shard(shard, event) => self.input(now, Input::Shard { shard: ShardId(shard), event }),
            Work::Report(number, shard, report) => self.questions.answer(number, shard, *report),
            Work::Timeout => self.input(now, Input::Timeout),
            Work::Stop => {}
        }
    }

    fn handle_request(&mut self, now: Now, request: Request) {
        match request {
            Request::Join { conn, params, outputs, reply } => {
                let state = Conn { outputs, reply: Some(reply), received: 0, close_after: None };
                self.conns.insert(conn, state);
                self.greeted = Some(conn);
                self.input(now, Input::Join { conn, params });
                self.greeted = None;
            }
            Request::Validate { params, reply } => {
                let id = self.call_id();
                self.validations.insert(id, reply);
                self.input(now, Input::Validate { id, params });
            }
            Request::Signal { conn, request, slot } => {
                let Some(known) = self.conns.get_mut(&conn) else { return };
                known.received += 1;
                let last = known.close_after.is_some_and(|n| known.received >= n);
                #[cfg(any(test, feature = "test-util"))]
                if self.fail.take_if(|failing| *failing == conn).is_some() {
                    self.hub.fail_after(0);
                }
                self.input(now, Input::Signal { conn, request: *request });
                drop(slot);
                if last && self.conns.remove(&conn).is_some() {
                    self.input(now, Input::SignalClosed { conn });
                }
            }
            Request::Service { request, reply } => {
                let id = self.call_id();
                self.calls.insert(id, reply);
                self.input(now, Input::Service { id, request: *request });
            }
            Request::OneShot { request, reply } => {
                let id = self.call_id();
                self.one_shots.insert(id, reply);
                self.input(now, Input::OneShot { id, request: *request });
            }
            Request::Drain { reply } => {
                self.input(now, Input::Drain);
                let _ = reply.send(());
            }
            Request::Ping { reply } => drop(reply.send(())),
            request @ (Request::Stats { .. } | Request::Metrics { .. }) => {
                let (net, reports) = (&self.plugs.net, &self.plugs.reports);
                self.questions.add(now.mono, request, |number| {
                    let reports = reports.clone();
                    let sink: ReportSink = Arc::new(move |shard, report| {
                        let _ = reports.send((number, shard, report));
                    });
                    net.ask_reports(&sink)
                });
            }
            #[cfg(any(test, feature = "test-util"))]
            Request::Fail { conn } => self.fail = Some(conn),
            Request::Revocations { reply } => drop(reply.send(self.hub.revocations(now))),
            Request::Restore { entries, reply } => {
                self.hub.restore_revocations(now, entries);
                let _ = reply.send(());
            }
            Request::Shutdown { drain, reply } => {
                let end = now.mono + drain;
                match &mut self.ending {
                    Some((at, waiting)) => {
                        *at = (*at).min(end);
                        waiting.push(reply);
                    }
                    None => {
                        self.ending = Some((end, vec![reply]));
                        self.input(now, Input::Shutdown);
                    }
                }
            }
        }
    }

    fn answer_questions(&mut self, now: Now) {
        for Answered { request, reports } in self.questions.take(now.mono) {
            let last = self.plugs.net.last_reports();
            let shards = last.into_iter().zip(reports).map(|(last, new)| new.unwrap_or(last)).collect();
            let stats = SfuStats {
                hub: self.hub.stats(),
                sessions: self.conns.len(),
                calls: self.calls.len() + self.validations.len() + self.one_shots.len(),
                failures: self.failures,
                shards,
            };
            match request {
                Request::Stats { reply } => drop(reply.send(stats)),
                Request::Metrics { reply } => {
                    // A room that cannot be described must not take the others down.
                    if let Ok(hub) = catch_unwind(AssertUnwindSafe(|| self.hub.metrics())) {
                        let _ = reply.send(SfuMetrics { stats, hub });
                    }
                }
                _ => {}
            }
        }
    }

    fn call_id(&mut self) -> ServiceId {
        self.next_call += 1;
        ServiceId(self.next_call)
    }

    /// One input, then everything that follows from it.
    fn input(&mut self, now: Now, input: Input) {
        self.hub.handle(now, input);
        while let Some(output) = self.hub.poll() {
            self.carry_out(now, output);
        }
    }

    fn carry_out(&mut self, now: Now, output: Output) {
        match output {
            Output::Signal { conn, response } => self.deliver(now, conn, SessionOutput::Message(response)),
            Output::Broadcast { conns, response } => {
                for conn in conns {
                    self.deliver(now, conn, SessionOutput::Message(Arc::clone(&response)));
                }
            }
            Output::RefreshToken { conn, claims } => {
                self.deliver(now, conn, SessionOutput::RefreshToken(claims));
            }
            Output::Moved { conn, response, claims } => {
                self.deliver(now, conn, SessionOutput::Moved { response, claims });
            }
            Output::CloseSignal { conn, clean } => {
                if let Some(gone) = self.conns.remove(&conn) {
                    // A full queue says the same by its end.
                    let _ = gone.outputs.send(SessionOutput::Close { clean });
                }
            }
            Output::Refuse { conn, error } => {
                if let Some(reply) = self.conns.remove(&conn).and_then(|c| c.reply) {
                    let _ = reply.send(Err(error));
                }
            }
            Output::Validated { id, result } => {
                if let Some(reply) = self.validations.remove(&id) {
                    let _ = reply.send(result);
                }
            }
            Output::ServiceReply { id, result } => {
                if let Some(reply) = self.calls.remove(&id) {
                    let _ = reply.send(result);
                }
            }
            Output::OneShotReply { id, result } => {
                if let Some(reply) = self.one_shots.remove(&id) {
                    let _ = reply.send(result);
                }
            }
            Output::Command { shard, command } => {
                let net = &self.plugs.net;
                let sent = self.waiting.send(shard.0, Box::new(command), |s, c| net.command(s, c));
                if let Err(Stuck(shard)) = sent {
                    self.plugs.failure.report(&format!("media thread {shard} takes no commands any more"));
                }
            }
            Output::Event(event) => {
                // Nobody listening is fine.
                let _ = self.plugs.events.send(event);
            }
        }
    }

    fn deliver(&mut self, now: Now, conn: ConnId, output: SessionOutput) {
        let Some(known) = self.conns.get_mut(&conn) else { return };
        // The first message means that the join was accepted. A caller that no longer waits has dropped its session,
        // whose closing arrives by itself.
        if let Some(reply) = known.reply.take() {
            let _ = reply.send(Ok(()));
        }
        let sent = match self.greeted {
            Some(greeted) if greeted == conn => known.outputs.send_greeting(output),
            _ => known.outputs.send(output),
        };
        if sent.is_err() {
            tracing::info!(session = conn.0, "a signalling client reads too slowly and is cut off");
            self.conns.remove(&conn);
            self.hub.handle(now, Input::SignalClosed { conn });
        }
    }

    /// Whether a shutdown is complete: nothing is left to take, or the time is over.
    fn is_drained(&self, now: Instant) -> bool {
        let Some((end, _)) = &self.ending else { return false };
        now >= *end || (self.conns.is_empty() && self.hub.stats().connections == 0)
    }
}

#[allow(clippy::disallowed_methods, reason = "the control thread is where the control plane gets its time")]
fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
}
