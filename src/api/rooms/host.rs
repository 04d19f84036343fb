//! Where clients reach the media server.

use axum::http::{HeaderMap, Uri, header, uri::Authority};

use crate::{api::ClientAddr, domain::settings::Settings};

/// The configured address, or this server as the client reached it. A page that came over https needs a secure scheme.
pub(super) fn livekit_host(
    settings: &Settings,
    headers: &HeaderMap,
    uri: &Uri,
    client: Option<ClientAddr>,
) -> String {
    let https_page = is_https_page(headers);
    if let Some(host) = settings.livekit.host.as_deref().filter(|host| !host.is_empty()) {
        return if https_page { secured(host) } else { host.to_owned() };
    }
    let asked = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|host| host.parse::<Authority>().ok()).or_else(|| uri.authority().cloned());
    // Credentials have no place in a host; without any host the client must be on this machine.
    let host = asked
        .filter(|host| !host.as_str().contains('@'))
        .map_or("localhost".to_owned(), |host| host.to_string());
    let scheme = if https_page || client.is_some_and(|client| client.https) { "https" } else { "http" };
    format!("{scheme}://{host}/livekit")
}

/// True when the page that asks was loaded over https.
fn is_https_page(headers: &HeaderMap) -> bool {
    let starts_https = |name| headers.get(name).map(|value| value.as_bytes().starts_with(b"https://"));
    starts_https(header::ORIGIN).or_else(|| starts_https(header::REFERER)).unwrap_or(false)
}

fn secured(host: &str) -> String {
    for (plain, secure) in [("ws://", "wss://"), ("http://", "https://")] {
        if let Some(rest) = host.strip_prefix(plain) {
            return format!("{secure}{rest}");
        }
    }
    host.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn host(configured: Option<&str>, headers: &[(HeaderName, &str)], https: bool) -> String {
        let mut settings = Settings::new("j", "s", "k", "v");
        settings.livekit.host = configured.map(str::to_owned);
        let headers = headers.iter().map(|(k, v)| (k.clone(), HeaderValue::from_str(v).unwrap())).collect();
        let client = ClientAddr { ip: [127, 0, 0, 1].into(), https };
        livekit_host(&settings, &headers, &Uri::from_static("/x"), Some(client))
    }

    #[test]
    fn a_configured_host_is_secured_for_https_pages_only() {
        let page = |origin: &'static str| vec![(header::ORIGIN, origin)];
        assert_eq!(host(Some("ws://lk:7072"), &[], false), "ws://lk:7072");
        assert_eq!(host(Some("ws://lk:7072"), &page("https://a.example"), false), "wss://lk:7072");
        assert_eq!(host(Some("http://lk/livekit"), &page("https://a.example"), false), "https://lk/livekit");
        assert_eq!(host(Some("wss://lk"), &page("http://a.example"), false), "wss://lk");
        let referer = [(header::REFERER, "https://a.example/m/x")];
        assert_eq!(host(Some("ws://lk"), &referer, false), "wss://lk");
    }

    #[test]
    fn without_configuration_it_is_where_the_client_came_to() {
        assert_eq!(
            host(None, &[(header::HOST, "meet.example:8090")], false),
            "http://meet.example:8090/livekit"
        );
        assert_eq!(host(None, &[(header::HOST, "meet.example")], true), "https://meet.example/livekit");
        assert_eq!(host(None, &[(header::HOST, "[::1]:8090")], false), "http://[::1]:8090/livekit");
        assert_eq!(host(None, &[(header::HOST, "user:pw@evil")], false), "http://localhost/livekit");
        assert_eq!(host(None, &[], false), "http://localhost/livekit");
    }
}
