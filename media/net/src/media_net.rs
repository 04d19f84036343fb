//! The handle on the media port and its threads.

use crate::config::{NetConfig, TcpLimits};
use crate::error::{AdoptError, NetError};
use crate::heartbeat::Heartbeat;
use crate::report::{ReportSink, ShardReport};
use crate::shard::{Letter, Outbox, Public, ShardThread};
use crate::sniff::{Sniff, sniff};
use crate::tcp::{HostLimits, NewConnection};
use crate::udp;
use bedrud_sfu::{Command, Event, Shard};
use bedrud_transport::TransportContext;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Takes the events of all shards, called on their threads. Must not block; an event handed back is offered again
/// a little later, and the shard holds the ones behind it.
pub type EventSink = Arc<dyn Fn(u16, Event) -> Result<(), Event> + Send + Sync>;

/// Hears that a media thread cannot go on, and why. Called on that thread as it ends; must not block.
pub type FailureSink = Arc<dyn Fn(u16, &str) + Send + Sync>;

/// Questions that may wait for one thread; whoever asks more gets what it said last.
const MAX_QUESTIONS: usize = 16;
/// Threads have so long to end; one that does not is left behind.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The running media port. Dropping it stops the threads and closes every socket.
pub struct MediaNet {
    outboxes: Vec<Outbox>,
    public: Vec<Public>,
    /// Questions that wait, by shard.
    questions: Vec<Arc<AtomicUsize>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    local: SocketAddr,
    limits: TcpLimits,
    hosts: HostLimits,
}

