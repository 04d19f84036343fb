//! Settings of the media server, from the platform's configuration and from LiveKit's.

use super::announce::Announce;
use super::edge::MediaNeeds;
use crate::auth::entropy::LEGIBLE;
use crate::auth::media_token::{self, ApiKeys};
use crate::config::media::{self, MediaConfig, MediaLimits};
use crate::config::secrecy::{is_open_to_all, is_sample};
use crate::config::{Config, read_file};
use crate::livekit::HttpLimits;
use anyhow::bail;
use bedrud_media::protocol::IceServer;
use bedrud_media::{HubConfig, Sfu, SfuConfig, ShardConfig, TransportConfig};
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Packets that a stream may keep for repeating.
const MIN_RING: u32 = 32;
const MAX_RING: u32 = 8192;

/// LiveKit's file of the platform (`livekit.configPath`), or its defaults. Its port, addresses and keys do not count:
/// the platform has its own.
///
/// # Errors
/// An unreadable file, or keys and values that are refused.
pub fn of_platform(config: &Config) -> anyhow::Result<MediaConfig> {
    let path = &config.livekit.config_path;
    let mut settings = if path.as_os_str().is_empty() {
        MediaConfig::default()
    } else {
        let text = read_file(path)?;
        let name = path.display().to_string();
        let loaded = media::read(Some((&name, &text)), &|_| None, None, &[])?;
        warn_inert(&name, &loaded.inert);
        loaded.config
    };
    if settings.prometheus_port > 0 || settings.prometheus.port > 0 {
        tracing::warn!("prometheus.port of the LiveKit file has no effect here: set metrics.address");
    }
    if !config.livekit.node_ip.is_empty() {
        settings.rtc.node_ip.0.clone_from(&config.livekit.node_ip);
    }
    Ok(settings)
}

/// Names the keys that were read over.
pub fn warn_inert(file: &str, keys: &[String]) {
    if !keys.is_empty() {
        tracing::warn!(file, keys = keys.join(", "), "settings without effect");
    }
}

/// Ports of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Port of the HTTP listener.
    pub http: u16,
    /// Media over UDP.
    pub udp: SocketAddr,
    /// Port of the listener that takes ICE over TCP.
    pub ice_tcp: u16,
    /// Where that listens. It is offered at addresses under which clients reach it.
    pub ice_tcp_ips: Vec<IpAddr>,
}

impl Place {
    /// Everything at the address of one listener.
    #[must_use]
    pub fn beside(settings: &MediaConfig, http: SocketAddr) -> Self {
        let udp = SocketAddr::new(http.ip(), udp_port(settings, http.port()));
        Self { http: http.port(), udp, ice_tcp: http.port(), ice_tcp_ips: vec![http.ip()] }
    }
}

/// Port of media over UDP: that of the configuration, else the number of the main port.
#[must_use]
pub fn udp_port(settings: &MediaConfig, main: u16) -> u16 {
    settings.rtc.udp_port.0.or(settings.rtc.port_range_start).unwrap_or(main)
}

/// Starts the media server.
///
/// # Errors
/// The UDP port is taken, no address is left to tell clients, or the system lacks what is needed.
pub async fn start(settings: &MediaConfig, place: Place) -> anyhow::Result<Sfu> {
    let mut config = SfuConfig::bound_to(place.udp);
    config.tcp_port = Some(place.ice_tcp);
    config.tcp_addresses = place.ice_tcp_ips;
    // A socket at one address has no other to offer.
    let announce = announce(settings);
    if place.udp.ip().is_unspecified() || !announce.fixed.is_empty() {
        config.external_ips = announce.addresses().await?;
    }
    config.loopback_candidate = settings.rtc.enable_loopback_candidate;
    adjust_shards(&mut config.net.shard, settings);
    adjust_transports(&mut config.transport, settings);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    config.hub.node_id = node_id(host.trim(), place.http);
    adjust(&mut config.hub, settings);
    Ok(Sfu::start(config)?)
}

fn announce(settings: &MediaConfig) -> Announce {
    let rtc = &settings.rtc;
    Announce {
        fixed: addresses(&rtc.node_ip.0),
        interfaces: rtc.interfaces.includes.clone(),
        not_interfaces: rtc.interfaces.excludes.clone(),
        networks: rtc.ips.includes.clone(),
        not_networks: rtc.ips.excludes.clone(),
        external: rtc.use_external_ip,
        external_only: rtc.external_ip_only,
        internal_too: rtc.advertise_internal_ip,
        stun_servers: rtc.stun_servers.clone(),
    }
}

