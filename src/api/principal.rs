//! Who is asking, and the guards in front of handlers.
//!
//! A token comes from the `Authorization` header or, for reading, from the cookie. What it opens is decided by the
//! database, not by the claims: a session that ended, a changed role or a deactivated account count at once.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::{
    api::{AppState, cookies, error::ApiError},
    auth::authorization,
    db::users::User,
    domain::{access, accounts},
    intake::Authenticated,
};

/// A signed-in user.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// The account as the database has it.
    pub(super) user: User,
    /// The session of the token.
    pub(super) session: String,
}

impl Principal {
    /// Refuses guests.
    pub(super) fn no_guest(&self) -> Result<(), ApiError> {
        if self.user.provider == access::GUEST_PROVIDER {
            Err(ApiError::forbidden("Guests cannot create or manage rooms"))
        } else {
            Ok(())
        }
    }
}

/// May read: signed in by header or cookie, and verified where that is wanted.
#[derive(Debug)]
pub(super) struct Reader(pub(super) Principal);

/// May change things: as [`Reader`], but the token stands in the header, which no foreign page can make a browser send.
#[derive(Debug)]
pub(super) struct Writer(pub(super) Principal);

/// As [`Writer`] without the need to be verified: for signing out.
#[derive(Debug)]
pub(super) struct Leaver(pub(super) Principal);

impl FromRequestParts<AppState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let principal = identify(&parts.headers, state).await?;
        verified(&principal, state)?;
        Ok(Self(principal))
    }
}

impl OptionalFromRequestParts<AppState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, ApiError> {
        Ok(identify(&parts.headers, state).await.ok().map(Self))
    }
}

impl FromRequestParts<AppState> for Writer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Leaver(principal) = <Leaver as FromRequestParts<_>>::from_request_parts(parts, state).await?;
        verified(&principal, state)?;
        Ok(Self(principal))
    }
}

impl FromRequestParts<AppState> for Leaver {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let principal = identify(&parts.headers, state).await?;
        if authorization::bearer(&parts.headers).is_none() {
            return Err(ApiError::unauthorized("Authorization header required for state-changing requests"));
        }
        parts.extensions.insert(Authenticated);
        Ok(Self(principal))
    }
}

async fn identify(headers: &HeaderMap, state: &AppState) -> Result<Principal, ApiError> {
    // Clients of the original send the token bare, too.
    let header = authorization::credentials(headers, "Bearer").or_else(|| authorization::value(headers));
    let token = header
        .or_else(|| cookies::read(headers, cookies::ACCESS))
        .ok_or_else(|| ApiError::unauthorized("Missing authorization"))?;
    let known = accounts::authenticate(state, token).await?;
    let (user, session) = known.ok_or_else(|| ApiError::unauthorized("Invalid token"))?;
    if !user.is_active {
        return Err(ApiError::forbidden("Account is deactivated"));
    }
    Ok(Principal { user, session })
}

fn verified(principal: &Principal, state: &AppState) -> Result<(), ApiError> {
    let guest = principal.user.provider == access::GUEST_PROVIDER;
    if state.settings.auth.require_email_verification && !guest && principal.user.email_verified_at.is_none()
    {
        return Err(ApiError::forbidden("Email not verified"));
    }
    Ok(())
}
