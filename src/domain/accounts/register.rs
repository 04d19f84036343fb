//! Making an account with a password.

use crate::{
    db::{Conflict, DbError, Json, Moment, invites, users, users::User},
    domain::{
        Platform, access,
        accounts::{
            AccountError, Client, FormError, NewSession, SignedIn,
            form::{check_email, check_name, check_password},
        },
        effective,
    },
};

/// What the form says.
#[derive(Clone, Default)]
pub struct Registration {
    /// E-mail address as typed.
    pub email: String,
    /// Password.
    pub password: String,
    /// Display name as typed.
    pub name: String,
    /// Invite token, if any.
    pub invite_token: String,
    /// Who fills it in.
    pub client: Client,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The account is open.
    SignedIn(Box<SignedIn>),
    /// The address must be verified first.
    NeedsVerification {
        /// The canonical address.
        email: String,
    },
}

/// Why there is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A rule of the form.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Switched off.
    #[error("Registration is currently disabled")]
    Disabled,
    /// Only with an invite.
    #[error("An invite token is required to register")]
    InviteRequired,
    /// Unknown, used or out of date.
    #[error("Invalid or expired invite token")]
    InviteInvalid,
    /// Somebody was faster with the same invite.
    #[error("Invite token already used or invalid")]
    InviteUsed,
    /// The address is taken. The text does not say so.
    #[error("Unable to register with the provided details")]
    Taken,
    /// Not the caller's fault.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<DbError> for RegisterError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(Conflict::UserEmail) => Self::Taken,
            other => Self::Account(other.into()),
        }
    }
}

/// An account and a session ready to be stored.
pub(crate) struct Prepared {
    pub(crate) user: User,
    pub(crate) session: NewSession,
}

/// Checks the form and hashes the password.
pub(crate) async fn prepare(
    platform: &Platform,
    form: Registration,
    accesses: &[&str],
    now: Moment,
) -> Result<Prepared, RegisterError> {
    let email = check_email(&form.email)?;
    let name = check_name(&form.name)?;
    let about = [email.as_str(), name.as_str()];
    check_password(&platform.passwords, &form.password, &about).await.map_err(AccountError::from)??;
    let password =
        platform.passwords.hash(form.password, platform.entropy.bytes()).await.map_err(AccountError::from)?;
    let user = User {
        id: platform.entropy.uuid(),
        email,
        name,
        provider: access::LOCAL_PROVIDER.into(),
        avatar_url: String::new(),
        password,
        accesses: Json(accesses.iter().map(|level| (*level).to_owned()).collect()),
        is_active: true,
        email_verified_at: None,
        password_changed_at: None,
        created_at: now,
        updated_at: now,
    };
    let session = NewSession::of(platform, &user, Some(&form.client), now)?;
    Ok(Prepared { user, session })
}

/// Makes an account and signs it in.
///
/// # Errors
/// [`RegisterError`].
pub async fn register(platform: &Platform, form: Registration) -> Result<Registered, RegisterError> {
    let now = platform.now();
    let settings = platform.settings.clone();
    let invite = form.invite_token.trim().to_owned();
    let asked = invite.clone();
    let wants_invite = platform
        .store
        .read(move |c| {
            let registration = effective::load(c, &settings)?.registration;
            if !registration.registration_enabled {
                return Err(RegisterError::Disabled);
            }
            if registration.token_registration_only {
                if asked.is_empty() {
                    return Err(RegisterError::InviteRequired);
                }
                if !invites::is_valid(c, &asked, now)? {
                    return Err(RegisterError::InviteInvalid);
                }
            }
            Ok(registration.token_registration_only)
        })
        .await?;
    let client = form.client.clone();
    let Prepared { user, session } = prepare(platform, form, &[access::USER], now).await?;
    let account = user.email.clone();
    let verify_first = platform.settings.auth.require_email_verification;
    let registered = platform
        .store
        .write(move |c| {
            if users::email_taken(c, &user.email)? {
                return Err(RegisterError::Taken);
            }
            // Account and invite go together: a failed registration does not burn the invite.
            users::insert(c, &user)?;
            if wants_invite && !invites::consume(c, &invite, &user.id, now)? {
                return Err(RegisterError::InviteUsed);
            }
            if verify_first {
                return Ok(Registered::NeedsVerification { email: user.email });
            }
            session.insert(c, &user.id)?;
            Ok(Registered::SignedIn(Box::new(session.signed_in(user))))
        })
        .await?;
    platform.throttle.opened(&account, &client, now);
    Ok(registered)
}