/// Takes over what the configuration says about streams.
fn adjust_shards(shard: &mut ShardConfig, settings: &MediaConfig) {
    let ring = |n: u32| usize::try_from(n.clamp(MIN_RING, MAX_RING).next_power_of_two()).unwrap_or(512);
    if settings.rtc.packet_buffer_size_video > 0 {
        shard.video_ring = ring(settings.rtc.packet_buffer_size_video);
    }
    if settings.rtc.packet_buffer_size_audio > 0 {
        shard.audio_ring = ring(settings.rtc.packet_buffer_size_audio);
    }
    if let Some(least) = settings.rtc.pli_throttle.shortest() {
        shard.key_frame_interval = least;
        shard.key_frame_retry = shard.key_frame_retry.max(least);
    }
    shard.active_level = active_level(settings);
    shard.active_percent = u8::try_from(settings.audio.min_percentile).map_or(100, |n| n.min(100));
    shard.smooth_intervals = settings.audio.smooth_intervals;
    shard.audio_interval = Duration::from_millis(settings.audio.update_interval.clamp(50, 60_000).into());
}

fn active_level(settings: &MediaConfig) -> u8 {
    u8::try_from(settings.audio.active_level).map_or(127, |n| n.min(127))
}

/// Takes over what the configuration says about rooms and their limits.
fn adjust(hub: &mut HubConfig, settings: &MediaConfig) {
    let limit = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let old = &settings.room;
    hub.limits.metadata = limit(old.max_metadata_size.unwrap_or(settings.limit.max_metadata_size));
    hub.limits.tracks = usize::try_from(settings.limit.num_tracks.max(0)).unwrap_or(usize::MAX);
    hub.limits.bytes_per_second = settings.limit.bytes_per_sec;
    hub.limits.attributes = limit(settings.limit.max_attributes_size);
    hub.data_blobs = settings.enable_participant_data_blob;
    hub.limits.data_blob_key = limit(settings.limit.max_data_blob_key_length);
    hub.limits.data_blobs = limit(settings.limit.max_data_blobs_size);
    hub.limits.subscriptions_video = limit(settings.limit.subscription_limit_video);
    hub.limits.subscriptions_audio = limit(settings.limit.subscription_limit_audio);
    hub.limits.room_name = limit(old.max_room_name_length.unwrap_or(settings.limit.max_room_name_length));
    let identity = settings.limit.max_participant_identity_length;
    hub.limits.identity = limit(old.max_participant_identity_length.unwrap_or(identity));
    hub.limits.participant_name = limit(settings.limit.max_participant_name_length);
    hub.timeouts.empty = Duration::from_secs(settings.room.empty_timeout.into());
    hub.timeouts.departure = Duration::from_secs(settings.room.departure_timeout.into());
    if !settings.room.enabled_codecs.0.is_empty() {
        hub.codecs.clone_from(&settings.room.enabled_codecs.0);
    }
    hub.auto_create = settings.room.auto_create;
    hub.max_participants = settings.room.max_participants;
    hub.remote_unmute = settings.room.enable_remote_unmute;
    hub.sync_streams = settings.room.sync_streams;
    let delay = &settings.room.playout_delay;
    if delay.enabled {
        hub.playout_delay = (delay.min, delay.max);
    }
    hub.room_presets.clone_from(&settings.room.room_configurations.0);
    hub.region.clone_from(&settings.region);
    hub.ice_servers = ice_servers(settings);
    hub.allow_pause = settings.rtc.congestion_control.allow_pause;
    hub.active_level = active_level(settings);
    if let Some(delay) = settings.video.dynacast_pause_delay.0 {
        hub.timeouts.dynacast_pause = delay;
    }
    hub.data_tracks = settings.enable_data_tracks;
    hub.codec_regression_threshold = limit(settings.video.codec_regression_threshold);
    hub.update_batch_bytes = limit(settings.room.update_batch_target_size);
    hub.limits.signals_per_second = settings.limit.signal_messages_per_second;
    hub.limits.signal_burst = settings.limit.signal_message_burst;
    hub.limits.data_deliveries_per_second = settings.limit.data_deliveries_per_second.into();
    hub.limits.data_delivered_bytes_per_second = settings.limit.data_delivered_bytes_per_second;
}

/// Takes over what the configuration says about peer connections.
fn adjust_transports(transport: &mut TransportConfig, settings: &MediaConfig) {
    transport.data_messages_per_second = settings.limit.data_messages_per_second.into();
    transport.data_bytes_per_second = settings.limit.data_bytes_per_second;
}

