//! The first administrator: made once, by whoever holds the link that the server printed at its first start.

use crate::{
    auth::digest::sha256_hex,
    db::{Conflict, DbError, DbResult, setup, setup::SetupToken, users},
    domain::{
        Platform, access,
        accounts::{AccountError, Prepared, RegisterError, Registration, SignedIn, prepare},
    },
};

/// Why there is no administrator yet, or no second first one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// There is an administrator.
    #[error("Setup is already complete")]
    Done,
    /// Not the token of the newest link, or it ran out.
    #[error("Invalid or expired setup link")]
    InvalidToken,
    /// The form or a failure.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl From<DbError> for SetupError {
    fn from(error: DbError) -> Self {
        Self::Register(error.into())
    }
}

impl From<AccountError> for SetupError {
    fn from(error: AccountError) -> Self {
        Self::Register(error.into())
    }
}

/// A token for the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The token itself, a secret.
    pub text: String,
    /// A link that was handed out before is void now, though its time was not over.
    pub replaced: bool,
}

/// A new setup token when no administrator exists; it replaces any earlier one. The web app takes it at
/// `/setup?token=<token>`. To be called at the start of the server.
///
/// # Errors
/// The database's.
pub async fn new_token(platform: &Platform) -> DbResult<Option<NewToken>> {
    let now = platform.now();
    let token = platform.entropy.token();
    let row = SetupToken {
        id: platform.entropy.uuid(),
        token_hash: sha256_hex(&token),
        expires_at: now.plus(platform.settings.auth.setup_ttl),
        created_at: now,
    };
    platform
        .store
        .write(move |c| {
            if users::anyone_with_access(c, access::SUPERADMIN)? {
                setup::clear(c)?;
                return Ok(None);
            }
            let replaced = setup::replace(c, &row, now)?;
            Ok(Some(NewToken { text: token, replaced }))
        })
        .await
}

/// True while no administrator exists.
///
/// # Errors
/// The database's.
pub async fn is_needed(platform: &Platform) -> DbResult<bool> {
    platform.store.read(|c| Ok(!users::anyone_with_access(c, access::SUPERADMIN)?)).await
}

/// Makes the first administrator and signs it in.
///
/// # Errors
/// [`SetupError`].
pub async fn create_admin(
    platform: &Platform,
    token: &str,
    form: Registration,
) -> Result<SignedIn, SetupError> {
    let now = platform.now();
    let hash = sha256_hex(token);
    let asked = hash.clone();
    // Asked before the password is hashed, so that strangers cannot make us work; and once more below, where it counts.
    platform
        .store
        .read(move |c| match () {
            () if users::anyone_with_access(c, access::SUPERADMIN)? => Err(SetupError::Done),
            () if !setup::is_valid(c, &asked, now)? => Err(SetupError::InvalidToken),
            () => Ok(()),
        })
        .await?;
    let client = form.client.clone();
    let Prepared { mut user, session } =
        prepare(platform, form, &[access::SUPERADMIN, access::USER], now).await?;
    // Who can read the server's output owns it: the address needs no further proof.
    user.email_verified_at = Some(now);
    let signed_in = platform
        .store
        .write(move |c| {
            if users::anyone_with_access(c, access::SUPERADMIN)? {
                return Err(SetupError::Done);
            }
            if !setup::consume(c, &hash, now)? {
                return Err(SetupError::InvalidToken);
            }
            if users::email_taken(c, &user.email)? {
                return Err(DbError::Conflict(Conflict::UserEmail).into());
            }
            users::insert(c, &user)?;
            session.insert(c, &user.id)?;
            Ok(session.signed_in(user))
        })
        .await?;
    platform.throttle.opened(&signed_in.user.email, &client, now);
    Ok(signed_in)
}
