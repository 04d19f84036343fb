//! A sign-in and who it belongs to.

use crate::{
    auth::{
        digest::sha256_hex,
        password::PasswordError,
        session_token::{self, Kind},
    },
    db::{
        Db, DbError, DbResult, Moment,
        sessions::{self, Session},
        users::{self, User},
    },
    domain::{
        Platform,
        accounts::{Client, Device},
    },
};

/// A failure that is no fault of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Hashing failed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Signing failed.
    #[error("token signing failed: {0}")]
    Token(String),
}

/// A user with a fresh pair of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// Opens the API.
    pub access_token: String,
    /// Is exchanged for a new pair.
    pub refresh_token: String,
    /// Cookie by which the device is known again; `None` leaves it as it is.
    pub device: Option<String>,
}

/// The tokens of a session about to be opened or renewed, made before the transaction.
pub(crate) struct NewSession {
    id: String,
    access_token: String,
    refresh_token: String,
    device: Option<String>,
    pub(super) token_hash: String,
    created_at: Moment,
    pub(super) expires_at: Moment,
}

impl NewSession {
    /// Tokens for a new session of `user` on the device of `client`, if that is known.
    pub(crate) fn of(
        platform: &Platform,
        user: &User,
        client: Option<&Client>,
        now: Moment,
    ) -> Result<Self, AccountError> {
        let id = platform.entropy.uuid();
        let secret = &platform.settings.auth.session_secret;
        let device = client.map(|client| Device::of(client, &user.email, secret, &id));
        let print = device.as_ref().map(Device::fingerprint);
        let session = Self::with_id(platform, user, id, print, now)?;
        Ok(Self { device: device.map(|device| device.cookie), ..session })
    }

    /// New tokens for the session `id` on the device with this fingerprint.
    pub(super) fn with_id(
        platform: &Platform,
        user: &User,
        id: String,
        device: Option<String>,
        now: Moment,
    ) -> Result<Self, AccountError> {
        let auth = &platform.settings.auth;
        let expires_at = now.plus(auth.refresh_ttl);
        let refused = |error: jsonwebtoken::errors::Error| AccountError::Token(error.to_string());
        let sign =
            |kind, until| session_token::sign(user, &id, kind, now, until, &auth.jwt_secret).map_err(refused);
        let access_token = sign(Kind::Access, now.plus(auth.access_ttl))?;
        let refresh_token = sign(Kind::Refresh { jti: platform.entropy.uuid(), device }, expires_at)?;
        let token_hash = sha256_hex(&refresh_token);
        Ok(Self { id, access_token, refresh_token, device: None, token_hash, created_at: now, expires_at })
    }

    /// The session's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Opens the session.
    pub(crate) fn insert(&self, c: &mut Db, user_id: &str) -> DbResult<()> {
        let session = Session {
            id: self.id.clone(),
            user_id: user_id.to_owned(),
            token_hash: self.token_hash.clone(),
            created_at: self.created_at,
            rotated_at: self.created_at,
            expires_at: self.expires_at,
        };
        sessions::insert(c, &session)
    }

    /// The pair for its user.
    pub(crate) fn signed_in(self, user: User) -> SignedIn {
        let Self { access_token, refresh_token, device, .. } = self;
        SignedIn { user, access_token, refresh_token, device }
    }
}

/// The user behind an access token and the session it belongs to: `None` when the token is not ours, ran out, or its
/// session has ended.
///
/// # Errors
/// The database's.
pub async fn authenticate(platform: &Platform, token: &str) -> DbResult<Option<(User, String)>> {
    let now = platform.now();
    let Ok(claims) = session_token::verify_access(token, now, &platform.settings.auth.jwt_secret) else {
        return Ok(None);
    };
    platform
        .store
        .read(move |c| {
            let Some(session) = sessions::by_id(c, &claims.sid)? else { return Ok(None) };
            let user = users::by_id(c, &claims.user_id)?.filter(|user| user.id == session.user_id);
            Ok(user.map(|user| (user, session.id)))
        })
        .await
}
