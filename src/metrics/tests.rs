//! The whole answer, read as Prometheus reads it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use bedrud_media::{ServiceRequest, Sfu, SfuConfig, protocol as proto};
use tower::ServiceExt as _;

use super::Metrics;
use crate::auth::media_token::{self, ApiKeys, Claims, VideoGrant};
use crate::livekit::{HttpLimits, LiveKit};
use crate::server::metrics::{Access, count_calls, router};
use crate::server::shutdown::Shutdown;
use crate::webhooks::Stats;

/// Samples by name with labels; panics at whatever Prometheus would refuse.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = HashSet::new();
    let mut family = ("", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert!(families.insert(name), "{name} comes twice");
            assert!(help.ends_with('.') && help.len() > name.len() + 2, "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            family = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&family.1), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
            let suffix =
                name.strip_prefix(family.0).unwrap_or_else(|| panic!("{line} outside of its family"));
            let allowed: &[&str] =
                if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(allowed.contains(&suffix), "{line}");
            let series = without_node(series);
            let old = samples.insert(series.clone(), value.parse().unwrap());
            assert!(old.is_none(), "{series} comes twice");
        }
    }
    samples
}

/// A series with LiveKit's name without the labels of its node.
fn without_node(series: &str) -> String {
    let node = format!("node_id=\"{NODE}\",node_type=\"SERVER\"");
    if !series.starts_with("livekit_") {
        return series.to_owned();
    }
    let bare = series.replace(&format!(",{node}"), "").replace(&format!("{{{node}}}"), "");
    assert_ne!(bare, series, "a series of no node");
    bare
}

const NODE: &str = "ND_test";

fn sfu() -> Sfu {
    let mut config = SfuConfig::bound_to("127.0.0.1:0".parse().unwrap());
    config.hub.node_id = NODE.to_owned();
    Sfu::start(config).unwrap()
}

async fn open(sfu: &Sfu, name: &str) {
    let request = proto::CreateRoomRequest { name: name.to_owned(), ..Default::default() };
    sfu.service(ServiceRequest::CreateRoom(Box::new(request))).await.unwrap();
}

#[tokio::test]
async fn the_answer_is_well_formed_and_follows_what_happens() {
    let sfu = sfu();
    let metrics = Metrics::new(sfu.clone(), 2);
    let before = parse(&metrics.render().await.unwrap());
    assert_eq!(before["livekit_room_total"], 0.0);
    assert!(!before.keys().any(|name| name.contains("webhook")), "there are none");
    let stats = std::sync::Arc::new(Stats::default());
    metrics.watch_webhooks(std::sync::Arc::clone(&stats));
    stats.delivered.store(3, Relaxed);
    stats.queue_length.observe(7);
    for name in ["den", "quo\"te\\d\nname", "third", "fourth"] {
        open(&sfu, name).await;
    }
    let after = parse(&metrics.render().await.unwrap());
    assert_eq!(after["livekit_room_total"], 4.0);
    assert_eq!(after["bedrud_rooms_total{event=\"started\"}"], 4.0);
    assert_eq!(after["livekit_webhook_dispatch_total{status=\"success\",reason=\"\"}"], 3.0);
    assert_eq!(after["livekit_webhook_queue_length_bucket{le=\"5\"}"], 0.0);
    assert_eq!(after["livekit_webhook_queue_length_bucket{le=\"10\"}"], 1.0);
    assert_eq!(after["livekit_webhook_queue_length_bucket{le=\"+Inf\"}"], 1.0);
    assert!(after.contains_key("bedrud_room_participants{room=\"quo\\\"te\\\\d\\nname\"}"));
    let rooms = after.keys().filter(|k| k.starts_with("bedrud_room_participants")).count();
    assert_eq!(rooms, 3, "two of their own and one for the others");
    assert!(after["process_resident_memory_bytes"] > 1e6);
    sfu.shutdown(std::time::Duration::ZERO).await;
    assert!(metrics.render().await.is_none());
}