impl MediaNet {
    /// Opens the port and starts the threads.
    ///
    /// # Errors
    /// [`NetError::Bind`] when the address cannot be bound, [`NetError::System`] when a thread or a descriptor cannot
    /// be had.
    pub fn start(
        config: &NetConfig,
        context: &TransportContext,
        sink: &EventSink,
        failed: &FailureSink,
    ) -> Result<Self, NetError> {
        let count = config.shard_count();
        let ports = udp::bind(config.bind, count, config.socket_buffer, config.udp)?;
        let local = ports.first().map(|p| p.local).ok_or(NetError::Stopped)?;
        let mut outboxes = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..count {
            let (outbox, inbox) = Outbox::pair(config.queue)?;
            outboxes.push(outbox);
            inboxes.push(inbox);
        }
        let net = Self {
            outboxes: outboxes.clone(),
            public: outboxes.iter().map(|_| Public::new(Instant::now())).collect(),
            questions: outboxes.iter().map(|_| Arc::default()).collect(),
            threads: Mutex::new(Vec::new()),
            local,
            limits: config.tcp,
            hosts: HostLimits::default(),
        };
        for (((index, port), inbox), public) in (0..count).zip(ports).zip(inboxes).zip(&net.public) {
            let mut shard_config = config.shard.clone();
            shard_config.shard = index;
            // Distinct, however close the numbers of the shards are.
            let seed = config.seed ^ u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let shard = Shard::new(shard_config, context.clone(), seed, Instant::now());
            let thread = ShardThread::new(
                shard,
                port,
                inbox,
                outboxes.clone(),
                config.tcp,
                Arc::clone(sink),
                public.clone(),
            )?;
            let failed = Arc::clone(failed);
            let handle = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || run(index, thread, &failed))?;
            net.threads.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        }
        tracing::info!(address = %local, shards = count, "media port is open");
        Ok(net)
    }

    /// The bound UDP address, its port chosen by the system if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> u16 {
        u16::try_from(self.outboxes.len()).unwrap_or(u16::MAX)
    }

    /// Sends a command without waiting. Whoever sends must not be held up by one shard, so what to do with a command
    /// that finds the queue full is for them to decide: it comes back.
    ///
    /// # Errors
    /// [`NetError::NoShard`], [`NetError::Stopped`] after the end, and [`NetError::Full`], with the command.
    pub fn command(&self, shard: u16, command: Box<Command>) -> Result<(), (NetError, Box<Command>)> {
        match self.outbox(shard) {
            Ok(outbox) => outbox.command(command),
            Err(error) => Err((error, command)),
        }
    }

    fn outbox(&self, shard: u16) -> Result<&Outbox, NetError> {
        self.outboxes.get(usize::from(shard)).ok_or(NetError::NoShard(shard))
    }

    /// Takes over a TCP connection that [`sniff`] called [`Sniff::IceTcp`] or [`Sniff::SslTcp`]; `prefix` is what was
    /// read from it.
    ///
    /// # Errors
    /// [`AdoptError`]; the connection is closed then.
    pub fn adopt_tcp(&self, stream: TcpStream, prefix: Vec<u8>) -> Result<(), AdoptError> {
        let ssl = match sniff(&prefix) {
            Sniff::IceTcp => false,
            Sniff::SslTcp => true,
            _ => return Err(AdoptError::NotIceTcp),
        };
        let canonical = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
        let remote = canonical(stream.peer_addr()?);
        let local = canonical(stream.local_addr()?);
        let admission =
            self.hosts.admit(remote.ip(), self.limits.connections, self.limits.unauthenticated_per_host)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        // Any shard can start: the first check names the owner, which gets the connection then.
        let first = self.outbox(0)?;
        first.try_send(Letter::Stream(Box::new(NewConnection {
            stream,
            remote,
            local,
            prefix,
            ssl,
            admission,
            since: Instant::now(),
        })))?;
        Ok(())
    }

    /// Asks every shard what it holds and has done. The answers come to `sink`, behind everything that was sent to the
    /// shard before; a shard that is busy answers late, and one that is stuck not at all. Returns which were asked: for
    /// the others, and for those without patience, there is [`MediaNet::last_reports`].
    pub fn ask_reports(&self, sink: &ReportSink) -> Vec<bool> {
        let ask = |(outbox, waiting): (&Outbox, &Arc<AtomicUsize>)| {
            if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_QUESTIONS {
                waiting.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            // Counted until it is answered, or thrown away with the thread.
            let question = Question(Arc::clone(waiting));
            let sink = Arc::clone(sink);
            let answer: ReportSink = Arc::new(move |shard, report| {
                let _answered = &question;
                sink(shard, report);
            });
            outbox.try_send(Letter::Report(answer)).is_ok()
        };
        self.outboxes.iter().zip(&self.questions).map(ask).collect()
    }

    /// What every shard said last, which is about a second old while its thread lives.
    #[must_use]
    pub fn last_reports(&self) -> Vec<ShardReport> {
        self.public.iter().map(|p| *p.report.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    /// Signs of life of every shard. A thread that lives beats at least once in [`crate::HEARTBEAT_INTERVAL`].
    pub fn heartbeats(&self) -> impl ExactSizeIterator<Item = &Heartbeat> {
        self.public.iter().map(|p| &p.heartbeat)
    }

    /// Stops the threads and waits for them; all sockets are closed afterwards. Again is a no-op. A thread that is stuck
    /// is left behind after some seconds.
    pub fn shutdown(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        for (outbox, public) in self.outboxes.iter().zip(&self.public) {
            public.stop.store(true, Ordering::Release);
            outbox.wake();
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        for thread in threads {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !thread.is_finished() {
                tracing::error!("a media thread does not end and is left behind");
            } else if thread.join().is_err() {
                tracing::error!("a media thread had panicked");
            }
        }
    }

    /// Lets a shard do something else for as long as that takes, in which it is stuck. After an error it cannot watch its
    /// sockets any more.
    #[cfg(any(test, feature = "test-util"))]
    pub fn occupy(&self, shard: u16, act: Box<dyn FnOnce() -> std::io::Result<()> + Send>) {
        if let Ok(outbox) = self.outbox(shard) {
            let _ = outbox.try_send(Letter::Test(act));
        }
    }
}

/// A question that waits.
struct Question(Arc<AtomicUsize>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a thread. That it ends without having been told is never silent.
fn run(index: u16, thread: ShardThread, failed: &FailureSink) {
    let why = match catch_unwind(AssertUnwindSafe(|| thread.run())) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    };
    tracing::error!(shard = index, why, "a media thread cannot go on");
    failed(index, &why);
}

impl Drop for MediaNet {
    fn drop(&mut self) {
        self.shutdown();
    }
}
