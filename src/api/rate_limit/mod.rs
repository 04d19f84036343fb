//! Requests per client in fixed windows, for each route by itself. Failures are limited hard, successes generously:
//! whole offices and schools come from one address.

mod buckets;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use self::buckets::{Allowance, Buckets, Entry, Left, Outcome, Ticket};
use crate::{
    api::{AppState, ClientAddr, error::ApiError},
    domain::settings::RateLimit,
};

/// How long a request may wait for the outcome of others of the same client.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// A wake-up that was missed costs no more than this.
const LOOK: Duration = Duration::from_millis(200);

/// What sort of route it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    /// Text of the refusal.
    text: &'static str,
    /// Requests in all for each failure that is allowed.
    generosity: u32,
}

/// Signing in.
pub(super) const AUTH: Sort = Sort { text: "too many requests, please try again later", generosity: 20 };
/// Making accounts. A success is what is to be limited here, but a class may sign up together.
pub(super) const SIGN_UP: Sort = Sort { generosity: 5, ..AUTH };
/// Guests.
pub(super) const GUEST: Sort = Sort { text: "too many guest join attempts", generosity: 40 };
/// Everything else.
pub(super) const API: Sort = Sort { text: "too many requests", generosity: 20 };

/// Puts a limit in front of one route: `limit.max` failures.
pub(super) fn limited(
    route: MethodRouter<AppState>,
    limit: RateLimit,
    sort: Sort,
    state: &AppState,
) -> MethodRouter<AppState> {
    if limit.max == 0 {
        return route;
    }
    let buckets = Buckets::new(Allowance::of(limit, sort.generosity));
    let guard = Guard { buckets, text: sort.text, state: state.clone() };
    route.layer(middleware::from_fn_with_state(guard, check))
}

/// Goes with the answer to a request that failed: failures on the same subject are no guesses and count once. A class
/// that waits before a room which is not open yet must not be locked out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject(u64);

impl Subject {
    pub(super) fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[derive(Clone)]
struct Guard {
    buckets: Arc<Buckets>,
    text: &'static str,
    state: AppState,
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let ip =
        request.extensions().get::<ClientAddr>().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |addr| addr.ip);
    let ticket = match tokio::time::timeout(MAX_WAIT, guard.enter(ip)).await {
        Ok(Ok(ticket)) => ticket,
        Ok(Err(left)) => return guard.refuse(left),
        Err(_) => return guard.refuse(Left { limit: 0, remaining: 0, reset: Duration::from_secs(1) }),
    };
    let mut response = next.run(request).await;
    let left = ticket.settle(outcome(&response), guard.state.now());
    write(response.headers_mut(), left);
    response
}

/// Wrong or missing credentials, guessed names and what is forbidden are failures; a form that was filled in wrongly, a
/// thing that is over or taken, and our own faults are none.
fn outcome(response: &Response) -> Outcome {
    match response.status() {
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::TOO_MANY_REQUESTS => {
            Outcome::Failed(response.extensions().get::<Subject>().map(|subject| subject.0))
        }
        _ => Outcome::Fine,
    }
}

impl Guard {
    async fn enter(&self, ip: IpAddr) -> Result<Ticket, Left> {
        loop {
            match self.buckets.enter(ip, self.state.now()) {
                Entry::Admitted(ticket) => return Ok(ticket),
                Entry::Refused(left) => return Err(left),
                Entry::Wait(waiter) => drop(tokio::time::timeout(LOOK, waiter.changed()).await),
            }
        }
    }

    fn refuse(&self, left: Left) -> Response {
        let mut response = ApiError::too_many(self.text, left.reset).into_response();
        write(response.headers_mut(), left);
        response
    }
}

fn write(headers: &mut HeaderMap, left: Left) {
    let mut put = |name: &'static str, value: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    put("x-ratelimit-limit", u64::from(left.limit));
    put("x-ratelimit-remaining", u64::from(left.remaining));
    put("x-ratelimit-reset", left.reset.as_secs());
}
