//! LiveKit's configuration file, for `bedrud livekit` and for `livekit.configPath`.
//!
//! Keys that Bedrud's media server knows apply; the other keys of the reference server are read over, and named in
//! the log; keys that do not exist there either are refused.

use super::node::{Node, Value};
use super::problem::{Problem, Problems};
use super::prometheus::Prometheus;
use super::room_presets::RoomConfigurations;
use super::setting::{Scalar, section};
use super::value::{Secret, SecretMap, Unread};
use super::webhook::Webhook;
use super::{Loaded, load};
use bedrud_media::Codec;
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
        /// Read over.
        audio: Unread = Unread, "audio", env [], inert;
        /// Read over.
        video: Unread = Unread, "video", env [], inert;
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
        /// Read over.
        enable_data_tracks: Unread = Unread, "enable_data_tracks", env [], inert;
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
        component_levels: Unread = Unread, "component_levels", env [], inert;
        /// Read over.
        pion_level: Unread = Unread, "pion_level", env [], inert;
    }
}

section! {
    /// Transports.
    pub struct Rtc {
        /// ICE over TCP. It also works on the main port; another number adds a listener.
        tcp_port: Option<u16> = None, "tcp_port", env [];
        /// Media port. Of a range, the first. Default: the number of the main port.
        udp_port: FirstPort = FirstPort::default(), "udp_port", env ["UDP_PORT"];
        /// Read over: one port carries all media.
        port_range_start: Unread = Unread, "port_range_start", env [], inert;
        /// Read over: one port carries all media.
        port_range_end: Unread = Unread, "port_range_end", env [], inert;
        /// Address told to clients, comma list for both families.
        node_ip: Vec<String> = Vec::new(), "node_ip", env ["NODE_IP"];
        /// Read over: set node_ip.
        use_external_ip: Unread = Unread, "use_external_ip", env [], inert;
        /// Read over: set node_ip.
        external_ip_only: Unread = Unread, "external_ip_only", env [], inert;
        /// Read over: set node_ip.
        advertise_internal_ip: Unread = Unread, "advertise_internal_ip", env [], inert;
        /// STUN servers told to clients, host:port.
        stun_servers: Vec<String> = Vec::new(), "stun_servers", env [];
        /// TURN servers told to clients.
        turn_servers: TurnServers = TurnServers::default(), "turn_servers", env [];
        /// Always on here.
        use_ice_lite: Unread = Unread, "use_ice_lite", env [], inert;
        /// Read over.
        interfaces: Unread = Unread, "interfaces", env [], inert;
        /// Read over.
        ips: Unread = Unread, "ips", env [], inert;
        /// Tell clients the loopback address as well.
        enable_loopback_candidate: bool = false, "enable_loopback_candidate", env [];
        /// Read over.
        use_mdns: Unread = Unread, "use_mdns", env [], inert;
        /// Read over: clients choose by themselves.
        force_tcp: Unread = Unread, "force_tcp", env [], inert;
        /// Read over: always on.
        batch_io: Unread = Unread, "batch_io", env [], inert;
        /// Read over.
        packet_buffer_size: Unread = Unread, "packet_buffer_size", env [], inert;
        /// Read over.
        packet_buffer_size_video: Unread = Unread, "packet_buffer_size_video", env [], inert;
        /// Read over.
        packet_buffer_size_audio: Unread = Unread, "packet_buffer_size_audio", env [], inert;
        /// Read over.
        pli_throttle: Unread = Unread, "pli_throttle", env [], inert;
        /// Read over.
        congestion_control: Unread = Unread, "congestion_control", env [], inert;
        /// Read over: always on.
        allow_tcp_fallback: Unread = Unread, "allow_tcp_fallback", env [], inert;
        /// Read over.
        tcp_fallback_rtt_threshold: Unread = Unread, "tcp_fallback_rtt_threshold", env [], inert;
        /// Read over.
        allow_udp_unstable_fallback: Unread = Unread, "allow_udp_unstable_fallback", env [], inert;
        /// Read over.
        reconnect_on_publication_error: Unread = Unread, "reconnect_on_publication_error", env [], inert;
        /// Read over.
        reconnect_on_subscription_error: Unread = Unread, "reconnect_on_subscription_error", env [], inert;
        /// Read over.
        reconnect_on_data_channel_error: Unread = Unread, "reconnect_on_data_channel_error", env [], inert;
        /// Read over.
        datachannel_slow_threshold: Unread = Unread, "datachannel_slow_threshold", env [], inert;
        /// Read over.
        datachannel_lossy_target_latency: Unread = Unread, "datachannel_lossy_target_latency", env [], inert;
        /// Read over.
        datachannel_data_track_target_latency: Unread = Unread, "datachannel_data_track_target_latency", env [], inert;
        /// Read over.
        data_channel_max_buffered_amount: Unread = Unread, "data_channel_max_buffered_amount", env [], inert;
        /// Read over.
        sctp_min_cwnd: Unread = Unread, "sctp_min_cwnd", env [], inert;
        /// Read over.
        sctp_fast_rtx_wnd: Unread = Unread, "sctp_fast_rtx_wnd", env [], inert;
        /// Read over.
        sctp_cwnd_ca_step: Unread = Unread, "sctp_cwnd_ca_step", env [], inert;
        /// Read over.
        forward_stats: Unread = Unread, "forward_stats", env [], inert;
        /// Read over.
        enable_rtp_stream_restart_detection: Unread = Unread, "enable_rtp_stream_restart_detection", env [], inert;
        /// Read over.
        enable_warp: Unread = Unread, "enable_warp", env [], inert;
        /// Read over: always on.
        strict_acks: Unread = Unread, "strict_acks", env [], inert;
    }
}

