//! `/api/room`: rooms from their making to their end.

mod host;
mod join;
mod manage;
mod model;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use crate::api::{
    AppState,
    rate_limit::{API, GUEST, limited},
};

/// The routes.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    let limits = state.settings.rate_limits;
    let api = |route| limited(route, limits.api, API, state);
    let guest = |route| limited(route, limits.guest, GUEST, state);
    Router::new()
        .route("/create", api(post(manage::create)))
        .route("/join", post(join::join))
        .route("/guest-join", guest(post(join::guest_join)))
        .route("/check/{name}", guest(get(join::check)))
        .route("/refresh-token", api(post(join::renew_token)))
        .route("/list", get(manage::list))
        .route("/archived", get(manage::archived))
        .route("/{id}", delete(manage::end))
        .route("/{id}/settings", put(manage::update))
        .route("/{id}/reopen", api(post(manage::reopen)))
        .route("/{id}/presence", api(get(join::presence)))
}
