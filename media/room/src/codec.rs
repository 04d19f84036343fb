//! Wire forms of signalling messages: protobuf, protojson, and the `join_request` parameter.

mod parts;

use crate::io::JoinError;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use livekit_protocol::{
    JoinRequest, SignalRequest, SignalResponse, WrappedJoinRequest, wrapped_join_request,
};
use prost::Message as _;
use std::io::Read as _;

/// Largest signalling message unless the embedder says otherwise, bytes.
pub const MAX_SIGNAL_MESSAGE: usize = 2 * 1024 * 1024;
/// Largest join request, bytes, before and after inflation.
pub const MAX_JOIN_REQUEST: usize = 1024 * 1024;

/// How a client speaks: the format of its last message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Binary frames.
    #[default]
    Protobuf,
    /// Text frames.
    Json,
}

/// Payload of one WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Binary frame.
    Binary(Bytes),
    /// Text frame.
    Text(String),
}

/// A frame that is not a signalling message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalCodecError {
    /// Over the limit.
    #[error("signalling message of {0} bytes exceeds the limit")]
    TooLarge(usize),
    /// Small as it is, it would take much memory.
    #[error("signalling message has too many parts")]
    TooManyParts,
    /// Not protobuf.
    #[error("cannot decode signalling message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Not protojson.
    #[error("cannot parse signalling message: {0}")]
    Json(String),
}

/// Decodes what a client sent.
///
/// # Errors
/// When it is too large, has too many parts, or is not a `SignalRequest`; the socket (not the session) should end then.
pub fn decode_request(format: Format, payload: &[u8]) -> Result<SignalRequest, SignalCodecError> {
    decode_request_within(format, payload, MAX_SIGNAL_MESSAGE)
}

/// As [`decode_request`], with another limit.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_request_within(
    format: Format,
    payload: &[u8],
    max: usize,
) -> Result<SignalRequest, SignalCodecError> {
    if payload.len() > max {
        return Err(SignalCodecError::TooLarge(payload.len()));
    }
    let parts = match format {
        Format::Protobuf => parts::of_protobuf(payload),
        Format::Json => parts::of_json(payload),
    };
    if parts > parts::MAX_PARTS {
        return Err(SignalCodecError::TooManyParts);
    }
    match format {
        Format::Protobuf => Ok(SignalRequest::decode(payload)?),
        Format::Json => serde_json::from_slice(payload).map_err(|e| SignalCodecError::Json(e.to_string())),
    }
}

/// Encodes a message for a client, in the format it last used (protobuf at first).
///
/// # Errors
/// Only if JSON cannot express it, which does not happen with messages of the hub.
pub fn encode_response(format: Format, response: &SignalResponse) -> Result<Frame, SignalCodecError> {
    match format {
        Format::Protobuf => Ok(Frame::Binary(response.encode_to_vec().into())),
        Format::Json => serde_json::to_string(response)
            .map(Frame::Text)
            .map_err(|e| SignalCodecError::Json(e.to_string())),
    }
}

/// Decodes the `join_request` parameter: URL-safe base64 (padded or not) of a wrapped, possibly gzipped, request.
///
/// # Errors
/// Status 400 with the reference server's texts.
pub fn decode_join_request(parameter: &str) -> Result<JoinRequest, JoinError> {
    let bad = |text: &str| JoinError::new(400, text);
    if parameter.len() > MAX_JOIN_REQUEST / 3 * 4 + 64 {
        return Err(bad("join request too large"));
    }
    let bytes = URL_SAFE
        .decode(parameter)
        .or_else(|_| URL_SAFE_NO_PAD.decode(parameter))
        .map_err(|_| bad("cannot base64 decode wrapped join request"))?;
    let wrapped = WrappedJoinRequest::decode(bytes.as_slice())
        .map_err(|_| bad("cannot unmarshal wrapped join request"))?;
    let inner = if wrapped.compression == wrapped_join_request::Compression::Gzip as i32 {
        inflate(&wrapped.join_request).ok_or_else(|| bad("cannot decompress join request"))?
    } else {
        wrapped.join_request
    };
    if inner.len() > MAX_JOIN_REQUEST || parts::of_protobuf(&inner) > parts::MAX_PARTS {
        return Err(bad("join request too large"));
    }
    JoinRequest::decode(inner.as_slice()).map_err(|_| bad("cannot unmarshal join request"))
}

