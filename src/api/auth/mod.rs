//! `/api/auth`: accounts and sessions.

#[cfg(test)]
mod attack_tests;
mod model;
mod profile;
mod public_settings;
mod session;
#[cfg(test)]
mod tests;

pub(super) use model::{MessageBody, TokensBody};
pub(super) use session::{register_error, signed_in};

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::api::{
    AppState,
    rate_limit::{AUTH, SIGN_UP, limited},
};

/// The routes.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    let limit = state.settings.rate_limits.auth;
    let auth = |route| limited(route, limit, AUTH, state);
    let sign_up = |route| limited(route, limit, SIGN_UP, state);
    Router::new()
        .route("/register", sign_up(post(session::register)))
        .route("/login", auth(post(session::login)))
        .route("/guest-login", auth(post(session::guest_login)))
        .route("/refresh", auth(post(session::refresh)))
        .route("/logout", post(session::logout))
        .route("/me", get(profile::me).put(profile::change))
        .route("/password", put(profile::change_password))
        .route("/preferences", get(profile::preferences).put(profile::set_preferences))
        .route("/settings", get(public_settings::get))
}
