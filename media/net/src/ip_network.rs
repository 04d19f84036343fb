//! Networks of IP addresses: those an operator names, and those that count as one client.

use std::net::IpAddr;

/// An address or a CIDR network of either family. IPv4 is kept as mapped IPv6, so that both families compare alike and
/// a dual-stack peer matches an IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNetwork {
    base: u128,
    /// Bits of the mapped form that are fixed, at most 128.
    prefix: u32,
}

/// Bits that IPv4 addresses have in front in their mapped form.
const MAPPED: u32 = 96;
/// What an IPv6 customer holds at least: all its addresses count as one client.
const CLIENT: u32 = 64;
/// What an IPv6 customer may hold as a whole.
const SITE: u32 = 48;

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl IpNetwork {
    fn of(ip: IpAddr, prefix: u32) -> Self {
        let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
        Self { base: bits(ip) & mask, prefix }
    }

    /// Reads `10.0.0.1`, `10.0.0.0/8`, `::1` or `2001:db8::/32`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) =
            text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let ip: IpAddr = address.parse().ok()?;
        let (before, width) = if ip.is_ipv4() { (MAPPED, 32) } else { (0, 128) };
        let prefix = match prefix {
            Some(p) => p.parse::<u32>().ok().filter(|p| *p <= width)?,
            None => width,
        };
        Some(Self::of(ip, before + prefix))
    }

    /// The addresses that count as the same client as this one: an IPv4 address alone, or the /64 of an IPv6 one.
    #[must_use]
    pub fn client(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            v4 @ IpAddr::V4(_) => Self::of(v4, 128),
            v6 @ IpAddr::V6(_) => Self::of(v6, CLIENT),
        }
    }

    /// The /48 of an IPv6 address: one customer may hold all 65,536 client networks in it. `None` for IPv4.
    #[must_use]
    pub fn site(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(_) => None,
            v6 @ IpAddr::V6(_) => Some(Self::of(v6, SITE)),
        }
    }

    /// True when the address is inside.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::of(ip, self.prefix).base == self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_match_both_families() {
        let n = IpNetwork::parse("10.0.0.0/8").unwrap();
        assert!(
            n.contains(ip("10.200.3.4")) && n.contains(ip("::ffff:10.1.1.1")) && !n.contains(ip("11.0.0.1"))
        );
        assert!(IpNetwork::parse("0.0.0.0/0").unwrap().contains(ip("203.0.113.9")));
        assert!(!IpNetwork::parse("0.0.0.0/0").unwrap().contains(ip("2001:db8::1")));
        assert!(IpNetwork::parse("::/0").unwrap().contains(ip("2001:db8::1")));
        for bad in ["", "proxy", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/8/8"] {
            assert!(IpNetwork::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_its_site_is_wider() {
        let (client, site) = (|t| IpNetwork::client(ip(t)), |t| IpNetwork::site(ip(t)));
        assert_eq!(client("2001:db8::1"), client("2001:db8::2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(site("2001:db8::1"), site("2001:db8:0:1::1"));
        assert_ne!(site("2001:db8::1"), site("2001:db8:1::1"));
        assert_ne!(Some(client("2001:db8::1")), site("2001:db8::1"), "the two are told apart");
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(site("::ffff:192.0.2.1"), None);
    }
}
