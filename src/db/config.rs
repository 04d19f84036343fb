//! Where the data is.

use std::path::{Path, PathBuf};

use crate::auth::secret::Secret;

/// The database to open.
#[derive(Debug, Clone)]
pub enum DatabaseConfig {
    /// A file, created when it is missing.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<PostgresConfig>),
}

impl DatabaseConfig {
    /// SQLite in the file at `path`.
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        Self::Sqlite(path.as_ref().to_owned())
    }

    /// PostgreSQL behind a `postgres://` URL. Only `sslmode` `disable`, `prefer` and `require` fit into a URL; use
    /// [`PostgresConfig`] for the rest.
    ///
    /// # Errors
    /// The text says what is wrong with the URL, without repeating it.
    pub fn postgres_url(url: &str) -> Result<Self, String> {
        let parsed: tokio_postgres::Config = url.parse().map_err(|error| format!("database URL: {error}"))?;
        let host = match parsed.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(tokio_postgres::config::Host::Unix(path)) => path.to_string_lossy().into_owned(),
            None => "localhost".to_owned(),
        };
        let password = parsed.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Ok(Self::Postgres(Box::new(PostgresConfig {
            host,
            port: parsed.get_ports().first().copied().unwrap_or(5432),
            user: parsed.get_user().unwrap_or("postgres").to_owned(),
            password: Secret::new(password.unwrap_or_default()),
            database: parsed.get_dbname().unwrap_or("postgres").to_owned(),
            ssl: match parsed.get_ssl_mode() {
                tokio_postgres::config::SslMode::Require => SslMode::Require,
                _ => SslMode::Disable,
            },
            schema: None,
            max_connections: PostgresConfig::DEFAULT_CONNECTIONS,
        })))
    }
}

/// How to reach a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Host name, address, or directory of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password; empty means none.
    pub password: Secret,
    /// Database name.
    pub database: String,
    /// Encryption towards the server.
    pub ssl: SslMode,
    /// Schema to live in, when not the role's default. Must be a plain name.
    pub schema: Option<String>,
    /// Most connections held at once.
    pub max_connections: usize,
}

impl PostgresConfig {
    /// Connections held when nothing else is configured.
    pub const DEFAULT_CONNECTIONS: usize = 8;
}

/// Encryption towards PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text.
    Disable,
    /// Encrypted, but the server's certificate is not checked: safe against listening, not against impersonation.
    Require,
    /// Encrypted, and the certificate must be for the host and lead to a root in this PEM file.
    VerifyFull(PathBuf),
}
