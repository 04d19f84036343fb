//! One HTTP/1.1 connection, and what is true for every request on it.

use super::client_ip::TrustedProxies;
use super::connections::{Connections, Permit};
use super::head::{Answered, Exchange, Gate, HeadLimits, MAX_HEADERS, Refusal};
use super::patience::Patience;
use super::shutdown::Guard;
use crate::api::ClientAddr;
use crate::intake::Intake;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt as _;

/// Header with the id under which a request is logged.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Browsers that once had a valid certificate of this host come by https from then on. Half a year, renewed by each answer;
/// they heed it only where they accepted the certificate without asking.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=15552000");

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
    /// Open connections and sessions; shared between ports.
    pub connections: Arc<Connections>,
    /// Memory for bodies; shared between ports.
    pub intake: Intake,
}

/// Limits of one connection.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Of request heads.
    pub head: HeadLimits,
    /// Time until the answer begins, unless its handler asks for more ([`Patience`]); `None`: no limit.
    pub answer: Option<Duration>,
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

/// Serves requests until the connection ends or stopping has begun and the current request is answered. `deadline` is
/// that of the first head.
pub async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    scheme: Scheme,
    service: &Service,
    guard: &Guard,
    permit: Permit,
    deadline: Option<tokio::time::Instant>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Times and sizes of heads are the gate's.
    builder.header_read_timeout(None).max_buf_size(PARSER_BUFFER).max_headers(MAX_HEADERS).half_close(false);
    let evicted = permit.evicted();
    let exchange = Exchange::new(permit);
    let gate = Gate::new(stream, exchange.clone(), service.limits.head.clone(), deadline);
    let handler = hyper::service::service_fn(|request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        // At once, before the parser reads on.
        let begun = exchange.begin(&mut request);
        let exchange = &exchange;
        let stays = begun.refusal.is_none() && keeps_alive(&request);
        async move {
            let mut response = match begun.refusal {
                Some(refusal) => refused(refusal, peer, service),
                None => answer(request, peer, scheme, service).await,
            };
            if begun.last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS && !exchange.upgrade() {
                response = no_session();
            }
            announce_idle_time(&mut response, service.limits.head.idle.filter(|_| stays));
            let answered = begun.answered;
            Ok::<_, Infallible>(response.map(|body| Tracked { body, _answered: answered }))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(gate), handler).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => log_end(result),
        () = evicted => tracing::debug!(%peer, "connection ended to make room for another"),
        () = guard.stopped() => {
            connection.as_mut().graceful_shutdown();
            if let Ok(result) = tokio::time::timeout(service.limits.drain, connection).await {
                log_end(result);
            }
        }
    }
}

/// What the parser may keep of one connection, bytes: the longest address it takes, and the rest of a head.
const PARSER_BUFFER: usize = 128 * 1024;

/// A head that was not read to its end.
fn refused(refusal: Refusal, peer: SocketAddr, service: &Service) -> Response<Body> {
    let id = service.ids.next();
    let mut response = refusal.response();
    tracing::debug!(id, status = response.status().as_u16(), %peer, "request head refused");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn no_session() -> Response<Body> {
    let wait = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
    (StatusCode::SERVICE_UNAVAILABLE, wait, "too many open sessions").into_response()
}

/// True unless the client wants to close the connection after the answer.
fn keeps_alive(request: &Request<Body>) -> bool {
    let values = request.headers().get_all(header::CONNECTION).iter().filter_map(|v| v.to_str().ok());
    let mut options = values.flat_map(|v| v.split(',')).map(str::trim);
    match request.version() {
        Version::HTTP_10 => options.any(|o| o.eq_ignore_ascii_case("keep-alive")),
        _ => !options.any(|o| o.eq_ignore_ascii_case("close")),
    }
}

/// Proxies reuse idle connections: they must know when we close them.
fn announce_idle_time(response: &mut Response<Body>, idle: Option<Duration>) {
    let Some(idle) = idle.filter(|_| response.status() != StatusCode::SWITCHING_PROTOCOLS) else { return };
    let headers = response.headers_mut();
    if !headers.contains_key(header::CONNECTION)
        && let Ok(value) = HeaderValue::from_str(&format!("timeout={}", idle.as_secs()))
    {
        headers.insert(KEEP_ALIVE, value);
    }
}

/// The body of an answer; the request is over when it is dropped.
struct Tracked {
    body: Body,
    _answered: Answered,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
    } else if request.headers().contains_key(header::UPGRADE) && service.connections.sessions_full() {
        no_session()
    } else {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(ClientAddr { ip: client, https: secure });
        if let Some(prefix) = prefix {
            extensions.insert(prefix);
        }
        let patience = Patience::default();
        extensions.insert(patience.clone());
        extensions.insert(service.intake.clone());
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
