//! The loop of one shard thread.

use super::route::Router;
use crate::config::TcpLimits;
use crate::error::ThreadError;
use crate::heartbeat::{HEARTBEAT_INTERVAL, Heartbeat};
use crate::media_net::EventSink;
use crate::poller::{Interest, Poller, Ready, Waker};
use crate::report::{NetCounters, ShardReport};
use crate::shard::{Inbox, Letter, Outbox};
use crate::tcp::{TcpTable, TcpTurn};
use crate::udp::{Receiver, Sender, UdpPort};
use bedrud_sfu::{Event, Path, Proto, SendBatch, Shard};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const TOKEN_UDP: u64 = 0;
const TOKEN_WAKER: u64 = 1;
const FIRST_TCP_TOKEN: u64 = 2;
/// Batches received before timers and other sockets get their turn.
const BATCHES_PER_TURN: usize = 16;
/// Letters taken before sockets get their turn.
const LETTERS_PER_TURN: usize = 256;
/// Times letters are opened once the thread is told to end.
const FINAL_TURNS: usize = 64;
/// How soon an event the owner could not take is offered again.
const EVENT_RETRY: Duration = Duration::from_millis(5);

/// Failures around the sockets within [`FAILURE_WINDOW`] that end the thread.
const MAX_FAILURES: u32 = 32;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// What others see of a thread, and how they end it.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) heartbeat: Heartbeat,
    /// The newest report.
    pub(crate) report: Arc<Mutex<ShardReport>>,
    /// Set to end the thread.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Public {
    pub(crate) fn new(now: Instant) -> Self {
        Self { heartbeat: Heartbeat::new(now), report: Arc::default(), stop: Arc::default() }
    }
}

/// Everything one thread owns.
pub(crate) struct ShardThread {
    index: u16,
    shard: Shard,
    port: UdpPort,
    receiver: Receiver,
    sender: Sender,
    poller: Poller,
    inbox: Inbox,
    others: Vec<Outbox>,
    router: Router,
    tcp: TcpTable,
    batch: SendBatch,
    sink: EventSink,
    /// An event the owner had no room for.
    refused: Option<Event>,
    counters: NetCounters,
    udp_wants_write: bool,
    public: Public,
    reported: Instant,
    failures: (Option<Instant>, u32),
}

