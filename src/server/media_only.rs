//! `bedrud livekit`: the media server without the platform, run the way `livekit-server` is.

use super::edge::{Edge, Farewell};
use super::media::Place;
use super::signals::{self, Reread};
use super::webhooks::{self, Outbox};
use super::{cores, files, health, journal, listen, media, metrics, router, urls};
use crate::auth::media_token::ApiKeys;
use crate::config::Server;
use crate::config::media::{Http, MediaConfig};
use crate::livekit::LiveKit;
use crate::metrics::Metrics;
use axum::Router;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Key and secret of `--dev`.
pub const DEV_KEYS: (&str, &str) = ("devkey", "secret");

/// The keys in force, those of `--dev` among them.
///
/// # Errors
/// As [`media::keys`].
pub fn keys(settings: &mut MediaConfig) -> anyhow::Result<ApiKeys> {
    if settings.development && settings.keys.0.is_empty() && settings.key_file.as_os_str().is_empty() {
        let (key, secret) = DEV_KEYS;
        settings.keys.0.insert(key.to_owned(), crate::config::Secret::new(secret));
    }
    media::keys(settings)
}

/// The ports that a configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// HTTP, WebSocket and ICE/TCP.
    pub http: u16,
    /// Another port for ICE/TCP.
    pub ice_tcp: Option<u16>,
    /// Media over UDP.
    pub udp: u16,
    /// Addresses that are listened on.
    pub listen: Vec<IpAddr>,
}

impl Ports {
    /// Of these settings.
    #[must_use]
    pub fn of(settings: &MediaConfig) -> Self {
        let http = settings.port;
        Self {
            http,
            ice_tcp: settings.rtc.tcp_port.filter(|p| *p != http),
            udp: media::udp_port(settings, http),
            listen: bind_ips(settings),
        }
    }
}