#[tokio::test]
async fn rooms_joins_and_agents_are_measured() {
    let sfu = sfu();
    let metrics = Metrics::new(sfu.clone(), 2);
    let keys = ApiKeys::one("devkey", "secret");
    let shutdown = Shutdown::default();
    let livekit = LiveKit::new(sfu.clone(), keys.clone(), HttpLimits::default(), shutdown.guard());
    metrics.watch_agents(livekit.agent_figures());
    let routes = count_calls(livekit.router(), metrics.clone());
    let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let exp = Some(crate::server::health::unix_seconds() + 60);
    let claims = Claims { sub: "ada".into(), exp, video: Some(video), ..Claims::default() };
    let token = media_token::sign(&claims, "devkey", &keys).unwrap();
    for (path, status) in [
        (format!("/rtc?protocol=16&access_token={token}"), StatusCode::SWITCHING_PROTOCOLS),
        ("/rtc?protocol=16".to_owned(), StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get(path)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .extension(hyper::upgrade::on(Request::new(Body::empty())));
        let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let delete = proto::DeleteRoomRequest { room: "den".into() };
    sfu.service(ServiceRequest::DeleteRoom(delete)).await.unwrap();
    let seen = parse(&metrics.render().await.unwrap());
    assert_eq!(seen["livekit_session_join_latency_ms_count{protocol_version=\"16\"}"], 1.0);
    assert_eq!(seen["livekit_room_duration_seconds_count"], 1.0);
    assert_eq!(seen["livekit_session_duration_ms_count"], 0.0, "its media connection never came up");
    assert_eq!(seen["bedrud_agent_workers{state=\"available\"}"], 0.0);
    assert_eq!(seen["bedrud_agent_jobs_total{state=\"assigned\"}"], 0.0);
    shutdown.begin();
    drop((livekit, routes));
    shutdown.finish(std::time::Duration::from_secs(5)).await;
    let after = parse(&metrics.render().await.unwrap());
    assert!(!after.keys().any(|name| name.starts_with("bedrud_agent")), "there is no dispatcher any more");
}

#[tokio::test]
async fn readers_need_the_credentials() {
    let metrics = Metrics::new(sfu(), 2);
    let get = |access: Access, authorization: Option<&str>| {
        let mut request = Request::get("/metrics");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        router(metrics.clone(), access).oneshot(request.body(Body::empty()).unwrap())
    };
    let refused = get(Access::Bearer("0123456789abcdef".into()), None).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"metrics\"");
    let refused = get(Access::Basic("a:b".into()), Some("Basic YTpj")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let answer = get(Access::Basic("a:b".into()), Some("Basic YTpi")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], super::CONTENT_TYPE);
    assert_eq!(get(Access::Open, None).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn calls_of_the_server_api_are_counted_by_outcome() {
    let metrics = Metrics::new(sfu(), 2);
    let routes = Router::new()
        .route("/twirp/{service}/{method}", post(|| async { StatusCode::OK }))
        .route("/other", post(|| async { StatusCode::OK }));
    let routes = Router::new()
        .nest("/livekit", count_calls(routes.clone(), metrics.clone()))
        .merge(count_calls(routes, metrics.clone()));
    for path in [
        "/twirp/livekit.RoomService/ListRooms",
        "/livekit/twirp/livekit.RoomService/ListRooms",
        "/twirp/livekit.RoomService/Dance",
        "/other",
    ] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap();
    }
    let seen = parse(&metrics.render().await.unwrap());
    let of = |method: &str| {
        seen[&format!(
            "livekit_node_twirp_request_status{{service=\"RoomService\",method=\"{method}\",status=\"200\",code=\"\"}}"
        )]
    };
    assert_eq!((of("ListRooms"), of("other")), (2.0, 1.0));
    let latency = "livekit_node_twirp_request_latency_ms_count{service=\"RoomService\",method=\"ListRooms\",status=\"success\"}";
    assert_eq!(seen[latency], 2.0);
}
