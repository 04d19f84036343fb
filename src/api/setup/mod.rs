//! `/api/setup`: the first administrator.
//!
//! `GET` answers `{"required": bool}`. `POST {token, email, name, password}` with the token of the link that the server
//! printed makes the administrator and signs it in like a registration; 403 `Invalid or expired setup link`,
//! 409 `Setup is already complete`.

#[cfg(test)]
mod tests;

use axum::{Json, Router, extract::State, response::Response, routing::get};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        AppState,
        auth::{register_error, signed_in},
        error::{ApiError, ApiResult},
        extract::Input,
        rate_limit::{AUTH, limited},
        visitor::Visitor,
    },
    domain::{
        accounts::Registration,
        setup::{self, SetupError},
    },
    observe::journal,
};

/// The routes.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    let limit = state.settings.rate_limits.auth;
    Router::new().route("/", limited(axum::routing::post(create), limit, AUTH, state).merge(get(required)))
}

#[derive(Debug, Serialize)]
struct RequiredBody {
    required: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SetupInput {
    token: String,
    email: String,
    name: String,
    password: String,
}

async fn required(State(state): State<AppState>) -> ApiResult<Json<RequiredBody>> {
    Ok(Json(RequiredBody { required: setup::is_needed(&state).await? }))
}

async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    input: Input<SetupInput>,
) -> ApiResult<Response> {
    let SetupInput { token, email, name, password } = input.or_bad_request("Invalid input")?;
    let form = Registration { email, password, name, invite_token: String::new(), client: visitor.0.clone() };
    let session = setup::create_admin(&state, token.trim(), form).await.inspect_err(|error| {
        if *error == SetupError::InvalidToken {
            journal::sign_in_failed(visitor.address(), "setup-link", None);
        }
    })?;
    journal::signed_in(visitor.address(), &session.user.id, "setup");
    Ok(signed_in(&state, session))
}

impl From<SetupError> for ApiError {
    fn from(error: SetupError) -> Self {
        let text = error.to_string();
        match error {
            SetupError::Done => Self::conflict(text),
            SetupError::InvalidToken => Self::forbidden(text),
            SetupError::Register(error) => register_error(error),
        }
    }
}
