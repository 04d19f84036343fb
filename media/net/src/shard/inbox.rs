//! What other threads send to a shard thread.

use crate::error::NetError;
use crate::poller::Waker;
use crate::report::ShardReport;
use crate::tcp::NewConnection;
use bedrud_sfu::{Command, Path};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};

/// One message to a shard thread.
pub(crate) enum Letter {
    /// A request of the control plane.
    Command(Box<Command>),
    /// An ICE/TCP connection.
    Stream(Box<NewConnection>),
    /// A datagram that arrived at the wrong shard's socket.
    Datagram { from: u16, path: Path, bytes: Box<[u8]> },
    /// Datagrams of a relay, back to back: `segment` bytes each, the last may be shorter. The path is the receiver's.
    Relay { path: Path, segment: usize, bytes: Box<[u8]> },
    /// A client address authenticated with another shard: its datagrams go there.
    Owner { remote: SocketAddr, shard: u16 },
    /// A question for the current state.
    Report(Sender<ShardReport>),
    /// The end.
    Shutdown,
}

/// The receiving half.
pub(crate) struct Inbox {
    pub(crate) letters: Receiver<Letter>,
    pub(crate) waker: Waker,
}

/// The sending half, bounded.
#[derive(Clone)]
pub(crate) struct Outbox {
    letters: SyncSender<Letter>,
    waker: Waker,
}

impl Outbox {
    /// A queue of `capacity` letters.
    pub(crate) fn pair(capacity: usize) -> std::io::Result<(Self, Inbox)> {
        let (sender, receiver) = sync_channel(capacity.max(1));
        let waker = Waker::new()?;
        Ok((Self { letters: sender, waker: waker.clone() }, Inbox { letters: receiver, waker }))
    }

    /// Sends without waiting.
    pub(crate) fn try_send(&self, letter: Letter) -> Result<(), NetError> {
        match self.letters.try_send(letter) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(NetError::Full),
            Err(TrySendError::Disconnected(_)) => Err(NetError::Stopped),
        }
    }

    /// Sends, waiting for room.
    pub(crate) fn send(&self, letter: Letter) -> Result<(), NetError> {
        self.letters.send(letter).map_err(|_| NetError::Stopped)?;
        self.waker.wake();
        Ok(())
    }
}
