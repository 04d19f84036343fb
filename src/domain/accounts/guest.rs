//! Guests who sign in with a name alone.

use crate::{
    db::{DbError, Json, users, users::User},
    domain::{
        Platform, access,
        accounts::{AccountError, Client, NewSession, SignedIn},
        effective, names,
    },
};

/// Why there is no guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// No name.
    #[error("Name is required")]
    NoName,
    /// Under 2 or over 50 bytes.
    #[error("Name must be between 2 and 50 characters")]
    NameLength,
    /// Nobody may come in.
    #[error("Registration is currently disabled")]
    RegistrationDisabled,
    /// No guests.
    #[error("Guest login is currently disabled")]
    GuestsDisabled,
    /// Not the caller's fault.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<DbError> for GuestError {
    fn from(error: DbError) -> Self {
        Self::Account(error.into())
    }
}

/// Makes a guest account and signs it in.
///
/// # Errors
/// [`GuestError`].
pub async fn guest_login(platform: &Platform, name: &str, client: &Client) -> Result<SignedIn, GuestError> {
    let name = names::sanitised(name);
    match name.len() {
        0 => return Err(GuestError::NoName),
        2..=50 => {}
        _ => return Err(GuestError::NameLength),
    }
    let now = platform.now();
    let id = platform.entropy.uuid();
    let user = User {
        email: format!("guest_{id}@bedrud.guest"),
        id,
        name,
        provider: access::GUEST_PROVIDER.into(),
        avatar_url: String::new(),
        password: String::new(),
        accesses: Json(vec![access::GUEST.into()]),
        is_active: true,
        email_verified_at: None,
        password_changed_at: None,
        created_at: now,
        updated_at: now,
    };
    let session = NewSession::of(platform, &user, Some(client), now)?;
    let settings = platform.settings.clone();
    platform
        .store
        .write(move |c| {
            let registration = effective::load(c, &settings)?.registration;
            if !registration.registration_enabled {
                return Err(GuestError::RegistrationDisabled);
            }
            if !registration.guest_login_enabled {
                return Err(GuestError::GuestsDisabled);
            }
            users::insert(c, &user)?;
            session.insert(c, &user.id)?;
            Ok(session.signed_in(user))
        })
        .await
}
