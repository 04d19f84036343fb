//! The own account.

use axum::{Json, extract::State, http::StatusCode};

use crate::{
    api::{
        AppState,
        auth::model::{
            MessageBody, PasswordInput, PreferencesBody, PreferencesInput, ProfileBody, ProfileInput,
            UserBody,
        },
        error::{ApiError, ApiResult},
        extract::Input,
        principal::{Reader, Writer},
        visitor::Visitor,
    },
    domain::{
        accounts::{self, PasswordChangeError, PreferencesError},
        email,
    },
    observe::journal,
};

pub(super) async fn me(Reader(principal): Reader) -> Json<UserBody> {
    Json(principal.user.into())
}

pub(super) async fn change(
    State(state): State<AppState>,
    Writer(principal): Writer,
    input: Input<ProfileInput>,
) -> ApiResult<Json<ProfileBody>> {
    let input = input.or_bad_request("Invalid input")?;
    let new_address =
        !input.email.is_empty() && email::canonical(&input.email).as_ref() != Some(&principal.user.email);
    if new_address {
        // Changing it means proving it, which needs mail.
        return Err(ApiError::bad_request("Changing the email address is not available on this server"));
    }
    let changed = accounts::change_name(&state, &principal.user, &input.name).await?;
    let user = changed.map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(Json(user.into()))
}

pub(super) async fn change_password(
    State(state): State<AppState>,
    Writer(principal): Writer,
    visitor: Visitor,
    input: Input<PasswordInput>,
) -> ApiResult<Json<MessageBody>> {
    let PasswordInput { current, new } = input.or_bad_request("Invalid input")?;
    let changed = accounts::change_password(&state, &principal.user, current, new).await;
    if let Err(PasswordChangeError::Incorrect | PasswordChangeError::Throttled(_)) = &changed {
        journal::sign_in_failed(visitor.address(), "password-change", Some(&principal.user.id));
    }
    changed?;
    journal::password_changed(visitor.address(), &principal.user.id);
    Ok(Json(MessageBody { message: "Password updated successfully" }))
}

pub(super) async fn preferences(
    State(state): State<AppState>,
    Reader(principal): Reader,
) -> ApiResult<Json<PreferencesBody>> {
    let preferences_json = accounts::preferences(&state, &principal.user.id).await?;
    Ok(Json(PreferencesBody { preferences_json }))
}

pub(super) async fn set_preferences(
    State(state): State<AppState>,
    Writer(principal): Writer,
    input: Input<PreferencesInput>,
) -> ApiResult<Json<MessageBody>> {
    let PreferencesInput { json } = input.or_bad_request("Invalid input")?;
    accounts::set_preferences(&state, &principal.user.id, json).await?;
    Ok(Json(MessageBody { message: "Preferences updated" }))
}

impl From<PasswordChangeError> for ApiError {
    fn from(error: PasswordChangeError) -> Self {
        match error {
            PasswordChangeError::Account(error) => error.into(),
            PasswordChangeError::Throttled(wait) => Self::too_many(error.to_string(), wait.0),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<PreferencesError> for ApiError {
    fn from(error: PreferencesError) -> Self {
        let text = error.to_string();
        match error {
            PreferencesError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, text),
            PreferencesError::NotJson | PreferencesError::NotObject => Self::bad_request(text),
            PreferencesError::Db(error) => error.into(),
        }
    }
}
