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
use crate::server::health::unix_seconds;
use crate::server::patience::Patience;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use codec::Encoding;
use serde::Deserialize;

/// Services of the protocol that this server does not have.
const ABSENT: [(&str, &str); 6] = [
    ("livekit.Egress", "egress"),
    ("livekit.Ingress", "ingress"),
    ("livekit.SIP", "SIP"),
    ("livekit.Connector", "the connector service"),
    ("livekit.PhoneNumberService", "the phone number service"),
    ("livekit.AgentSimulation", "agent simulation"),
];

#[derive(Deserialize)]
pub(super) struct Token {
    access_token: Option<String>,
}

/// Any other method than POST, as Twirp words it.
pub(super) async fn bad_route(method: axum::http::Method, uri: Uri) -> Response {
    let text = format!("unsupported method {method} (only POST is allowed) on {}", uri.path());
    TwirpError::new(Code::BadRoute, text).into_response()
}

/// One call.
pub(super) async fn call(
    State(livekit): State<LiveKit>,
    Path((service, method)): Path<(String, String)>,
    Query(token): Query<Token>,
    patience: Option<Extension<Patience>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return (StatusCode::PAYLOAD_TOO_LARGE, "request body too large").into_response();
        }
        Err(_) => return TwirpError::new(Code::Malformed, "the body could not be read").into_response(),
    };
    let claims = match authenticate(&headers, token.access_token.as_deref(), &livekit.0.keys, unix_seconds())
    {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some((_, name)) = ABSENT.iter().find(|(path, _)| *path == service) {
        let text = format!("{name} is not part of this server");
        return TwirpError::new(Code::Unavailable, text).into_response();
    }
    let encoding = match Encoding::of(&headers) {
        Ok(encoding) => encoding,
        Err(error) => return error.into_response(),
    };
    let (claims, body) = (claims.as_ref(), body.as_ref());
    let answer = match service.as_str() {
        "livekit.RoomService" => {
            let patience = patience.map(|p| p.0).unwrap_or_default();
            room_service::call(&livekit, &method, encoding, claims, body, &patience).await
        }
        agent_dispatch::NAME => agent_dispatch::call(&livekit, &method, encoding, claims, body).await,
        _ => Err(no_route(&service, &method)),
    };
    answer.unwrap_or_else(axum::response::IntoResponse::into_response)
}

fn no_route(service: &str, method: &str) -> TwirpError {
    TwirpError::new(Code::BadRoute, format!("no handler for path \"/twirp/{service}/{method}\""))
}
