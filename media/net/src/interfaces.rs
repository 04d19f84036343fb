//! Addresses of this host that clients may reach.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddress {
    /// Name of the interface, e.g. `eth0`.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
}

/// Addresses of the interfaces that are up, without loopback and link-local ones.
#[must_use]
pub fn local_ips() -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for address in local_addresses() {
        if !ips.contains(&address.ip) {
            ips.push(address.ip);
        }
    }
    ips
}

/// As [`local_ips`], with the interfaces they belong to.
#[must_use]
pub fn local_addresses() -> Vec<LocalAddress> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: on success `list` points to a list that is freed below and not used afterwards.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: `at` is an entry of the list, which is alive until `freeifaddrs`.
        let entry = unsafe { &*at };
        at = entry.ifa_next;
        let flags = entry.ifa_flags;
        let up = flags & libc::IFF_UP as u32 != 0 && flags & libc::IFF_RUNNING as u32 != 0;
        if entry.ifa_addr.is_null() || !up || flags & libc::IFF_LOOPBACK as u32 != 0 {
            continue;
        }
        // SAFETY: the family says which structure the address is; reads stay inside it.
        let ip = unsafe {
            match libc::c_int::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let v4 = entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned();
                    IpAddr::V4(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()))
                }
                libc::AF_INET6 => {
                    let v6 = entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                    IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr))
                }
                _ => continue,
            }
        };
        if usable(ip) && !entry.ifa_name.is_null() {
            // SAFETY: the name is a C string that lives as long as the list.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) };
            found.push(LocalAddress { interface: name.to_string_lossy().into_owned(), ip });
        }
    }
    // SAFETY: the list came from `getifaddrs` and no reference into it remains.
    unsafe { libc::freeifaddrs(list) };
    found
}

fn usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// The addresses to write into SDP for a socket bound to `bind`.
///
/// `external` (the address of this node behind a one-to-one NAT) replaces everything else. A bind to one address
/// offers that one; a bind to all offers the interfaces, and loopback when there are none. `loopback` adds it anyway,
/// for clients on the same machine.
#[must_use]
pub fn candidate_ips(bind: SocketAddr, external: &[IpAddr], loopback: bool) -> Vec<IpAddr> {
    let mut ips = if !external.is_empty() {
        external.to_vec()
    } else if bind.ip().is_unspecified() {
        let v4_only = bind.is_ipv4();
        local_ips().into_iter().filter(|ip| ip.is_ipv4() || !v4_only).collect()
    } else {
        vec![bind.ip().to_canonical()]
    };
    if (ips.is_empty() || loopback) && (bind.ip().is_unspecified() || bind.ip().is_loopback()) {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        if !ips.contains(&ip) && !bind.ip().is_loopback() {
            ips.push(ip);
        }
    }
    let mut unique = Vec::with_capacity(ips.len());
    for ip in ips {
        if !unique.contains(&ip) {
            unique.push(ip);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bind_to_one_address_offers_that_one() {
        assert_eq!(candidate_ips(addr("127.0.0.1:1"), &[], true), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert_eq!(candidate_ips(addr("192.0.2.7:1"), &[], false), [addr("192.0.2.7:1").ip()]);
    }

    #[test]
    fn the_external_address_replaces_the_interfaces() {
        let external = [addr("203.0.113.9:1").ip()];
        assert_eq!(candidate_ips(addr("[::]:1"), &external, false), external);
        assert_eq!(candidate_ips(addr("[::]:1"), &external, true).len(), 2);
    }

    #[test]
    fn a_bind_to_all_always_offers_something() {
        let ips = candidate_ips(addr("0.0.0.0:1"), &[], false);
        assert!(!ips.is_empty());
        assert!(ips.iter().all(IpAddr::is_ipv4));
        assert!(candidate_ips(addr("[::]:1"), &[], true).contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn interfaces_carry_no_unusable_addresses() {
        assert!(local_ips().into_iter().all(usable));
    }
}