fn ice_servers(settings: &MediaConfig) -> Vec<IceServer> {
    let stun = settings.rtc.stun_servers.iter().map(|server| IceServer {
        urls: vec![if server.starts_with("stun:") { server.clone() } else { format!("stun:{server}") }],
        ..IceServer::default()
    });
    let turn = settings.rtc.turn_servers.0.iter().map(|server| IceServer {
        urls: vec![server.url.clone()],
        username: server.username.clone(),
        credential: server.credential.reveal().to_owned(),
    });
    stun.chain(turn).collect()
}

/// Names this server to clients and in metrics. It stays the same over a restart, so that series go on.
fn node_id(host: &str, port: u16) -> String {
    let digest = Sha256::digest(format!("{host}:{port}"));
    let pick = |byte: &u8| LEGIBLE.get(usize::from(*byte) % LEGIBLE.len()).map_or('2', |c| char::from(*c));
    let id: String = digest.iter().take(12).map(pick).collect();
    format!("ND_{id}")
}

/// What the HTTP surface may read at once; 0 in the configuration means no limit.
#[must_use]
pub fn http_limits(limit: &MediaLimits) -> HttpLimits {
    let size = |n: u32| if n == 0 { usize::MAX } else { usize::try_from(n).unwrap_or(usize::MAX) };
    HttpLimits {
        body: size(limit.max_api_request_body_size),
        agent_message: size(limit.agent_signal_message_size_limit),
        signal_message: size(limit.signal_message_size_limit),
        token: media_token::longest(claims(limit)),
    }
}

/// Metadata and attributes of one participant, bytes. Without a limit there is room for what the default allows.
fn claims(limit: &MediaLimits) -> usize {
    let or = |n: u32, default: u32| if n == 0 { default } else { n };
    let sum = or(limit.max_metadata_size, 524_288).saturating_add(or(limit.max_attributes_size, 65_536));
    usize::try_from(sum).unwrap_or(usize::MAX)
}

/// What the routes need of the listener: a head has room for the token of a participant whose metadata and attributes are
/// as large as they may be, and for as much beside it as the configuration allows.
pub fn needs(settings: &MediaConfig) -> MediaNeeds {
    let bytes = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let limit = &settings.limit;
    let beside = bytes(settings.http.max_header_size);
    MediaNeeds {
        head: media_token::longest(claims(limit)).saturating_add(beside),
        body: bytes(limit.max_api_request_body_size),
    }
}

/// The addresses of a list that was checked before.
#[must_use]
pub fn addresses(list: &[String]) -> Vec<IpAddr> {
    list.iter().filter_map(|ip| ip.trim_matches(['[', ']']).parse().ok()).collect()
}

