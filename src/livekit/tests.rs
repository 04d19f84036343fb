//! Refusals as SDKs see them: status and text of every case, on all paths.

use super::*;
use crate::auth::media_token::VideoGrant;
use crate::server::shutdown::Shutdown;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use bedrud_media::{ClientContext, JoinParams, Session, SfuConfig, SignalPath};
use tower::ServiceExt as _;

struct Fixture {
    router: Router,
    keys: ApiKeys,
    // Keep the media server and the dispatcher of agents running.
    _livekit: LiveKit,
    _shutdown: Shutdown,
}

fn fixture(adjust: impl FnOnce(&mut SfuConfig)) -> Fixture {
    let mut config = SfuConfig::bound_to(([127, 0, 0, 1], 0).into());
    adjust(&mut config);
    let keys = ApiKeys::one("devkey", "secret");
    let shutdown = Shutdown::default();
    let limits = HttpLimits { body: 4096, ..HttpLimits::default() };
    let sfu = Sfu::start(config).unwrap();
    served(LiveKit::new(sfu, keys.clone(), limits, shutdown.guard()), keys, shutdown)
}

fn served(livekit: LiveKit, keys: ApiKeys, shutdown: Shutdown) -> Fixture {
    let router = livekit.alone();
    Fixture { router, keys, _livekit: livekit, _shutdown: shutdown }
}

/// The request of a WebSocket client, on a connection that ends with the answer.
fn upgrade(path: &str) -> axum::http::request::Builder {
    Request::get(path)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .extension(hyper::upgrade::on(Request::new(Body::empty())))
}

impl Fixture {
    fn token(&self, adjust: impl FnOnce(&mut Claims, &mut VideoGrant)) -> String {
        let mut video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
        let mut claims = Claims { sub: "ada".into(), exp: Some(unix_seconds() + 600), ..Claims::default() };
        adjust(&mut claims, &mut video);
        claims.video = Some(video);
        media_token::sign(&claims, "devkey", &self.keys).unwrap()
    }

    /// One that is in the room "den" while the session lives.
    async fn participant(&self, identity: &str) -> Session {
        let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
        let attributes = [("a".to_owned(), "1234".to_owned())].into();
        let exp = Some(unix_seconds() + 600);
        let claims =
            Claims { sub: identity.into(), exp, attributes, video: Some(video), ..Claims::default() };
        let context = ClientContext { address: String::new(), user_agent: String::new(), validating: false };
        let params = JoinParams::from_query(SignalPath::V0, [], claims, &context).unwrap();
        self._livekit.sfu().join(params).await.unwrap()
    }

    async fn send(
        &self,
        request: axum::http::request::Builder,
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.send(Request::get(path), "").await;
        (status.as_u16(), body)
    }

    async fn twirp(&self, method: &str, token: &str, body: &str) -> (u16, serde_json::Value) {
        let request = Request::post(format!("/twirp/{method}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let (status, _, body) = self.send(request, body).await;
        (status.as_u16(), serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body)))
    }
}

#[tokio::test]
async fn refused_joins_have_the_status_and_text_that_sdks_know() {
    let f = fixture(|_| {});
    let unsigned = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
    let other = media_token::sign(
        &Claims { exp: Some(unix_seconds() + 60), ..Claims::default() },
        "other",
        &ApiKeys::one("other", "secret"),
    )
    .unwrap();
    let no_video = media_token::sign(
        &Claims { sub: "a".into(), exp: Some(unix_seconds() + 60), ..Claims::default() },
        "devkey",
        &f.keys,
    )
    .unwrap();
    let cases = [
        (String::new(), 401, "no permissions to access the room"),
        ("junk".into(), 401, "invalid authorization token"),
        (unsigned.into(), 401, "invalid API key"),
        (other, 401, "invalid API key"),
        (no_video, 401, "no permissions to access the room"),
        (
            f.token(|c, _| c.exp = Some(unix_seconds() - 120)),
            401,
            "invalid authorization token: token is expired",
        ),
        (f.token(|_, v| v.room_join = false), 401, "permissions denied"),
        (f.token(|c, _| c.sub.clear()), 400, "identity cannot be empty"),
        (
            f.token(|c, _| c.sub = "x".repeat(257)),
            400,
            "participant identity length exceeds limits: max length 256",
        ),
        (f.token(|_, v| v.room.clear()), 400, "no room name"),
        (f.token(|_, v| v.room = "x".repeat(257)), 400, "room name length exceeds limits: max length 256"),
        (f.token(|_, _| {}), 200, "success"),
    ];
    for (token, status, text) in cases {
        for prefix in ["", "/livekit"] {
            let got = f.get(&format!("{prefix}/rtc/validate?access_token={token}")).await;
            assert_eq!(got, (status, text.to_owned()));
        }
    }
}

