//! Who the client really is: the socket's peer, or what a trusted proxy says.

use bedrud_media::IpNetwork;
use std::net::{IpAddr, Ipv4Addr};

/// Which peers may name the client address, and in which header.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    header: String,
}

impl TrustedProxies {
    /// Builds the list; entries that do not parse are left out (the configuration check refuses them earlier).
    #[must_use]
    pub fn new(entries: &[String], header: &str) -> Self {
        Self {
            networks: entries.iter().filter_map(|e| IpNetwork::parse(e)).collect(),
            header: header.to_ascii_lowercase(),
        }
    }

    /// True when the address belongs to a trusted proxy.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|n| n.contains(ip))
    }

    /// The client address of a request. Header values count only from a trusted peer, and then the last entry that
    /// is not itself a trusted proxy: everything left of it was written by the client.
    #[must_use]
    pub fn client_ip(&self, peer: IpAddr, headers: &axum::http::HeaderMap) -> IpAddr {
        let peer = unmap(peer);
        if self.networks.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let mut nearest = peer;
        let values: Vec<&str> =
            headers.get_all(self.header.as_str()).iter().filter_map(|v| v.to_str().ok()).collect();
        for entry in values.iter().rev().flat_map(|v| v.rsplit(',')) {
            let Some(ip) = parse_entry(entry) else { break };
            nearest = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        nearest
    }

    /// True when a trusted peer says that the client used https.
    #[must_use]
    pub fn forwarded_https(&self, peer: IpAddr, headers: &axum::http::HeaderMap) -> bool {
        self.trusts(unmap(peer))
            && headers
                .get("x-forwarded-proto")
                .and_then(|v| v.to_str().ok())
                .is_some_and(|v| v.trim().eq_ignore_ascii_case("https"))
    }
}

/// The part of the client's path that trusted proxies removed before they passed the request on, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedPrefix(pub String);

/// Longest prefix taken over, bytes.
const MAX_PREFIX: usize = 512;

impl TrustedProxies {
    /// `X-Forwarded-Prefix` of a trusted peer; each proxy on the way adds what it stripped.
    #[must_use]
    pub fn forwarded_prefix(&self, peer: IpAddr, headers: &axum::http::HeaderMap) -> Option<ForwardedPrefix> {
        if !self.trusts(unmap(peer)) {
            return None;
        }
        let values = headers.get_all("x-forwarded-prefix").iter().filter_map(|v| v.to_str().ok());
        let mut out = String::new();
        for part in values.flat_map(|v| v.split(',')) {
            let part = part.trim().trim_end_matches('/');
            // Two slashes at the start would name another host.
            let path = part.starts_with('/') && !part.starts_with("//");
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+=:@".contains(&b);
            let fits = part.is_empty() || path && part.bytes().all(plain);
            if !fits {
                return None;
            }
            out.push_str(part);
        }
        (!out.is_empty() && out.len() <= MAX_PREFIX).then_some(ForwardedPrefix(out))
    }
}

/// `::ffff:10.0.0.1` as `10.0.0.1`.
#[must_use]
pub fn unmap(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// An entry of a forwarding header: an address, perhaps with a port.
fn parse_entry(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(unmap(ip));
    }
    if let Some(v6) = text.strip_prefix('[') {
        return v6.split(']').next()?.parse::<IpAddr>().ok().map(unmap);
    }
    text.split(':').next()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for v in values {
            map.append("x-forwarded-for", v.parse().unwrap());
        }
        map
    }

    #[test]
    fn header_counts_only_from_a_trusted_peer() {
        let proxies = TrustedProxies::new(&["127.0.0.1".into()], "X-Forwarded-For");
        let headers = forwarded(&["203.0.113.9"]);
        assert_eq!(proxies.client_ip(ip("127.0.0.1"), &headers), ip("203.0.113.9"));
        assert_eq!(proxies.client_ip(ip("::ffff:127.0.0.1"), &headers), ip("203.0.113.9"));
        assert_eq!(proxies.client_ip(ip("198.51.100.1"), &headers), ip("198.51.100.1"));
    }

    #[test]
    fn a_stripped_prefix_counts_only_from_a_trusted_peer_and_only_as_a_path() {
        let proxies = TrustedProxies::new(&["127.0.0.1".into()], "X-Forwarded-For");
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for v in values {
                headers.append("x-forwarded-prefix", v.parse().unwrap());
            }
            headers
        };
        let prefix =
            |peer: &str, values: &[&str]| proxies.forwarded_prefix(ip(peer), &of(values)).map(|p| p.0);
        assert_eq!(prefix("127.0.0.1", &["/media/"]), Some("/media".into()));
        assert_eq!(prefix("127.0.0.1", &["/a, /b", "/c"]), Some("/a/b/c".into()));
        assert_eq!(prefix("198.51.100.1", &["/media"]), None);
        let long = format!("/{}", "x".repeat(MAX_PREFIX));
        for bad in
            ["", "/", "media", "//evil.example", "/a b", "/a<b", "/a, //b", "https://evil.example", &long]
        {
            assert_eq!(prefix("127.0.0.1", &[bad]), None, "{bad}");
        }
    }

    #[test]
    fn entries_written_by_the_client_are_passed_over() {
        let proxies = TrustedProxies::new(&["127.0.0.1".into(), "10.0.0.0/8".into()], "X-Forwarded-For");
        let headers = forwarded(&["1.1.1.1, 203.0.113.9:4711", "10.0.0.7"]);
        assert_eq!(proxies.client_ip(ip("127.0.0.1"), &headers), ip("203.0.113.9"));
        assert_eq!(proxies.client_ip(ip("127.0.0.1"), &forwarded(&["nonsense"])), ip("127.0.0.1"));
        assert_eq!(proxies.client_ip(ip("127.0.0.1"), &forwarded(&[])), ip("127.0.0.1"));
    }
}
