//! Frames of worker sockets: protobuf in binary frames, proto3 JSON in text frames.

use axum::extract::ws::Message;
use livekit_protocol::{ServerMessage, WorkerMessage};
use prost::Message as _;

/// Largest message of a worker, bytes.
pub(super) const MAX_MESSAGE: usize = 2 * 1024 * 1024;

/// How a worker speaks: as in its last message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Binary frames.
    #[default]
    Protobuf,
    /// Text frames.
    Json,
}

/// Reads a message.
///
/// # Errors
/// A short text for the worker.
pub(super) fn decode(format: Format, payload: &[u8]) -> Result<WorkerMessage, &'static str> {
    match format {
        Format::Protobuf => WorkerMessage::decode(payload).map_err(|_| "the message is not protobuf"),
        Format::Json => serde_json::from_slice(payload).map_err(|_| "the message is not JSON"),
    }
}

/// Writes a message; `None` if JSON cannot express it.
pub(super) fn encode(format: Format, message: &ServerMessage) -> Option<Message> {
    match format {
        Format::Protobuf => Some(Message::Binary(message.encode_to_vec().into())),
        Format::Json => serde_json::to_string(message).ok().map(|text| Message::Text(text.into())),
    }
}
