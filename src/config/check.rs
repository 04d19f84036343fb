//! Rules over several settings, and the values that follow from them.

use super::problem::Problem;
use super::secrecy::is_sample;
use super::sections::{Config, DatabaseType};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Main port without TLS.
pub const DEFAULT_PORT: u16 = 8090;
/// Main port with TLS.
pub const DEFAULT_TLS_PORT: u16 = 443;
/// Shortest signing secret accepted, characters.
pub const MIN_SECRET_LEN: usize = 32;
/// Shortest token accepted for reading metrics, characters.
const MIN_METRICS_TOKEN_LEN: usize = 16;

impl Config {
    /// HTTPS on the main port.
    #[must_use]
    pub const fn tls(&self) -> bool {
        self.server.enable_tls && !self.server.disable_tls
    }

    /// Main port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port.unwrap_or(if self.tls() { DEFAULT_TLS_PORT } else { DEFAULT_PORT })
    }

    /// Address to bind; unspecified IPv6 stands for both families.
    #[must_use]
    pub fn bind_address(&self) -> SocketAddr {
        let host = self.server.host.trim_matches(['[', ']']);
        let ip = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) if v4.is_unspecified() => Ipv6Addr::UNSPECIFIED.into(),
            Ok(ip) => ip,
            Err(_) if host.eq_ignore_ascii_case("localhost") => IpAddr::from([127, 0, 0, 1]),
            Err(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, self.port())
    }

    /// Database engine.
    #[must_use]
    pub fn database_type(&self) -> DatabaseType {
        match self.database.kind {
            Some(kind) => kind,
            None if self.database.host.is_empty() => DatabaseType::Sqlite,
            None => DatabaseType::Postgres,
        }
    }

    /// SQLite file.
    #[must_use]
    pub fn database_path(&self) -> PathBuf {
        if self.database.path.as_os_str().is_empty() {
            self.server.data_dir.join("bedrud.db")
        } else {
            self.database.path.clone()
        }
    }

    /// Largest request body of the API, bytes.
    #[must_use]
    pub fn body_limit(&self) -> u64 {
        self.chat.uploads.max_bytes.max(2 * 1024 * 1024)
    }

    /// Auth cookies carry `Secure`: TLS here or at a reverse proxy.
    #[must_use]
    pub const fn secure_cookies(&self) -> bool {
        self.tls() || self.server.behind_proxy
    }

    /// Origins the API accepts; `None` is any.
    #[must_use]
    pub fn allowed_origins(&self) -> Option<&[String]> {
        let list = &self.cors.allowed_origins;
        if list.is_empty() || list.iter().any(|o| o == "*") { None } else { Some(list) }
    }
}

