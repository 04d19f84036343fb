//! LiveKit's configuration file, for `bedrud livekit` and for `livekit.configPath`.
//!
//! Keys that Bedrud's media server knows apply; the other keys of the reference server are read over, and named in
//! the log; keys that do not exist there either are refused.

mod addresses;
mod audio;
mod codecs;
mod http;
mod limits;
mod port;
mod room;
mod rtc;
mod turn;

pub use addresses::{Addresses, Pick};
pub use audio::Audio;
pub use codecs::Codecs;
pub use http::Http;
pub use limits::MediaLimits;
pub use port::FirstPort;
pub use room::{PlayoutDelay, RoomDefaults, Video};
pub use rtc::{CongestionControl, PliThrottle, Rtc};
pub use turn::{TurnServer, TurnServers};

use super::problem::{Problem, Problems};
use super::prometheus::Prometheus;
use super::setting::section;
use super::value::{SecretMap, Unread};
use super::webhook::Webhook;
use super::{Loaded, load};
use bedrud_media::IpNetwork;
use std::net::IpAddr;
use std::path::PathBuf;

/// Port of the reference server.
pub const DEFAULT_PORT: u16 = 7880;

section! {
    /// LiveKit's configuration.
    pub struct MediaConfig {
        /// Main port: HTTP, WebSocket, ICE over TCP.
        port: u16 = DEFAULT_PORT, "port", env [];
        /// Addresses to listen on; empty: all.
        bind_addresses: Vec<String> = Vec::new(), "bind_addresses", env [];
        /// API keys with their secrets.
        keys: SecretMap = SecretMap::default(), "keys", env [];
        /// File with API keys, one `key: secret` a line.
        key_file: PathBuf = PathBuf::new(), "key_file", env [];
        /// Region told to clients.
        region: String = String::new(), "region", env [];
        /// Development mode.
        development: bool = false, "development", env [];
        /// Old place of logging.level.
        log_level: String = String::new(), "log_level", env [];
        /// Log output.
        logging: Logging = Logging::default(), "logging", env [];
        /// Transports.
        rtc: Rtc = Rtc::default(), "rtc", env [];
        /// Rooms.
        room: RoomDefaults = RoomDefaults::default(), "room", env [];
        /// Limits; 0 means none.
        limit: MediaLimits = MediaLimits::default(), "limit", env [];
        /// Read over.
        redis: Unread = Unread, "redis", env [], inert;
        /// Receivers of events.
        webhook: Webhook = Webhook::default(), "webhook", env [];
        /// Read over.
        turn: Unread = Unread, "turn", env [], inert;
        /// Who counts as speaking.
        audio: Audio = Audio::default(), "audio", env [];
        /// Video.
        video: Video = Video::default(), "video", env [];
        /// Read over.
        ingress: Unread = Unread, "ingress", env [], inert;
        /// Read over.
        sip: Unread = Unread, "sip", env [], inert;
        /// Read over.
        agents: Unread = Unread, "agents", env [], inert;
        /// Read over.
        node_selector: Unread = Unread, "node_selector", env [], inert;
        /// Read over.
        signal_relay: Unread = Unread, "signal_relay", env [], inert;
        /// Read over.
        psrpc: Unread = Unread, "psrpc", env [], inert;
        /// Read over.
        node_stats: Unread = Unread, "node_stats", env [], inert;
        /// Read over.
        api: Unread = Unread, "api", env [], inert;
        /// The HTTP listener. Not in livekit-server.
        http: Http = Http::default(), "http", env [];
        /// Seconds after the first SIGTERM that open rooms may go on, while no new ones open. 0: until the last
        /// participant has left. Not in livekit-server.
        drain_timeout: u32 = 0, "drain_timeout", env [];
        /// Figures for Prometheus.
        prometheus: Prometheus = Prometheus::default(), "prometheus", env [];
        /// Old place of prometheus.port.
        prometheus_port: u16 = 0, "prometheus_port", env [];
        /// Read over.
        debug_handler: Unread = Unread, "debug_handler", env [], inert;
        /// Read over.
        trace: Unread = Unread, "trace", env [], inert;
        /// Read over.
        metric: Unread = Unread, "metric", env [], inert;
        /// Participants may publish data tracks.
        enable_data_tracks: bool = true, "enable_data_tracks", env [];
        /// Participants may store data blobs.
        enable_participant_data_blob: bool = false, "enable_participant_data_blob", env [];
    }
}

section! {
    /// Log output.
    pub struct Logging {
        /// debug, info, warn or error.
        level: String = String::new(), "level", env [];
        /// One JSON object a line.
        json: bool = false, "json", env [];
        /// Read over.
        sample: Unread = Unread, "sample", env [], inert;
        /// Read over.
        sample_initial: Unread = Unread, "sample_initial", env [], inert;
        /// Read over.
        sample_interval: Unread = Unread, "sample_interval", env [], inert;
        /// Read over.
        item_sample_seconds: Unread = Unread, "item_sample_seconds", env [], inert;
        /// Read over.
        item_sample_initial: Unread = Unread, "item_sample_initial", env [], inert;
        /// Read over.
        item_sample_interval: Unread = Unread, "item_sample_interval", env [], inert;
        /// Read over.
        component_levels: Unread = Unread, "component_levels", env [], inert;
        /// Read over.
        pion_level: Unread = Unread, "pion_level", env [], inert;
    }
}

/// Reads LiveKit's configuration. `env_prefix` is `LIVEKIT` for the stand-alone server.
///
/// # Errors
/// Everything that is wrong.
pub fn read(
    file: Option<(&str, &str)>,
    env: &dyn Fn(&str) -> Option<String>,
    env_prefix: Option<&str>,
    flags: &[(&str, String, String)],
) -> Result<Loaded<MediaConfig>, Problems> {
    let loaded = load::read::<MediaConfig>(&load::Sources { file, env, env_prefix, flags })?;
    let mut problems = Vec::new();
    let addresses =
        [("rtc.node_ip", &loaded.config.rtc.node_ip.0), ("bind_addresses", &loaded.config.bind_addresses)];
    for (key, list) in addresses {
        if list.iter().any(|ip| !ip.is_empty() && ip.parse::<IpAddr>().is_err()) {
            problems.push(Problem::whole(key, "must be IP addresses", "use addresses, not names"));
        }
    }
    let networks = [
        ("rtc.ips.includes", &loaded.config.rtc.ips.includes),
        ("rtc.ips.excludes", &loaded.config.rtc.ips.excludes),
        ("http.trusted_proxies", &loaded.config.http.trusted_proxies),
    ];
    for (key, list) in networks {
        if list.iter().any(|network| IpNetwork::parse(network).is_none()) {
            problems.push(Problem::whole(key, "must be addresses or networks", "e.g. 10.0.0.0/8"));
        }
    }
    for url in &loaded.config.webhook.urls {
        if let Err(message) = crate::webhooks::Endpoint::parse(url) {
            problems.push(Problem::whole("webhook.urls", message, "e.g. https://example.org/livekit/events"));
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems)) }
}

#[cfg(test)]
mod tests;
