//! Heads of requests, read in front of the HTTP parser: how long one may take and be, what is lifted off a long one,
//! and what the client hears when it is refused.
//!
//! The parser takes request lines of 64 KiB at most, and tokens with metadata are longer. [`Gate`] sits between socket
//! and parser. It collects each head, moves the query and an `Authorization` header of a long one out of it, and hands
//! the rest on. Where a body ends, and the next head begins, the parser says through [`Exchange`]: there is no second
//! opinion on that, so nothing can be smuggled between the two.

mod exchange;
mod gate;
mod lift;
mod long;
mod scan;

pub use exchange::{Answered, Begun, Exchange};
pub use gate::Gate;
pub use long::LongHeads;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use std::time::Duration;

/// Header lines of one request.
pub(super) const MAX_HEADERS: usize = 100;
/// The largest head that the parser gets: its own limit for addresses is not far above.
const MAX_PLAIN: usize = 65_536;
/// The smallest limit of heads.
const MIN_PLAIN: usize = 8192;

/// The whole query of an address that was too long for the parser, as it came.
#[derive(Debug, Clone)]
pub struct LongQuery(pub Bytes);

/// Limits of heads.
#[derive(Debug, Clone)]
pub struct HeadLimits {
    /// Time for a head; `None`: no limit.
    pub time: Option<Duration>,
    /// How long a connection may be idle between requests; `None`: no limit.
    pub idle: Option<Duration>,
    /// Largest head, bytes, without what is lifted off.
    pub bytes: usize,
    /// Largest head of the media server's routes, bytes, with what is lifted off.
    pub long_bytes: usize,
    /// Memory for all long heads together.
    pub memory: LongHeads,
}

impl HeadLimits {
    fn plain(&self) -> usize {
        self.bytes.clamp(MIN_PLAIN, MAX_PLAIN)
    }

    fn long(&self) -> usize {
        self.long_bytes.max(self.plain())
    }
}

/// Why a head is not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The address is too long.
    Address,
    /// There are too many headers, or they are too large.
    Headers,
    /// There is no memory for it now.
    Busy,
}

impl Refusal {
    /// What the client hears: readable for every page, because SDKs read why a join is refused.
    #[must_use]
    pub fn response(self) -> Response {
        let (status, text) = match self {
            Self::Address => (StatusCode::URI_TOO_LONG, "the address of the request is too long"),
            Self::Headers => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers of the request are too large")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "no memory for the request now, try again"),
        };
        let body = axum::Json(serde_json::json!({ "error": text }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if self == Self::Busy {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
