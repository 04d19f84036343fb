//! Frames of worker sockets: protobuf in binary frames, proto3 JSON in text frames.

use axum::extract::ws::Message;
use bedrud_media::Format;
use livekit_protocol::{ServerMessage, WorkerMessage};
use prost::Message as _;

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

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{WorkerPong, server_message};
    use proptest::prelude::*;

    #[test]
    fn the_answer_has_the_form_of_the_question() {
        let pong = WorkerPong { last_timestamp: 1, timestamp: 2 };
        let message = ServerMessage { message: Some(server_message::Message::Pong(pong)) };
        let Some(Message::Binary(bytes)) = encode(Format::Protobuf, &message) else { panic!("binary") };
        assert_eq!(ServerMessage::decode(bytes), Ok(message.clone()));
        let Some(Message::Text(text)) = encode(Format::Json, &message) else { panic!("text") };
        assert_eq!(text.as_str(), r#"{"pong":{"lastTimestamp":"1","timestamp":"2"}}"#);
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(bytes: Vec<u8>, text: String) {
            let _ = decode(Format::Protobuf, &bytes);
            let _ = decode(Format::Json, &bytes);
            let _ = decode(Format::Json, text.as_bytes());
        }
    }
}
