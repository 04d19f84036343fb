//! What waits for one signalling client, bounded in messages and in bytes.

use crate::session::SessionOutput;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The client reads too slowly.
pub(crate) struct Full;

/// The end of the control plane.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Queued>,
    waiting: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// The end of the session.
#[derive(Debug)]
pub(crate) struct Outputs {
    receiver: mpsc::Receiver<Queued>,
    waiting: Arc<AtomicUsize>,
}

/// A message with the bytes it is counted with.
type Queued = (SessionOutput, usize);

/// A queue of at most this many messages. One message may exceed the bytes, the next one may not.
pub(crate) fn outbox(max_messages: usize, max_bytes: usize) -> (Outbox, Outputs) {
    let (sender, receiver) = mpsc::channel(max_messages.max(1));
    let waiting = Arc::new(AtomicUsize::new(0));
    (Outbox { sender, waiting: Arc::clone(&waiting), max_bytes }, Outputs { receiver, waiting })
}

fn size(output: &SessionOutput) -> usize {
    match output {
        SessionOutput::Message(message) => message.size(),
        SessionOutput::RefreshToken(claims) | SessionOutput::Moved { claims, .. } => {
            claims.attributes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() + claims.metadata.len()
        }
        SessionOutput::Close { .. } => 0,
    }
}

impl Outbox {
    /// Queues without waiting. What a session that is gone should have got is dropped.
    pub(crate) fn send(&self, output: SessionOutput) -> Result<(), Full> {
        if self.waiting.load(Ordering::Relaxed) > self.max_bytes {
            return Err(Full);
        }
        let bytes = size(&output);
        self.queue(output, bytes)
    }

    /// Queues what a session begins with: the room as it is. That can be large and says nothing about how fast the client
    /// reads, so its bytes do not count.
    pub(crate) fn send_greeting(&self, output: SessionOutput) -> Result<(), Full> {
        self.queue(output, 0)
    }

    fn queue(&self, output: SessionOutput, bytes: usize) -> Result<(), Full> {
        // Counted first: it may be taken out at once.
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        match self.sender.try_send((output, bytes)) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Full),
        }
    }
}

impl Outputs {
    /// The next one; `None` when there is nothing more.
    pub(crate) async fn recv(&mut self) -> Option<SessionOutput> {
        let (output, bytes) = self.receiver.recv().await?;
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        Some(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_room::ServerMessage;
    use livekit_protocol::signal_response::Message;

    fn message(bytes: usize) -> SessionOutput {
        SessionOutput::Message(Arc::new(ServerMessage::from(Message::RefreshToken("x".repeat(bytes)))))
    }

    #[tokio::test]
    async fn bytes_are_bounded_and_given_back() {
        let (outbox, mut outputs) = outbox(100, 1000);
        assert!(outbox.send(message(5000)).is_ok(), "one may be larger than all may be together");
        assert!(outbox.send(message(1)).is_err());
        assert!(outputs.recv().await.is_some());
        assert!(outbox.send(message(600)).is_ok());
        assert!(outbox.send(message(600)).is_ok());
        assert!(outbox.send(message(600)).is_err());
    }

    #[tokio::test]
    async fn a_large_greeting_leaves_the_bytes_for_what_follows() {
        let (outbox, mut outputs) = outbox(100, 1000);
        for _ in 0..7 {
            assert!(outbox.send_greeting(message(500_000)).is_ok());
        }
        assert!(outbox.send(message(1001)).is_ok());
        assert!(outbox.send(message(1)).is_err());
        for _ in 0..8 {
            assert!(outputs.recv().await.is_some());
        }
        assert!(outbox.send(message(1)).is_ok());
    }

    #[tokio::test]
    async fn messages_are_bounded_and_a_reader_that_left_is_no_reader_that_is_slow() {
        let (outbox, outputs) = outbox(2, 1000);
        assert!(outbox.send(message(1)).is_ok());
        assert!(outbox.send(message(1)).is_ok());
        assert!(outbox.send(message(1)).is_err());
        drop(outputs);
        assert!(outbox.send(message(1)).is_ok());
    }
}
