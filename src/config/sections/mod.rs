//! The sections of the configuration file, one file per subject.

mod access;
mod auth;
mod chat;
mod database;
mod livekit;
mod mail;
mod metrics;
mod server;
mod webxdc;

pub use access::{Cors, LogFormat, LogLevel, Logger, RateLimit};
pub use auth::{Auth, OAuthProvider};
pub use chat::{Chat, Recording, S3, UploadBackend, Uploads};
pub use database::{Database, DatabaseType};
pub use livekit::{LiveKit, Webhook};
pub use mail::{Email, EmailTemplates, Queue};
pub use metrics::Metrics;
pub use server::{Acme, CertAlgorithm, Limits, Server};
pub use webxdc::{Gallery, UploadPolicy, WebXdc};

use super::setting::section;

section! {
    /// The whole configuration.
    pub struct Config {
        /// Listening address, TLS, reverse proxies, limits.
        server: Server = Server::default(), "server", env [];
        /// Where accounts and rooms are kept.
        database: Database = Database::default(), "database", env [];
        /// The built-in media server.
        livekit: LiveKit = LiveKit::default(), "livekit", env [];
        /// Sign-in, sessions, mail confirmation.
        auth: Auth = Auth::default(), "auth", env [];
        /// Figures for Prometheus.
        metrics: Metrics = Metrics::default(), "metrics", env [];
        /// Log output.
        logger: Logger = Logger::default(), "logger", env [];
        /// Which other origins may call the API from a browser.
        cors: Cors = Cors::default(), "cors", env [];
        /// Limits per client address, fixed windows. A maximum of 0 turns a limit off.
        rate_limit: RateLimit = RateLimit::default(), "rateLimit", env [];
        /// Chat uploads and history.
        chat: Chat = Chat::default(), "chat", env [];
        /// Recordings.
        recording: Recording = Recording::default(), "recording", env [];
        /// Background jobs.
        queue: Queue = Queue::default(), "queue", env [];
        /// Outgoing mail.
        email: Email = Email::default(), "email", env [];
        /// Mini apps in meetings (experimental).
        webxdc: WebXdc = WebXdc::default(), "webxdc", env [];
    }
}
