//! What a user changes about the own account.

use crate::{
    db::{self, DbError, DbResult, sessions, users, users::User},
    domain::{
        Platform, access,
        accounts::{
            AccountError, FormError,
            form::{check_name, check_password},
        },
    },
};

/// Longest preferences object, in bytes.
const PREFERENCES_BYTES: usize = 4096;

/// Why the password is still the old one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordChangeError {
    /// Under 12 bytes.
    #[error("New password must be at least 12 characters")]
    TooShort,
    /// Over 128 bytes.
    #[error("New password must be at most 128 characters")]
    TooLong,
    /// The current password is another one.
    #[error("current password is incorrect")]
    Incorrect,
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
    check_password(&new).map_err(|error| match error {
        FormError::PasswordTooLong => PasswordChangeError::TooLong,
        _ => PasswordChangeError::TooShort,
    })?;
    let has_password = !user.password.is_empty();
    if has_password {
        let right = platform.passwords.verify(current, Some(user.password.clone())).await;
        if !right.map_err(AccountError::from)? {
            return Err(PasswordChangeError::Incorrect);
        }
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
