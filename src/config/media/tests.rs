use super::*;
use bedrud_media::Codec;

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
    assert!(!config.room.auto_create && config.rtc.use_external_ip);
    assert_eq!(config.rtc.port_range_start, Some(50000));
    assert!(["redis", "turn", "rtc.port_range_end"].iter().all(|k| loaded.inert.contains(&(*k).to_owned())));
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
    assert_eq!(config.rtc.node_ip.0.len(), 2);
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

#[test]
fn what_the_media_server_is_told_can_be_set() {
    let text = "enable_data_tracks: false\nvideo: {codec_regression_threshold: 0, dynacast_pause_delay: 5s}\n\
                room: {update_batch_target_size: 1000}\n\
                limit: {agent_signal_message_size_limit: 100, signal_messages_per_second: 7, signal_message_burst: 9}\n";
    let loaded = parse(text, &[]).unwrap();
    let config = &loaded.config;
    assert!(!config.enable_data_tracks);
    assert_eq!((config.video.codec_regression_threshold, config.room.update_batch_target_size), (0, 1000));
    let limit = &config.limit;
    assert_eq!(
        (limit.agent_signal_message_size_limit, limit.signal_messages_per_second, limit.signal_message_burst),
        (100, 7, 9)
    );
    assert_eq!(config.video.dynacast_pause_delay.0, Some(std::time::Duration::from_secs(5)));
    assert!(loaded.inert.is_empty());
    let defaults = parse("", &[]).unwrap().config;
    assert!(defaults.enable_data_tracks);
    assert_eq!((defaults.limit.signal_messages_per_second, defaults.limit.signal_message_burst), (200, 2000));
}

#[test]
fn forms_that_the_reference_server_takes_are_read() {
    let text = "rtc:\n  udp_port: {start: 7882, end: 7892}\n  node_ip: {ipv4: 192.0.2.7, ipv6: \"2001:db8::7\"}\n  \
                interfaces: {includes: [eth0]}\n  ips: {excludes: [10.0.0.0/8]}\n  use_stun_port_as_ice: true\n  \
                pli_throttle: {low_quality: 2s, mid_quality: 1s}\n  congestion_control: {allow_pause: true, probe_mode: padding}\n\
                room: {max_room_name_length: 10, max_participant_identity_length: 11, max_metadata_size: 12}\n\
                logging: {sample_initial: 1, item_sample_seconds: 2}\n\
                audio: {active_level: 40, update_interval: 200, min_percentile: 30}\n\
                limit: {num_tracks: -1, bytes_per_sec: 1000000000, signal_message_size_limit: 100}\n";
    let loaded = parse(text, &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.rtc.udp_port.0, Some(7882));
    assert_eq!(config.rtc.node_ip.0, ["192.0.2.7", "2001:db8::7"]);
    assert_eq!((config.rtc.interfaces.includes.len(), config.rtc.ips.excludes.len()), (1, 1));
    assert_eq!(config.rtc.pli_throttle.shortest(), Some(std::time::Duration::from_secs(1)));
    assert!(config.rtc.congestion_control.allow_pause);
    assert_eq!(config.room.max_room_name_length, Some(10));
    assert_eq!((config.audio.active_level, config.audio.update_interval), (40, 200));
    assert_eq!((config.audio.min_percentile, config.audio.smooth_intervals), (30, 2));
    assert_eq!((config.limit.num_tracks, config.limit.bytes_per_sec), (-1, 1_000_000_000));
    assert_eq!(
        loaded.inert,
        [
            "rtc.use_stun_port_as_ice",
            "rtc.congestion_control.probe_mode",
            "logging.sample_initial",
            "logging.item_sample_seconds"
        ]
    );
    for (text, key) in [
        ("rtc: {udp_port: {end: 1}}\n", "rtc.udp_port: start is needed"),
        ("rtc: {node_ip: {v5: 192.0.2.1}}\n", "v5: must be ipv4 or ipv6"),
        ("rtc: {ips: {includes: [eth0]}}\n", "rtc.ips.includes: must be addresses or networks"),
    ] {
        let error = parse(text, &[]).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}
