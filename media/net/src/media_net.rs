//! The handle on the media port and its threads.

use crate::config::{NetConfig, TcpLimits};
use crate::error::{AdoptError, NetError};
use crate::report::ShardReport;
use crate::shard::{Letter, Outbox, ShardThread};
use crate::sniff::{Sniff, sniff};
use crate::tcp::{HostLimits, NewConnection};
use crate::udp;
use bedrud_sfu::{Command, Event, Shard};
use bedrud_transport::TransportContext;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Takes the events of all shards, called on their threads. Must not block; an event handed back is offered again
/// a little later, and the shard holds the ones behind it.
pub type EventSink = Arc<dyn Fn(u16, Event) -> Result<(), Event> + Send + Sync>;

/// How long [`MediaNet::report`] waits for one thread.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// The running media port. Dropping it stops the threads and closes every socket.
pub struct MediaNet {
    outboxes: Vec<Outbox>,
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
    pub fn start(config: &NetConfig, context: &TransportContext, sink: &EventSink) -> Result<Self, NetError> {
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
            threads: Mutex::new(Vec::new()),
            local,
            limits: config.tcp,
            hosts: HostLimits::default(),
        };
        for ((index, port), inbox) in (0..count).zip(ports).zip(inboxes) {
            let mut shard_config = config.shard.clone();
            shard_config.shard = index;
            // Distinct, however close the numbers of the shards are.
            let seed = config.seed ^ u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let shard = Shard::new(shard_config, context.clone(), seed, Instant::now());
            let thread =
                ShardThread::new(index, shard, port, inbox, outboxes.clone(), config.tcp, Arc::clone(sink))?;
            let handle =
                std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || thread.run())?;
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

    /// Sends a command, waiting for room in the shard's queue. Shards never wait for anybody, so this is short.
    ///
    /// # Errors
    /// [`NetError::NoShard`], or [`NetError::Stopped`] after the end.
    pub fn command(&self, shard: u16, command: Command) -> Result<(), NetError> {
        self.outbox(shard)?.send(Letter::Command(Box::new(command)))
    }

    /// Sends a command without waiting.
    ///
    /// # Errors
    /// As [`MediaNet::command`], and [`NetError::Full`].
    pub fn try_command(&self, shard: u16, command: Command) -> Result<(), NetError> {
        self.outbox(shard)?.try_send(Letter::Command(Box::new(command)))
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
        })))?;
        Ok(())
    }

    /// What every shard holds and has done. Blocks for a moment.
    ///
    /// # Errors
    /// [`NetError::Stopped`] when a thread does not answer.
    pub fn report(&self) -> Result<Vec<ShardReport>, NetError> {
        let mut waiting = Vec::new();
        for outbox in &self.outboxes {
            let (reply, answer) = channel();
            outbox.send(Letter::Report(reply))?;
            waiting.push(answer);
        }
        waiting.into_iter().map(|a| a.recv_timeout(REPORT_TIMEOUT).map_err(|_| NetError::Stopped)).collect()
    }

    /// Stops the threads and waits for them; all sockets are closed afterwards. Again is a no-op.
    pub fn shutdown(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        for outbox in &self.outboxes {
            let _ = outbox.send(Letter::Shutdown);
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a media thread had panicked");
            }
        }
    }
}

impl Drop for MediaNet {
    fn drop(&mut self) {
        self.shutdown();
    }
}
