//! `/agent`: one worker.

use super::codec;
use super::{Link, ToWorker};
use crate::livekit::LiveKit;
use crate::livekit::auth::authenticate;
use crate::livekit::query::Pairs;
use crate::livekit::wire::{End, Input, Wire, bounded};
use crate::server::health::unix_seconds;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bedrud_media::Format;
use livekit_protocol::ServerMessage;
use std::time::Duration;

/// A worker that is silent for this long, pongs included, is gone.
const SILENCE: Duration = Duration::from_secs(35);

/// The grant is checked before the upgrade.
pub(in crate::livekit) async fn connect(
    State(livekit): State<LiveKit>,
    headers: HeaderMap,
    query: Pairs,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let token = query.value("access_token");
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
    bounded(upgrade, max).on_upgrade(move |socket| async move {
        run(socket, link).await;
        drop(guard);
    })
}

async fn run(socket: WebSocket, mut link: Link) {
    let mut wire = Wire::new(socket, Some(SILENCE));
    let end = exchange(&mut wire, &mut link).await;
    // The dispatcher must learn of the end before the handshake, which may take a moment.
    link.close().await;
    wire.close(end).await;
}

async fn exchange(wire: &mut Wire, link: &mut Link) -> End {
    let mut format = Format::default();
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
            input = wire.next() => match input {
                Input::Message(received, payload) => {
                    format = received;
                    match codec::decode(format, &payload) {
                        Ok(message) => {
                            if !link.send(message).await {
                                return End::Close(close_code::RESTART, "");
                            }
                            None
                        }
                        Err(reason) => return End::Close(close_code::INVALID, reason),
                    }
                }
                Input::PingDue => Some(Message::Ping(Vec::new().into())),
                Input::End(end) => return end,
            },
        };
        if let Some(message) = out
            && !wire.send(message).await
        {
            return End::Gone;
        }
    }
}
