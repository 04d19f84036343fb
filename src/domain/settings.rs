//! What the platform must know of the configuration, as plain values. The server fills it in.

use std::time::Duration;

use crate::auth::secret::Secret;

/// Settings of the platform. [`Settings::new`] gives the documented defaults; every field may be changed after.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name shown to people (`serverName`).
    pub server_name: String,
    /// Sessions and tokens.
    pub auth: AuthSettings,
    /// Cookies.
    pub cookies: CookieSettings,
    /// Who may come in. Overridden by stored settings.
    pub registration: RegistrationSettings,
    /// The media server as clients reach it.
    pub livekit: LivekitSettings,
    /// Requests per client address.
    pub rate_limits: RateLimits,
    /// Upper bounds.
    pub limits: Limits,
}

/// Sessions and tokens.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Signs session JWTs (`auth.jwtSecret`).
    pub jwt_secret: Secret,
    /// Signs the guest id cookie (`auth.sessionSecret`).
    pub session_secret: Secret,
    /// Life of an access token and its cookie (`auth.tokenDuration`).
    pub access_ttl: Duration,
    /// Life of a refresh token and its cookie.
    pub refresh_ttl: Duration,
    /// Addresses must be verified before use (`auth.requireEmailVerification`).
    pub require_email_verification: bool,
    /// Public address of the web app (`auth.frontendURL`).
    pub frontend_url: Option<String>,
    /// Life of the link that makes the first administrator.
    pub setup_ttl: Duration,
    /// Argon2id cost of new passwords.
    pub password_cost: PasswordCost,
    /// Passwords hashed at once at most; each takes the memory of [`PasswordCost`].
    pub password_threads: usize,
}

/// Argon2id parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl PasswordCost {
    /// 19 MiB and two passes, the OWASP recommendation.
    pub const STANDARD: Self = Self { memory_kib: 19 * 1024, passes: 2 };
}

/// Cookies.
#[derive(Debug, Clone, Default)]
pub struct CookieSettings {
    /// `Secure` and `SameSite=None`: TLS is on, here or in a proxy.
    pub secure: bool,
    /// `Domain`; `None` keeps cookies to the very host that set them, which is the safe choice.
    pub domain: Option<String>,
    /// Origins of other sites whose pages may use the cookies (`cors.allowedOrigins` with `allowCredentials`).
    pub foreign_origins: Vec<String>,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Accounts may be made.
    pub registration_enabled: bool,
    /// Only with an invite token.
    pub token_registration_only: bool,
    /// Guests may come in.
    pub guest_login_enabled: bool,
    /// Passkeys are offered.
    pub passkeys_enabled: bool,
}

/// The media server as clients reach it.
#[derive(Debug, Clone)]
pub struct LivekitSettings {
    /// Address handed to clients (`livekit.host`); `None` means: this server, as the client reached it, `/livekit`.
    pub host: Option<String>,
    /// API key of the tokens we mint.
    pub api_key: String,
    /// Its secret.
    pub api_secret: Secret,
}

/// A fixed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window; 0 switches the limit off.
    pub max: u32,
    /// Length of the window.
    pub window: Duration,
}

/// Requests per client address (`rateLimit.*`).
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Sign-in and sign-up.
    pub auth: RateLimit,
    /// Sending a verification mail again.
    pub resend: RateLimit,
    /// Guests coming in by link.
    pub guest: RateLimit,
    /// Everything else that is limited.
    pub api: RateLimit,
}

/// Upper bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest `maxParticipants` of a room (`maxParticipantsLimit`).
    pub max_participants: i64,
    /// Active rooms per user, 0 means no bound (`maxRoomsPerUser`).
    pub max_rooms_per_user: i64,
    /// A room where nobody has come or gone for this long closes, unless it is persistent (`roomIdleDays`).
    pub room_idle: Duration,
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Chat messages a client keeps.
    pub chat_max_message_count: i64,
    /// Hours a client keeps them.
    pub chat_message_ttl_hours: i64,
    /// Largest upload in bytes.
    pub chat_upload_max_bytes: i64,
    /// Largest picture side in pixels.
    pub chat_upload_max_dimension: i64,
}

impl Settings {
    /// The documented defaults around the given secrets.
    pub fn new(
        jwt_secret: impl Into<Secret>,
        session_secret: impl Into<Secret>,
        api_key: impl Into<String>,
        api_secret: impl Into<Secret>,
    ) -> Self {
        let minute = |max| RateLimit { max, window: Duration::from_secs(60) };
        Self {
            server_name: "Bedrud".into(),
            auth: AuthSettings {
                jwt_secret: jwt_secret.into(),
                session_secret: session_secret.into(),
                access_ttl: Duration::from_secs(24 * 3600),
                refresh_ttl: Duration::from_secs(7 * 24 * 3600),
                require_email_verification: false,
                frontend_url: None,
                setup_ttl: Duration::from_secs(24 * 3600),
                password_cost: PasswordCost::STANDARD,
                password_threads: 2,
            },
            cookies: CookieSettings::default(),
            registration: RegistrationSettings {
                registration_enabled: true,
                token_registration_only: false,
                guest_login_enabled: true,
                passkeys_enabled: true,
            },
            livekit: LivekitSettings { host: None, api_key: api_key.into(), api_secret: api_secret.into() },
            rate_limits: RateLimits {
                auth: minute(10),
                resend: minute(3),
                guest: minute(5),
                api: minute(30),
            },
            limits: Limits {
                max_participants: 1000,
                max_rooms_per_user: 100,
                room_idle: Duration::from_secs(30 * 86_400),
                body_bytes: 10 * 1024 * 1024,
                chat_max_message_count: 10_000,
                chat_message_ttl_hours: 2160,
                chat_upload_max_bytes: 10 * 1024 * 1024,
                chat_upload_max_dimension: 8192,
            },
        }
    }
}