section! {
    /// Rooms.
    pub struct RoomDefaults {
        /// The first participant creates the room.
        auto_create: bool = true, "auto_create", env [];
        /// Codecs by preference.
        enabled_codecs: Codecs = Codecs::default(), "enabled_codecs", env [];
        /// Participants per room; 0: no limit.
        max_participants: u32 = 0, "max_participants", env [];
        /// Seconds until a room nobody joined closes.
        empty_timeout: u32 = 300, "empty_timeout", env [];
        /// Seconds until a room closes after the last participant left.
        departure_timeout: u32 = 20, "departure_timeout", env [];
        /// Moderators may unmute.
        enable_remote_unmute: bool = false, "enable_remote_unmute", env [];
        /// Read over.
        playout_delay: Unread = Unread, "playout_delay", env [], inert;
        /// Tracks of one participant share a stream, so that browsers play them in sync.
        sync_streams: bool = false, "sync_streams", env [];
        /// Read over.
        create_room_timeout: Unread = Unread, "create_room_timeout", env [], inert;
        /// Read over.
        create_room_attempts: Unread = Unread, "create_room_attempts", env [], inert;
        /// Webhooks about tracks carry the whole room, not only its name.
        enable_full_room_in_webhooks: bool = false, "enable_full_room_in_webhooks", env [];
        /// Read over.
        update_batch_target_size: Unread = Unread, "update_batch_target_size", env [], inert;
        /// Named room settings for `room_preset` and `roomPreset`.
        room_configurations: RoomConfigurations = RoomConfigurations::default(), "room_configurations", env [];
        /// Read over.
        max_metadata_size: Unread = Unread, "max_metadata_size", env [], inert;
    }
}

section! {
    /// Limits; 0 means none.
    pub struct MediaLimits {
        /// Room name, bytes.
        max_room_name_length: u32 = 256, "max_room_name_length", env [];
        /// Identity, bytes.
        max_participant_identity_length: u32 = 256, "max_participant_identity_length", env [];
        /// Participant name, bytes.
        max_participant_name_length: u32 = 256, "max_participant_name_length", env [];
        /// Metadata, bytes.
        max_metadata_size: u32 = 524_288, "max_metadata_size", env [];
        /// Attributes, keys and values together, bytes.
        max_attributes_size: u32 = 65_536, "max_attributes_size", env [];
        /// Body of a server API call, bytes.
        max_api_request_body_size: u32 = 10_485_760, "max_api_request_body_size", env [];
        /// Read over.
        signal_message_size_limit: Unread = Unread, "signal_message_size_limit", env [], inert;
        /// Read over.
        agent_signal_message_size_limit: Unread = Unread, "agent_signal_message_size_limit", env [], inert;
        /// Key of a data blob, bytes.
        max_data_blob_key_length: u32 = 256, "max_data_blob_key_length", env [];
        /// All data blobs of a participant, bytes.
        max_data_blobs_size: u32 = 64_000, "max_data_blobs_size", env [];
        /// Read over.
        max_data_track_custom_encoding_length: Unread = Unread, "max_data_track_custom_encoding_length", env [], inert;
        /// Read over.
        num_tracks: Unread = Unread, "num_tracks", env [], inert;
        /// Read over.
        bytes_per_sec: Unread = Unread, "bytes_per_sec", env [], inert;
        /// Video tracks one participant may receive at a time.
        subscription_limit_video: u32 = 0, "subscription_limit_video", env [];
        /// Audio tracks one participant may receive at a time.
        subscription_limit_audio: u32 = 0, "subscription_limit_audio", env [];
    }
}

