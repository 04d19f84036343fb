//! All routes of the main port, and what is true for each family of them.

use super::{cors, headers};
use crate::api;
use crate::config::Config;
use crate::livekit;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

/// Where the media server's routes also live, beside the root.
pub const MEDIA_PREFIX: &str = "/livekit";
/// Its root with the slash that base addresses often end in.
const MEDIA_ROOT: &str = "/livekit/";

/// The whole platform: API and web app with security headers, the media server's routes as they are.
pub fn platform(
    config: &Config,
    api_routes: Router,
    health: Router,
    media: Router,
    alive: MethodRouter,
    ui: Router,
) -> Router {
    let body_limit = usize::try_from(config.body_limit()).unwrap_or(usize::MAX);
    let app = Router::new()
        .merge(api_routes)
        .merge(health)
        .layer(cors::api_layer(config))
        .layer(DefaultBodyLimit::max(body_limit))
        .fallback(move |request: Request| fallback(ui, request))
        .layer(middleware::from_fn(headers::secure));
    media_routes(media, alive).merge(app).layer(CatchPanicLayer::custom(panicked))
}

/// The media server alone.
/// `alive` is what load balancers and SDK tests ask of the root.
pub fn media_only(media: Router, alive: MethodRouter) -> Router {
    media_routes(media, alive.clone())
        .route("/", alive.layer(livekit::cors()))
        .layer(CatchPanicLayer::custom(panicked))
}

/// Web SDKs ask the root too, from any page, when the browser says that the network is back, and reconnect at once if
/// they can read the answer.
fn media_routes(media: Router, alive: MethodRouter) -> Router {
    let alive = alive.layer(livekit::cors());
    let below = media.clone().route("/", alive.clone()).fallback(|| async { StatusCode::NOT_FOUND });
    Router::new().nest(MEDIA_PREFIX, below).route(MEDIA_ROOT, alive).merge(media)
}

/// Everything that no route takes belongs to the web app, but for the addresses of files that people uploaded.
async fn fallback(ui: Router, request: Request) -> Response {
    if request.uri().path().starts_with("/uploads/") {
        return api::not_found().await.into_response();
    }
    match ui.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A bug in a handler costs one request, not the process. The panic itself is in the log.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::http::Response<axum::body::Body> {
    tracing::error!("a request handler panicked");
    let body = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::INTERNAL_SERVER_ERROR, body, r#"{"error":"An internal error occurred"}"#).into_response()
}
