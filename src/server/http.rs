//! One HTTP/1.1 connection, and what is true for every request on it.

use super::client_ip::TrustedProxies;
use super::patience::Patience;
use super::shutdown::Guard;
use crate::api::ClientAddr;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt as _;

/// Header with the id under which a request is logged.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Browsers that once had a valid certificate of this host come by https from then on. Half a year, renewed by each answer;
/// they heed it only where they accepted the certificate without asking.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=15552000");
/// Header lines of one request.
const MAX_HEADERS: usize = 100;

/// How the request came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP, and that is all there is.
    Http,
    /// Inside TLS.
    Https,
    /// Plain HTTP on a port that also speaks TLS: answered with a redirect.
    PlainBesideTls,
}

/// What connections need to serve requests.
#[derive(Clone)]
pub struct Service {
    /// All routes.
    pub routes: Router,
    /// Who may name the client address.
    pub proxies: Arc<TrustedProxies>,
    /// Limits.
    pub limits: HttpLimits,
    /// Numbers requests; shared between ports.
    pub ids: Arc<RequestIds>,
}

/// Limits of one connection.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Time for a request head, also the longest idle time between requests; `None`: no limit.
    pub head: Option<Duration>,
    /// Time until the answer begins, unless its handler asks for more ([`Patience`]); `None`: no limit.
    pub answer: Option<Duration>,
    /// Largest request head, bytes.
    pub head_bytes: usize,
    /// Time for open requests once stopping has begun.
    pub drain: Duration,
}

/// Ids that are unique within a process and do not repeat soon across restarts.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// `prefix` should be random.
    #[must_use]
    pub const fn new(prefix: u32) -> Self {
        Self { prefix, next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves requests until the connection ends or stopping has begun and the current request is answered.
pub async fn serve<S>(stream: S, peer: SocketAddr, scheme: Scheme, service: &Service, guard: &Guard)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(service.limits.head)
        .max_buf_size(service.limits.head_bytes.max(8192))
        .max_headers(MAX_HEADERS)
        .half_close(false);
    let handler = hyper::service::service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request.map(Body::new), peer, scheme, service).await)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), handler).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => log_end(result),
        () = guard.stopped() => {
            connection.as_mut().graceful_shutdown();
            if let Ok(result) = tokio::time::timeout(service.limits.drain, connection).await {
                log_end(result);
            }
        }
    }
}

fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    mut request: Request<Body>,
    peer: SocketAddr,
    scheme: Scheme,
    service: &Service,
) -> Response<Body> {
    let started = now();
    let id = service.ids.next();
    let client = service.proxies.client_ip(peer.ip(), request.headers());
    let secure = scheme == Scheme::Https || service.proxies.forwarded_https(peer.ip(), request.headers());
    let prefix = service.proxies.forwarded_prefix(peer.ip(), request.headers());
    collapse_leading_slashes(request.uri_mut());
    let method = request.method().clone();
    // The query may hold tokens: only the path is ever logged.
    let path = request.uri().path().to_owned();
    let mut response = if scheme == Scheme::PlainBesideTls && !secure {
        redirect_to_https(&request, None)
    } else {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(ClientAddr { ip: client, https: secure });
        if let Some(prefix) = prefix {
            extensions.insert(prefix);
        }
        let patience = Patience::default();
        extensions.insert(patience.clone());
        let routed = service.routes.clone().oneshot(request);
        let result = match service.limits.answer {
            Some(limit) => patience.wait(limit, routed).await,
            None => Some(routed.await),
        };
        match result {
            Some(Ok(response)) => response,
            Some(Err(never)) => match never {},
            None => (StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
        }
    };
    if scheme == Scheme::Https {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let ms = u64::try_from(now().duration_since(started).as_millis()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(id, %method, path, status, ms, "request failed");
    } else {
        tracing::debug!(id, %method, path, status, ms, %client, "request");
    }
    response
}

/// `//rtc` is `/rtc`: clients join a base address ending in a slash with an absolute path.
fn collapse_leading_slashes(uri: &mut Uri) {
    if !uri.path().starts_with("//") {
        return;
    }
    let rest = uri.path().trim_start_matches('/');
    let text = match uri.query() {
        Some(query) => format!("/{rest}?{query}"),
        None => format!("/{rest}"),
    };
    if let Ok(path) = PathAndQuery::try_from(text) {
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = Some(path);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

/// Sends a client from plain HTTP to HTTPS; `port` replaces the one in the request.
#[must_use]
pub fn redirect_to_https(request: &Request<Body>, port: Option<u16>) -> Response<Body> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let location = host.filter(|h| !h.is_empty()).and_then(|host| {
        let host = match port {
            None => host.to_owned(),
            Some(port) => {
                let bare =
                    host.rsplit_once(':').filter(|(_, p)| p.parse::<u16>().is_ok()).map_or(host, |(h, _)| h);
                if port == 443 { bare.to_owned() } else { format!("{bare}:{port}") }
            }
        };
        HeaderValue::from_str(&format!("https://{host}{path}")).ok()
    });
    match location {
        // 308 keeps the method, so that an API call is not silently turned into a GET.
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "this port speaks HTTPS").into_response(),
    }
}

#[allow(clippy::disallowed_methods, reason = "the listener is the edge")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_slashes_collapse_and_the_query_stays() {
        for (from, to) in [
            ("//rtc?access_token=x", "/rtc?access_token=x"),
            ("///rtc/v1", "/rtc/v1"),
            ("/rtc//v1", "/rtc//v1"),
            ("/", "/"),
        ] {
            let mut uri: Uri = format!("http://h{from}").parse().unwrap();
            collapse_leading_slashes(&mut uri);
            assert_eq!(uri.path_and_query().unwrap().as_str(), to);
        }
    }

    #[test]
    fn redirects_keep_host_and_path() {
        let location = |host: &str, port| {
            let request =
                Request::builder().uri("/m/x?y=1").header("host", host).body(Body::empty()).unwrap();
            let response = redirect_to_https(&request, port);
            assert_eq!(response.status(), 308);
            response.headers()["location"].to_str().unwrap().to_owned()
        };
        assert_eq!(location("a.example:8090", None), "https://a.example:8090/m/x?y=1");
        assert_eq!(location("a.example:80", Some(443)), "https://a.example/m/x?y=1");
        assert_eq!(location("[::1]", Some(8443)), "https://[::1]:8443/m/x?y=1");
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert_eq!(redirect_to_https(&request, None).status(), 400);
    }
}
