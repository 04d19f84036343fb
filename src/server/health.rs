//! `/api/health`, `/api/ready`, `/api/version`, `/api/cert`, and the short forms.

use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get};
use bedrud_media::Sfu;
use serde_json::json;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A media server whose control plane needs longer for an answer is not ready. Generous, for a machine that is busy.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Nor is one with a thread that has not been seen to live for this time.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// Asks whether requests can be served; the error is a short text without details.
pub type Probe =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>> + Send + Sync>;

/// The routes. `cert` is the certificate in use, if TLS is on.
pub fn router(ready: Probe, cert: Option<PathBuf>) -> Router {
    Router::new()
        .route("/api/health", get(|| async { Json(json!({ "status": "healthy", "time": unix_seconds() })) }))
        .route("/api/ready", get(move || is_ready(Arc::clone(&ready))))
        .route("/api/version", get(|| async { Json(json!({ "version": env!("CARGO_PKG_VERSION") })) }))
        .route("/api/cert", get(move || certificate(cert.clone())))
        .route("/health", get(|| async { found("/api/health") }))
        .route("/ready", get(|| async { found("/api/ready") }))
}

/// `GET /` of the media server: `OK`, or 406 as load balancers of the reference server know it.
pub fn alive(ready: Probe) -> MethodRouter {
    get(move || async move {
        match ready().await {
            Ok(()) => (StatusCode::OK, "OK".to_owned()),
            Err(error) => (StatusCode::NOT_ACCEPTABLE, format!("Not Ready: {error}")),
        }
    })
}

/// Ready when all threads of the media server live, and its control plane answers.
#[must_use]
pub fn media_probe(sfu: &Sfu) -> Probe {
    let sfu = sfu.clone();
    Arc::new(move || {
        let sfu = sfu.clone();
        Box::pin(async move {
            if let Err(unhealthy) = sfu.health(MAX_SILENCE) {
                tracing::warn!(%unhealthy, "not ready");
                return Err("media server unhealthy");
            }
            let answers = tokio::time::timeout(PROBE_TIMEOUT, sfu.answers()).await;
            if answers.unwrap_or(false) { Ok(()) } else { Err("media server unavailable") }
        })
    })
}

/// 302, as existing probes expect.
fn found(to: &'static str) -> Response {
    (StatusCode::FOUND, Redirect::temporary(to).into_response().into_parts().0.headers).into_response()
}

async fn is_ready(ready: Probe) -> Response {
    match ready().await {
        Ok(()) => Json(json!({ "status": "ready", "time": unix_seconds() })).into_response(),
        Err(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not_ready", "error": error })))
                .into_response()
        }
    }
}

async fn certificate(path: Option<PathBuf>) -> Response {
    let not_found = |text| (StatusCode::NOT_FOUND, Json(json!({ "error": text }))).into_response();
    let Some(path) = path else { return not_found("TLS not enabled") };
    match tokio::fs::read(path).await {
        Ok(pem) => (
            [
                (header::CONTENT_TYPE, "application/x-pem-file"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"bedrud-cert.pem\""),
            ],
            pem,
        )
            .into_response(),
        Err(_) => not_found("Certificate not found"),
    }
}

/// Seconds since the epoch.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the server is the edge")]
pub fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
