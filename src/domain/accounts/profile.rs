//! What a user changes about the own account.

use crate::{
    db::{self, DbError, DbResult, sessions, users, users::User},
    domain::{
        Platform, access,
        accounts::{
            AccountError, FormError, MAX_PASSWORD_BYTES, Wait,
            form::{check_name, check_password},
        },
    },
};

/// Longest preferences object, in bytes.
const PREFERENCES_BYTES: usize = 4096;

/// Why the password is still the old one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordChangeError {
    /// Under 12 characters.
    #[error("New password must be at least 12 characters")]
    TooShort,
    /// Over 1 KiB.
    #[error("New password must be at most 1024 bytes")]
    TooLong,
    /// Among the first that anybody would try.
    #[error("This password is too easy to guess, please choose another one")]
    Common,
    /// The current password is another one.
    #[error("current password is incorrect")]
    Incorrect,
    /// It was another one too often.
    #[error("Too many failed attempts, please try again later")]
    Throttled(Wait),
    /// The account has no password of ours.
    #[error("password change is only available for local accounts")]
    NotLocal,
    /// Not the caller's fault.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<DbError> for PasswordChangeError {
    fn from(error: DbError) -> Self {
        Self::Account(error.into())
    }
}

/// Why preferences were not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreferencesError {
    /// Over 4 KiB.
    #[error("preferencesJson too large (max 4 KB)")]
    TooLarge,
    /// Not JSON.
    #[error("preferencesJson must be valid JSON")]
    NotJson,
    /// JSON, but not an object.
    #[error("preferencesJson must be a JSON object")]
    NotObject,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Changes the display name. Returns the user as it is now.
///
/// # Errors
/// The outer result is the database's, the inner one the form's.
pub async fn change_name(platform: &Platform, user: &User, name: &str) -> DbResult<Result<User, FormError>> {
    let name = match check_name(name) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error)),
    };
    let now = platform.now();
    let changed = User { name: name.clone(), updated_at: now, ..user.clone() };
    let id = user.id.clone();
    platform.store.write(move |c| users::set_name(c, &id, &name, now)).await?;
    Ok(Ok(changed))
}

/// Changes the password and ends all sign-ins of the user.
///
/// # Errors
/// [`PasswordChangeError`].
pub async fn change_password(
    platform: &Platform,
    user: &User,
    current: String,
    new: String,
) -> Result<(), PasswordChangeError> {
    if ![access::LOCAL_PROVIDER, "passkey"].contains(&user.provider.as_str()) {
        return Err(PasswordChangeError::NotLocal);
    }
    let about = [user.email.as_str(), user.name.as_str()];
    let checked = check_password(&platform.passwords, &new, &about).await.map_err(AccountError::from)?;
    checked.map_err(|error| match error {
        FormError::PasswordTooLong => PasswordChangeError::TooLong,
        FormError::PasswordCommon => PasswordChangeError::Common,
        _ => PasswordChangeError::TooShort,
    })?;
    if !user.password.is_empty() {
        verify_current(platform, user, current).await?;
    }
    let hash = platform.passwords.hash(new, platform.entropy.bytes()).await.map_err(AccountError::from)?;
    let now = platform.now();
    let (id, old) = (user.id.clone(), user.password.clone());
    platform
        .store
        .write(move |c| {
            if !users::set_password(c, &id, &old, &hash, Some(now), now)? {
                // Somebody changed it between our look and now.
                return Err(PasswordChangeError::Incorrect);
            }
            sessions::delete_of_user(c, &id, None)?;
            Ok(())
        })
        .await
}

/// Whoever has somebody's open browser must not find the password out by trying.
async fn verify_current(
    platform: &Platform,
    user: &User,
    current: String,
) -> Result<(), PasswordChangeError> {
    if current.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordChangeError::Incorrect);
    }
    let now = platform.now();
    let attempt = platform.throttle.begin_signed_in(&user.id, now).map_err(PasswordChangeError::Throttled)?;
    match platform.passwords.verify(current, Some(user.password.clone())).await {
        Ok(true) => {
            platform.throttle.succeeded(attempt, now);
            Ok(())
        }
        Ok(false) => Err(PasswordChangeError::Incorrect),
        Err(error) => {
            platform.throttle.undecided(attempt);
            Err(AccountError::from(error).into())
        }
    }
}

/// The preferences object of a user as text.
///
/// # Errors
/// The database's.
pub async fn preferences(platform: &Platform, user_id: &str) -> DbResult<String> {
    let id = user_id.to_owned();
    let stored = platform.store.read(move |c| db::preferences::get(c, &id)).await?;
    Ok(stored.unwrap_or_else(|| "{}".into()))
}

/// Keeps the preferences object of a user.
///
/// # Errors
/// [`PreferencesError`].
pub async fn set_preferences(
    platform: &Platform,
    user_id: &str,
    json: String,
) -> Result<(), PreferencesError> {
    if json.len() > PREFERENCES_BYTES {
        return Err(PreferencesError::TooLarge);
    }
    match serde_json::from_str::<serde_json::Value>(&json) {
        Ok(serde_json::Value::Object(_)) => {}
        Ok(_) => return Err(PreferencesError::NotObject),
        Err(_) => return Err(PreferencesError::NotJson),
    }
    let (id, now) = (user_id.to_owned(), platform.now());
    platform.store.write(move |c| Ok(db::preferences::put(c, &id, &json, now)?)).await
}