/// A port, or the first of a range `a-b`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstPort(pub Option<u16>);

impl Scalar for FirstPort {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Text(text) => self.set_text(text),
            _ => self.0.set_node(node),
        }
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        self.0.set_text(text.split('-').next().unwrap_or_default().trim())
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// A TURN server told to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// As clients read it, e.g. `turns:turn.example.org:443?transport=tcp`.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub credential: Secret,
}

/// A list of TURN servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnServers(pub Vec<TurnServer>);

impl Scalar for TurnServers {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let items = match &node.value {
            Value::Null => &[][..],
            Value::List(items) => items,
            _ => return Err("must be a list of servers".into()),
        };
        self.0 = items.iter().map(turn_server).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Err("can only be set in the file".into())
    }

    fn show(&self) -> String {
        String::new()
    }
}

fn turn_server(node: &Node) -> Result<TurnServer, String> {
    let Value::Map(entries) = &node.value else { return Err("each server is a section".into()) };
    let (mut host, mut protocol, mut username, mut credential) =
        (String::new(), "udp".to_owned(), String::new(), Secret::default());
    let mut port = 0u16;
    for (key, _, value) in entries {
        match key.as_str() {
            "host" => host.set_node(value),
            "port" => port.set_node(value),
            "protocol" => protocol.set_node(value),
            "username" => username.set_node(value),
            "credential" => credential.set_node(value),
            "secret" | "secret_file" | "ttl" => {
                Err("shared secrets are not supported: give username and credential".to_owned())
            }
            _ => Err("is unknown".to_owned()),
        }
        .map_err(|e| format!("{key}: {e}"))?;
    }
    let (scheme, transport) = match protocol.as_str() {
        "udp" => ("turn", "udp"),
        "tcp" => ("turn", "tcp"),
        "tls" => ("turns", "tcp"),
        _ => return Err("protocol: must be udp, tcp or tls".into()),
    };
    if host.is_empty() || port == 0 {
        return Err("host and port are needed".into());
    }
    Ok(TurnServer { url: format!("{scheme}:{host}:{port}?transport={transport}"), username, credential })
}

/// Codecs by preference; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codecs(pub Vec<Codec>);

