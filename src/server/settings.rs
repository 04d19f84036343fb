//! From the configuration to what the floors below want to know.

use super::urls;
use crate::api::settings::{RateLimit, Settings};
use crate::config::{Config, DatabaseType};
use crate::db::{DatabaseConfig, PostgresConfig, SslMode};
use anyhow::bail;
use bedrud_media::Sfu;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Largest number of participants when the configuration says 0.
const MAX_PARTICIPANTS: u32 = 1000;
/// Stands for "never" in a date.
const FOREVER_DAYS: u32 = 36_500;
/// Root certificates, where distributions keep them.
const ROOT_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The platform's settings. Secrets must be complete.
#[must_use]
pub fn of(config: &Config) -> Settings {
    let mut out = Settings::new(
        config.auth.jwt_secret.reveal(),
        config.auth.session_secret.reveal(),
        config.livekit.api_key.as_str(),
        config.livekit.api_secret.reveal(),
    );
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    out.auth.access_ttl = Duration::from_secs(u64::from(config.auth.token_duration) * 3600);
    out.auth.frontend_url = text(config.auth.frontend_url.trim_end_matches('/'));
    out.cookies.secure = config.secure_cookies();
    out.cookies.domain = text(&config.server.domain);
    if config.cors.allow_credentials {
        out.cookies.foreign_origins = config.allowed_origins().unwrap_or_default().to_vec();
    }
    out.livekit.host = text(&config.livekit.host);
    let limit = |max: u32, secs: u32| RateLimit { max, window: Duration::from_secs(secs.max(1).into()) };
    let rates = &config.rate_limit;
    out.rate_limits.auth = limit(rates.auth_max_requests, rates.auth_window_secs);
    out.rate_limits.resend = limit(rates.auth_resend_max_requests, rates.auth_resend_window_secs);
    out.rate_limits.guest = limit(rates.guest_max_requests, rates.guest_window_secs);
    out.rate_limits.api = limit(rates.api_max_requests, rates.api_window_secs);
    let participants = match config.server.max_participants_limit {
        0 => MAX_PARTICIPANTS,
        n => n,
    };
    out.limits.max_participants = participants.into();
    out.limits.max_rooms_per_user = config.server.max_rooms_per_user.into();
    let days = match config.server.room_idle_days {
        0 => FOREVER_DAYS,
        days => days.min(FOREVER_DAYS),
    };
    out.limits.room_idle = Duration::from_secs(u64::from(days) * 86_400);
    out.limits.body_bytes = usize::try_from(config.body_limit()).unwrap_or(usize::MAX);
    out.limits.chat_max_message_count = config.chat.max_message_count.into();
    out.limits.chat_message_ttl_hours = config.chat.message_ttl_hours.into();
    out.limits.chat_upload_max_bytes = i64::try_from(config.chat.uploads.max_bytes).unwrap_or(i64::MAX);
    out.limits.chat_upload_max_dimension = config.chat.uploads.max_dimension.into();
    out
}

/// The database to open.
///
/// # Errors
/// `sslmode: verify-full` on a system without a bundle of root certificates.
pub fn database(config: &Config) -> anyhow::Result<DatabaseConfig> {
    if config.database_type() == DatabaseType::Sqlite {
        return Ok(DatabaseConfig::sqlite(config.database_path()));
    }
    let db = &config.database;
    let ssl = match db.sslmode.as_str() {
        "require" => SslMode::Require,
        "verify-ca" | "verify-full" => match system_roots() {
            Some(roots) => SslMode::VerifyFull(roots),
            None => {
                bail!("database.sslmode: {} needs root certificates (install ca-certificates)", db.sslmode)
            }
        },
        _ => SslMode::Disable,
    };
    Ok(DatabaseConfig::Postgres(Box::new(PostgresConfig {
        host: db.host.clone(),
        port: db.port.unwrap_or(5432),
        user: db.user.clone(),
        password: db.password.reveal().into(),
        database: db.dbname.clone(),
        ssl,
        schema: None,
        max_connections: match db.max_open_conns {
            0 => PostgresConfig::DEFAULT_CONNECTIONS,
            n => n as usize,
        },
    })))
}

/// The system's bundle of root certificates.
#[must_use]
pub fn system_roots() -> Option<PathBuf> {
    ROOT_CERTIFICATES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Origins beside our own that the web app talks to: a media address elsewhere.
#[must_use]
pub fn connect_sources(config: &Config) -> Vec<String> {
    let host = config.livekit.host.as_str();
    let Some((scheme, rest)) = host.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let clean = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if authority.is_empty() || !authority.chars().all(clean) {
        return Vec::new();
    }
    // Clients call both forms: WebSocket for signalling, HTTP for the dry run.
    match scheme {
        "https" | "wss" => vec![format!("https://{authority}"), format!("wss://{authority}")],
        _ => ["https", "wss", "http", "ws"].map(|s| format!("{s}://{authority}")).to_vec(),
    }
}

/// Where people open the web app: the configured address, else this machine and its addresses.
#[must_use]
pub fn urls(config: &Config, bound: SocketAddr, sfu: &Sfu) -> Vec<String> {
    let frontend = config.auth.frontend_url.trim_end_matches('/');
    if !frontend.is_empty() {
        return vec![frontend.to_owned()];
    }
    let scheme = if config.tls() { "https" } else { "http" };
    let url = |host: &str| urls::url(scheme, host, bound.port());
    if !config.server.domain.is_empty() {
        // A reverse proxy ends TLS on the usual port.
        return vec![match config.server.behind_proxy {
            true => format!("https://{}", config.server.domain),
            false => url(&config.server.domain),
        }];
    }
    urls::of(scheme, bound, sfu.local_candidates().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_address_elsewhere_is_allowed_in_both_forms() {
        let sources = |host: &str| {
            let mut config = Config::default();
            config.livekit.host = host.into();
            connect_sources(&config)
        };
        assert!(sources("").is_empty());
        assert_eq!(
            sources("wss://lk.example.org/livekit"),
            ["https://lk.example.org", "wss://lk.example.org"]
        );
        assert_eq!(sources("http://localhost:7880").len(), 4);
        assert!(sources("https://a; script-src *").is_empty());
    }

    #[test]
    fn the_database_follows_the_configuration() {
        let mut config = Config::default();
        assert!(
            matches!(database(&config).unwrap(), DatabaseConfig::Sqlite(p) if p.ends_with("data/bedrud.db"))
        );
        config.database.host = "db".into();
        config.database.sslmode = "require".into();
        let DatabaseConfig::Postgres(pg) = database(&config).unwrap() else { panic!("sqlite") };
        assert_eq!((pg.host.as_str(), pg.port, pg.ssl), ("db", 5432, SslMode::Require));
    }

    #[test]
    fn limits_and_lifetimes_arrive() {
        let mut config = Config::default();
        config.auth.token_duration = 2;
        config.rate_limit.guest_max_requests = 0;
        config.server.max_participants_limit = 0;
        config.server.enable_tls = true;
        let settings = of(&config);
        assert_eq!(settings.auth.access_ttl, Duration::from_secs(7200));
        assert_eq!(settings.rate_limits.guest.max, 0);
        assert_eq!(settings.limits.max_participants, 1000);
        assert!(settings.cookies.secure);
        assert_eq!(settings.limits.room_idle, Duration::from_secs(30 * 86_400));
        config.server.room_idle_days = 0;
        assert!(of(&config).limits.room_idle > Duration::from_secs(10 * 365 * 86_400));
        assert_eq!(settings.auth.frontend_url, None);
    }
}