/// The API keys of LiveKit's configuration, from `keys` and `key_file`.
///
/// # Errors
/// No key at all, secrets of examples outside of development, or a key file that cannot be read or that everybody can read.
pub fn keys(settings: &MediaConfig) -> anyhow::Result<ApiKeys> {
    let mut keys = ApiKeys::new();
    let mut add = |map: &crate::config::value::SecretMap| {
        for (key, secret) in &map.0 {
            if is_sample(secret.reveal()) && !settings.development {
                bail!(
                    "the secret of API key {key:?} is one of an example, which everybody knows (make a pair with \
                     `bedrud livekit generate-keys`; only --dev takes such secrets)"
                );
            }
            if secret.reveal().len() < crate::config::check::MIN_SECRET_LEN && !settings.development {
                tracing::warn!(key, "the secret of this API key is shorter than 32 characters");
            }
            keys.insert(key.as_str(), secret.reveal());
        }
        anyhow::Ok(())
    };
    add(&settings.keys)?;
    let path = &settings.key_file;
    if !path.as_os_str().is_empty() {
        use crate::config::setting::Scalar as _;
        let text = read_file(path)?;
        if is_open_to_all(path)? {
            bail!("{} can be read by everybody (chmod o= {})", path.display(), path.display());
        }
        let mut map = crate::config::value::SecretMap::default();
        map.set_text(&text).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        add(&map)?;
    }
    if keys.is_empty() {
        bail!(
            "no API keys: give --keys \"key: secret\", LIVEKIT_KEYS, or `keys` in the configuration; --dev uses devkey and secret"
        );
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_must_be_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.yaml");
        std::fs::write(&path, "a: 0123456789abcdef0123456789abcdef\n").unwrap();
        let settings = MediaConfig { key_file: path.clone(), ..MediaConfig::default() };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        assert!(keys(&settings).unwrap_err().to_string().contains("chmod"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(keys(&settings).unwrap().secret("a").is_some());
        let none = keys(&MediaConfig::default()).unwrap_err().to_string();
        assert!(none.contains("LIVEKIT_KEYS"), "{none}");
    }

    #[test]
    fn the_configuration_reaches_the_media_server() {
        let mut settings = MediaConfig::default();
        let fresh = HubConfig::new(Vec::new(), Vec::new(), "");
        let mut hub = fresh.clone();
        adjust(&mut hub, &settings);
        assert_eq!(hub, fresh, "the defaults of both are the same");
        let mut shard = ShardConfig::default();
        adjust_shards(&mut shard, &settings);
        assert_eq!(format!("{shard:?}"), format!("{:?}", ShardConfig::default()));
        settings.rtc.packet_buffer_size_video = 600;
        settings.rtc.packet_buffer_size_audio = u32::MAX;
        settings.rtc.pli_throttle.low_quality.0 = Some(Duration::from_secs(3));
        settings.audio.update_interval = 200;
        settings.audio.active_level = 500;
        settings.audio.min_percentile = 60;
        settings.audio.smooth_intervals = 4;
        adjust_shards(&mut shard, &settings);
        assert_eq!((shard.video_ring, shard.audio_ring), (1024, 8192));
        assert_eq!((shard.key_frame_interval.as_secs(), shard.key_frame_retry.as_secs()), (3, 3));
        assert_eq!((shard.audio_interval.as_millis(), shard.active_level), (200, 127));
        assert_eq!((shard.active_percent, shard.smooth_intervals), (60, 4));
        settings.limit.num_tracks = 7;
        settings.limit.bytes_per_sec = 9;
        settings.rtc.congestion_control.allow_pause = true;
        settings.room.playout_delay.min = 100;
        adjust(&mut hub, &settings);
        assert_eq!(hub.playout_delay, (0, 0), "not enabled");
        settings.room.playout_delay.enabled = true;
        settings.room.max_room_name_length = Some(5);
        settings.video.dynacast_pause_delay.0 = Some(Duration::from_secs(60));
        adjust(&mut hub, &settings);
        assert_eq!((hub.limits.tracks, hub.limits.bytes_per_second, hub.limits.room_name), (7, 9, 5));
        assert_eq!(hub.playout_delay, (100, 0));
        assert!(hub.allow_pause && hub.timeouts.dynacast_pause.as_secs() == 60);
        assert_eq!(hub.active_level, 127);

        settings.enable_data_tracks = false;
        settings.video.codec_regression_threshold = 0;
        settings.room.update_batch_target_size = 1;
        settings.limit.signal_messages_per_second = 2;
        settings.limit.signal_message_burst = 3;
        adjust(&mut hub, &settings);
        assert!(!hub.data_tracks);
        assert_eq!((hub.codec_regression_threshold, hub.update_batch_bytes), (0, 1));
        assert_eq!((hub.limits.signals_per_second, hub.limits.signal_burst), (2, 3));

        let mut transport = TransportConfig::default();
        adjust_transports(&mut transport, &settings);
        assert_eq!(transport, TransportConfig::default(), "the defaults are the same");
        settings.limit.data_messages_per_second = 4;
        settings.limit.data_bytes_per_second = 5;
        settings.limit.data_deliveries_per_second = 6;
        settings.limit.data_delivered_bytes_per_second = 7;
        adjust_transports(&mut transport, &settings);
        adjust(&mut hub, &settings);
        assert_eq!((transport.data_messages_per_second, transport.data_bytes_per_second), (4, 5));
        let limits = &hub.limits;
        assert_eq!((limits.data_deliveries_per_second, limits.data_delivered_bytes_per_second), (6, 7));

        assert_eq!(http_limits(&settings.limit), HttpLimits::default());
        settings.limit.agent_signal_message_size_limit = 0;
        settings.limit.max_api_request_body_size = 5;
        let limits = http_limits(&settings.limit);
        assert_eq!((limits.agent_message, limits.body), (usize::MAX, 5));
    }

    #[test]
    fn a_node_keeps_its_id_and_shares_it_with_no_other() {
        let id = node_id("meet", 8090);
        assert!(id.starts_with("ND_") && id.len() == 15, "{id}");
        assert_eq!(id, node_id("meet", 8090));
        assert!(id != node_id("meet", 8091) && id != node_id("meet2", 8090));
    }

    #[test]
    fn servers_are_told_as_clients_read_them() {
        let mut settings = MediaConfig::default();
        settings.rtc.stun_servers = vec!["stun.example.org:3478".into(), "stun:other:1".into()];
        let urls: Vec<_> = ice_servers(&settings).into_iter().flat_map(|s| s.urls).collect();
        assert_eq!(urls, ["stun:stun.example.org:3478", "stun:other:1"]);
    }
}
