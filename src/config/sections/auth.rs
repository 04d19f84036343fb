//! `auth`: sign-in, sessions, mail confirmation.

use crate::config::setting::section;
use crate::config::value::Secret;

section! {
    /// Sign-in, sessions, mail confirmation.
    pub struct Auth {
        /// Signs access and refresh tokens, at least 32 characters. Default: made at first start, kept in the data folder.
        jwt_secret: Secret = Secret::default(), "jwtSecret", env ["JWT_SECRET", "AUTH_JWT_SECRET"];
        /// Signs cookies. Default: made at first start, kept in the data folder.
        session_secret: Secret = Secret::default(), "sessionSecret", env ["SESSION_SECRET", "AUTH_SESSION_SECRET"];
        /// Hours an access token is valid.
        token_duration: u32 = 24, "tokenDuration", env ["AUTH_TOKEN_DURATION"];
        /// Base of links in mail and target of OAuth sign-in, e.g. https://meet.example.org
        frontend_url: String = String::new(), "frontendURL", env ["AUTH_FRONTEND_URL"];
        /// Minutes a passkey challenge is valid.
        passkey_challenge_ttl: u32 = 5, "passkeyChallengeTTL", env ["AUTH_PASSKEY_CHALLENGE_TTL"], inert;
        /// New accounts must confirm their mail address.
        require_email_verification: bool = false, "requireEmailVerification", env ["AUTH_REQUIRE_EMAIL_VERIFICATION"], inert;
        /// Minutes between two confirmation mails to one address.
        verification_email_cooldown_mins: u32 = 2, "verificationEmailCooldownMins", env ["AUTH_VERIFICATION_COOLDOWN_MINS"], inert;
        /// Hours a confirmation link is valid.
        verification_token_ttl_hours: u32 = 24, "verificationTokenTTLHours", env ["AUTH_VERIFICATION_TOKEN_TTL_HOURS"], inert;
        /// Hours after which an unconfirmed account is removed. 0: never.
        unverified_account_ttl_hours: u32 = 48, "unverifiedAccountTTLHours", env ["AUTH_UNVERIFIED_ACCOUNT_TTL_HOURS"], inert;
        /// Hours a password reset link is valid.
        reset_token_ttl_hours: u32 = 1, "resetTokenTTLHours", env ["AUTH_RESET_TOKEN_TTL_HOURS"], inert;
        /// Sign-in with Google.
        google: OAuthProvider = OAuthProvider::default(), "google", env [];
        /// Sign-in with GitHub.
        github: OAuthProvider = OAuthProvider::default(), "github", env [];
        /// Sign-in with Twitter.
        twitter: OAuthProvider = OAuthProvider::default(), "twitter", env [];
    }
}

section! {
    /// An OAuth provider; active when id and secret are set.
    pub struct OAuthProvider {
        /// Client id.
        client_id: String = String::new(), "clientId", env [], inert;
        /// Client secret.
        client_secret: Secret = Secret::default(), "clientSecret", env [], inert;
        /// Redirect address registered with the provider.
        redirect_url: String = String::new(), "redirectUrl", env [], inert;
    }
}
