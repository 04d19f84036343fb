//! One ICE/TCP connection.

use super::framing::FrameReader;
use super::limits::Admission;
use super::queue::{Queued, WriteQueue};
use super::ssl::{SSL_CLIENT_HELLO, SSL_SERVER_HELLO};
use crate::config::TcpLimits;
use bedrud_sfu::Path;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::time::Instant;

/// What a read brought.
pub(crate) enum ReadState {
    /// Something, perhaps more to come.
    Progress,
    /// Nothing for now.
    Blocked,
    /// The connection is over.
    Ended,
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) path: Path,
    pub(crate) reader: FrameReader,
    queue: WriteQueue,
    pub(crate) admission: Admission,
    /// When the process took the connection over.
    pub(crate) since: Instant,
    /// When a check was last answered here, or the connection began.
    pub(crate) last_check: Instant,
    /// The pretend-TLS hello is still expected.
    pub(crate) ssl_pending: bool,
    /// No frame has been taken yet, so the owning shard is not known to be this one.
    pub(crate) fresh: bool,
    /// What epoll has been told.
    pub(crate) wants_write: bool,
    /// The shard has been told that video is stopped.
    pub(crate) told_congested: bool,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        path: Path,
        reader: FrameReader,
        admission: Admission,
        ssl: bool,
        (now, since): (Instant, Instant),
    ) -> Self {
        Self {
            stream,
            path,
            reader,
            queue: WriteQueue::default(),
            admission,
            since,
            last_check: now,
            ssl_pending: ssl,
            fresh: true,
            wants_write: false,
            told_congested: false,
        }
    }

    /// Reads once into the frame buffer.
    pub(crate) fn fill(&mut self) -> ReadState {
        match self.stream.read(self.reader.space()) {
            Ok(0) => ReadState::Ended,
            Ok(n) => {
                self.reader.filled(n);
                ReadState::Progress
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => ReadState::Blocked,
            Err(e) if e.kind() == ErrorKind::Interrupted => ReadState::Progress,
            Err(_) => ReadState::Ended,
        }
    }

    /// Answers the pretend-TLS hello once it is complete. False when it is something else.
    pub(crate) fn greet(&mut self, now: Instant) -> bool {
        let seen = self.reader.buffered();
        let n = seen.len().min(SSL_CLIENT_HELLO.len());
        if seen.get(..n) != SSL_CLIENT_HELLO.get(..n) {
            return false;
        }
        if n == SSL_CLIENT_HELLO.len() {
            let rest = seen.get(n..).unwrap_or_default().to_vec();
            self.reader = FrameReader::default();
            self.reader.push(&rest);
            self.ssl_pending = false;
            self.queue.push_raw(now, &SSL_SERVER_HELLO);
        }
        true
    }

    /// Queues one packet, and writes what goes.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        packet: &[u8],
        droppable: bool,
        limits: &TcpLimits,
    ) -> io::Result<Queued> {
        let queued = self.queue.push(now, packet, droppable, limits.queue_bytes, limits.queue_age);
        if !self.wants_write {
            self.flush()?;
        }
        Ok(queued)
    }

    /// Writes what goes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.queue.write_to(&mut self.stream).map(|_| ())
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn is_congested(&self) -> bool {
        self.queue.is_congested()
    }
}
