//! The WebSocket below signalling and agent workers: its limits, what a frame means, and how it ends.

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use bedrud_media::Format;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tungstenite::error::{Error, ProtocolError};

/// Interval of our pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Pings and pongs that a client may send in that time. Each ping costs an answer, which waits in memory while the
/// client does not read.
const MAX_CONTROL: u32 = 200;
/// A client that takes nothing for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the last messages and the closing handshake.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);
/// Bytes read at once. Most messages are smaller, and every open socket keeps a buffer of this size.
const READ_BUFFER: usize = 4096;

/// Sets the limits of a socket: messages of at most `max_message` bytes.
pub(super) fn bounded(upgrade: WebSocketUpgrade, max_message: usize) -> WebSocketUpgrade {
    upgrade.max_message_size(max_message).max_frame_size(max_message).read_buffer_size(READ_BUFFER)
}

/// How a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With a close frame of this code and reason.
    Close(u16, &'static str),
    /// It is already gone, or of no use.
    Gone,
}

/// What a socket brings.
pub(super) enum Input {
    /// A message in this format.
    Message(Format, Bytes),
    /// It is time to send a ping.
    PingDue,
    /// There will be no more.
    End(End),
}

/// One open socket.
pub(super) struct Wire {
    socket: WebSocket,
    pings: Interval,
    /// Pings and pongs since our last ping.
    control: u32,
    heard: Instant,
    silence: Option<Duration>,
    /// Nothing can be read any more, but there may be something to say.
    broken: bool,
}

impl Wire {
    /// A peer that is silent for `silence`, its pongs included, is gone.
    pub(super) fn new(socket: WebSocket, silence: Option<Duration>) -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, pings, control: 0, heard: now, silence, broken: false }
    }

    /// The next input. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            let deadline = self.silence.map(|silence| self.heard + silence);
            let incoming = tokio::select! {
                incoming = self.socket.next() => incoming,
                _ = self.pings.tick() => {
                    self.control = 0;
                    return Input::PingDue;
                }
                () = until(deadline) => return Input::End(End::Gone),
            };
            self.heard = Instant::now();
            match incoming {
                Some(Ok(Message::Binary(bytes))) => return Input::Message(Format::Protobuf, bytes),
                Some(Ok(Message::Text(text))) => return Input::Message(Format::Json, text.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    self.control = self.control.saturating_add(1);
                    if self.control > MAX_CONTROL {
                        return Input::End(End::Close(close_code::POLICY, "too many pings"));
                    }
                }
                Some(Ok(Message::Close(_))) | None => return Input::End(End::Gone),
                Some(Err(error)) => {
                    self.broken = true;
                    return Input::End(violation(error));
                }
            }
        }
    }

    /// Sends a message; false when the socket is of no more use.
    pub(super) async fn send(&mut self, message: Message) -> bool {
        matches!(timeout(WRITE_TIMEOUT, self.socket.send(message)).await, Ok(Ok(())))
    }

    /// Ends the socket.
    pub(super) async fn close(mut self, end: End) {
        let End::Close(code, reason) = end else { return };
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = timeout(FLUSH_TIMEOUT, async {
            self.socket.send(close).await?;
            if self.broken {
                // What is still to be read cannot be; a reset at once could overtake the reason.
                sleep(FLUSH_TIMEOUT).await;
            }
            // Let the peer answer, so that the last messages are not lost with a reset.
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, axum::Error>(())
        })
        .await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What to say of an error of the socket (RFC 6455 section 7.4.1).
fn violation(error: axum::Error) -> End {
    let error = error.into_inner();
    tracing::debug!(%error, "socket broken");
    match error.downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => End::Close(close_code::SIZE, "the message is too large"),
        Some(Error::Utf8(_)) => End::Close(close_code::INVALID, "the text is not UTF-8"),
        Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(Error::Protocol(_)) => End::Close(close_code::PROTOCOL, "not the WebSocket protocol"),
        _ => End::Gone,
    }
}
