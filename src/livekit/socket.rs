//! One signalling socket: frames in, messages out, in the format the client last used.

use super::LiveKit;
use super::wire::{End, Input, Wire};
use axum::extract::ws::{Message, WebSocket, close_code};
use bedrud_media::{
    Format, Frame, Session, SessionOutput, SignalCodecError, decode_request_within, encode_response,
};
use livekit_protocol::{SignalResponse, signal_response};

/// The session is over and the client knows. SDKs come back at once after any other code.
const CLEAN: End = End::Close(close_code::NORMAL, "");
/// The client should come back.
const RECONNECT: End = End::Close(close_code::RESTART, "");

pub(super) async fn run(socket: WebSocket, mut session: Session, livekit: LiveKit) {
    let guard = livekit.0.guard.clone();
    let mut wire = Wire::new(socket, None);
    let end = exchange(&mut wire, &mut session, &livekit).await;
    // The session must learn of the end before the handshake, which may take a moment.
    drop(session);
    wire.close(end).await;
    drop(guard);
}

async fn exchange(wire: &mut Wire, session: &mut Session, livekit: &LiveKit) -> End {
    let mut format = Format::Protobuf;
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
                Some(SessionOutput::Close { clean: true }) => return CLEAN,
                Some(SessionOutput::Close { clean: false }) | None => return RECONNECT,
            },
            input = wire.next() => match input {
                Input::Message(received, payload) => {
                    format = received;
                    if let Some(end) = take(session, format, &payload, livekit.0.limits.signal_message).await {
                        return end;
                    }
                    None
                }
                Input::PingDue => Some(Message::Ping(Vec::new().into())),
                Input::End(end) => return end,
            },
        };
        if let Some(message) = out
            && !wire.send(message).await
        {
            return End::Gone;
        }
    }
}

/// Hands a message of the client to its session.
async fn take(session: &Session, format: Format, payload: &[u8], limit: usize) -> Option<End> {
    match decode_request_within(format, payload, limit) {
        Ok(request) => session.send(request).await.is_err().then_some(RECONNECT),
        Err(error) => {
            tracing::debug!(%error, "signalling socket closed");
            Some(End::Close(close_code::INVALID, "not a signalling message"))
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
