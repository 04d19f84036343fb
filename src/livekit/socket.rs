//! One signalling socket: frames in, messages out, in the format the client last used.

use super::LiveKit;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bedrud_media::{
    Format, Frame, Session, SessionOutput, SignalCodecError, decode_request, encode_response,
};
use futures_util::StreamExt as _;
use livekit_protocol::{SignalResponse, signal_response};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Interval of WebSocket pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A client that takes nothing for this long is cut off; it then resumes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the last messages and the closing handshake.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);

/// Why a socket ends.
enum End {
    /// The session is over and the client knows: code 1000.
    Clean,
    /// The client should come back: any other code makes SDKs reconnect at once.
    Reconnect,
    /// The socket is already gone, or of no use.
    Gone,
}

pub(super) async fn run(mut socket: WebSocket, mut session: Session, livekit: LiveKit) {
    let guard = livekit.0.guard.clone();
    let end = exchange(&mut socket, &mut session, &livekit).await;
    let code = match end {
        End::Clean => Some(close_code::NORMAL),
        End::Reconnect => Some(close_code::RESTART),
        End::Gone => None,
    };
    // The session must learn of the end before the handshake, which may take a moment.
    drop(session);
    if let Some(code) = code {
        let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        let _ = timeout(FLUSH_TIMEOUT, async {
            socket.send(close).await?;
            // Let the client answer, so that the last messages are not lost with a reset.
            while let Some(Ok(_)) = socket.next().await {}
            Ok::<_, axum::Error>(())
        })
        .await;
    }
    drop(guard);
}

async fn exchange(socket: &mut WebSocket, session: &mut Session, livekit: &LiveKit) -> End {
    let mut format = Format::Protobuf;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let out = tokio::select! {
            biased;
            event = session.recv() => match event {
                Some(SessionOutput::Message(message)) => frame(message.frame(format)),
                Some(SessionOutput::RefreshToken(claims)) => livekit.refresh(*claims).and_then(|token| {
                    let message = Some(signal_response::Message::RefreshToken(token));
                    frame(encode_response(format, &SignalResponse { message }))
                }),
                Some(SessionOutput::Moved { mut response, claims }) => {
                    livekit.refresh(*claims).and_then(|token| {
                        response.token = token;
                        let message = Some(signal_response::Message::RoomMoved(*response));
                        frame(encode_response(format, &SignalResponse { message }))
                    })
                }
                Some(SessionOutput::Close { clean: true }) => return End::Clean,
                Some(SessionOutput::Close { clean: false }) | None => return End::Reconnect,
            },
            incoming = socket.recv() => {
                let (received, payload) = match incoming {
                    Some(Ok(Message::Binary(bytes))) => (Format::Protobuf, bytes),
                    Some(Ok(Message::Text(text))) => (Format::Json, text.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                };
                format = received;
                match decode_request(format, &payload) {
                    Ok(request) => {
                        if session.send(request).await.is_err() {
                            return End::Reconnect;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "signalling socket closed");
                        return End::Reconnect;
                    }
                }
                continue;
            }
            _ = pings.tick() => Some(Message::Ping(Vec::new().into())),
        };
        let Some(message) = out else { continue };
        if !matches!(timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return End::Gone;
        }
    }
}

fn frame(encoded: Result<Frame, SignalCodecError>) -> Option<Message> {
    match encoded {
        Ok(Frame::Binary(bytes)) => Some(Message::Binary(bytes)),
        Ok(Frame::Text(text)) => Some(Message::Text(text.into())),
        Err(error) => {
            tracing::warn!(%error, "cannot encode a signalling message");
            None
        }
    }
}
