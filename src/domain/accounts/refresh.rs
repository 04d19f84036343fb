//! Exchanging a refresh token for a new pair, and giving it back.

use std::time::Duration;

use crate::{
    auth::{digest::sha256_hex, session_token},
    db::{
        DbError, DbResult,
        sessions::{self, Blocked},
        users,
    },
    domain::{
        Platform, access,
        accounts::{AccountError, Client, NewSession, SignedIn, client::is_device},
    },
};

/// Two tabs of a browser may use the same token at the same time, and the answer to the first takes its time to get there.
/// For so long the slower one is told to look again, if it shows the cookie of the device that the token belongs to.
const RACE: Duration = Duration::from_secs(3);

/// Why there is no new pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Not ours, out of date, or its session has ended.
    #[error("Invalid or expired refresh token")]
    Invalid,
    /// It was exchanged before: somebody has a copy, and the session has ended.
    #[error("Invalid or expired refresh token")]
    Reused {
        /// Whose it was. For the log.
        user: String,
    },
    /// The account is gone.
    #[error("User not found")]
    NoUser,
    /// The account is switched off.
    #[error("Account is deactivated")]
    Deactivated,
    /// The address was never verified.
    #[error("Please verify your email before signing in")]
    Unverified,
    /// Somebody was faster with the same token.
    #[error("Refresh token has already been rotated")]
    Rotated,
    /// Not the caller's fault.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<DbError> for RefreshError {
    fn from(error: DbError) -> Self {
        Self::Account(error.into())
    }
}

/// Exchanges a refresh token. Whoever shows one that was exchanged before ends its session, for both: one of the two is a
/// thief. Only a race is no theft: the request was on its way before the other one was served, or it comes right after it
/// and from the same browser.
///
/// # Errors
/// [`RefreshError`].
pub async fn refresh(platform: &Platform, token: &str, client: &Client) -> Result<SignedIn, RefreshError> {
    let now = platform.now();
    let auth = &platform.settings.auth;
    let claims =
        session_token::verify_refresh(token, now, &auth.jwt_secret).map_err(|_| RefreshError::Invalid)?;
    let user_id = claims.user_id;
    let user = platform.store.read(move |c| users::by_id(c, &user_id)).await?.ok_or(RefreshError::NoUser)?;
    if !user.is_active {
        return Err(RefreshError::Deactivated);
    }
    let guest = user.provider == access::GUEST_PROVIDER;
    if auth.require_email_verification && !guest && user.email_verified_at.is_none() {
        return Err(RefreshError::Unverified);
    }
    let same_device = claims.dev.as_deref().is_some_and(|print| is_device(client, print));
    let renewed = NewSession::with_id(platform, &user, claims.sid.clone(), claims.dev, now)?;
    let hash = sha256_hex(token);
    let blocked_id = platform.entropy.uuid();
    let sid = claims.sid;
    let clock = platform.clock.clone();
    // The end of a session has to be stored, so this outcome is no error inside the transaction.
    let outcome: Result<SignedIn, RefreshError> = platform
        .store
        .write(move |c| -> Result<_, RefreshError> {
            let Some(session) = sessions::by_id(c, &sid)?.filter(|session| session.user_id == user.id) else {
                return Ok(Err(RefreshError::Invalid));
            };
            // When this one is served: who came earlier than that cannot have seen the answer.
            let served = clock.now().max(now);
            if sessions::rotate(c, &sid, &hash, &renewed.token_hash, served, renewed.expires_at)? {
                let blocked = Blocked {
                    id: blocked_id,
                    token: hash,
                    user_id: user.id.clone(),
                    session_id: Some(sid),
                    expires_at: session.expires_at,
                    created_at: served,
                };
                sessions::block(c, &blocked)?;
                return Ok(Ok(renewed.signed_in(user)));
            }
            let Some(blocked) = sessions::blocked(c, &hash)? else { return Ok(Err(RefreshError::Invalid)) };
            let newest = blocked.created_at == session.rotated_at;
            let overlapping = now <= blocked.created_at;
            let in_time = same_device && served.since(blocked.created_at) <= RACE;
            if newest && (overlapping || in_time) {
                return Ok(Err(RefreshError::Rotated));
            }
            sessions::delete(c, &sid)?;
            Ok(Err(RefreshError::Reused { user: user.id }))
        })
        .await?;
    outcome
}

/// Ends a session, and the one a refresh token belongs to if that is another one of the same user.
///
/// # Errors
/// The database's.
pub async fn logout(
    platform: &Platform,
    user_id: &str,
    session: &str,
    refresh_token: Option<&str>,
) -> DbResult<()> {
    let secret = &platform.settings.auth.jwt_secret;
    let second = refresh_token
        .and_then(|token| session_token::verify_refresh(token, platform.now(), secret).ok())
        .filter(|claims| claims.user_id == user_id)
        .map(|claims| claims.sid);
    let ids: Vec<String> = std::iter::once(session.to_owned()).chain(second).collect();
    platform
        .store
        .write(move |c| {
            for id in &ids {
                sessions::delete(c, id)?;
            }
            Ok(())
        })
        .await
}
