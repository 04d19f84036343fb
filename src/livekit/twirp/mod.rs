//! The server API over Twirp: `POST /twirp/livekit.<Service>/<Method>`.

mod agent_dispatch;
mod agent_fields;
mod codec;
mod error;
mod fields;
mod grants;
mod room_service;

pub(crate) use error::ErrorCode;
use error::{Code, TwirpError};

use super::LiveKit;
use super::auth::authenticate;
use crate::intake::{self, Intake, ReadError, Sender};
use crate::livekit::query::Pairs;
use crate::server::health::unix_seconds;
use crate::server::patience::Patience;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use codec::Encoding;

/// Services of the protocol that this server does not have.
const ABSENT: [(&str, &str); 6] = [
    ("livekit.Egress", "egress"),
    ("livekit.Ingress", "ingress"),
    ("livekit.SIP", "SIP"),
    ("livekit.Connector", "the connector service"),
    ("livekit.PhoneNumberService", "the phone number service"),
    ("livekit.AgentSimulation", "agent simulation"),
];

/// Any other method than POST, as Twirp words it.
pub(super) async fn bad_route(method: axum::http::Method, uri: Uri) -> Response {
    let text = format!("unsupported method {method} (only POST is allowed) on {}", uri.path());
    TwirpError::new(Code::BadRoute, text).into_response()
}

/// One call. Whatever the head tells is judged before the body is read.
pub(super) async fn call(
    State(livekit): State<LiveKit>,
    Path((service, method)): Path<(String, String)>,
    query: Pairs,
    request: Request,
) -> Response {
    let headers = request.headers();
    let claims = match authenticate(headers, query.value("access_token"), &livekit.0.keys, unix_seconds()) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some((_, name)) = ABSENT.iter().find(|(path, _)| *path == service) {
        let text = format!("{name} is not part of this server");
        return TwirpError::new(Code::Unavailable, text).into_response();
    }
    let claims = claims.as_ref();
    let may_call = match service.as_str() {
        "livekit.RoomService" => grants::may_call(claims, &method),
        agent_dispatch::NAME => grants::may_dispatch(claims),
        _ => Err(no_route(&service, &method)),
    };
    let encoding = match Encoding::of(headers).and_then(|encoding| may_call.map(|()| encoding)) {
        Ok(encoding) => encoding,
        Err(error) => return error.into_response(),
    };
    let patience = request.extensions().get::<Patience>().cloned().unwrap_or_default();
    let intake = Intake::of(request.extensions());
    let read = intake::read(request.into_body(), livekit.0.limits.body, &intake, Sender::Known).await;
    let body = match read {
        Ok(body) => body,
        Err(error) => return unread(error),
    };
    let answer = match service.as_str() {
        agent_dispatch::NAME => agent_dispatch::call(&livekit, &method, encoding, claims, &body).await,
        _ => room_service::call(&livekit, &method, encoding, claims, &body, &patience).await,
    };
    answer.unwrap_or_else(axum::response::IntoResponse::into_response)
}

/// The answer to a body that was not read.
fn unread(error: ReadError) -> Response {
    match error {
        ReadError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request body too large").into_response(),
        ReadError::Broken => TwirpError::new(Code::Malformed, "the body could not be read").into_response(),
        ReadError::Busy => {
            let error = TwirpError::new(Code::Unavailable, "no memory for the request now, try again");
            ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], error).into_response()
        }
    }
}

fn no_route(service: &str, method: &str) -> TwirpError {
    TwirpError::new(Code::BadRoute, format!("no handler for path \"/twirp/{service}/{method}\""))
}
