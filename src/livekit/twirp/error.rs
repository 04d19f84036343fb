//! Twirp errors: always JSON, whatever the request was.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bedrud_room::{ServiceError, ServiceErrorCode};
use serde_json::json;

/// Codes that are used here, of those the Twirp specification knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// No such route or method.
    BadRoute,
    /// The body cannot be read.
    Malformed,
    /// The body says something impossible.
    InvalidArgument,
    /// Nothing there by that name.
    NotFound,
    /// The grant does not allow it. LiveKit says `unauthenticated`, not `permission_denied`.
    Unauthenticated,
    /// The state does not allow it.
    FailedPrecondition,
    /// A limit is reached.
    ResourceExhausted,
    /// Known, but not offered.
    Unimplemented,
    /// A service that is not part of this server, or one that is stopping.
    Unavailable,
    /// There is one already.
    AlreadyExists,
    /// It took too long for the other side.
    Canceled,
    /// Our fault.
    Internal,
}

impl Code {
    const fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRoute => ("bad_route", StatusCode::NOT_FOUND),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST),
            Self::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Self::FailedPrecondition => ("failed_precondition", StatusCode::PRECONDITION_FAILED),
            Self::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
            Self::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
            Self::Canceled => ("canceled", StatusCode::REQUEST_TIMEOUT),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Goes with the answer to a refused call, for those who count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCode(pub(crate) &'static str);

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TwirpError {
    /// Code.
    pub(super) code: Code,
    /// Text.
    pub(super) msg: String,
    /// For `meta.argument`.
    pub(super) argument: Option<&'static str>,
}

impl TwirpError {
    /// A code with its text.
    pub(super) fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), argument: None }
    }

    /// The grant does not allow the call.
    #[must_use]
    pub(super) fn denied() -> Self {
        Self::new(Code::Unauthenticated, "permissions denied")
    }
}

impl From<ServiceError> for TwirpError {
    fn from(error: ServiceError) -> Self {
        let code = match error.code {
            ServiceErrorCode::NotFound => Code::NotFound,
            ServiceErrorCode::InvalidArgument => Code::InvalidArgument,
            ServiceErrorCode::FailedPrecondition => Code::FailedPrecondition,
            ServiceErrorCode::Unavailable => Code::Unavailable,
            ServiceErrorCode::AlreadyExists => Code::AlreadyExists,
            ServiceErrorCode::ResourceExhausted => Code::ResourceExhausted,
            ServiceErrorCode::Canceled => Code::Canceled,
            ServiceErrorCode::Internal => Code::Internal,
            ServiceErrorCode::Malformed => Code::Malformed,
            ServiceErrorCode::Unimplemented => Code::Unimplemented,
        };
        Self { argument: error.argument, ..Self::new(code, error.message) }
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        let (code, status) = self.code.parts();
        let mut body = json!({ "code": code, "msg": self.msg });
        if let Some(argument) = self.argument {
            body["meta"] = json!({ "argument": argument });
        }
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(ErrorCode(code));
        response
    }
}
