//! A message of the server, made once for however many clients get it.

use crate::codec::{Format, Frame, SignalCodecError};
use bytes::Bytes;
use livekit_protocol::{SignalResponse, signal_response};
use prost::Message as _;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A signalling message to one or many clients. Its binary form is made at most once, by the first socket that needs
/// it.
#[derive(Debug)]
pub struct ServerMessage {
    response: SignalResponse,
    binary: OnceLock<Bytes>,
    size: OnceLock<usize>,
}

impl ServerMessage {
    /// Wraps a message.
    #[must_use]
    pub fn new(response: SignalResponse) -> Self {
        Self { response, binary: OnceLock::new(), size: OnceLock::new() }
    }

    /// Bytes of its protobuf form, counted once for all who get it.
    #[must_use]
    pub fn size(&self) -> usize {
        *self.size.get_or_init(|| self.response.encoded_len())
    }

    /// Payload of a WebSocket message, in the format the client last used (protobuf at first).
    ///
    /// # Errors
    /// Only if JSON cannot express it, which does not happen with messages of the hub.
    pub fn frame(&self, format: Format) -> Result<Frame, SignalCodecError> {
        match format {
            Format::Protobuf => {
                let bytes = self.binary.get_or_init(|| self.response.encode_to_vec().into());
                Ok(Frame::Binary(bytes.clone()))
            }
            Format::Json => crate::codec::encode_response(format, &self.response),
        }
    }

    /// Takes the message out; copies it when others hold it too.
    #[must_use]
    pub fn into_response(self: Arc<Self>) -> SignalResponse {
        Arc::try_unwrap(self).map_or_else(|shared| shared.response.clone(), |own| own.response)
    }
}

impl From<signal_response::Message> for ServerMessage {
    fn from(message: signal_response::Message) -> Self {
        Self::new(SignalResponse { message: Some(message) })
    }
}

impl Deref for ServerMessage {
    type Target = SignalResponse;

    fn deref(&self) -> &SignalResponse {
        &self.response
    }
}

impl PartialEq for ServerMessage {
    fn eq(&self, other: &Self) -> bool {
        self.response == other.response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_form_is_made_once_and_shared() {
        let message = Arc::new(ServerMessage::from(signal_response::Message::Pong(7)));
        let (Ok(Frame::Binary(a)), Ok(Frame::Binary(b))) =
            (message.frame(Format::Protobuf), message.frame(Format::Protobuf))
        else {
            panic!("binary frames")
        };
        assert_eq!(a.as_ptr(), b.as_ptr());
        assert_eq!(SignalResponse::decode(a).expect("decodes"), **message);
        assert!(matches!(message.frame(Format::Json), Ok(Frame::Text(t)) if t.contains("pong")));
        let kept = Arc::clone(&message);
        assert_eq!(message.into_response(), kept.into_response());
    }
}
