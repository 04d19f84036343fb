//! Bodies of Twirp calls: protobuf or proto3 JSON, the answer in the form of the question.

use super::error::{Code, TwirpError};
use super::fields::{Fields, complete};
use crate::proto_json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/json`
    Json,
    /// `application/protobuf`
    Protobuf,
}

impl Encoding {
    /// Reads `Content-Type`; parameters after `;` do not matter.
    ///
    /// # Errors
    /// `bad_route`, as Twirp has it, for any other type.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, TwirpError> {
        let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "application/protobuf" => Ok(Self::Protobuf),
            _ => Err(TwirpError::new(Code::BadRoute, format!("unexpected Content-Type: {value:?}"))),
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// `malformed` when the body is not such a message.
    pub(super) fn decode<M: Message + Default + DeserializeOwned>(
        self,
        body: &[u8],
    ) -> Result<M, TwirpError> {
        match self {
            Self::Protobuf => M::decode(body)
                .map_err(|_| TwirpError::new(Code::Malformed, "the protobuf request could not be decoded")),
            Self::Json => proto_json::read(body).map_err(|e| {
                TwirpError::new(Code::Malformed, format!("the json request could not be decoded: {e}"))
            }),
        }
    }

    /// Writes an answer. In JSON every field is present, named as in the protocol's source.
    ///
    /// # Errors
    /// `internal` when JSON cannot express the message.
    pub(super) fn encode<M: Message + Serialize>(
        self,
        message: &M,
        fields: Fields,
    ) -> Result<Response, TwirpError> {
        let (kind, body) = match self {
            Self::Protobuf => ("application/protobuf", message.encode_to_vec()),
            Self::Json => {
                let failed = |_| TwirpError::new(Code::Internal, "the answer could not be encoded");
                let value = serde_json::to_value(message).map_err(failed)?;
                ("application/json", serde_json::to_vec(&complete(value, fields)).map_err(failed)?)
            }
        };
        let mut response = body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(response)
    }
}
