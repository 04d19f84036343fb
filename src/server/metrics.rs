//! `/metrics`: who may read it, and where.

use super::edge::Edge;
use super::listen;
use crate::auth::authorization;
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::config::media::MediaConfig;
use crate::metrics::{CONTENT_TYPE, Metrics};
use anyhow::bail;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// Path.
const PATH: &str = "/metrics";
/// A media server that does not answer within this time is in trouble.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Who may read.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who reaches the port.
    Open,
    /// Those with user name and password, joined by a colon.
    Basic(Secret),
    /// Those with the token.
    Bearer(Secret),
}

impl Access {
    fn allows(&self, headers: &HeaderMap) -> bool {
        let same = |given: &[u8], expected: &Secret| bool::from(given.ct_eq(expected.as_bytes()));
        match self {
            Self::Open => true,
            Self::Basic(expected) => {
                let given =
                    authorization::credentials(headers, "Basic").and_then(|v| STANDARD.decode(v).ok());
                given.is_some_and(|given| same(&given, expected))
            }
            Self::Bearer(expected) => {
                authorization::bearer(headers).is_some_and(|given| same(given.as_bytes(), expected))
            }
        }
    }

    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Basic(_) => r#"Basic realm="metrics""#,
            Self::Bearer(_) | Self::Open => r#"Bearer realm="metrics""#,
        })
    }
}

/// The route.
pub fn router(metrics: Metrics, access: Access) -> Router {
    Router::new().route(PATH, get(answer)).with_state((metrics, access))
}

/// A listener that has nothing else shows them on every path, as the reference server does.
fn everywhere(metrics: Metrics, access: Access) -> Router {
    Router::new().fallback(answer).with_state((metrics, access))
}

async fn answer(State((metrics, access)): State<(Metrics, Access)>, headers: HeaderMap) -> Response {
    if !access.allows(&headers) {
        let challenge = [(header::WWW_AUTHENTICATE, access.challenge())];
        return (StatusCode::UNAUTHORIZED, challenge, "credentials are needed\n").into_response();
    }
    match tokio::time::timeout(TIMEOUT, metrics.render()).await {
        Ok(Some(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the media server does not answer\n").into_response(),
    }
}

/// Counts joins and the calls of the server API on their way through these routes.
pub fn count_calls(routes: Router, metrics: Metrics) -> Router {
    routes.layer(middleware::from_fn_with_state(metrics, count))
}

#[allow(clippy::disallowed_methods, reason = "the server is the edge")]
async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let twirp = request.uri().path().strip_prefix("/twirp/").map(str::to_owned);
    let start = Instant::now();
    let response = next.run(request).await;
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(joined) = response.extensions().get::<crate::livekit::Joined>() {
        metrics.joins().count(joined.protocol, millis);
    }
    let Some(path) = twirp else { return response };
    let code = response.extensions().get::<crate::livekit::ErrorCode>().map_or("", |code| code.0);
    metrics.calls().count(&path, response.status().as_u16(), code, millis);
    response
}

/// Opens the listeners that LiveKit's configuration asks for, at the addresses of the main port.
///
/// # Errors
/// Half of the credentials, or a taken port.
pub fn serve_media(
    edge: &Edge,
    settings: &MediaConfig,
    ips: &[IpAddr],
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let prometheus = &settings.prometheus;
    let port = if settings.prometheus_port > 0 { settings.prometheus_port } else { prometheus.port };
    if port == 0 {
        return Ok(());
    }
    let access = match (prometheus.username.is_empty(), prometheus.password.is_empty()) {
        (true, true) => Access::Open,
        (false, false) => {
            let pair = format!("{}:{}", prometheus.username, prometheus.password.reveal());
            Access::Basic(Secret::new(pair))
        }
        _ => bail!("prometheus.username and prometheus.password belong together: set both, or neither"),
    };
    for ip in ips {
        serve(edge, SocketAddr::new(*ip, port), metrics, &access)?;
    }
    Ok(())
}

/// Opens the listener that the platform's configuration asks for, or returns the route for the main port.
///
/// # Errors
/// A taken address.
pub fn serve_platform(edge: &Edge, config: &Config, metrics: &Metrics) -> anyhow::Result<Option<Router>> {
    let settings = &config.metrics;
    let access = match settings.token.is_empty() {
        true => Access::Open,
        false => Access::Bearer(settings.token.reveal().into()),
    };
    if let Ok(address) = settings.address.parse() {
        serve(edge, address, metrics, &access)?;
        return Ok(None);
    }
    let routes = || router(metrics.clone(), access);
    Ok((!settings.token.is_empty()).then(routes))
}

fn serve(edge: &Edge, address: SocketAddr, metrics: &Metrics, access: &Access) -> anyhow::Result<()> {
    let routes = everywhere(metrics.clone(), access.clone());
    let listener = listen::bind(address)?;
    tracing::info!(address = %listener.local_addr()?, "metrics");
    edge.serve(listener, routes, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use bedrud_media::{Sfu, SfuConfig};
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn listener_of_its_own_answers_on_every_path() {
        let sfu = Sfu::start(SfuConfig::bound_to(([127, 0, 0, 1], 0).into())).unwrap();
        let routes = everywhere(Metrics::new(sfu, 0), Access::Basic("prom:secret".into()));
        for path in ["/", "/metrics", "/any/where"] {
            for (credentials, status) in [("prom:secret", 200), ("prom:wrong", 401)] {
                let request = Request::get(path)
                    .header("authorization", format!("Basic {}", STANDARD.encode(credentials)))
                    .body(Body::empty())
                    .unwrap();
                assert_eq!(routes.clone().oneshot(request).await.unwrap().status(), status, "{path}");
            }
        }
    }

    fn header_of(value: &str) -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn only_the_right_credentials_open_the_door() {
        let basic = Access::Basic("prom:se:cret".into());
        assert!(basic.allows(&header_of(&format!("Basic {}", STANDARD.encode("prom:se:cret")))));
        let bearer = Access::Bearer("0123456789abcdef".into());
        assert!(bearer.allows(&header_of("bearer 0123456789abcdef")));
        for wrong in ["", "Basic", "Basic !!!", "Bearer ", "Bearer 0123456789abcde", "Basic 0123456789abcdef"]
        {
            assert!(!basic.allows(&header_of(wrong)) && !bearer.allows(&header_of(wrong)), "{wrong}");
        }
        assert!(!bearer.allows(&HeaderMap::new()));
        assert!(Access::Open.allows(&HeaderMap::new()));
    }
}