/// Inflates at most one byte more than the limit, which the caller then refuses.
fn inflate(gzipped: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let limit = MAX_JOIN_REQUEST as u64 + 1;
    flate2::read::GzDecoder::new(gzipped).take(limit).read_to_end(&mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{signal_request, signal_response};
    use std::io::Write as _;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        e.write_all(data).expect("in memory");
        e.finish().expect("in memory")
    }

    fn wrap(compression: i32, inner: Vec<u8>) -> Vec<u8> {
        WrappedJoinRequest { compression, join_request: inner }.encode_to_vec()
    }

    #[test]
    fn join_request_is_read_plain_gzipped_padded_and_unpadded() {
        let request = JoinRequest { metadata: "über".into(), reconnect: true, ..JoinRequest::default() };
        for bytes in [wrap(0, request.encode_to_vec()), wrap(1, gzip(&request.encode_to_vec()))] {
            for text in [URL_SAFE.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                assert_eq!(decode_join_request(&text).expect("decodes"), request);
            }
        }
    }

    #[test]
    fn gzip_bomb_is_refused() {
        let text = URL_SAFE.encode(wrap(1, gzip(&vec![0; 64 * 1024 * 1024])));
        assert!(text.len() < 200_000);
        let error = decode_join_request(&text).expect_err("refused");
        assert_eq!((error.status, error.message.as_str()), (400, "join request too large"));
    }

    #[test]
    fn undecodable_join_request_is_a_400() {
        for text in
            ["%%%", "AAAA", &URL_SAFE.encode(wrap(1, vec![1, 2, 3])), &URL_SAFE.encode(wrap(0, vec![0xff]))]
        {
            assert_eq!(decode_join_request(text).expect_err("refused").status, 400, "{text}");
        }
    }

    #[test]
    fn json_and_protobuf_carry_the_same_request() {
        let request = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
        assert_eq!(decode_request(Format::Protobuf, &request.encode_to_vec()).expect("decodes"), request);
        assert_eq!(decode_request(Format::Json, br#"{"ping":"7"}"#).expect("parses"), request);
        let response = SignalResponse { message: Some(signal_response::Message::Pong(9)) };
        assert_eq!(
            encode_response(Format::Json, &response).expect("serialises"),
            Frame::Text(r#"{"pong":"9"}"#.into())
        );
    }

    #[test]
    fn oversized_or_truncated_message_is_an_error() {
        assert!(matches!(
            decode_request(Format::Protobuf, &vec![0; MAX_SIGNAL_MESSAGE + 1]),
            Err(SignalCodecError::TooLarge(_))
        ));
        // Field 1, length 2^30, nothing behind.
        assert!(decode_request(Format::Protobuf, &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x04]).is_err());
        assert!(decode_request(Format::Json, b"{").is_err());
        let small = br#"{"ping":"7"}"#;
        assert!(decode_request_within(Format::Json, small, small.len()).is_ok());
        let over = decode_request_within(Format::Json, small, small.len() - 1);
        assert!(matches!(over, Err(SignalCodecError::TooLarge(_))));
    }

    #[test]
    fn small_messages_that_would_take_much_memory_are_refused() {
        // Half a million empty tracks, of some hundred bytes each once decoded.
        let mut message = vec![0x52];
        prost::encoding::encode_varint(1_000_000, &mut message);
        message.extend([0x1a, 0x00].repeat(500_000));
        assert!(matches!(decode_request(Format::Protobuf, &message), Err(SignalCodecError::TooManyParts)));
        let json = format!(r#"{{"syncState":{{"publishTracks":[{}{{}}]}}}}"#, "{},".repeat(500_000));
        let error = decode_request(Format::Json, json.as_bytes());
        assert!(matches!(error, Err(SignalCodecError::TooManyParts)));
        // Field 4 of a join request: tracks announced with it.
        let text = URL_SAFE.encode(wrap(1, gzip(&[0x22, 0x00].repeat(500_000))));
        assert!(text.len() < 10_000);
        assert_eq!(decode_join_request(&text).expect_err("refused").message, "join request too large");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data: Vec<u8>, text: String) {
            let _ = decode_request(Format::Protobuf, &data);
            let _ = decode_request(Format::Json, &data);
            let _ = decode_join_request(&text);
            let _ = decode_join_request(&URL_SAFE.encode(&data));
        }
    }
}
