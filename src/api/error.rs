//! The one error type of the API.
//!
//! Every refusal has the shape `{"error": "<text>"}`, a few add keys. Existing clients read status and text:
//!
//! | Status | Means | What clients do |
//! |---|---|---|
//! | 400 | the request is wrong: malformed, a value out of range, a rule of the form broken | show the text |
//! | 401 | the token is missing, wrong or expired, or the login failed; never a question of permission | refresh once, then ask to sign in |
//! | 403 | known, but not allowed; the texts with `full`, `private`, `banned`, `approval` are matched by clients | show the text |
//! | 404 | there is no such thing | say so |
//! | 409 | the state changed meanwhile or the name is taken | show the text |
//! | 410 | the room exists but is over | offer to start it again |
//! | 413 | the body is too large | show the text |
//! | 429 | too fast; `Retry-After` and `retryAfter` in the body say how many seconds to wait | wait |
//! | 500 | our fault; the text never tells the cause, the log does | try later |
//! | 503 | the database is busy or away, or there is no memory for the body now; `Retry-After: 2` | try again |
//!
//! Domain errors turn into an [`ApiError`] in one `From` each, beside the resource that meets them.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::{api::rate_limit::Subject, db::DbError};

/// Result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// A refusal with its status and text.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    text: Cow<'static, str>,
    extra: Map<String, Value>,
    retry_after: Option<Duration>,
    subject: Option<Subject>,
}

impl ApiError {
    /// Any status.
    pub fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), extra: Map::new(), retry_after: None, subject: None }
    }

    /// 400.
    pub fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 401: only for tokens and logins.
    pub fn unauthorized(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// 403.
    pub fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 409.
    pub fn conflict(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 410.
    pub fn gone(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, text)
    }

    /// 429 with `Retry-After`.
    pub fn too_many(text: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// 503 with `Retry-After`.
    pub fn busy() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(2)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is busy, please try again")
        }
    }

    /// 500 with the neutral text. The cause goes to the log here, because the answer must not carry it.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "An internal error occurred")
    }

    /// Adds a key beside `error`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    /// Says which thing the failure is about, for the limit of failures.
    #[must_use]
    pub(super) fn about(mut self, subject: &str) -> Self {
        self.subject = Some(Subject::of(subject));
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Busy | DbError::Unavailable(_) => {
                tracing::warn!(%error, "request refused");
                Self::busy()
            }
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = Map::with_capacity(1 + self.extra.len());
        body.insert("error".into(), Value::String(self.text.into_owned()));
        body.extend(self.extra);
        let wait = self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        if let Some(secs) = wait {
            body.insert("retryAfter".into(), secs.into());
        }
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        if let Some(subject) = self.subject {
            response.extensions_mut().insert(subject);
        }
        if let Some(secs) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
