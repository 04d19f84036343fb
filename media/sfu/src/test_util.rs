//! Helpers for tests and benches: transports without a handshake, chosen start values.

use crate::downtrack::forwarder::StartValues;
use crate::event::{Event, SelectedPath};
use crate::ids::TransportId;
use crate::path::Path;
use crate::peer::Srtp;
use crate::shard::Shard;
use bedrud_rtp::{SrtpReceiver, SrtpSender};
use std::time::Instant;

/// At which work a shard fails, see [`Shard::fail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A packet of media that arrives from the transport, half forwarded.
    Packet,
    /// The transport's timer, after the deadline was taken.
    Timer,
    /// The flush to the transport, with half a datagram written.
    Flush,
    /// A message for it, and perhaps for others.
    Message,
    /// Carrying out what was queued of messages for it.
    MessageFlush,
    /// A command for the transport.
    Command,
    /// The statistics of its tracks.
    Report,
}

/// Panics if this fault was asked for and the transport is being served.
pub(crate) fn fail_at(wanted: Option<(Fault, TransportId)>, serving: Option<TransportId>, at: Fault) {
    if wanted.is_some_and(|(fault, id)| fault == at && serving == Some(id)) {
        // Without the hook, which would print a backtrace.
        std::panic::resume_unwind(Box::new("injected"));
    }
}

impl Shard {
    /// From now on this work of this transport panics.
    pub fn fail(&mut self, fault: Fault, id: TransportId) {
        self.set_fault(fault, id);
    }

    /// Makes an open transport look connected over `path`, with these contexts instead of negotiated ones. The path's
    /// remote address is learned. Returns false when the transport does not exist.
    pub fn connect_without_handshake(
        &mut self,
        now: Instant,
        id: TransportId,
        path: Path,
        sender: SrtpSender,
        receiver: SrtpReceiver,
    ) -> bool {
        self.install(now, id, path, Srtp { sender, receiver })
    }

    /// Places all tables have memory for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table_capacity()
    }

    /// Fixes the first sequence number, timestamp and picture id of down tracks added from now on.
    pub fn set_start_values(&mut self, seq: u16, timestamp: u32, picture: u16) {
        self.fix_start_values(StartValues { seq, timestamp, picture });
    }
}

/// The event [`Shard::connect_without_handshake`] causes.
#[must_use]
pub fn connected_event(id: TransportId, path: &Path) -> Event {
    Event::Connected { id, path: SelectedPath { tcp: path.is_tcp(), remote: path.remote } }
}
