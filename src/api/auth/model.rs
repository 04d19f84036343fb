//! Wire shapes of accounts.

use serde::{Deserialize, Serialize};

use crate::{
    db::{Moment, users::User},
    domain::{access, accounts::SignedIn},
};

/// A user.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct UserBody {
    id: String,
    email: String,
    name: String,
    provider: String,
    avatar_url: String,
    accesses: Vec<String>,
    is_active: bool,
    /// Read by the mobile apps.
    is_admin: bool,
    email_verified_at: Option<Moment>,
    password_changed_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            is_admin: access::at_least(&user.accesses.0, "admin"),
            id: user.id,
            email: user.email,
            name: user.name,
            provider: user.provider,
            avatar_url: user.avatar_url,
            accesses: user.accesses.0,
            is_active: user.is_active,
            email_verified_at: user.email_verified_at,
            password_changed_at: user.password_changed_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// The short form of a user after a change of the profile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileBody {
    id: String,
    name: String,
    email: String,
    provider: String,
    accesses: Vec<String>,
    avatar_url: String,
}

impl From<User> for ProfileBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            email: user.email,
            provider: user.provider,
            accesses: user.accesses.0,
            avatar_url: user.avatar_url,
        }
    }
}

/// A pair of tokens as most clients read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct TokensBody {
    pub(in crate::api) access_token: String,
    pub(in crate::api) refresh_token: String,
}

/// Answer to every way of signing in. The tokens stand there twice because the iOS app looks for them at the top.
#[derive(Debug, Serialize)]
pub(in crate::api) struct LoginBody {
    user: UserBody,
    tokens: TokensBody,
    access_token: String,
    refresh_token: String,
}

impl From<SignedIn> for LoginBody {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { user, access_token, refresh_token, .. } = signed_in;
        Self {
            user: user.into(),
            tokens: TokensBody { access_token: access_token.clone(), refresh_token: refresh_token.clone() },
            access_token,
            refresh_token,
        }
    }
}

/// Answer to an exchange of the refresh token.
#[derive(Debug, Serialize)]
pub(super) struct RefreshBody {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

/// Answer when the address must be verified first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifyFirstBody {
    pub(super) requires_verification: bool,
    pub(super) message: &'static str,
    pub(super) email: String,
}

/// Answer that says only that it went well.
#[derive(Debug, Serialize)]
pub(in crate::api) struct MessageBody {
    pub(in crate::api) message: &'static str,
}

/// Registration, and the form of the first administrator.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::api) struct RegisterInput {
    pub(in crate::api) email: String,
    pub(in crate::api) password: String,
    pub(in crate::api) name: String,
    #[serde(rename = "invitetoken")]
    pub(in crate::api) invite_token: String,
}

/// Signing in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginInput {
    pub(super) email: String,
    pub(super) password: String,
}

/// A name.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NameInput {
    pub(super) name: String,
}

/// A change of the profile.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ProfileInput {
    pub(super) name: String,
    pub(super) email: String,
}

/// A refresh token.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RefreshInput {
    pub(super) refresh_token: String,
}

/// A change of the password.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PasswordInput {
    #[serde(rename = "currentpassword")]
    pub(super) current: String,
    #[serde(rename = "newpassword")]
    pub(super) new: String,
}

/// Preferences, both ways.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PreferencesInput {
    #[serde(rename = "preferencesjson")]
    pub(super) json: String,
}

/// Preferences.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreferencesBody {
    pub(super) preferences_json: String,
}