/// Runs until a signal. `ready` is told the addresses that are listened on and where browsers find them; `reread` is asked
/// at SIGHUP. Without webhooks nothing is written; with
/// them their outbox is in the folder `data`.
///
/// # Errors
/// What cannot be started: no keys, ports taken.
pub async fn run(
    mut settings: MediaConfig,
    data: &Path,
    reread: Reread,
    ready: impl FnOnce(&[SocketAddr], &[String]),
) -> anyhow::Result<()> {
    signals::catch()?.reload_with(reread, None);
    cores::forbid();
    let keys = keys(&mut settings)?;
    files::raise_limit();
    let edge = Edge::new(&listener(&settings.http), media::needs(&settings))?;
    let hooks = match webhooks::of_media(&settings, &keys)? {
        Some(settings) => Some((settings, Outbox::open(data).await?)),
        None => None,
    };

    let ips = bind_ips(&settings);
    let mut listeners = Vec::new();
    let mut port = settings.port;
    for (i, ip) in ips.iter().enumerate() {
        match listen::bind(SocketAddr::new(*ip, port)) {
            Ok(listener) => {
                // The other addresses take the port the system chose for the first.
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // Hosts without IPv6 have no ::1.
            Err(error) if i > 0 && settings.development => tracing::debug!("{error:#}"),
            Err(error) => return Err(error),
        }
    }
    let place = place(&settings, &ips, port);
    let media_ip = place.udp.ip();
    let ice_tcp = (place.ice_tcp != port).then_some(place.ice_tcp);
    let sfu = media::start(&settings, place).await?;
    if sfu.local_candidates().1.is_empty() {
        tracing::warn!(
            "no ICE over TCP: the main port listens on loopback only, and clients are told other addresses (set rtc.tcp_port)"
        );
    }
    let figures = Metrics::new(sfu.clone(), settings.prometheus.rooms as usize);
    let hooks = match hooks {
        Some((settings, outbox)) => {
            let hooks = webhooks::start(settings, outbox.store.clone(), &sfu).await?;
            figures.watch_webhooks(hooks.stats());
            Some((hooks, outbox))
        }
        None => None,
    };
    metrics::serve_media(&edge, &settings, &ips, &figures)?;
    // Nothing but ICE is spoken there: HTTP stays where bind_addresses wants it.
    let ice_listener = match ice_tcp {
        Some(tcp_port) => Some(listen::bind(SocketAddr::new(media_ip, tcp_port))?),
        None => None,
    };

    let livekit = LiveKit::new(sfu.clone(), keys, media::http_limits(&settings.limit), edge.shutdown.guard());
    figures.watch_agents(livekit.agent_figures());
    let routes = router::media_only(
        metrics::count_calls(livekit.router(), figures),
        health::alive(health::media_probe(&sfu)),
    );
    // The routes hold the only other guard; see that nothing here outlives the end.
    drop(livekit);
    let mut addresses = Vec::new();
    for listener in listeners {
        addresses.push(listener.local_addr()?);
        edge.serve(listener, routes.clone(), Some(sfu.clone()), None)?;
    }
    drop(routes);
    if let Some(listener) = ice_listener {
        addresses.push(listener.local_addr()?);
        edge.serve(listener, Router::new(), Some(sfu.clone()), None)?;
    }
    tokio::spawn(journal::follow(sfu.events()));
    let urls = match addresses.first() {
        Some(address) => urls::of("http", *address, sfu.local_candidates().0),
        None => Vec::new(),
    };
    ready(&addresses, &urls);
    let ended = edge.run_until_signal(sfu, farewell(&settings)).await;
    if let Some((hooks, outbox)) = hooks {
        hooks.stop(webhooks::GRACE).await;
        outbox.store.close().await;
    }
    ended
}

/// Where media is, with the main port at these addresses.
fn place(settings: &MediaConfig, ips: &[IpAddr], port: u16) -> Place {
    let media_ip = media_ip(settings.development, ips);
    let own = settings.rtc.tcp_port.filter(|p| *p != port);
    Place {
        http: port,
        udp: SocketAddr::new(media_ip, media::udp_port(settings, port)),
        ice_tcp: own.unwrap_or(port),
        ice_tcp_ips: if own.is_some() { vec![media_ip] } else { ips.to_vec() },
    }
}

/// In development nobody wants to wait.
fn farewell(settings: &MediaConfig) -> Option<Farewell> {
    let limit = (settings.drain_timeout > 0).then(|| Duration::from_secs(settings.drain_timeout.into()));
    (!settings.development || limit.is_some()).then_some(Farewell { limit })
}

/// The HTTP listener.
fn listener(http: &Http) -> Server {
    let mut server = Server {
        trusted_proxies: http.trusted_proxies.clone(),
        proxy_header: http.proxy_header.clone(),
        read_timeout: http.read_timeout.into(),
        idle_timeout: http.idle_timeout.into(),
        write_timeout: http.write_timeout.into(),
        ..Server::default()
    };
    // What may be longer than others can be is lifted off.
    server.limits.header_bytes = http.max_header_size.min(server.limits.header_bytes);
    server.limits.connections = http.max_connections;
    server.limits.connections_per_address = http.max_connections_per_address;
    server
}

/// Addresses to listen on: those of the configuration, loopback in development mode, else all.
fn bind_ips(settings: &MediaConfig) -> Vec<IpAddr> {
    // An empty entry means all addresses, as in the reference server.
    let all = settings.bind_addresses.iter().any(String::is_empty);
    let ips = media::addresses(&settings.bind_addresses);
    if !ips.is_empty() && !all {
        ips
    } else if settings.development && !all {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        vec![Ipv6Addr::UNSPECIFIED.into()]
    }
}

/// There is one media socket, at all addresses: those of the configuration are for HTTP, behind a proxy for instance. In
/// development it is at the only address, at IPv4 loopback for loopback addresses.
fn media_ip(development: bool, ips: &[IpAddr]) -> IpAddr {
    match ips {
        [ip] if development => *ip,
        _ if development && ips.iter().all(IpAddr::is_loopback) => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_main_port_on_loopback_offers_tcp_to_those_who_are_told_loopback() {
        let offered = async |bind: &str, node_ip: &str, tcp_port: Option<u16>| {
            let mut settings =
                MediaConfig { bind_addresses: vec![bind.to_owned()], ..MediaConfig::default() };
            settings.rtc.node_ip.0 = vec![node_ip.to_owned()];
            settings.rtc.tcp_port = tcp_port;
            settings.rtc.udp_port.0 = Some(0);
            let place = place(&settings, &bind_ips(&settings), 7880);
            let sfu = media::start(&settings, place).await.unwrap();
            sfu.local_candidates().1.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(offered("127.0.0.1", "127.0.0.1", None).await, ["127.0.0.1:7880"]);
        assert!(offered("127.0.0.1", "203.0.113.9", None).await.is_empty(), "nobody elsewhere reaches it");
        assert_eq!(offered("127.0.0.1", "203.0.113.9", Some(7881)).await, ["203.0.113.9:7881"]);
        assert_eq!(offered("", "203.0.113.9", None).await, ["203.0.113.9:7880"]);
        assert_eq!(offered("10.0.0.5", "203.0.113.9", None).await, ["203.0.113.9:7880"]);
    }

    #[test]
    fn addresses_follow_the_reference_server() {
        let ips = |dev, list: &[&str]| {
            let bind_addresses = list.iter().map(|s| (*s).to_owned()).collect();
            bind_ips(&MediaConfig { development: dev, bind_addresses, ..MediaConfig::default() })
        };
        assert_eq!(ips(false, &[]), [IpAddr::from(Ipv6Addr::UNSPECIFIED)]);
        assert_eq!(ips(false, &[""]), [IpAddr::from(Ipv6Addr::UNSPECIFIED)]);
        assert!(ips(true, &[]).iter().all(IpAddr::is_loopback));
        let one = ips(true, &["192.0.2.1"]);
        assert_eq!(media_ip(true, &one), one[0]);
        assert_eq!(media_ip(true, &ips(true, &[])), IpAddr::from(Ipv4Addr::LOCALHOST));
        for list in [&["192.0.2.1"][..], &["127.0.0.1"], &["192.0.2.1", "192.0.2.2"], &[]] {
            assert!(media_ip(false, &ips(false, list)).is_unspecified(), "media is for everybody: {list:?}");
        }
    }
}
