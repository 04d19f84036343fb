//! Signing in with a password.

use crate::{
    db::{DbError, users},
    domain::{
        Platform, access,
        accounts::{AccountError, FormError, NewSession, PASSWORD_BYTES, SignedIn},
        email,
    },
};

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// A field is empty.
    #[error("Email and password are required")]
    Incomplete,
    /// The password is longer than any can be.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Unknown address, wrong password or a deactivated account: the answer does not tell which.
    #[error("Invalid credentials")]
    Invalid,
    /// The address was never verified.
    #[error("Please verify your email before signing in")]
    Unverified {
        /// The address.
        email: String,
    },
    /// Not the caller's fault.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<DbError> for LoginError {
    fn from(error: DbError) -> Self {
        Self::Account(error.into())
    }
}

/// Signs in. It takes as long for an unknown address as for a wrong password.
///
/// # Errors
/// [`LoginError`].
pub async fn login(platform: &Platform, address: &str, password: String) -> Result<SignedIn, LoginError> {
    if address.trim().is_empty() || password.is_empty() {
        return Err(LoginError::Incomplete);
    }
    if password.len() > *PASSWORD_BYTES.end() {
        return Err(FormError::PasswordTooLong.into());
    }
    let now = platform.now();
    let user = match email::canonical(address) {
        Some(address) => {
            let find = move |c: &mut crate::db::Db| {
                users::by_email_and_provider(c, &address, access::LOCAL_PROVIDER)
            };
            platform.store.read(find).await?
        }
        None => None,
    };
    let stored = user.as_ref().map(|user| user.password.clone());
    let right = platform.passwords.verify(password, stored).await.map_err(AccountError::from)?;
    let user = user.filter(|user| right && user.is_active).ok_or(LoginError::Invalid)?;
    if platform.settings.auth.require_email_verification && user.email_verified_at.is_none() {
        return Err(LoginError::Unverified { email: user.email });
    }
    let session = NewSession::of(platform, &user, now)?;
    platform
        .store
        .write(move |c| {
            session.insert(c, &user.id)?;
            Ok(session.signed_in(user))
        })
        .await
}
