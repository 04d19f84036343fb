//! Where events go.

use axum::http::Uri;

/// A receiver's address. Its `Debug` and [`Endpoint::shown`] leave the query out: secrets like to live there.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    shown: String,
    https: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Endpoint {
    /// Reads an absolute `http` or `https` URL.
    ///
    /// # Errors
    /// What the URL must be instead; the URL itself is not repeated.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "must be a URL")?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("must begin with http:// or https://"),
        };
        let authority = uri.authority().ok_or("must name a host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user name or password: receivers check the signature");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("must name a host");
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(':') || !https => 80,
            None => 443,
        };
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let scheme = if https { "https" } else { "http" };
        Ok(Self {
            url: url.trim().to_owned(),
            shown: format!("{scheme}://{authority}{}", uri.path()),
            https,
            host,
            port,
            authority: authority.to_string(),
            path: if path.starts_with('/') { path } else { format!("/{path}") },
        })
    }

    /// As configured.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For logs: without the query.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn https(&self) -> bool {
        self.https
    }

    /// Host name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, the scheme's own if none is given.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// For the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, https, host, port, path) in [
            ("http://hooks.example", false, "hooks.example", 80, "/"),
            ("https://hooks.example/a/b?token=x", true, "hooks.example", 443, "/a/b?token=x"),
            ("http://[::1]:8080/a", false, "::1", 8080, "/a"),
            ("http://127.0.0.1:1?x=y", false, "127.0.0.1", 1, "/?x=y"),
        ] {
            let e = Endpoint::parse(url).unwrap();
            assert_eq!((e.https(), e.host(), e.port(), e.path()), (https, host, port, path), "{url}");
        }
    }

    #[test]
    fn secrets_of_the_query_are_not_shown() {
        let e = Endpoint::parse("https://hooks.example/a?token=hunter2").unwrap();
        assert_eq!(e.shown(), "https://hooks.example/a");
        assert!(!format!("{e:?}").contains("hunter2"));
    }

    #[test]
    fn other_things_are_refused() {
        for url in ["", "hooks.example", "ftp://a", "/path", "http://", "http://u:p@a/", "http://a b/"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
