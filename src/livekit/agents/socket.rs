//! `/agent`: one worker.

use super::codec::{self, Format};
use super::{Link, ToWorker};
use crate::livekit::LiveKit;
use crate::livekit::auth::authenticate;
use crate::server::health::unix_seconds;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use livekit_protocol::ServerMessage;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

/// Interval of WebSocket pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A worker that is silent for this long, pongs included, is gone.
const SILENCE: Duration = Duration::from_secs(35);
/// A worker that takes nothing for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the closing handshake.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(250);

/// Parameters of the socket's address.
#[derive(Deserialize)]
pub(in crate::livekit) struct Parameters {
    access_token: Option<String>,
}

/// The grant is checked before the upgrade.
pub(in crate::livekit) async fn connect(
    State(livekit): State<LiveKit>,
    headers: HeaderMap,
    query: Result<Query<Parameters>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return rejection.into_response(),
    };
    let token = query.access_token.as_deref();
    let claims = match authenticate(&headers, token, &livekit.0.keys, unix_seconds()) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let Some(claims) = claims.filter(|c| c.video.as_ref().is_some_and(|v| v.agent)) else {
        return (StatusCode::UNAUTHORIZED, "permissions denied").into_response();
    };
    let Some(link) = livekit.0.agents.open(claims.iss.unwrap_or_default()).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down").into_response();
    };
    let guard = livekit.0.guard.clone();
    let max = livekit.0.limits.agent_message;
    upgrade.max_message_size(max).max_frame_size(max).on_upgrade(move |socket| async move {
        run(socket, link).await;
        drop(guard);
    })
}

/// How a socket ends.
enum End {
    /// With a close frame of this code and reason.
    Close(u16, &'static str),
    /// It is already gone, or of no use.
    Gone,
}

async fn run(mut socket: WebSocket, mut link: Link) {
    let end = exchange(&mut socket, &mut link).await;
    // The dispatcher must learn of the end before the handshake, which may take a moment.
    link.close().await;
    if let End::Close(code, reason) = end {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = timeout(FLUSH_TIMEOUT, async {
            socket.send(close).await?;
            while let Some(Ok(_)) = socket.next().await {}
            Ok::<_, axum::Error>(())
        })
        .await;
    }
}

async fn exchange(socket: &mut WebSocket, link: &mut Link) -> End {
    let mut format = Format::default();
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let out = tokio::select! {
            biased;
            output = link.outputs.recv() => match output {
                Some(ToWorker::Message(message)) => {
                    codec::encode(format, &ServerMessage { message: Some(*message) })
                }
                Some(ToWorker::Close(reason)) => return End::Close(close_code::POLICY, reason),
                None => return End::Close(close_code::RESTART, ""),
            },
            incoming = socket.recv() => {
                heard = Instant::now();
                let (received, payload) = match incoming {
                    Some(Ok(Message::Binary(bytes))) => (Format::Protobuf, bytes),
                    Some(Ok(Message::Text(text))) => (Format::Json, text.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                };
                format = received;
                match codec::decode(format, &payload) {
                    Ok(message) => {
                        if !link.send(message).await {
                            return End::Close(close_code::RESTART, "");
                        }
                    }
                    Err(reason) => return End::Close(close_code::INVALID, reason),
                }
                continue;
            }
            _ = pings.tick() => Some(Message::Ping(Vec::new().into())),
            () = sleep_until(heard + SILENCE) => return End::Gone,
        };
        let Some(message) = out else { continue };
        if !matches!(timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return End::Gone;
        }
    }
}
