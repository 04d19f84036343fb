//! The ICE/TCP connections of one shard thread.

use super::connection::{Connection, ReadState};
use super::framing::FrameReader;
use super::limits::Admission;
use super::queue::Queued;
use crate::config::TcpLimits;
use crate::poller::{Interest, Poller};
use crate::report::NetCounters;
use crate::shard::route::shard_of_check;
use bedrud_sfu::{Path, Proto, RunRef};
use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Reads of one connection before the others get their turn.
const READS_PER_TURN: usize = 16;
/// How often idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// A stream handed over by the acceptor or by another shard.
pub(crate) struct NewConnection {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) prefix: Vec<u8>,
    pub(crate) ssl: bool,
    pub(crate) admission: Admission,
    /// When it was taken over from the acceptor: its time to authenticate runs from here.
    pub(crate) since: Instant,
}

/// What the shard thread must do after a turn.
#[derive(Default)]
pub(crate) struct TcpTurn {
    /// Connections that belong to other shards.
    pub(crate) handoffs: Vec<(u16, NewConnection)>,
    /// Paths that ended.
    pub(crate) closed: Vec<Path>,
    /// Paths that went over their limit, or drained again.
    pub(crate) congestion: Vec<(Path, bool)>,
}

/// Connections by token and by client address.
pub(crate) struct TcpTable {
    shard: u16,
    shards: u16,
    limits: TcpLimits,
    connections: HashMap<u64, Connection>,
    by_remote: HashMap<SocketAddr, u64>,
    /// Connections that have not authenticated, by the time they must have.
    waiting: BTreeSet<(Instant, u64)>,
    next_token: u64,
    next_sweep: Option<Instant>,
}

impl TcpTable {
    /// `first_token` and above are used with the poller.
    pub(crate) fn new(shard: u16, shards: u16, limits: TcpLimits, first_token: u64) -> Self {
        Self {
            shard,
            shards,
            limits,
            connections: HashMap::new(),
            by_remote: HashMap::new(),
            waiting: BTreeSet::new(),
            next_token: first_token,
            next_sweep: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn poll_deadline(&self) -> Option<Instant> {
        let first = self.waiting.first().map(|(at, _)| *at);
        [self.next_sweep, first].into_iter().flatten().min()
    }

    /// Takes a connection over. Its first bytes may hold frames already: call [`TcpTable::readable`] for the token, and
    /// before that tell the shard what is in `turn`, which may be the end of another connection at the same address.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        poller: &Poller,
        new: NewConnection,
        turn: &mut TcpTurn,
    ) -> Option<u64> {
        let token = self.next_token;
        self.next_token += 1;
        let path = Path { proto: Proto::Tcp, remote: new.remote, local: new.local };
        let mut reader = FrameReader::default();
        reader.push(&new.prefix);
        if poller.add(&new.stream, token, Interest::Read).is_err() {
            return None;
        }
        if let Some(old) = self.by_remote.get(&new.remote).copied() {
            // The client reuses its port: the old connection cannot be alive. Whatever was said of its path ends with
            // it, above all that the path is congested.
            self.close(old, turn);
        }
        self.by_remote.insert(new.remote, token);
        let connection = Connection::new(new.stream, path, reader, new.admission, new.ssl, (now, new.since));
        if !connection.admission.is_authenticated() {
            self.waiting.insert((connection.since + self.limits.unauthenticated, token));
        }
        self.connections.insert(token, connection);
        self.next_sweep.get_or_insert(now + SWEEP);
        Some(token)
    }

    /// Reads a connection and hands its frames to `on_frame`.
    pub(crate) fn readable(
        &mut self,
        now: Instant,
        poller: &Poller,
        token: u64,
        counters: &mut NetCounters,
        turn: &mut TcpTurn,
        mut on_frame: impl FnMut(Path, &mut [u8]),
    ) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        for read in 0..READS_PER_TURN {
            // The first round takes what came with the connection.
            let state = if read == 0 { ReadState::Progress } else { connection.fill() };
            if connection.ssl_pending && (!connection.greet(now) || connection.flush().is_err()) {
                self.close(token, turn);
                return;
            }
            if !connection.ssl_pending {
                if connection.fresh
                    && let Some(owner) = owner_of(connection.reader.buffered())
                {
                    connection.fresh = false;
                    if owner != self.shard && owner < self.shards {
                        self.hand_off(poller, token, owner, turn);
                        return;
                    }
                }
                loop {
                    match connection.reader.next_frame() {
                        Ok(Some(frame)) => {
                            connection.fresh = false;
                            counters.tcp_frames_in += 1;
                            on_frame(connection.path, frame);
                        }
                        Ok(None) => break,
                        Err(_) => {
                            self.close(token, turn);
                            return;
                        }
                    }
                }
            }
            match state {
                ReadState::Progress => {}
                ReadState::Blocked => return,
                ReadState::Ended => {
                    self.close(token, turn);
                    return;
                }
            }
        }
    }

