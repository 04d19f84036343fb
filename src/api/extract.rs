//! Request bodies as existing clients send them.
//!
//! Keys are matched without regard to case, `null` counts as absent, unknown keys are ignored, and a body without
//! `Content-Type: application/json` counts as unreadable. Each handler has its own text for an unreadable body.

use axum::{
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    api::{AppState, error::ApiError},
    intake::{self, Authenticated, Intake, ReadError, Sender},
};

/// Largest JSON body of somebody who is signed in, in bytes; uploads have a limit of their own.
const MAX_BYTES: usize = 256 * 1024;
/// Largest JSON body of anybody else: their forms are small.
const MAX_STRANGER_BYTES: usize = 16 * 1024;

/// A JSON body that may have been unreadable. Field names of `T` are in lower case.
pub(super) struct Input<T>(Option<T>);

impl<T> Input<T> {
    /// The body, or 400 with the handler's text.
    pub(super) fn or_bad_request(self, text: &'static str) -> Result<T, ApiError> {
        self.0.ok_or_else(|| ApiError::bad_request(text))
    }

    /// The body, or what an empty one means.
    pub(super) fn or_default(self) -> T
    where
        T: Default,
    {
        self.0.unwrap_or_default()
    }
}

impl<T: DeserializeOwned> FromRequest<AppState> for Input<T> {
    type Rejection = ApiError;

    /// The guard of a handler comes first, so that the credentials in the head decide how much is read.
    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let intake = Intake::of(request.extensions());
        let (limit, sender) = match request.extensions().get::<Authenticated>() {
            Some(Authenticated) => (MAX_BYTES, Sender::Known),
            None => (MAX_STRANGER_BYTES, Sender::Stranger),
        };
        let body = intake::read(request.into_body(), limit, &intake, sender).await?;
        Ok(Self(if is_json { parse(&body) } else { None }))
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            ReadError::Busy => Self::busy(),
            ReadError::Broken => Self::bad_request("The request body could not be read"),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let value: Value = serde_json::from_slice(body).ok()?;
    // serde would take an array for a struct; a form is an object.
    if !value.is_object() {
        return None;
    }
    serde_json::from_value(lowered(value)).ok()
}

/// All keys in lower case, without those that hold `null`.
fn lowered(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(entries.map(|(key, value)| (key.to_ascii_lowercase(), lowered(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lowered).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, Default)]
    #[serde(default)]
    struct Body {
        #[serde(rename = "roomname")]
        room_name: String,
        count: i64,
    }

    #[test]
    fn keys_match_in_any_case_and_null_is_absent() {
        let body = parse::<Body>(br#"{"ROOMName":"x","count":null,"other":[{"A":1}]}"#).unwrap();
        assert_eq!(body, Body { room_name: "x".into(), count: 0 });
        assert_eq!(parse::<Body>(b"{}"), Some(Body::default()));
        for wrong in
            ["", "[", "[]", "7", r#"{"count":"1"}"#, r#"{"count":1.5}"#, r#"{"count":99999999999999999999}"#]
        {
            assert_eq!(parse::<Body>(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(parse::<Body>("[".repeat(100_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse::<Body>(&body);
        }
    }
}
