//! Signing up, in and out.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    api::{
        AppState,
        auth::model::{
            LoginBody, LoginInput, MessageBody, NameInput, RefreshBody, RefreshInput, RegisterInput,
            VerifyFirstBody,
        },
        cookies,
        error::{ApiError, ApiResult},
        extract::Input,
        principal::Leaver,
    },
    domain::accounts::{
        self, AccountError, GuestError, LoginError, RefreshError, RegisterError, Registered, Registration,
        SignedIn,
    },
};

const INVALID: &str = "Invalid input";

/// A sign-in as answer: body and cookies.
pub(in crate::api) fn signed_in(state: &AppState, signed_in: SignedIn) -> Response {
    let mut headers = HeaderMap::new();
    cookies::sign_in(&mut headers, &signed_in, &state.settings);
    (headers, Json(LoginBody::from(signed_in))).into_response()
}

impl From<RegisterInput> for Registration {
    fn from(input: RegisterInput) -> Self {
        Self {
            email: input.email,
            password: input.password,
            name: input.name,
            invite_token: input.invite_token,
        }
    }
}

pub(super) async fn register(
    State(state): State<AppState>,
    input: Input<RegisterInput>,
) -> ApiResult<Response> {
    let form = Registration::from(input.or_bad_request(INVALID)?);
    match accounts::register(&state, form).await.map_err(register_error)? {
        Registered::SignedIn(session) => Ok(signed_in(&state, *session)),
        Registered::NeedsVerification { email } => {
            let message = "Please check your email to verify your account";
            Ok(Json(VerifyFirstBody { requires_verification: true, message, email }).into_response())
        }
    }
}

pub(super) async fn login(State(state): State<AppState>, input: Input<LoginInput>) -> ApiResult<Response> {
    let LoginInput { email, password } = input.or_bad_request(INVALID)?;
    Ok(signed_in(&state, accounts::login(&state, &email, password).await?))
}

pub(super) async fn guest_login(
    State(state): State<AppState>,
    input: Input<NameInput>,
) -> ApiResult<Response> {
    let NameInput { name } = input.or_bad_request(INVALID)?;
    Ok(signed_in(&state, accounts::guest_login(&state, &name).await?))
}

pub(super) async fn refresh(
    State(state): State<AppState>,
    headers: HeaderMap,
    input: Input<RefreshInput>,
) -> ApiResult<Response> {
    let token =
        refresh_token(&headers, input).ok_or_else(|| ApiError::bad_request("No refresh token provided"))?;
    let signed_in = accounts::refresh(&state, &token).await?;
    let mut headers = HeaderMap::new();
    cookies::sign_in(&mut headers, &signed_in, &state.settings);
    let SignedIn { access_token, refresh_token, .. } = signed_in;
    Ok((headers, Json(RefreshBody { access_token, refresh_token })).into_response())
}

pub(super) async fn logout(
    State(state): State<AppState>,
    Leaver(principal): Leaver,
    headers: HeaderMap,
    input: Input<RefreshInput>,
) -> ApiResult<Response> {
    let token = refresh_token(&headers, input);
    accounts::logout(&state, &principal.user.id, &principal.session, token.as_deref()).await?;
    let mut headers = HeaderMap::new();
    cookies::sign_out(&mut headers, &state.settings);
    Ok((headers, Json(MessageBody { message: "Successfully logged out" })).into_response())
}

/// The refresh token of the body, else of the cookie. An unreadable body counts as empty.
fn refresh_token(headers: &HeaderMap, input: Input<RefreshInput>) -> Option<String> {
    let token = input.or_default().refresh_token;
    if token.is_empty() { cookies::read(headers, cookies::REFRESH).map(str::to_owned) } else { Some(token) }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Db(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

/// Registration errors, shared with the setup of the first administrator.
pub(in crate::api) fn register_error(error: RegisterError) -> ApiError {
    let text = error.to_string();
    match error {
        RegisterError::Form(_) | RegisterError::Taken => ApiError::bad_request(text),
        RegisterError::Disabled | RegisterError::InviteRequired | RegisterError::InviteInvalid => {
            ApiError::forbidden(text)
        }
        RegisterError::InviteUsed => ApiError::conflict(text),
        RegisterError::Account(error) => error.into(),
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let text = error.to_string();
        match error {
            LoginError::Incomplete | LoginError::Form(_) => Self::bad_request(text),
            LoginError::Invalid => Self::unauthorized(text),
            LoginError::Unverified { email } => {
                Self::forbidden(text).with("requiresVerification", true).with("email", email)
            }
            LoginError::Account(error) => error.into(),
        }
    }
}

impl From<GuestError> for ApiError {
    fn from(error: GuestError) -> Self {
        let text = error.to_string();
        match error {
            GuestError::NoName | GuestError::NameLength => Self::bad_request(text),
            GuestError::RegistrationDisabled | GuestError::GuestsDisabled => Self::forbidden(text),
            GuestError::Account(error) => error.into(),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        let text = error.to_string();
        match error {
            RefreshError::Invalid | RefreshError::NoUser => Self::unauthorized(text),
            RefreshError::Deactivated | RefreshError::Unverified => Self::forbidden(text),
            RefreshError::Rotated => Self::conflict(text),
            RefreshError::Account(error) => error.into(),
        }
    }
}
