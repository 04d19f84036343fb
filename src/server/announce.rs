//! Under which addresses clients are told to find the media port.

use super::{secrets, stun};
use anyhow::bail;
use bedrud_media::IpNetwork;
use bedrud_media::{LocalAddress, local_addresses};
use futures_util::future::join_all;
use std::net::IpAddr;
use std::time::Duration;

/// STUN servers that are asked when the configuration names none.
const PUBLIC_STUN: [&str; 3] =
    ["stun.l.google.com:19302", "stun1.l.google.com:19302", "global.stun.twilio.com:3478"];
/// The start waits no longer than this for STUN servers.
const STUN_LIMIT: Duration = Duration::from_secs(3);

/// What the configuration says about addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announce {
    /// Exactly these.
    pub fixed: Vec<IpAddr>,
    /// Only interfaces of these names, unless empty.
    pub interfaces: Vec<String>,
    /// None of these.
    pub not_interfaces: Vec<String>,
    /// Only addresses of these networks, unless empty.
    pub networks: Vec<String>,
    /// None of these.
    pub not_networks: Vec<String>,
    /// Ask STUN servers how the world sees each address (one-to-one NAT).
    pub external: bool,
    /// Leave out addresses that no STUN server saw.
    pub external_only: bool,
    /// Tell the address before the NAT as well.
    pub internal_too: bool,
    /// STUN servers to ask, `host:port`.
    pub stun_servers: Vec<String>,
}

impl Announce {
    /// The addresses to tell; empty leaves it to the media server, which tells those of all interfaces.
    ///
    /// # Errors
    /// When the filters leave no address.
    pub async fn addresses(&self) -> anyhow::Result<Vec<IpAddr>> {
        if !self.fixed.is_empty() {
            return Ok(self.fixed.clone());
        }
        let filtered = [&self.interfaces, &self.not_interfaces, &self.networks, &self.not_networks];
        let filters = filtered.iter().any(|list| !list.is_empty());
        if !filters && !self.external {
            return Ok(Vec::new());
        }
        let local = self.filter(local_addresses());
        if local.is_empty() && filters {
            bail!("rtc.interfaces and rtc.ips leave no address to tell clients");
        }
        if !self.external {
            return Ok(local);
        }
        let public = || PUBLIC_STUN.map(str::to_owned).to_vec();
        let servers = if self.stun_servers.is_empty() { public() } else { self.stun_servers.clone() };
        let seen = seen(&local, &servers, STUN_LIMIT).await?;
        if seen.iter().all(|(_, external)| external.is_none()) {
            tracing::warn!(
                servers = servers.join(", "),
                "rtc.use_external_ip: no STUN server answered; clients are told the addresses of this host (set rtc.node_ip)"
            );
            return Ok(local);
        }
        let told = self.choose(&seen);
        tracing::info!(addresses = ?told, "external addresses, by STUN");
        Ok(told)
    }

    fn filter(&self, addresses: Vec<LocalAddress>) -> Vec<IpAddr> {
        let inside =
            |list: &[String], ip| list.iter().filter_map(|n| IpNetwork::parse(n)).any(|n| n.contains(ip));
        let mut ips = Vec::new();
        for LocalAddress { interface, ip } in addresses {
            let named = self.interfaces.is_empty() || self.interfaces.contains(&interface);
            let placed = self.networks.is_empty() || inside(&self.networks, ip);
            let excluded = self.not_interfaces.contains(&interface) || inside(&self.not_networks, ip);
            if named && placed && !excluded && !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        ips
    }

    fn choose(&self, seen: &[(IpAddr, Option<IpAddr>)]) -> Vec<IpAddr> {
        let mut told = Vec::new();
        for (local, external) in seen {
            let own = (self.internal_too || external.is_none() && !self.external_only).then_some(*local);
            for ip in external.iter().copied().chain(own) {
                if !told.contains(&ip) {
                    told.push(ip);
                }
            }
        }
        told
    }
}

/// How STUN servers see each address.
async fn seen(
    local: &[IpAddr],
    servers: &[String],
    limit: Duration,
) -> anyhow::Result<Vec<(IpAddr, Option<IpAddr>)>> {
    let mut asked = Vec::new();
    for ip in local {
        let id = secrets::random_bytes()?;
        asked.push(async move { (*ip, stun::mapped(*ip, servers, id, limit).await) });
    }
    Ok(join_all(asked).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|s| (*s).to_owned()).collect()
    }

    fn host() -> Vec<LocalAddress> {
        let address =
            |interface: &str, text: &str| LocalAddress { interface: interface.into(), ip: ip(text) };
        vec![
            address("eth0", "10.0.0.5"),
            address("eth0", "2001:db8::5"),
            address("eth1", "192.168.7.5"),
            address("docker0", "172.17.0.1"),
        ]
    }

    #[test]
    fn interfaces_and_networks_are_chosen_and_left_out() {
        let filter = |announce: Announce| announce.filter(host());
        let all = Announce::default();
        assert_eq!(filter(all.clone()).len(), 4);
        let eth0 = Announce { interfaces: list(&["eth0"]), ..all.clone() };
        assert_eq!(filter(eth0), [ip("10.0.0.5"), ip("2001:db8::5")]);
        let no_docker = Announce { not_interfaces: list(&["docker0"]), ..all.clone() };
        assert_eq!(filter(no_docker).len(), 3);
        let ten = Announce { networks: list(&["10.0.0.0/8", "192.168.0.0/16"]), ..all.clone() };
        assert_eq!(filter(ten.clone()), [ip("10.0.0.5"), ip("192.168.7.5")]);
        let both = Announce { not_networks: list(&["192.168.7.0/24"]), ..ten };
        assert_eq!(filter(both), [ip("10.0.0.5")]);
    }

    #[test]
    fn external_addresses_stand_for_their_local_ones() {
        let seen = [
            (ip("10.0.0.5"), Some(ip("203.0.113.9"))),
            (ip("172.17.0.1"), None),
            (ip("198.51.100.1"), Some(ip("198.51.100.1"))),
        ];
        let told = |external_only, internal_too| {
            Announce { external_only, internal_too, ..Announce::default() }.choose(&seen)
        };
        assert_eq!(told(false, false), [ip("203.0.113.9"), ip("172.17.0.1"), ip("198.51.100.1")]);
        assert_eq!(told(true, false), [ip("203.0.113.9"), ip("198.51.100.1")]);
        assert_eq!(told(true, true).len(), 4);
    }

    #[tokio::test]
    async fn every_address_is_asked_about() {
        let external = Ipv4Addr::new(203, 0, 113, 9);
        let server = stun::testing::server(external).await.to_string();
        let local = [ip("127.0.0.1"), ip("127.0.0.2")];
        let found = seen(&local, &[server], Duration::from_secs(30)).await.unwrap();
        assert_eq!(found, local.map(|l| (l, Some(external.into()))));
    }

    #[tokio::test]
    async fn fixed_addresses_are_told_as_they_are_and_impossible_filters_are_refused() {
        let fixed = Announce { fixed: vec![ip("192.0.2.1")], external: true, ..Announce::default() };
        assert_eq!(fixed.addresses().await.unwrap(), [ip("192.0.2.1")]);
        assert!(Announce::default().addresses().await.unwrap().is_empty());
        let none = Announce { interfaces: list(&["nowhere0"]), ..Announce::default() };
        assert!(none.addresses().await.unwrap_err().to_string().contains("rtc.interfaces"));
    }
}