#[tokio::test]
async fn v1_needs_a_readable_join_request() {
    let f = fixture(|_| {});
    let token = f.token(|_, _| {});
    for (parameter, text) in [
        ("", "join_request is required"),
        ("&join_request=%25%25", "cannot base64 decode wrapped join request"),
        ("&join_request=____", "cannot unmarshal wrapped join request"),
    ] {
        let got = f.get(&format!("/rtc/v1/validate?access_token={token}{parameter}")).await;
        assert_eq!(got, (400, text.to_owned()));
    }
    // An empty message is a join request with all defaults.
    assert_eq!(f.get(&format!("/rtc/v1/validate?access_token={token}&join_request=EgA=")).await.0, 200);
}

#[tokio::test]
async fn rights_for_what_the_query_asks_are_checked() {
    let f = fixture(|_| {});
    let mute = f.token(|_, v| v.can_publish = Some(false));
    let refused = (401, "no permissions to access the room".to_owned());
    assert_eq!(f.get(&format!("/rtc/validate?access_token={mute}&publish=screen")).await, refused);
    let token = f.token(|_, _| {});
    assert_eq!(f.get(&format!("/rtc/validate?access_token={token}&attributes=eyJhIjoiYiJ9")).await, refused);
    assert_eq!(f.get(&format!("/rtc/validate?access_token={token}&attributes=***")).await.0, 400);
}

#[tokio::test]
async fn a_missing_room_is_a_404_with_the_known_words() {
    let f = fixture(|c| c.hub.auto_create = false);
    let (status, text) = f.get(&format!("/rtc/validate?access_token={}", f.token(|_, _| {}))).await;
    assert_eq!(status, 404);
    assert!(text.contains("requested room does not exist"), "{text}");
}

#[tokio::test]
async fn sockets_without_upgrade_are_404_but_a_bad_header_is_401() {
    let f = fixture(|_| {});
    for path in ["/rtc", "/rtc/v1", "/livekit/rtc"] {
        assert_eq!(f.get(path).await, (404, String::new()));
        let request = Request::get(path).header("authorization", "Basic x");
        let (status, _, text) = f.send(request, "").await;
        assert_eq!(
            (status.as_u16(), text.as_str()),
            (401, "invalid authorization header. Must start with Bearer ")
        );
    }
}

