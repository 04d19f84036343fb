//! One signalling client.

use crate::control::{Closing, Request};
use crate::error::SessionClosed;
use crate::outbox::Outputs;
use bedrud_room::{Claims, ConnId, ServerMessage};
use livekit_protocol::{RoomMovedResponse, SignalRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, mpsc};

/// Messages of one session that wait for the control plane, so that the others' turn comes soon.
pub(crate) const UNDER_WAY: usize = 16;

/// What a signalling socket must do.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionOutput {
    /// Send this message.
    Message(Arc<ServerMessage>),
    /// Sign these claims and send the token as `refresh_token`; `exp` is that of the old token.
    RefreshToken(Box<Claims>),
    /// Sign these claims as for a refreshed token, fill the token into the message, and send it.
    Moved {
        /// The message, without its token.
        response: Box<RoomMovedResponse>,
        /// Claims of the token.
        claims: Box<Claims>,
    },
    /// Close the socket: with code 1000 when clean, otherwise so that the client reconnects at once. Nothing follows.
    Close {
        /// Whether to close with code 1000.
        clean: bool,
    },
}

/// A client that joined. Dropping it says that its socket is gone; the participant may come back and resume.
#[derive(Debug)]
pub struct Session {
    pub(crate) conn: ConnId,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) closing: mpsc::UnboundedSender<Closing>,
    pub(crate) outputs: Outputs,
    pub(crate) sent: AtomicU64,
    /// Messages that may be under way to the control plane.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) ended: bool,
}

impl Session {
    /// Hands over a message of the client. Waits while the control plane is busy, or while it has not looked at earlier
    /// messages of this client, which slows this client down and nobody else.
    ///
    /// # Errors
    /// [`SessionClosed`] after the end of the media server.
    pub async fn send(&self, request: SignalRequest) -> Result<(), SessionClosed> {
        // Never fails: nobody closes it.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| SessionClosed)?;
        let permit = self.requests.reserve().await.map_err(|_| SessionClosed)?;
        // Counted with the handover, so that a close that overtakes it can wait for it.
        self.sent.fetch_add(1, Ordering::Relaxed);
        permit.send(Request::Signal { conn: self.conn, request: Box::new(request), slot });
        Ok(())
    }

    /// The next thing to do; `None` when there is nothing more, also when this client was cut off for reading too
    /// slowly: close the socket then as for `Close { clean: false }`.
    pub async fn recv(&mut self) -> Option<SessionOutput> {
        let output = self.outputs.recv().await;
        if matches!(output, None | Some(SessionOutput::Close { .. })) {
            self.ended = true;
        }
        output
    }

    /// A name for logs, unique within the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.conn.0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.ended {
            let sent = self.sent.load(Ordering::Relaxed);
            let _ = self.closing.send(Closing { conn: self.conn, sent });
        }
    }
}