impl Scalar for Codecs {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let Value::List(items) = &node.value else { return Err("must be a list of `mime: …`".into()) };
        let mut codecs = Vec::new();
        for item in items {
            let Value::Map(entries) = &item.value else { return Err("each codec is `mime: …`".into()) };
            for (key, _, value) in entries {
                let Value::Text(mime) = &value.value else { return Err("mime must be text".into()) };
                if key != "mime" || mime.to_ascii_lowercase().ends_with("/rtx") {
                    continue;
                }
                let codec = Codec::from_name(mime)
                    .ok_or_else(|| "knows opus, red, PCMU, PCMA, VP8, VP9, H264, H265 and AV1".to_owned())?;
                codecs.push(codec);
            }
        }
        self.0 = codecs;
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Err("can only be set in the file".into())
    }

    fn show(&self) -> String {
        String::new()
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
        [("rtc.node_ip", &loaded.config.rtc.node_ip), ("bind_addresses", &loaded.config.bind_addresses)];
    for (key, list) in addresses {
        if list.iter().any(|ip| !ip.is_empty() && ip.parse::<IpAddr>().is_err()) {
            problems.push(Problem::whole(key, "must be IP addresses", "use addresses, not names"));
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
mod tests {
    use super::*;

    fn parse(text: &str, env: &[(&str, &str)]) -> Result<Loaded<MediaConfig>, String> {
        let lookup = |name: &str| env.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        read(Some(("livekit.yaml", text)), &lookup, Some("LIVEKIT"), &[]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_usual_file_of_the_reference_server_is_read() {
        let text = r#"
port: 7880
log_level: info
rtc:
  port_range_start: 50000
  port_range_end: 60000
  tcp_port: 7881
  use_external_ip: true
  turn_servers:
    - host: turn.example.org
      port: 443
      protocol: tls
      username: u
      credential: "123"
redis:
  address: localhost:6379
keys:
  APIabc: 0123456789abcdef0123456789abcdefsecret
room:
  auto_create: false
  empty_timeout: 60
  enabled_codecs:
    - mime: audio/opus
    - mime: video/vp8
    - mime: video/rtx
turn:
  enabled: true
  domain: x
"#;
        let loaded = parse(text, &[]).unwrap();
        let config = &loaded.config;
        assert_eq!(config.keys.0["APIabc"].reveal(), "0123456789abcdef0123456789abcdefsecret");
        assert_eq!(config.rtc.tcp_port, Some(7881));
        assert_eq!(config.rtc.turn_servers.0[0].url, "turns:turn.example.org:443?transport=tcp");
        assert_eq!(config.room.enabled_codecs.0, [Codec::Opus, Codec::Vp8]);
        assert!(!config.room.auto_create);
        assert!(
            ["redis", "turn", "rtc.use_external_ip"].iter().all(|k| loaded.inert.contains(&(*k).to_owned()))
        );
    }

    #[test]
    fn environment_names_follow_the_keys() {
        let env = [
            ("LIVEKIT_KEYS", "a: secret-one\nb: secret-two"),
            ("LIVEKIT_RTC_TCP_PORT", "7999"),
            ("UDP_PORT", "7882-7892"),
            ("NODE_IP", "192.0.2.7,2001:db8::7"),
        ];
        let config = parse("", &env).unwrap().config;
        assert_eq!(config.keys.0.len(), 2);
        assert_eq!(config.rtc.tcp_port, Some(7999));
        assert_eq!(config.rtc.udp_port.0, Some(7882));
        assert_eq!(config.rtc.node_ip.len(), 2);
    }

    #[test]
    fn webhooks_are_read_from_the_file_and_the_environment() {
        let text = r#"
webhook:
  api_key: APIabc
  urls:
    - https://a.example/hook
  url_notifier: {num_workers: 4, queue_size: 100}
  resource_url_notifier: {max_age: 1h, max_depth: 500}
  filter_params:
    exclude_events: [track_published, track_unpublished]
room: {enable_full_room_in_webhooks: true}
"#;
        let webhook = parse(text, &[]).unwrap().config.webhook;
        assert_eq!((webhook.api_key.as_str(), webhook.urls.len()), ("APIabc", 1));
        assert_eq!(webhook.resource_url_notifier.max_age.0, Some(std::time::Duration::from_secs(3600)));
        assert_eq!((webhook.resource_url_notifier.max_depth, webhook.url_notifier.num_workers), (500, 4));
        assert_eq!(webhook.filter_params.exclude_events.len(), 2);
        let env = [("LIVEKIT_WEBHOOK_URLS", "http://a/1, http://b/2"), ("LIVEKIT_WEBHOOK_API_KEY", "k")];
        let webhook = parse("", &env).unwrap().config.webhook;
        assert_eq!((webhook.urls.len(), webhook.api_key.as_str()), (2, "k"));
        let error = parse("webhook: {urls: [example.org]}\n", &[]).unwrap_err();
        assert!(error.contains("webhook.urls: must begin with http"), "{error}");
    }

    #[test]
    fn mistakes_name_the_line() {
        for (text, expected) in [
            ("prot: 1\n", "livekit.yaml:1: prot: unknown key (did you mean `port`?)"),
            (
                "rtc:\n  turn_servers:\n    - host: a\n",
                "livekit.yaml:2: rtc.turn_servers: host and port are needed",
            ),
            ("keys: x\n", "livekit.yaml:1: keys: must be a section of texts"),
            (
                "rtc:\n  node_ip: here\n",
                "configuration: rtc.node_ip: must be IP addresses (use addresses, not names)",
            ),
        ] {
            assert_eq!(parse(text, &[]).unwrap_err(), expected);
        }
        assert!(!parse("keys:\n  a: [hunter2]\n", &[]).unwrap_err().contains("hunter2"));
    }
}
