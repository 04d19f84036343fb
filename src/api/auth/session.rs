//! Signing up, in and out.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
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
        visitor::Visitor,
    },
    domain::accounts::{
        self, AccountError, GuestError, LoginError, RefreshError, RegisterError, Registered, Registration,
        SignedIn,
    },
    observe::journal,
};

const INVALID: &str = "Invalid input";

/// A sign-in as answer: body and cookies.
pub(in crate::api) fn signed_in(state: &AppState, signed_in: SignedIn) -> Response {
    let mut headers = HeaderMap::new();
    cookies::sign_in(&mut headers, &signed_in, &state.settings);
    (headers, Json(LoginBody::from(signed_in))).into_response()
}

fn registration(input: RegisterInput, visitor: &Visitor) -> Registration {
    Registration {
        email: input.email,
        password: input.password,
        name: input.name,
        invite_token: input.invite_token,
        client: visitor.0.clone(),
    }
}

pub(super) async fn register(
    State(state): State<AppState>,
    visitor: Visitor,
    input: Input<RegisterInput>,
) -> ApiResult<Response> {
    let form = registration(input.or_bad_request(INVALID)?, &visitor);
    match accounts::register(&state, form).await.map_err(register_error)? {
        Registered::SignedIn(session) => {
            journal::signed_in(visitor.address(), &session.user.id, "register");
            Ok(signed_in(&state, *session))
        }
        Registered::NeedsVerification { email } => {
            let message = "Please check your email to verify your account";
            Ok(Json(VerifyFirstBody { requires_verification: true, message, email }).into_response())
        }
    }
}

pub(super) async fn login(
    State(state): State<AppState>,
    visitor: Visitor,
    input: Input<LoginInput>,
) -> ApiResult<Response> {
    let LoginInput { email, password } = input.or_bad_request(INVALID)?;
    match accounts::login(&state, &email, password, &visitor.0).await {
        Ok(session) => {
            journal::signed_in(visitor.address(), &session.user.id, "password");
            Ok(signed_in(&state, session))
        }
        Err(error) => {
            match &error {
                LoginError::Invalid { user } => {
                    journal::sign_in_failed(visitor.address(), "credentials", user.as_deref());
                }
                LoginError::Throttled(_) => journal::sign_in_failed(visitor.address(), "throttled", None),
                _ => {}
            }
            Err(error.into())
        }
    }
}

pub(super) async fn guest_login(
    State(state): State<AppState>,
    visitor: Visitor,
    input: Input<NameInput>,
) -> ApiResult<Response> {
    let NameInput { name } = input.or_bad_request(INVALID)?;
    let session = accounts::guest_login(&state, &name, &visitor.0).await?;
    journal::signed_in(visitor.address(), &session.user.id, "guest");
    Ok(signed_in(&state, session))
}

pub(super) async fn refresh(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    input: Input<RefreshInput>,
) -> ApiResult<Response> {
    let input = input.or_default();
    if input.refresh_token.is_empty() && is_foreign_page(&headers, &state) {
        return Err(ApiError::forbidden("Cross-site requests cannot use the cookie"));
    }
    let token =
        refresh_token(&headers, input).ok_or_else(|| ApiError::bad_request("No refresh token provided"))?;
    let signed_in = accounts::refresh(&state, &token, &visitor.0).await.inspect_err(|error| {
        if let RefreshError::Reused { user } = error {
            journal::sign_in_failed(visitor.address(), "refresh-reused", Some(user));
        }
    })?;
    let mut headers = HeaderMap::new();
    cookies::sign_in(&mut headers, &signed_in, &state.settings);
    let SignedIn { access_token, refresh_token, .. } = signed_in;
    Ok((headers, Json(RefreshBody { access_token, refresh_token })).into_response())
}

pub(super) async fn logout(
    State(state): State<AppState>,
    Leaver(principal): Leaver,
    visitor: Visitor,
    headers: HeaderMap,
    input: Input<RefreshInput>,
) -> ApiResult<Response> {
    let token = refresh_token(&headers, input.or_default());
    accounts::logout(&state, &principal.user.id, &principal.session, token.as_deref()).await?;
    journal::signed_out(visitor.address(), &principal.user.id);
    let mut headers = HeaderMap::new();
    cookies::sign_out(&mut headers, &state.settings);
    Ok((headers, Json(MessageBody { message: "Successfully logged out" })).into_response())
}

/// True when a browser says that a page of another site asks, and that site is not one of the configuration's. This route
/// is the only one that a cookie alone opens.
fn is_foreign_page(headers: &HeaderMap, state: &AppState) -> bool {
    let cross_site = headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    cross_site
        && !origin.is_some_and(|origin| state.settings.cookies.foreign_origins.iter().any(|o| o == origin))
}

/// The refresh token of the body, else of the cookie.
fn refresh_token(headers: &HeaderMap, input: RefreshInput) -> Option<String> {
    let token = input.refresh_token;
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
            LoginError::Invalid { .. } => Self::unauthorized(text),
            LoginError::Throttled(wait) => Self::too_many(text, wait.0),
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
            RefreshError::Invalid | RefreshError::Reused { .. } | RefreshError::NoUser => {
                Self::unauthorized(text)
            }
            RefreshError::Deactivated | RefreshError::Unverified => Self::forbidden(text),
            RefreshError::Rotated => Self::conflict(text),
            RefreshError::Account(error) => error.into(),
        }
    }
}
