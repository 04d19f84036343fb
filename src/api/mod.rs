//! Bedrud's HTTP API: one folder per resource, typed requests in, typed responses out.
//!
//! [`router`] is mounted by the server; everything it needs comes in through [`AppState`].

mod auth;
mod cookies;
pub mod error;
mod extract;
mod page;
#[cfg(test)]
mod policy_tests;
mod principal;
mod rate_limit;
mod rooms;
mod setup;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod visitor;

pub use crate::{
    auth::{entropy::Entropy, password::PasswordError},
    domain::{Clock, MediaControl, NoMedia, settings},
};
pub use state::{AppParts, AppState, ClientAddr};

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode};

use crate::api::error::ApiError;

/// The API under `/api`, complete with its state. Unknown paths below `/api` get a JSON 404.
pub fn router(state: AppState) -> Router {
    let api = Router::new()
        .nest("/auth", auth::routes(&state))
        .nest("/room", rooms::routes(&state))
        .nest("/setup", setup::routes(&state))
        .layer(DefaultBodyLimit::max(state.settings.limits.body_bytes))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found);
    Router::new().nest("/api", api).with_state(state)
}

/// The answer to unknown paths below `/api`; the server may use it for its own part of the tree.
pub async fn not_found() -> ApiError {
    ApiError::not_found("Not Found")
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}
