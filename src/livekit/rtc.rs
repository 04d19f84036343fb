//! `/rtc`, `/rtc/v1` and their dry runs. A join is decided before the upgrade, so a refusal is a plain HTTP answer.

use super::auth::{authenticate, digest};
use super::query::Pairs;
use super::wire::bounded;
use super::{LiveKit, socket};
use crate::api::ClientAddr;
use crate::auth::media_token::Claims;
use crate::server::health::unix_seconds;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bedrud_media::{ClientContext, JoinError, JoinParams, SignalPath};
use std::time::Duration;

/// A join that is not decided by then has failed.
const JOIN_TIMEOUT: Duration = Duration::from_secs(12);

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;
type Client = Option<Extension<ClientAddr>>;

pub(super) async fn socket_v0(
    state: State<LiveKit>,
    client: Client,
    headers: HeaderMap,
    query: Pairs,
    upgrade: Upgrade,
) -> Response {
    connect(state.0, SignalPath::V0, client, &headers, query, upgrade).await
}

pub(super) async fn socket_v1(
    state: State<LiveKit>,
    client: Client,
    headers: HeaderMap,
    query: Pairs,
    upgrade: Upgrade,
) -> Response {
    connect(state.0, SignalPath::V1, client, &headers, query, upgrade).await
}

pub(super) async fn validate_v0(
    state: State<LiveKit>,
    client: Client,
    headers: HeaderMap,
    query: Pairs,
) -> Response {
    validate(&state, SignalPath::V0, client, &headers, query).await
}

pub(super) async fn validate_v1(
    state: State<LiveKit>,
    client: Client,
    headers: HeaderMap,
    query: Pairs,
) -> Response {
    validate(&state, SignalPath::V1, client, &headers, query).await
}

async fn connect(
    livekit: LiveKit,
    path: SignalPath,
    client: Client,
    headers: &HeaderMap,
    query: Pairs,
    upgrade: Upgrade,
) -> Response {
    let claims = match authenticate(headers, query.value("access_token"), &livekit.0.keys, unix_seconds()) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    // SDKs take a 404 here for "this server does not know the path".
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let context = context(client, headers, false);
    let token = digest(headers, query.value("access_token"));
    let params = match admitted(&livekit, path, &query, (claims, token), &context).await {
        Ok(params) => params,
        Err(error) => return refuse(&error),
    };
    let protocol = params.client_info.protocol;
    let joined = tokio::time::timeout(JOIN_TIMEOUT, livekit.0.sfu.join(params)).await;
    let session = match joined {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return refuse(&error),
        Err(_) => {
            let text = "timed out while waiting for signal response";
            return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        }
    };
    let max = livekit.0.limits.signal_message;
    let mut response =
        bounded(upgrade, max).on_upgrade(move |web_socket| socket::run(web_socket, session, livekit));
    response.extensions_mut().insert(Joined { protocol });
    response
}

/// Goes with the answer to an accepted join, for those who count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined {
    /// Protocol version that the client speaks.
    pub(crate) protocol: i32,
}

async fn validate(
    livekit: &LiveKit,
    path: SignalPath,
    client: Client,
    headers: &HeaderMap,
    query: Pairs,
) -> Response {
    let claims = match authenticate(headers, query.value("access_token"), &livekit.0.keys, unix_seconds()) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    let context = context(client, headers, true);
    let token = digest(headers, query.value("access_token"));
    let params = match admitted(livekit, path, &query, (claims, token), &context).await {
        Ok(params) => params,
        Err(error) => return refuse(&error),
    };
    match livekit.0.sfu.validate(params).await {
        Ok(()) => "success".into_response(),
        Err(error) => refuse(&error),
    }
}

async fn admitted(
    livekit: &LiveKit,
    path: SignalPath,
    query: &Pairs,
    (claims, token): (Option<Claims>, String),
    context: &ClientContext,
) -> Result<JoinParams, JoinError> {
    let mut params = params(path, query, claims, context)?;
    params.token = token;
    livekit.admit(&mut params, context.validating).await?;
    Ok(params)
}

/// The grant first, then the parameters: a client without a token learns nothing about the rest.
fn params(
    path: SignalPath,
    query: &Pairs,
    claims: Option<Claims>,
    context: &ClientContext,
) -> Result<JoinParams, JoinError> {
    let refuse = |text: &str| JoinError { status: 401, message: text.to_owned() };
    let claims = claims.filter(|c| c.video.is_some());
    let claims = claims.ok_or_else(|| refuse("no permissions to access the room"))?;
    if !claims.video.as_ref().is_some_and(|v| v.room_join) {
        return Err(refuse("permissions denied"));
    }
    JoinParams::from_query(path, query.iter(), claims, context)
}

fn context(client: Client, headers: &HeaderMap, validating: bool) -> ClientContext {
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    ClientContext {
        address: client.map(|c| c.ip.to_string()).unwrap_or_default(),
        user_agent: user_agent.to_owned(),
        validating,
    }
}

fn refuse(error: &JoinError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, error.message.clone()).into_response()
}
