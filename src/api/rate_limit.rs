//! Requests per client address in fixed windows, one bucket per route.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use crate::{
    api::{AppState, ClientAddr, error::ApiError},
    db::Moment,
    domain::settings::RateLimit,
};

/// Addresses remembered per route. Beyond it, new ones share one bucket until windows run out.
const MAX_KEYS: usize = 50_000;

/// Text of the sign-in limits.
pub(super) const AUTH_TEXT: &str = "too many requests, please try again later";
/// Text of the guest limit.
pub(super) const GUEST_TEXT: &str = "too many guest join attempts";
/// Text of the general limit.
pub(super) const API_TEXT: &str = "too many requests";

/// Puts a limit in front of one route.
pub(super) fn limited(
    route: MethodRouter<AppState>,
    limit: RateLimit,
    text: &'static str,
    state: &AppState,
) -> MethodRouter<AppState> {
    if limit.max == 0 {
        return route;
    }
    let guard = Guard { windows: Arc::new(Windows::new(limit)), text, state: state.clone() };
    route.layer(middleware::from_fn_with_state(guard, check))
}

#[derive(Clone)]
struct Guard {
    windows: Arc<Windows>,
    text: &'static str,
    state: AppState,
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let ip =
        request.extensions().get::<ClientAddr>().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |addr| addr.ip);
    let verdict = guard.windows.hit(key(ip), guard.state.now());
    let mut response = if verdict.allowed {
        next.run(request).await
    } else {
        ApiError::too_many(guard.text, verdict.reset).into_response()
    };
    write(response.headers_mut(), &verdict);
    response
}

fn write(headers: &mut HeaderMap, verdict: &Verdict) {
    let mut put = |name: &'static str, value: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    put("x-ratelimit-limit", u64::from(verdict.limit));
    put("x-ratelimit-remaining", u64::from(verdict.remaining));
    put("x-ratelimit-reset", verdict.reset.as_secs());
}

/// An IPv6 customer holds a whole /64, so that is what counts as one client.
fn key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

struct Verdict {
    allowed: bool,
    limit: u32,
    remaining: u32,
    /// Until the window ends, in whole seconds.
    reset: Duration,
}

struct Windows {
    limit: RateLimit,
    open: Mutex<HashMap<Option<IpAddr>, Window>>,
}

struct Window {
    start: Moment,
    hits: u32,
}

impl Windows {
    fn new(limit: RateLimit) -> Self {
        Self { limit, open: Mutex::default() }
    }

    fn hit(&self, key: IpAddr, now: Moment) -> Verdict {
        let RateLimit { max, window } = self.limit;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not lock anybody out.
        let running = |w: &Window| now >= w.start && now.since(w.start) < window;
        let mut key = Some(key);
        if open.len() >= MAX_KEYS && !open.contains_key(&key) {
            open.retain(|_, w| running(w));
            if open.len() >= MAX_KEYS {
                key = None;
            }
        }
        let entry = open.entry(key).or_insert(Window { start: now, hits: 0 });
        if !running(entry) {
            *entry = Window { start: now, hits: 0 };
        }
        entry.hits = entry.hits.saturating_add(1);
        let left = window.saturating_sub(now.since(entry.start));
        let reset = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        Verdict { allowed: entry.hits <= max, limit: max, remaining: max.saturating_sub(entry.hits), reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(max: u32) -> Windows {
        Windows::new(RateLimit { max, window: Duration::from_secs(60) })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_lets_so_many_through_and_then_starts_again() {
        let windows = windows(2);
        let hit = |address: &str, secs| windows.hit(key(ip(address)), Moment::from_secs(secs));
        assert_eq!((hit("1.2.3.4", 100).remaining, hit("1.2.3.4", 110).remaining), (1, 0));
        let refused = hit("1.2.3.4", 130);
        assert!(!refused.allowed);
        assert_eq!(refused.reset, Duration::from_secs(30));
        assert!(hit("1.2.3.5", 130).allowed, "another client has its own bucket");
        assert!(hit("1.2.3.4", 160).allowed);
        assert!(hit("1.2.3.4", 50).allowed, "the clock was set back");
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(key(ip("2001:db8::1")), key(ip("2001:db8::2")));
        assert_ne!(key(ip("2001:db8::1")), key(ip("2001:db8:0:1::1")));
        assert_eq!(key(ip("::ffff:1.2.3.4")), ip("1.2.3.4"));
    }

    #[test]
    fn memory_stays_bounded_under_a_flood_of_addresses() {
        let windows = windows(1);
        let now = Moment::from_secs(100);
        let flood = u32::try_from(MAX_KEYS).unwrap() + 10;
        let mut refused = 0;
        for n in 0..flood {
            refused += u32::from(!windows.hit(IpAddr::V4(n.into()), now).allowed);
        }
        assert_eq!(windows.open.lock().unwrap().len(), MAX_KEYS + 1);
        assert_eq!(refused, 9, "strangers beyond the bound share one bucket");
        assert!(windows.hit(ip("9.9.9.9"), Moment::from_secs(160)).allowed);
        assert_eq!(windows.open.lock().unwrap().len(), 1);
    }
}