impl ShardThread {
    /// `others` has one entry per shard, this one included.
    pub(crate) fn new(
        shard: Shard,
        port: UdpPort,
        inbox: Inbox,
        others: Vec<Outbox>,
        limits: TcpLimits,
        sink: EventSink,
        public: Public,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&port, TOKEN_UDP, Interest::Read)?;
        poller.add(&inbox.waker, TOKEN_WAKER, Interest::Read)?;
        let shards = u16::try_from(others.len()).unwrap_or(u16::MAX);
        let index = shard.config().shard;
        Ok(Self {
            index,
            shard,
            receiver: Receiver::new(&port),
            sender: Sender::default(),
            port,
            poller,
            inbox,
            others,
            router: Router::new(index, shards),
            tcp: TcpTable::new(index, shards, limits, FIRST_TCP_TOKEN),
            batch: SendBatch::with_capacity(256 << 10),
            sink,
            refused: None,
            counters: NetCounters::default(),
            udp_wants_write: false,
            public,
            reported: Instant::now(),
            failures: (None, 0),
        })
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) -> Result<(), ThreadError> {
        let mut ready = Vec::new();
        // Outside of the turn: what is to be told of connections outlives a turn that fails.
        let mut tcp_turn = TcpTurn::default();
        while !self.public.stop.load(Ordering::Acquire) {
            let timeout = self.timeout(Instant::now());
            self.poller.wait(&mut ready, Some(timeout)).map_err(ThreadError::Poll)?;
            let now = Instant::now();
            self.public.heartbeat.beat(now);
            // What a peer sends is dealt with inside the shard. This is about sockets: at worst it costs one turn.
            if catch_unwind(AssertUnwindSafe(|| self.turn(&ready, &mut tcp_turn))).is_err() {
                self.count_failure(now);
            }
            if self.failures.1 >= MAX_FAILURES || self.shard.is_beyond_repair() {
                return Err(ThreadError::BeyondRepair);
            }
            if now.saturating_duration_since(self.reported) >= HEARTBEAT_INTERVAL {
                self.reported = now;
                self.report();
            }
        }
        // What was sent before the end still counts: goodbyes above all.
        let finished = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..FINAL_TURNS {
                self.open_letters(&mut tcp_turn);
            }
            self.flush(Instant::now(), &mut tcp_turn);
        }));
        if finished.is_err() {
            self.count_failure(Instant::now());
        }
        Ok(())
    }

    fn count_failure(&mut self, now: Instant) {
        self.counters.panics += 1;
        self.batch.clear();
        let (since, count) = self.failures;
        self.failures = match since.filter(|t| now.saturating_duration_since(*t) <= FAILURE_WINDOW) {
            Some(since) => (Some(since), count + 1),
            None => (Some(now), 1),
        };
        tracing::error!(shard = self.index, "a turn of the media thread failed");
    }

    /// Leaves a report for whoever asks while this thread is busy.
    fn report(&mut self) -> ShardReport {
        self.counters.tcp_connections = self.tcp.len();
        let report = ShardReport { shard: self.shard.stats(), net: self.counters };
        *self.public.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        report
    }

    fn timeout(&self, now: Instant) -> Duration {
        let retry = self.refused.as_ref().map(|_| now + EVENT_RETRY);
        let due = [self.shard.poll_deadline(), self.tcp.poll_deadline(), retry].into_iter().flatten().min();
        due.map_or(HEARTBEAT_INTERVAL, |t| t.saturating_duration_since(now).min(HEARTBEAT_INTERVAL))
    }

    fn turn(&mut self, ready: &[Ready], tcp_turn: &mut TcpTurn) {
        let mut letters = false;
        for event in ready {
            match event.token {
                TOKEN_UDP => {
                    if event.readable {
                        self.receive(tcp_turn);
                    }
                }
                TOKEN_WAKER => letters = true,
                token => {
                    let now = Instant::now();
                    if event.writable {
                        self.tcp.writable(&self.poller, token, tcp_turn);
                    }
                    if event.readable {
                        self.read_tcp(now, token, tcp_turn);
                    }
                }
            }
        }
        if letters {
            self.open_letters(tcp_turn);
        }
        let now = Instant::now();
        if self.shard.poll_deadline().is_some_and(|t| t <= now) {
            self.shard.handle_timeout(now);
        }
        self.tcp.sweep(now, tcp_turn);
        self.settle_tcp(now, tcp_turn);
        self.flush(now, tcp_turn);
        self.settle_tcp(now, tcp_turn);
        self.emit();
    }

    fn receive(&mut self, tcp_turn: &mut TcpTurn) {
        for _ in 0..BATCHES_PER_TURN {
            let now = Instant::now();
            let (shard, router, others, index) = (&mut self.shard, &self.router, &self.others, self.index);
            let (mut forwarded, mut dropped) = (0, 0);
            let got = self.receiver.receive(&self.port, &mut self.counters, |local, remote, datagram| {
                let path = Path { proto: Proto::Udp, remote, local };
                if !router.is_alone()
                    && let Some(owner) = router.elsewhere(remote, datagram)
                {
                    let letter = Letter::Datagram { from: index, path, bytes: Box::from(&*datagram) };
                    match others.get(usize::from(owner)).map(|o| o.try_send(letter)) {
                        Some(Ok(())) => forwarded += 1,
                        _ => dropped += 1,
                    }
                    return;
                }
                shard.handle_datagram(now, path, datagram);
            });
            self.counters.forwarded += forwarded;
            self.counters.forward_dropped += dropped;
            match got {
                Ok(true) => self.flush(now, tcp_turn),
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(shard = self.index, %error, "receiving failed");
                    return;
                }
            }
        }
    }

    fn read_tcp(&mut self, now: Instant, token: u64, tcp_turn: &mut TcpTurn) {
        let shard = &mut self.shard;
        self.tcp.readable(now, &self.poller, token, &mut self.counters, tcp_turn, |path, frame| {
            shard.handle_datagram(now, path, frame);
        });
    }

    fn open_letters(&mut self, tcp_turn: &mut TcpTurn) {
        // Reset first: a letter that comes later wakes again.
        self.inbox.waker.reset();
        for _ in 0..LETTERS_PER_TURN {
            let letter = match self.inbox.letters.try_recv() {
                Ok(letter) => letter,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            };
            let now = Instant::now();
            match letter {
                Letter::Command(command) => self.shard.handle_command(now, *command),
                Letter::Stream(new) => {
                    let added = self.tcp.add(now, &self.poller, *new, tcp_turn);
                    // First the end of what was at this address before, then what comes from it now.
                    self.settle_tcp(now, tcp_turn);
                    if let Some(token) = added {
                        self.read_tcp(now, token, tcp_turn);
                    }
                }
                Letter::Datagram { from, path, mut bytes } => {
                    self.router.asked_by(path.remote, from);
                    self.shard.handle_datagram(now, path, &mut bytes);
                }
                Letter::Relay { path, segment, mut bytes } => {
                    for datagram in bytes.chunks_mut(segment.max(1)) {
                        self.shard.handle_datagram(now, path, datagram);
                    }
                }
                Letter::Owner { remote, shard } => self.router.learn(remote, shard),
                Letter::Report(reply) => reply(self.index, self.report()),
                #[cfg(any(test, feature = "test-util"))]
                Letter::Test(act) => {
                    if act().is_err() {
                        self.poller.break_for_test();
                    }
                }
            }
        }
        // More may wait: come back without sleeping.
        let waker: &Waker = &self.inbox.waker;
        waker.wake();
    }

    /// Tells the shard and the other threads what happened to connections.
    fn settle_tcp(&mut self, now: Instant, tcp_turn: &mut TcpTurn) {
        for path in tcp_turn.closed.drain(..) {
            self.shard.path_closed(now, path);
        }
        for (path, congested) in tcp_turn.congestion.drain(..) {
            self.shard.tcp_congested(path, congested);
        }
        for (owner, new) in tcp_turn.handoffs.drain(..) {
            // A full queue loses the connection; the client tries again.
            if let Some(outbox) = self.others.get(usize::from(owner)) {
                let _ = outbox.try_send(Letter::Stream(Box::new(new)));
            }
        }
    }

    fn flush(&mut self, now: Instant, tcp_turn: &mut TcpTurn) {
        self.batch.clear();
        self.shard.flush(now, &mut self.batch);
        if !self.batch.is_empty() || self.sender.has_backlog() {
            if !self.router.is_alone() {
                self.report_answers();
            }
            for run in self.batch.runs().filter(|r| r.path.proto == Proto::Tcp) {
                self.tcp.send(now, &self.poller, run, &mut self.counters, tcp_turn);
            }
            if !self.router.is_alone() {
                self.relay();
            }
            let udp = self.batch.runs().filter(|r| r.path.proto == Proto::Udp);
            self.sender.send(&mut self.port, &mut self.counters, udp);
            self.watch_udp();
        }
        self.router.end_turn();
    }

    /// Hands datagrams to other shards. What a full queue refuses is asked for again like any loss.
    fn relay(&mut self) {
        for run in self.batch.runs() {
            let Some(outbox) = run.path.relay_shard().and_then(|s| self.others.get(usize::from(s))) else {
                continue;
            };
            let letter = Letter::Relay {
                path: run.path.reversed(),
                segment: run.segment,
                bytes: Box::from(run.bytes),
            };
            let datagrams = run.segments().len() as u64;
            match outbox.try_send(letter) {
                Ok(()) => self.counters.relayed += datagrams,
                Err(_) => self.counters.relay_dropped += datagrams,
            }
        }
    }

    /// An answered check of a forwarded source moves that source's datagrams to this shard.
    fn report_answers(&mut self) {
        for run in
            self.batch.runs().filter(|r| r.path.proto == Proto::Udp && r.bytes.starts_with(&[0x01, 0x01]))
        {
            if let Some(from) = self.router.answered(run.path.remote)
                && let Some(outbox) = self.others.get(usize::from(from))
            {
                let _ = outbox.try_send(Letter::Owner { remote: run.path.remote, shard: self.index });
            }
        }
    }

    fn watch_udp(&mut self) {
        let wants = self.sender.has_backlog();
        if wants != self.udp_wants_write {
            let interest = if wants { Interest::ReadWrite } else { Interest::Read };
            if self.poller.modify(&self.port, TOKEN_UDP, interest).is_ok() {
                self.udp_wants_write = wants;
            }
        }
    }

    /// Hands events out. What the owner cannot take waits here, so the shard's own bound applies behind it.
    fn emit(&mut self) {
        while let Some(event) = self.refused.take().or_else(|| self.shard.poll_event()) {
            if let Err(event) = (self.sink)(self.index, event) {
                self.refused = Some(event);
                return;
            }
        }
    }
}
