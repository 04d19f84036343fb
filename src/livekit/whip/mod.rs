//! WHIP (RFC 9725) and WHEP: publishing to a room and watching one with an address and a bearer token.

mod answer;
mod location;

use super::LiveKit;
use super::auth::authenticate;
use super::with_slash;
use crate::api::ClientAddr;
use crate::auth::media_token::Claims;
use crate::intake::{self, Intake, ReadError, Sender};
use crate::livekit::query::Pairs;
use crate::server::client_ip::ForwardedPrefix;
use crate::server::health::unix_seconds;
use answer::{Failure, SDP, SDP_FRAGMENT};
use axum::Router;
use axum::extract::{Extension, OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, patch};
use bedrud_media::{
    ClientContext, JoinParams, OneShotReply, OneShotRequest, OneShotRole, OneShotSession, PlayWish,
    SignalPath,
};
use std::time::Duration;
use tower_http::cors::ExposeHeaders;

/// Largest body, bytes.
const MAX_BODY: usize = 1 << 20;
/// A session that is not decided by then has failed.
const OPEN_TIMEOUT: Duration = Duration::from_secs(12);
/// Values of `participant` and of `track` in one address.
const MAX_WISHES: usize = 64;

type Client = Option<Extension<ClientAddr>>;

/// Which of the two an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Whip,
    Whep,
}

/// All routes, without prefix.
pub(super) fn router() -> Router<LiveKit> {
    let of = |endpoint: Endpoint, base: &str| {
        let routes = with_slash(Router::new(), base, get(nothing).post(open));
        let session = format!("{base}/{{participant_id}}");
        with_slash(routes, &session, patch(change).delete(close).get(nothing)).layer(Extension(endpoint))
    };
    let exposed = [header::LOCATION, header::LINK, header::ETAG, answer::ACCEPT_PATCH, answer::ACCEPT_POST];
    of(Endpoint::Whip, "/whip/v1")
        .merge(of(Endpoint::Whep, "/whep/v1"))
        .layer(super::cors().expose_headers(ExposeHeaders::list(exposed)))
        .layer(middleware::from_fn(accept_post))
}

/// RFC 9725 section 4.2: what may be posted, for those who ask first.
async fn accept_post(request: Request, next: Next) -> Response {
    let asks = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if asks {
        response.headers_mut().insert(answer::ACCEPT_POST, HeaderValue::from_static(SDP));
    }
    response
}

/// GET and HEAD are reserved (RFC 9725 section 4.1).
async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn open(
    State(livekit): State<LiveKit>,
    Extension(endpoint): Extension<Endpoint>,
    client: Client,
    prefix: Option<Extension<ForwardedPrefix>>,
    OriginalUri(uri): OriginalUri,
    query: Pairs,
    request: Request,
) -> Result<Response, Failure> {
    let headers = request.headers().clone();
    let claims = bearer(&livekit, &headers, &query)?;
    expect_type(&headers, SDP)?;
    let offer = text(request).await?;
    let role = match endpoint {
        Endpoint::Whip => OneShotRole::Publish,
        Endpoint::Whep => OneShotRole::Play(wish(&query)?),
    };
    let user_agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let context = ClientContext {
        address: client.map(|c| c.ip.to_string()).unwrap_or_default(),
        user_agent: user_agent.to_owned(),
        validating: false,
    };
    let token = super::auth::digest(&headers, query.value("access_token"));
    let mut params = JoinParams { token, ..JoinParams::from_query(SignalPath::V0, [], claims, &context)? };
    livekit.admit(&mut params, false).await?;
    let request = OneShotRequest::Open { params: Box::new(params), role, offer };
    let opened = tokio::time::timeout(OPEN_TIMEOUT, livekit.0.sfu.one_shot(request)).await;
    match opened
        .map_err(|_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the session could not start"))??
    {
        OneShotReply::Opened(opened) => {
            let prefix = prefix.as_deref();
            let location = location::reference(uri.path(), &opened.sid, prefix, &headers);
            Ok(answer::created(&location, &opened))
        }
        _ => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected answer")),
    }
}

async fn change(
    State(livekit): State<LiveKit>,
    Path(sid): Path<String>,
    query: Pairs,
    request: Request,
) -> Result<Response, Failure> {
    let headers = request.headers().clone();
    let session = session(&livekit, sid, &headers, &query)?;
    expect_type(&headers, SDP_FRAGMENT)?;
    let if_match = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()).map(str::trim);
    let Some(if_match) = if_match.filter(|v| !v.is_empty()) else {
        return Err(Failure::new(StatusCode::PRECONDITION_REQUIRED, "missing entity tag"));
    };
    let request =
        OneShotRequest::Patch { session, if_match: if_match.to_owned(), fragment: text(request).await? };
    match livekit.0.sfu.one_shot(request).await? {
        OneShotReply::Restarted { fragment, ice_session } => Ok(answer::restarted(fragment, &ice_session)),
        _ => Ok(answer::empty(StatusCode::NO_CONTENT)),
    }
}