    /// Writes what waits, and tells when the connection is free again.
    pub(crate) fn writable(&mut self, poller: &Poller, token: u64, turn: &mut TcpTurn) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if connection.flush().is_err() {
            self.close(token, turn);
            return;
        }
        self.settle(poller, token, turn);
    }

    /// Sends the datagrams of a run as frames.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        poller: &Poller,
        run: RunRef<'_>,
        counters: &mut NetCounters,
        turn: &mut TcpTurn,
    ) {
        let found = self.by_remote.get(&run.path.remote).copied();
        let Some((token, connection)) = found.and_then(|t| self.connections.get_mut(&t).map(|c| (t, c)))
        else {
            counters.tcp_frames_dropped += run.segments().len() as u64;
            return;
        };
        for packet in run.segments() {
            if packet.starts_with(&[0x01, 0x01]) {
                // The transport answered a check that came from here: this is how a connection authenticates.
                connection.last_check = now;
                if !connection.admission.is_authenticated() {
                    connection.admission.authenticated();
                    self.waiting.remove(&(connection.since + self.limits.unauthenticated, token));
                }
            }
            match connection.send(now, packet, run.droppable, &self.limits) {
                Ok(Queued::Accepted) => counters.tcp_frames_out += 1,
                Ok(Queued::Dropped) => counters.tcp_frames_dropped += 1,
                Ok(Queued::Full) | Err(_) => {
                    self.close(token, turn);
                    return;
                }
            }
        }
        self.settle(poller, token, turn);
    }

    /// Closes connections that have not authenticated in their time, or not lately.
    pub(crate) fn sweep(&mut self, now: Instant, turn: &mut TcpTurn) {
        while let Some((_, token)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.close(token, turn);
        }
        if self.next_sweep.is_none_or(|t| t > now) {
            return;
        }
        let idle = self.limits.idle;
        let stale: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| now.saturating_duration_since(c.last_check) >= idle)
            .map(|(t, _)| *t)
            .collect();
        for token in stale {
            self.close(token, turn);
        }
        self.next_sweep = (!self.connections.is_empty()).then(|| now + SWEEP);
    }

    /// Keeps epoll's interest and the shard's knowledge of congestion in step with a connection.
    fn settle(&mut self, poller: &Poller, token: u64, turn: &mut TcpTurn) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let backlog = connection.has_backlog();
        if backlog != connection.wants_write {
            let interest = if backlog { Interest::ReadWrite } else { Interest::Read };
            if poller.modify(&connection.stream, token, interest).is_err() {
                self.close(token, turn);
                return;
            }
            connection.wants_write = backlog;
        }
        let congested = connection.is_congested();
        if congested != connection.told_congested {
            connection.told_congested = congested;
            turn.congestion.push((connection.path, congested));
        }
    }

    fn close(&mut self, token: u64, turn: &mut TcpTurn) {
        let Some(connection) = self.connections.remove(&token) else { return };
        if self.by_remote.get(&connection.path.remote) == Some(&token) {
            self.by_remote.remove(&connection.path.remote);
        }
        self.waiting.remove(&(connection.since + self.limits.unauthenticated, token));
        if connection.told_congested {
            turn.congestion.push((connection.path, false));
        }
        if connection.admission.is_authenticated() {
            turn.closed.push(connection.path);
        }
    }

    fn hand_off(&mut self, poller: &Poller, token: u64, owner: u16, turn: &mut TcpTurn) {
        let Some(connection) = self.connections.remove(&token) else { return };
        self.by_remote.remove(&connection.path.remote);
        self.waiting.remove(&(connection.since + self.limits.unauthenticated, token));
        // The descriptor lives on in another thread: left here, every byte for it would wake this one.
        if let Err(error) = poller.remove(&connection.stream) {
            tracing::warn!(%error, "a connection for another media thread is closed");
            return;
        }
        turn.handoffs.push((
            owner,
            NewConnection {
                remote: connection.path.remote,
                local: connection.path.local,
                prefix: connection.reader.buffered().to_vec(),
                stream: connection.stream,
                ssl: false,
                admission: connection.admission,
                since: connection.since,
            },
        ));
    }
}

/// The shard named by the check in a stream's first frame, once that frame is there.
fn owner_of(buffered: &[u8]) -> Option<u16> {
    let (length, rest) = buffered.split_first_chunk::<2>()?;
    shard_of_check(rest.get(..usize::from(u16::from_be_bytes(*length)))?)
}