/// Looks for settings that do not go together. Empty when all is well.
#[must_use]
pub fn check(config: &Config) -> Vec<Problem> {
    let mut out = Vec::new();
    let mut refuse = |key: &str, message: &str, hint: &str| out.push(Problem::whole(key, message, hint));
    let server = &config.server;
    let host = server.host.trim_matches(['[', ']']);
    if !host.is_empty() && host.parse::<IpAddr>().is_err() && !host.eq_ignore_ascii_case("localhost") {
        refuse(
            "server.host",
            "is the address to bind and must be an IP address",
            "leave it empty for all addresses; the public name goes into server.domain",
        );
    }
    if config.port() == 0 && server.port.is_none() {
        refuse("server.port", "must not be 0", "choose a free port");
    }
    if server.behind_proxy && server.trusted_proxies.is_empty() {
        refuse(
            "server.behindProxy",
            "needs to know the proxy",
            "add its address to server.trustedProxies, e.g. [127.0.0.1]",
        );
    }
    for proxy in &server.trusted_proxies {
        if bedrud_media::IpNetwork::parse(proxy).is_none() {
            refuse(
                "server.trustedProxies",
                "must hold IP addresses or networks",
                "write 10.0.0.1 or 10.0.0.0/8, one per entry",
            );
            break;
        }
    }
    if server.proxy_header.is_empty()
        || !server.proxy_header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        refuse("server.proxyHeader", "must be a header name", "the usual one is X-Forwarded-For");
    }
    let cert = !server.cert_file.as_os_str().is_empty();
    let key = !server.key_file.as_os_str().is_empty();
    if config.tls() && cert != key {
        refuse(
            if cert { "server.keyFile" } else { "server.certFile" },
            "is missing",
            "set certFile and keyFile together, or neither for a self-signed certificate",
        );
    }
    if config.tls() && server.use_acme && !cert && !key {
        refuse(
            "server.useACME",
            "ACME is not available in this version",
            "set certFile and keyFile, or put a reverse proxy in front",
        );
    }
    if server.limits.connections == 0 || server.limits.sniff_timeout == 0 || server.limits.header_bytes < 8192
    {
        refuse(
            "server.limits",
            "connections and sniffTimeout must be at least 1, headerBytes at least 8192",
            "remove the key to use the default",
        );
    }
    check_database(config, &mut refuse);
    for (name, secret) in [
        ("auth.jwtSecret", &config.auth.jwt_secret),
        ("auth.sessionSecret", &config.auth.session_secret),
        ("livekit.apiSecret", &config.livekit.api_secret),
    ] {
        let hint = "use `openssl rand -hex 32`, or remove the key: Bedrud makes one and keeps it";
        if !secret.is_empty() && secret.reveal().chars().count() < MIN_SECRET_LEN {
            refuse(name, "is shorter than 32 characters", hint);
        } else if !secret.is_empty() && is_sample(secret.reveal()) {
            refuse(name, "is the secret of an example, which everybody knows", hint);
        }
    }
    if config.livekit.api_key.is_empty() != config.livekit.api_secret.is_empty() {
        refuse(
            "livekit.apiKey",
            "apiKey and apiSecret belong together",
            "set both, or neither: Bedrud makes a pair and keeps it",
        );
    }
    if config.livekit.external {
        refuse(
            "livekit.external",
            "Bedrud carries media itself and cannot use another media server",
            "remove the key",
        );
    }
    for ip in &config.livekit.node_ip {
        if ip.parse::<IpAddr>().is_err() {
            refuse("livekit.nodeIP", "must be an IP address", "remove it to use the addresses of this host");
            break;
        }
    }
    for url in &config.livekit.webhook.urls {
        if let Err(message) = crate::webhooks::Endpoint::parse(url) {
            refuse("livekit.webhook.urls", message, "e.g. https://example.org/livekit/events");
        }
    }
    let metrics = &config.metrics;
    if !metrics.address.is_empty() && metrics.address.parse::<SocketAddr>().is_err() {
        refuse("metrics.address", "must be an address and a port", "e.g. 127.0.0.1:9090");
    }
    if !metrics.token.is_empty() && metrics.token.reveal().chars().count() < MIN_METRICS_TOKEN_LEN {
        refuse("metrics.token", "is shorter than 16 characters", "use `openssl rand -hex 16`");
    } else if !metrics.token.is_empty() && is_sample(metrics.token.reveal()) {
        refuse("metrics.token", "is the secret of an example", "use `openssl rand -hex 16`");
    }
    if config.auth.token_duration == 0 {
        refuse("auth.tokenDuration", "must be at least 1 hour", "the usual value is 24");
    }
    if config.cors.allow_credentials && config.allowed_origins().is_none() {
        refuse(
            "cors.allowCredentials",
            "cannot be combined with any origin",
            "list the origins in cors.allowedOrigins",
        );
    }
    out
}

fn check_database(config: &Config, refuse: &mut dyn FnMut(&str, &str, &str)) {
    if config.database_type() != DatabaseType::Postgres {
        return;
    }
    for (key, missing) in [
        ("database.host", config.database.host.is_empty()),
        ("database.user", config.database.user.is_empty()),
        ("database.dbname", config.database.dbname.is_empty()),
    ] {
        if missing {
            refuse(
                key,
                "is missing",
                "PostgreSQL needs host, user and dbname; remove database.type for SQLite",
            );
        }
    }
    let mode = config.database.sslmode.as_str();
    if !["", "disable", "prefer", "require", "verify-ca", "verify-full"].contains(&mode) {
        refuse("database.sslmode", "is not known", "use disable, prefer, require, verify-ca or verify-full");
    }
}
