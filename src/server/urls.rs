//! Addresses that people can type into a browser.

use std::net::{IpAddr, SocketAddr};

/// An address without the port where it is the usual one.
#[must_use]
pub fn url(scheme: &str, host: &str, port: u16) -> String {
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

/// Where a listener is reached. One that is bound to all addresses is on this machine, first, and at each of `known`:
/// the addresses that clients are told, one of which a browser elsewhere reaches.
#[must_use]
pub fn of(scheme: &str, bound: SocketAddr, known: &[SocketAddr]) -> Vec<String> {
    let of_ip = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V6(v6) => url(scheme, &format!("[{v6}]"), bound.port()),
        IpAddr::V4(v4) => url(scheme, &v4.to_string(), bound.port()),
    };
    if !bound.ip().is_unspecified() {
        return vec![of_ip(bound.ip())];
    }
    let mut urls = vec![url(scheme, "localhost", bound.port())];
    for address in known {
        let text = of_ip(address.ip());
        if !address.ip().is_loopback() && !address.ip().is_unspecified() && !urls.contains(&text) {
            urls.push(text);
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_named_so_that_others_reach_it() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let known = [at("192.0.2.5:1"), at("[2001:db8::5]:1"), at("127.0.0.1:1"), at("192.0.2.5:2")];
        let all = ["http://localhost:8090", "http://192.0.2.5:8090", "http://[2001:db8::5]:8090"];
        assert_eq!(of("http", at("[::]:8090"), &known), all);
        assert_eq!(of("https", at("0.0.0.0:443"), &known[..1]), ["https://localhost", "https://192.0.2.5"]);
        assert_eq!(of("http", at("127.0.0.1:8090"), &known), ["http://127.0.0.1:8090"]);
        assert_eq!(of("http", at("[::ffff:192.0.2.1]:80"), &known), ["http://192.0.2.1"]);
    }
}