async fn close(
    State(livekit): State<LiveKit>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Failure> {
    let session = session(&livekit, sid, &headers, &query)?;
    livekit.0.sfu.one_shot(OneShotRequest::Close { session }).await?;
    Ok(answer::empty(StatusCode::OK))
}

/// The address of a session is no secret: whoever changes it shows the token of the same participant.
fn session(
    livekit: &LiveKit,
    sid: String,
    headers: &HeaderMap,
    query: &Pairs,
) -> Result<OneShotSession, Failure> {
    let claims = bearer(livekit, headers, query)?;
    let room = claims.video.as_ref().map(|v| v.room.clone()).unwrap_or_default();
    Ok(OneShotSession { room, room_id: claims.room_id.clone(), identity: claims.identity().to_owned(), sid })
}

/// A token that allows joining a room.
fn bearer(livekit: &LiveKit, headers: &HeaderMap, query: &Pairs) -> Result<Claims, Failure> {
    let refuse = |text: &str| Failure::new(StatusCode::UNAUTHORIZED, text);
    let claims = authenticate(headers, query.value("access_token"), &livekit.0.keys, unix_seconds())
        .map_err(|e| refuse(&e.0))?;
    let joins = |c: &Claims| c.video.as_ref().is_some_and(|v| v.room_join);
    let claims = claims.filter(joins).ok_or_else(|| refuse("permissions denied"))?;
    if claims.video.as_ref().is_none_or(|v| v.room.is_empty()) {
        return Err(refuse("room name cannot be empty"));
    }
    Ok(claims)
}

fn expect_type(headers: &HeaderMap, expected: &str) -> Result<(), Failure> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the content type must be {expected}")))
}

async fn text(request: Request) -> Result<String, Failure> {
    let intake = Intake::of(request.extensions());
    let body = intake::read(request.into_body(), MAX_BODY, &intake, Sender::Known).await;
    let body = body.map_err(|error| match error {
        ReadError::TooLarge => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("request body exceeds {MAX_BODY} bytes"))
        }
        ReadError::Busy => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "no memory for the offer now, try again")
        }
        ReadError::Broken => Failure::new(StatusCode::BAD_REQUEST, "the body could not be read"),
    })?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "the body is no text"))?;
    if text.trim().is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "the body is empty"));
    }
    Ok(text.to_owned())
}

/// `?participant=<identity>` and `?track=<sid>`, each as often as wanted.
fn wish(query: &Pairs) -> Result<PlayWish, Failure> {
    let values = |name: &str| -> Vec<String> {
        query.iter().filter(|(k, v)| *k == name && !v.is_empty()).map(|(_, v)| v.to_owned()).collect()
    };
    let wish = PlayWish { participants: values("participant"), tracks: values("track") };
    if wish.participants.len() > MAX_WISHES || wish.tracks.len() > MAX_WISHES {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "too many participants or tracks are named"));
    }
    Ok(wish)
}

#[cfg(test)]
mod tests;
