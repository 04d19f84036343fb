//! LiveKit's HTTP surface: signalling sockets and the server API, as unmodified SDKs expect them.

mod agents;
mod auth;
mod query;
mod rtc;
mod socket;
mod twirp;
mod whip;
mod wire;

pub(crate) use agents::{AgentFigures, DispatchStats};
pub(crate) use rtc::Joined;
pub(crate) use twirp::ErrorCode;

use self::agents::Agents;
use crate::auth::media_token::{self, ApiKeys, Claims};
use crate::domain::Platform;
use crate::domain::rooms::{self, Admitted, ConnectError, Refusal, Shown};
use crate::server::health::unix_seconds;
use crate::server::shutdown::Guard;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use bedrud_media::{JoinError, JoinParams, MAX_SIGNAL_MESSAGE, Sfu};
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// A refreshed token lives at least this long, seconds.
const MIN_REFRESH_LIFE: i64 = 600;
/// How long browsers may remember the answer to a preflight request.
const PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);

/// The media server as its HTTP surface sees it. Cloning is cheap.
#[derive(Clone)]
pub struct LiveKit(Arc<Inner>);

struct Inner {
    sfu: Sfu,
    keys: ApiKeys,
    limits: HttpLimits,
    guard: Guard,
    platform: Option<Arc<Platform>>,
    agents: Agents,
}

/// Sizes of what is read from the network before anybody can judge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Body of a server API call, bytes.
    pub body: usize,
    /// Message of an agent worker, bytes.
    pub agent_message: usize,
    /// Signalling message of a client, bytes.
    pub signal_message: usize,
    /// Token that a client can show again, bytes.
    pub token: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body: 10 << 20,
            agent_message: 2 << 20,
            signal_message: MAX_SIGNAL_MESSAGE,
            token: media_token::longest(576 << 10),
        }
    }
}

impl LiveKit {
    /// Must be called on a Tokio runtime, which the dispatcher of agents runs on.
    #[must_use]
    pub fn new(sfu: Sfu, keys: ApiKeys, limits: HttpLimits, guard: Guard) -> Self {
        Self::with(sfu, keys, limits, guard, None)
    }

    /// As [`LiveKit::new`], with a platform whose bans and ended rooms count at each connect.
    #[must_use]
    pub fn of_platform(
        sfu: Sfu,
        keys: ApiKeys,
        limits: HttpLimits,
        guard: Guard,
        platform: Arc<Platform>,
    ) -> Self {
        Self::with(sfu, keys, limits, guard, Some(platform))
    }

    fn with(
        sfu: Sfu,
        keys: ApiKeys,
        limits: HttpLimits,
        guard: Guard,
        platform: Option<Arc<Platform>>,
    ) -> Self {
        let agents = Agents::start(&sfu, keys.clone(), guard.clone());
        Self(Arc::new(Inner { sfu, keys, limits, guard, platform, agents }))
    }

    /// Asks the platform again, because a token outlives a sign-in, a ban and its room. Agents and the like, whom the
    /// platform does not know, get in by their tokens alone. Completes what the media server is told of the join.
    async fn admit(&self, params: &mut JoinParams, rehearsal: bool) -> Result<(), JoinError> {
        let Some(platform) = &self.0.platform else { return Ok(()) };
        let claims = &params.claims;
        let shown = Shown {
            room: claims.video.as_ref().map_or("", |v| v.room.as_str()).to_owned(),
            room_id: claims.room_id.clone(),
            identity: claims.identity().to_owned(),
            session_id: claims.session_id.clone(),
            rehearsal,
        };
        let refuse = |status, message: &str| Err(JoinError { status, message: message.to_owned() });
        match rooms::connect(platform, shown).await {
            Ok(admitted) => {
                if let Some(Admitted { room_id, member }) = admitted {
                    params.claims.room_id = room_id;
                    params.member = member;
                }
                Ok(())
            }
            // SDKs know these words, and give up instead of trying the older path.
            Err(ConnectError::Refused(Refusal::Inactive | Refusal::NotOpen)) => {
                refuse(404, "requested room does not exist")
            }
            Err(why @ ConnectError::SessionEnded) => refuse(401, &why.to_string()),
            Err(why @ (ConnectError::Refused(_) | ConnectError::Deactivated)) => {
                refuse(403, &why.to_string())
            }
            Err(ConnectError::Db(error)) => {
                tracing::error!(%error, "cannot check who may connect");
                refuse(503, "access cannot be checked now, try again")
            }
        }
    }

    /// Figures of agents, for those who count.
    pub(crate) fn agent_figures(&self) -> AgentFigures {
        self.0.agents.figures()
    }

    /// The media server.
    #[must_use]
    pub fn sfu(&self) -> &Sfu {
        &self.0.sfu
    }

    /// Signs the claims of a session for its client to reconnect with. It lives at least ten minutes and as long as
    /// the token it replaces.
    fn refresh(&self, mut claims: Claims) -> Option<String> {
        let now = unix_seconds();
        let keys = &self.0.keys;
        let known = claims.iss.as_deref().filter(|key| keys.secret(key).is_some()).map(str::to_owned);
        let key = known.or_else(|| keys.iter().next().map(|(key, _)| key.to_owned()))?;
        claims.exp = Some(claims.exp.unwrap_or(0).max(now + MIN_REFRESH_LIFE));
        claims.nbf = Some(now);
        let sign = |claims: &Claims| {
            media_token::sign(claims, &key, keys)
                .inspect_err(|error| tracing::warn!(%error, "cannot sign a refreshed token"))
                .ok()
        };
        let token = sign(&claims)?;
        if token.len() <= self.0.limits.token {
            return Some(token);
        }
        // Possible only without limits of metadata and attributes. A session that starts over without them is better than
        // none.
        tracing::warn!(
            bytes = token.len(),
            "metadata is too large for a token: a full reconnect will lose it"
        );
        claims.metadata.clear();
        claims.attributes.clear();
        sign(&claims)
    }

    /// As [`crate::server::media_only`] serves it.
    #[cfg(test)]
    fn alone(&self) -> Router {
        use crate::server::{health, router};
        router::media_only(self.router(), health::alive(health::media_probe(self.sfu())))
    }

    /// All routes, without prefix.
    pub fn router(&self) -> Router {
        let validate = with_slash(Router::new(), "/rtc/validate", get(rtc::validate_v0));
        let validate = with_slash(validate, "/rtc/v1/validate", get(rtc::validate_v1));
        let validate = validate.layer(cors()).layer(middleware::from_fn(any_origin));
        let routes = with_slash(Router::new(), "/rtc", get(rtc::socket_v0));
        let routes = with_slash(routes, "/rtc/v1", get(rtc::socket_v1));
        let routes = with_slash(routes, "/agent", get(agents::connect));
        let twirp = post(twirp::call).fallback(twirp::bad_route);
        with_slash(routes, "/twirp/{service}/{method}", twirp)
            .layer(cors())
            .merge(validate)
            .merge(whip::router())
            .with_state(self.clone())
    }
}

/// A route that answers with a slash at its end as without: addresses are typed in by people, and joined by programs.
fn with_slash(router: Router<LiveKit>, path: &str, methods: MethodRouter<LiveKit>) -> Router<LiveKit> {
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}

/// Any origin, as the reference server does: the token decides, not the page.
pub(crate) fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([
            Method::OPTIONS,
            Method::HEAD,
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::any())
        .max_age(PREFLIGHT_AGE)
}

/// SDKs read the refusal of a join here, so every answer must be readable from every page.
async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

#[cfg(test)]
mod tests;
