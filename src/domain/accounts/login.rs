//! Signing in with a password.

use crate::{
    db::{Db, DbError, users, users::User},
    domain::{
        Platform, access,
        accounts::{
            AccountError, Client, FormError, MAX_PASSWORD_BYTES, NewSession, SignedIn, Wait,
            client::account_key,
        },
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
    Invalid {
        /// The account, if there is one. For the log.
        user: Option<String>,
    },
    /// Too many failures for this account.
    #[error("Too many failed attempts, please try again in {} s", wait_secs(.0))]
    Throttled(Wait),
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

/// Whole seconds to wait, at least one.
fn wait_secs(wait: &Wait) -> u64 {
    wait.0.as_secs() + u64::from(wait.0.subsec_nanos() > 0)
}

/// Signs in. It takes as long for an unknown address as for a wrong password.
///
/// # Errors
/// [`LoginError`].
pub async fn login(
    platform: &Platform,
    address: &str,
    password: String,
    client: &Client,
) -> Result<SignedIn, LoginError> {
    if address.trim().is_empty() || password.is_empty() {
        return Err(LoginError::Incomplete);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(FormError::PasswordTooLong.into());
    }
    let (now, secret) = (platform.now(), &platform.settings.auth.session_secret);
    let account = account_key(address);
    let attempt = platform.throttle.begin(&account, client, secret, now).map_err(LoginError::Throttled)?;
    let (user, right) = match verify(platform, account, password).await {
        Ok(verdict) => verdict,
        Err(error) => {
            platform.throttle.undecided(attempt);
            return Err(error);
        }
    };
    let user = match user {
        Some(user) if right && user.is_active => user,
        user => return Err(LoginError::Invalid { user: user.map(|user| user.id) }),
    };
    platform.throttle.succeeded(attempt, now);
    if platform.settings.auth.require_email_verification && user.email_verified_at.is_none() {
        return Err(LoginError::Unverified { email: user.email });
    }
    let session = NewSession::of(platform, &user, Some(client), now)?;
    platform
        .store
        .write(move |c| {
            session.insert(c, &user.id)?;
            Ok(session.signed_in(user))
        })
        .await
}

/// The account and whether the password is right.
async fn verify(
    platform: &Platform,
    account: String,
    password: String,
) -> Result<(Option<User>, bool), LoginError> {
    let find = move |c: &mut Db| users::by_email_and_provider(c, &account, access::LOCAL_PROVIDER);
    let user: Option<User> = platform.store.read(find).await?;
    let stored = user.as_ref().map(|user| user.password.clone());
    let right = platform.passwords.verify(password, stored).await.map_err(AccountError::from)?;
    Ok((user, right))
}
