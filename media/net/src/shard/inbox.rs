//! What other threads send to a shard thread.

use crate::error::NetError;
use crate::poller::Waker;
use crate::report::ReportSink;
use crate::tcp::NewConnection;
use bedrud_sfu::{Command, Path};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

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
    Report(ReportSink),
    /// A test takes the thread over.
    #[cfg(any(test, feature = "test-util"))]
    Test(Box<dyn FnOnce() -> std::io::Result<()> + Send>),
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

    /// As [`Outbox::try_send`], for a command that may come back.
    pub(crate) fn command(&self, command: Box<Command>) -> Result<(), (NetError, Box<Command>)> {
        let (error, letter) = match self.letters.try_send(Letter::Command(command)) {
            Ok(()) => {
                self.waker.wake();
                return Ok(());
            }
            Err(TrySendError::Full(letter)) => (NetError::Full, letter),
            Err(TrySendError::Disconnected(letter)) => (NetError::Stopped, letter),
        };
        match letter {
            Letter::Command(command) => Err((error, command)),
            // What comes back is what was sent.
            _ => Ok(()),
        }
    }

    /// Makes the thread take a turn.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}
