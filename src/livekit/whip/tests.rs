//! Every status of the two endpoints.

use super::*;
use crate::auth::media_token::{self, ApiKeys, VideoGrant};
use crate::livekit::HttpLimits;
use crate::server::shutdown::Shutdown;
use bedrud_media::protocol::IceServer;
use bedrud_media::{Sfu, SfuConfig};
use tower::ServiceExt as _;

const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n";
const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ice-ufrag:client1\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00\r\n\
    a=setup:actpass\r\n";

fn offer(direction: &str) -> String {
    format!(
        "{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{TRANSPORT}a=mid:0\r\na={direction}\r\na=rtpmap:111 opus/48000/2\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{TRANSPORT}a=mid:1\r\na={direction}\r\na=rtpmap:96 VP8/90000\r\n"
    )
}

fn fragment(ufrag: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 127.0.0.1 61764 typ host\r\n"
    )
}

struct Fixture {
    router: Router,
    keys: ApiKeys,
    // Keeps the media server running.
    _livekit: LiveKit,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn fixture(adjust: impl FnOnce(&mut SfuConfig)) -> Fixture {
    let mut config = SfuConfig::bound_to(([127, 0, 0, 1], 0).into());
    config.loopback_candidate = true;
    config.hub.ice_servers =
        vec![IceServer { urls: vec!["stun:stun.example:3478".into()], ..IceServer::default() }];
    adjust(&mut config);
    let keys = ApiKeys::one("devkey", "secret");
    let guard = Shutdown::default().guard();
    let livekit = LiveKit::new(Sfu::start(config).unwrap(), keys.clone(), HttpLimits::default(), guard);
    let router = livekit.alone();
    Fixture { router, keys, _livekit: livekit }
}

impl Fixture {
    fn token(&self, identity: &str, adjust: impl FnOnce(&mut VideoGrant)) -> String {
        let mut video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
        adjust(&mut video);
        let claims = Claims {
            sub: identity.into(),
            exp: Some(unix_seconds() + 600),
            video: Some(video),
            ..Claims::default()
        };
        media_token::sign(&claims, "devkey", &self.keys).unwrap()
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Got {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::from(body)).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn post(&self, path: &str, token: &str, offer: &str) -> Got {
        let bearer = format!("Bearer {token}");
        self.send("POST", path, &[("authorization", &bearer), ("content-type", SDP)], offer.to_owned()).await
    }

    async fn patch(&self, path: &str, token: &str, if_match: &str, fragment: String) -> Got {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", SDP_FRAGMENT), ("if-match", if_match)];
        self.send("PATCH", path, &headers, fragment).await
    }

    async fn delete(&self, path: &str, token: &str) -> u16 {
        self.send("DELETE", path, &[("authorization", &format!("Bearer {token}"))], String::new())
            .await
            .status
    }
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} in {:?}", self.headers)).to_str().unwrap()
    }