#[tokio::test]
async fn a_slash_at_the_end_and_the_case_of_bearer_do_not_matter() {
    let f = fixture(|_| {});
    let token = f.token(|_, v| v.room_list = true);
    for path in ["/rtc/validate", "/livekit/rtc/validate"] {
        for slash in ["", "/"] {
            for scheme in ["Bearer", "bearer", "BEARER"] {
                let request = Request::get(format!("{path}{slash}"));
                let request = request.header("authorization", format!("{scheme} {token}"));
                let (status, headers, text) = f.send(request, "").await;
                assert_eq!((status.as_u16(), text.as_str()), (200, "success"), "{path}{slash}, {scheme}");
                assert_eq!(headers["access-control-allow-origin"], "*");
            }
        }
    }
    for path in ["/rtc/v1/validate", "/rtc/v1/validate/"] {
        assert_eq!(f.get(&format!("{path}?access_token={token}")).await.0, 400, "{path}");
    }
    for path in ["/rtc", "/rtc/v1", "/agent"] {
        let with = f.get(&format!("{path}/")).await;
        assert_eq!(with, f.get(path).await, "{path}");
    }
    for (slash, scheme) in [("", "Bearer"), ("/", "bearer")] {
        let request = Request::post(format!("/twirp/livekit.RoomService/ListRooms{slash}"))
            .header("authorization", format!("{scheme} {token}"))
            .header("content-type", "application/json");
        assert_eq!(f.send(request, "{}").await.0, 200, "{scheme} {slash}");
    }
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_named_and_what_can_be_meant_is_read() {
    let f = fixture(|_| {});
    let with = |config: &str| {
        let claims = format!(
            r#"{{"iss":"devkey","sub":"ada","exp":{},"video":{{"roomJoin":true,"room":"den"}},"roomConfig":{config}}}"#,
            unix_seconds() + 600
        );
        let key = jsonwebtoken::EncodingKey::from_secret(b"secret");
        let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    for config in [r#"{"metadata":null}"#, r#"{"emptyTimeout":30.0}"#, r#"{"maxParticipants":"3e1"}"#, "null"]
    {
        let got = f.get(&format!("/rtc/validate?access_token={}", with(config))).await;
        assert_eq!(got, (200, "success".into()), "{config}");
    }
    let (status, text) =
        f.get(&format!("/rtc/validate?access_token={}", with(r#"{"maxParticipants":"many"}"#))).await;
    assert_eq!(status, 401);
    assert!(text.contains("roomConfig.maxParticipants"), "{text}");
}

#[tokio::test]
async fn every_origin_may_read_every_answer() {
    let f = fixture(|_| {});
    let origin = "https://app.example";
    for (path, allowed) in [
        ("/rtc/validate", "*"),
        ("/rtc/v1/validate?access_token=junk", "*"),
        ("/livekit/rtc/validate", "*"),
        ("/rtc", origin),
        ("/", origin),
        ("/livekit", origin),
        ("/livekit/", origin),
        ("/twirp/livekit.RoomService/ListRooms", origin),
    ] {
        let (_, headers, _) = f.send(Request::get(path).header("origin", origin), "").await;
        assert_eq!(headers["access-control-allow-origin"], allowed, "{path}");
        let preflight = Request::options(path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let (status, headers, _) = f.send(preflight, "").await;
        assert_eq!(status, 200);
        assert_eq!(headers["access-control-allow-headers"], "authorization,content-type");
        assert_eq!(headers["access-control-max-age"], "86400");
    }
}

#[tokio::test]
async fn room_service_makes_lists_and_deletes_rooms() {
    let f = fixture(|_| {});
    let admin = f.token(|_, v| {
        v.room_create = true;
        v.room_list = true;
        v.room_admin = true;
    });
    let (status, room) = f
        .twirp("livekit.RoomService/CreateRoom", &admin, r#"{"name":"den","emptyTimeout":60,"future":1}"#)
        .await;
    assert_eq!((status, &room["name"], &room["empty_timeout"]), (200, &"den".into(), &60.into()), "{room}");
    assert!(room["sid"].as_str().unwrap().starts_with("RM_"));
    assert_eq!(room["num_participants"], 0);
    let (_, list) = f.twirp("livekit.RoomService/ListRooms", &admin, r#"{"names":["den","none"]}"#).await;
    assert_eq!(list["rooms"].as_array().unwrap().len(), 1);
    let (status, error) =
        f.twirp("livekit.RoomService/GetParticipant", &admin, r#"{"room":"den","identity":"x"}"#).await;
    assert_eq!((status, &error["code"]), (404, &"not_found".into()), "{error}");
    let (status, done) = f.twirp("livekit.RoomService/DeleteRoom", &admin, r#"{"room":"den"}"#).await;
    assert_eq!((status, done), (200, serde_json::json!({})));
    let (status, error) = f.twirp("livekit.RoomService/DeleteRoom", &admin, r#"{"room":"den"}"#).await;
    assert_eq!((status, &error["code"]), (404, &"not_found".into()));
}

#[tokio::test]
async fn calls_that_cannot_be_served_are_clear_errors() {
    let f = fixture(|_| {});
    let token = f.token(|_, v| v.room_admin = true);
    for (method, body, status, code) in [
        ("livekit.RoomService/CreateRoom", "{}", 401, "unauthenticated"),
        ("livekit.RoomService/ListParticipants", r#"{"room":"other"}"#, 401, "unauthenticated"),
        ("livekit.RoomService/ListParticipants", "[", 400, "malformed"),
        ("livekit.RoomService/Dance", "{}", 404, "bad_route"),
        ("livekit.Nothing/Dance", "{}", 404, "bad_route"),
        ("livekit.Egress/ListEgress", "{}", 503, "unavailable"),
        ("livekit.Ingress/ListIngress", "{}", 503, "unavailable"),
        ("livekit.SIP/ListSIPTrunk", "{}", 503, "unavailable"),
        ("livekit.Connector/DialWhatsAppCall", "{}", 503, "unavailable"),
    ] {
        let (got, error) = f.twirp(method, &token, body).await;
        assert_eq!((got, &error["code"]), (status, &code.into()), "{method}");
        assert!(!error["msg"].as_str().unwrap().is_empty());
    }
    let large = format!(r#"{{"room":"den","metadata":"{}"}}"#, "x".repeat(5000));
    let (status, text) = f.twirp("livekit.RoomService/UpdateRoomMetadata", &token, &large).await;
    assert_eq!((status, text), (413, "request body too large".into()));
    let plain = Request::post("/twirp/livekit.RoomService/ListRooms").header("content-type", "text/plain");
    assert_eq!(f.send(plain, "{}").await.0.as_u16(), 404);
}

#[tokio::test]
async fn refreshed_tokens_join_again_and_live_long_enough() {
    let f = fixture(|_| {});
    let claims = Claims {
        iss: Some("devkey".into()),
        sub: "ada".into(),
        exp: Some(unix_seconds() + 5),
        video: Some(VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() }),
        ..Claims::default()
    };
    let token = f._livekit.refresh(claims).unwrap();
    let read = media_token::verify(&token, &f.keys, unix_seconds() + 540).unwrap();
    assert!(read.exp.unwrap() >= unix_seconds() + 590);
    assert_eq!(f.get(&format!("/rtc/validate?access_token={token}")).await.0, 200);
}

mod edges;
mod errors;
mod grants;
mod jwt;
mod removal;