    fn error(&self) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        (self.status, body["error"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn an_offer_is_answered_with_everything_the_client_needs() {
    let f = fixture(|c| c.tcp_port = Some(7881));
    for (path, direction, ours) in [
        ("/whip/v1", "sendonly", "a=recvonly"),
        ("/livekit/whip/v1", "sendrecv", "a=recvonly"),
        ("/whep/v1", "recvonly", "a=sendonly"),
        ("/livekit/whep/v1", "sendrecv", "a=sendonly"),
    ] {
        let got = f.post(path, &f.token(path, |_| {}), &offer(direction)).await;
        assert_eq!(got.status, 201, "{}", got.body);
        assert_eq!(got.header("content-type"), "application/sdp");
        assert_eq!(got.header("accept-patch"), SDP_FRAGMENT);
        assert!(got.header("location").starts_with(&format!("{path}/PA_")), "{}", got.header("location"));
        assert_eq!(got.header("link"), "<stun:stun.example:3478>; rel=\"ice-server\"");
        let ufrag = got.body.lines().find_map(|l| l.strip_prefix("a=ice-ufrag:")).unwrap();
        assert_eq!(got.header("etag"), format!("\"{ufrag}\""));
        assert_eq!(got.body.lines().filter(|l| *l == ours).count(), 2, "{}", got.body);
        for line in ["a=ice-lite", "a=setup:passive", "a=end-of-candidates"] {
            assert!(got.body.lines().any(|l| l == line), "{line} in {}", got.body);
        }
        for protocol in [" udp ", " tcp "] {
            assert!(got.body.lines().any(|l| l.starts_with("a=candidate:") && l.contains(protocol)));
        }
    }
}

#[tokio::test]
async fn a_session_is_found_where_its_client_looks_for_it() {
    let f = fixture(|_| {});
    // A proxy strips `/media` and says nothing; what the client resolves against its own address goes through it again.
    for (posted, agent) in
        [("/whip/v1", "node"), ("/whip/v1/", "Lavf/62.3.100"), ("/livekit/whep/v1/", "curl/8")]
    {
        let token = f.token(posted, |_| {});
        let bearer = format!("bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", SDP), ("user-agent", agent)];
        let direction = if posted.contains("whep") { "recvonly" } else { "sendonly" };
        let got = f.send("POST", posted, &headers, offer(direction)).await;
        assert_eq!(got.status, 201, "{}", got.body);
        let location = got.header("location");
        assert!(!location.starts_with('/'), "{location}");
        let base = format!("/media{posted}");
        let (directory, _) = base.rsplit_once('/').unwrap();
        let resolved = format!("{directory}/{location}");
        let stripped = resolved.strip_prefix("/media").unwrap();
        let patched = f.patch(&format!("{stripped}/"), &token, got.header("etag"), fragment("client1")).await;
        assert_eq!(patched.status, 204);
        assert_eq!(f.delete(stripped, &token).await, 200, "{stripped}");
    }
    // OBS and GStreamer put the value in the place of the path.
    let token = f.token("obs", |_| {});
    let got = f.post("/whip/v1/", &token, &offer("sendonly")).await;
    assert_eq!(f.delete(got.header("location"), &token).await, 200);
}

#[tokio::test]
async fn refused_offers_say_why() {
    let f = fixture(|_| {});
    let good = offer("sendonly");
    let token = f.token("ada", |_| {});
    let none = f.send("POST", "/whip/v1", &[("content-type", SDP)], good.clone()).await;
    assert_eq!(none.error(), (401, "permissions denied".into()));
    assert_eq!(none.header("www-authenticate"), "Bearer");
    let cases = [
        ("/whip/v1", "junk".to_owned(), good.clone(), 401, "invalid authorization token"),
        ("/whip/v1", f.token("a", |v| v.room_join = false), good.clone(), 401, "permissions denied"),
        ("/whip/v1", f.token("a", |v| v.room.clear()), good.clone(), 401, "room name cannot be empty"),
        ("/whip/v1", f.token("a", |v| v.can_publish = Some(false)), good.clone(), 401, "permissions denied"),
        (
            "/whep/v1",
            f.token("a", |v| v.can_subscribe = Some(false)),
            offer("recvonly"),
            401,
            "permissions denied",
        ),
        ("/whip/v1", f.token("", |_| {}), good.clone(), 400, "identity cannot be empty"),
        ("/whip/v1", token.clone(), String::new(), 400, "the body is empty"),
        ("/whip/v1", token.clone(), "hello".into(), 400, "bad SDP offer"),
        ("/whip/v1", token.clone(), offer("recvonly"), 400, "SDP offer sends nothing"),
        ("/whep/v1", token.clone(), offer("sendonly"), 400, "SDP offer receives nothing"),
        (
            "/whip/v1",
            token.clone(),
            good.replace("opus", "speex").replace("VP8", "H263"),
            406,
            "SDP offer cannot be accepted: audio section 0 offers speex",
        ),
        ("/whip/v1", token.clone(), "x".repeat(MAX_BODY + 1), 413, "request body exceeds 1048576 bytes"),
    ];
    for (path, token, body, status, text) in cases {
        let got = f.post(path, &token, &body).await;
        let (code, message) = got.error();
        assert_eq!(code, status, "{message}");
        assert!(message.starts_with(text), "{message}");
    }
    let bearer = format!("Bearer {token}");
    let html =
        f.send("POST", "/whip/v1", &[("authorization", &bearer), ("content-type", "text/html")], good).await;
    assert_eq!(html.status, 415);
    let many = format!("/whep/v1?{}", "track=x&".repeat(MAX_WISHES + 1));
    assert_eq!(f.post(&many, &token, &offer("recvonly")).await.status, 400);
}

#[tokio::test]
async fn rooms_that_may_not_be_entered_are_refused() {
    let f = fixture(|c| c.hub.auto_create = false);
    let got = f.post("/whip/v1", &f.token("ada", |_| {}), &offer("sendonly")).await;
    assert_eq!(got.error(), (404, "requested room does not exist".into()));
    let f = fixture(|c| c.hub.max_participants = 1);
    assert_eq!(f.post("/whip/v1", &f.token("ada", |_| {}), &offer("sendonly")).await.status, 201);
    let full = f.post("/whip/v1", &f.token("bob", |_| {}), &offer("sendonly")).await;
    assert_eq!(full.error(), (503, "room has exceeded its max participants".into()));
    assert_eq!(full.header("retry-after"), "5");
    // A returning identity takes its own place.
    assert_eq!(f.post("/whip/v1", &f.token("ada", |_| {}), &offer("sendonly")).await.status, 201);
}

#[tokio::test]
async fn candidates_trickle_and_ice_restarts() {
    let f = fixture(|_| {});
    let token = f.token("ada", |_| {});
    let opened = f.post("/whip/v1", &token, &offer("sendonly")).await;
    let (session, first) = (opened.header("location"), opened.header("etag"));
    assert_eq!(f.patch(session, &token, first, fragment("client1")).await.status, 204);
    let restarted = f.patch(session, &token, "*", fragment("client2")).await;
    assert_eq!((restarted.status, restarted.header("content-type")), (200, SDP_FRAGMENT));
    let second = restarted.header("etag");
    assert_ne!(first, second);
    let ufrag = second.trim_matches('"');
    assert!(
        restarted.body.contains(&format!("a=ice-ufrag:{ufrag}\r\n"))
            && restarted.body.contains("a=candidate:")
    );
    assert_eq!(f.patch(session, &token, first, fragment("client2")).await.error().0, 412);
    assert_eq!(f.patch(session, &token, second, fragment("client2")).await.status, 204);
    assert_eq!(f.patch(session, &token, ufrag, fragment("client2")).await.status, 204, "without quotes");
    assert_eq!(f.patch(session, &token, second, "nonsense".into()).await.error().0, 400);
    assert_eq!(
        f.patch(session, &token, "", fragment("client2")).await.error(),
        (428, "missing entity tag".into())
    );
    assert_eq!(f.patch("/whip/v1/PA_unknown", &token, "*", fragment("client3")).await.status, 404);
    let bearer = format!("Bearer {token}");
    let sdp = [("authorization", &*bearer), ("content-type", SDP), ("if-match", "*")];
    assert_eq!(f.send("PATCH", session, &sdp, fragment("client3")).await.status, 415);
    let large = f.patch(session, &token, "*", "x".repeat(MAX_BODY + 1)).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn only_the_participant_itself_ends_its_session() {
    let f = fixture(|_| {});
    let token = f.token("ada", |_| {});
    for (path, direction) in [("/whip/v1", "sendonly"), ("/livekit/whep/v1", "recvonly")] {
        let opened = f.post(path, &token, &offer(direction)).await;
        let session = opened.header("location");
        assert_eq!(f.send("DELETE", session, &[], String::new()).await.status, 401);
        assert_eq!(f.delete(session, &f.token("eve", |_| {})).await, 404);
        assert_eq!(f.delete(session, &f.token("ada", |v| v.room = "other".into())).await, 404);
        assert_eq!(f.patch(session, &f.token("eve", |_| {}), "*", fragment("evil")).await.status, 404);
        assert_eq!(f.delete(session, &token).await, 200);
        assert_eq!(f.delete(session, &token).await, 404);
    }
}

#[tokio::test]
async fn browsers_of_any_origin_may_ask_and_read() {
    let f = fixture(|_| {});
    for path in ["/whip/v1", "/whep/v1", "/livekit/whip/v1", "/whip/v1/PA_x"] {
        assert_eq!(f.send("GET", path, &[], String::new()).await.status, 204);
        assert_eq!(f.send("PUT", path, &[], String::new()).await.status, 405, "{path}");
        let preflight = [
            ("origin", "https://page.example"),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,if-match"),
        ];
        let got = f.send("OPTIONS", path, &preflight, String::new()).await;
        assert_eq!((got.status, got.header("accept-post")), (200, SDP));
        assert_eq!(got.header("access-control-allow-origin"), "https://page.example");
        assert_eq!(got.header("access-control-allow-headers"), "authorization,if-match");
        assert!(got.header("access-control-allow-methods").contains("PATCH"));
    }
    assert_eq!(f.send("DELETE", "/whip/v1", &[], String::new()).await.status, 405);
    assert_eq!(f.send("POST", "/whip/v1/PA_x", &[], String::new()).await.status, 405);
    let token = format!("Bearer {}", f.token("ada", |_| {}));
    let headers = [("authorization", &*token), ("content-type", SDP), ("origin", "https://page.example")];
    let got = f.send("POST", "/whip/v1", &headers, offer("sendonly")).await;
    let exposed = got.header("access-control-expose-headers");
    for name in ["location", "link", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}
