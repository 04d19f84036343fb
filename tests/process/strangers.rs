//! People without an account who mean harm, by HTTP: what they send costs little, and nobody else notices.

use crate::server::Server;
use crate::signalling::{Client, path, signer, token, upgrade};
use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
use livekit_protocol::signal_response;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::protocol::Role};

/// Time for anything that should happen soon, generous because tests share the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Less than anything that the server waits for, and much more than an answer takes.
const SOON: Duration = Duration::from_secs(20);
const MIB_KIB: u64 = 1024;
const LARGE: usize = 10 << 20;

/// A connection from the n-th address of this host.
async fn connect(server: &Server, n: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, n), 0).into()).unwrap();
    timeout(PATIENCE, socket.connect(([127, 0, 0, 1], server.port).into())).await.unwrap().unwrap()
}

/// Sends bytes as far as they are taken, and reads the answer.
async fn exchange(server: &Server, n: u8, bytes: &[u8]) -> String {
    let mut stream = connect(server, n).await;
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, reader.read_to_end(&mut answer));
    let (ended, _) = tokio::join!(read, writer.write_all(bytes));
    let _ = ended.expect("an answer or an end in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// The bystander: a new connection that is served soon.
async fn somebody_is_served(server: &Server) {
    let request = b"GET /api/health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let answer = timeout(SOON, exchange(server, 1, request)).await.expect("an answer soon");
    assert_eq!(status(&answer), 200, "{answer}");
}

/// All routes that take a body, with what a stranger hears who announces ten megabytes.
const BODIES: [(&str, &str, u16); 21] = [
    ("POST", "/api/auth/register", 413),
    ("POST", "/api/auth/login", 413),
    ("POST", "/api/auth/guest-login", 413),
    ("POST", "/api/auth/refresh", 413),
    ("POST", "/api/auth/logout", 401),
    ("PUT", "/api/auth/me", 401),
    ("PUT", "/api/auth/password", 401),
    ("PUT", "/api/auth/preferences", 401),
    ("POST", "/api/setup", 413),
    ("POST", "/api/room/create", 401),
    ("POST", "/api/room/join", 401),
    ("POST", "/api/room/guest-join", 413),
    ("POST", "/api/room/refresh-token", 401),
    ("PUT", "/api/room/{id}/settings", 401),
    ("POST", "/api/room/{id}/reopen", 401),
    ("POST", "/twirp/{service}/{method}", 401),
    ("POST", "/whip/v1", 401),
    ("POST", "/whep/v1", 401),
    ("PATCH", "/whip/v1/{participant_id}", 401),
    ("PATCH", "/whep/v1/{participant_id}", 401),
    // Of another sort: nothing is read.
    ("DELETE", "/api/room/{id}", 401),
];

/// Routes of the source that take a body, by method and path.
fn routes_in_source() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                folders.push(path);
                continue;
            }
            if !name.ends_with(".rs") || name.contains("test") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let prefix = match path.strip_prefix(&root).unwrap().to_str().unwrap() {
                "api/auth/mod.rs" => "/api/auth",
                "api/room/mod.rs" | "api/rooms/mod.rs" => "/api/room",
                "api/setup/mod.rs" => "/api/setup",
                _ => "",
            };
            // The one calls the other, for a path and the same with a slash at its end.
            let text = text.replace("with_slash(", ".route(slash ");
            for route in text.split(".route(").skip(1) {
                let line = route.split('\n').next().unwrap();
                // A handler with a name of its own may do anything.
                let named = line.starts_with("slash ") && !line.contains("get(") && line.contains('"');
                let calls = ["post(", "put(", "patch("];
                let calls = calls.map(|call| (call, line.contains(call) || named && call == "post("));
                let path = match line.split('"').nth(1) {
                    Some("/") if !prefix.is_empty() => prefix.to_owned(),
                    Some(path) => format!("{prefix}{path}"),
                    None => "{base}".to_owned(),
                };
                for (call, _) in calls.into_iter().filter(|(_, there)| *there) {
                    found.insert((call.trim_end_matches('(').to_uppercase(), path.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn every_route_that_takes_a_body_is_known_here() {
    let known: BTreeSet<_> =
        BODIES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let found = routes_in_source();
    assert!(found.len() >= 15, "the search itself is broken: {found:?}");
    // Those of WHIP and WHEP share their lines.
    let of_both = |path: &str| path.contains("{base}");
    let missing: Vec<_> =
        found.iter().filter(|(_, path)| !of_both(path)).filter(|r| !known.contains(*r)).collect();
    assert!(missing.is_empty(), "add to BODIES what a stranger hears there: {missing:?}");
}

#[tokio::test]
async fn nobody_reads_ten_megabytes_of_a_stranger() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(&dir.path().join("data"), &[]);
    for (method, path, expected) in BODIES {
        let path = path.replace("{service}", "livekit.RoomService").replace("{method}", "CreateRoom");
        let path = path.replace(['{', '}'], "");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {LARGE}\r\n\r\n"
        );
        // The body never comes: the answer must not wait for it.
        let answer = timeout(SOON, exchange(&server, 1, head.as_bytes())).await.expect(path.as_str());
        assert_eq!(status(&answer), expected, "{method} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_large_bodies_cost_little_and_their_memory_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (server, _) = Server::run(&data, &["--set", "server.limits.connectionsPerAddress=0"]);
    let server = std::sync::Arc::new(server);
    let token =
        signer(&data)("admin", VideoGrant { room_create: true, room_admin: true, ..VideoGrant::default() });
    let body = format!(r#"{{"name":"den","metadata":"{}"}}"#, "x".repeat(LARGE - 40));
    somebody_is_served(&server).await;
    let (before, _) = server.usage();
    let attack = |path: &'static str, credentials: String, body: String| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{credentials}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let request = std::sync::Arc::new(request.into_bytes());
        let server = std::sync::Arc::clone(&server);
        async move {
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let (server, request) = (std::sync::Arc::clone(&server), std::sync::Arc::clone(&request));
                    tokio::spawn(async move { exchange(&server, 2 + n % 16, &request).await })
                })
                .collect();
            let mut peak = 0;
            while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
                peak = peak.max(server.usage().0);
                somebody_is_served(&server).await;
            }
            let mut seen = BTreeSet::new();
            for task in tasks {
                seen.insert(status(&task.await.unwrap()));
            }
            (peak, seen)
        }
    };
    for path in ["/twirp/livekit.RoomService/CreateRoom", "/whip/v1", "/api/auth/login"] {
        let (peak, seen) = attack(path, String::new(), body.clone()).await;
        assert!(seen.iter().all(|s| matches!(s, 401 | 413 | 429)), "{path}: {seen:?}");
        assert!(peak < before + 64 * MIB_KIB, "{path}: {before} KiB became {peak} KiB");
    }
    // Who may send such bodies shares the memory for them with others who may.
    let (peak, seen) =
        attack("/twirp/livekit.RoomService/CreateRoom", format!("authorization: Bearer {token}\r\n"), body)
            .await;
    assert!(seen.is_subset(&BTreeSet::from([400, 503])) && seen.contains(&400), "{seen:?}");
    assert!(peak < before + 400 * MIB_KIB, "{before} KiB became {peak} KiB");
    server.until("the memory is given back", |s| s.usage().0 < before + 48 * MIB_KIB).await;
}

#[tokio::test]
async fn sixteen_addresses_that_say_nothing_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let limits =
        ["--set", "server.limits.connections=320", "--set", "server.limits.connectionsPerAddress=20"];
    let (server, _) = Server::run(&data, &limits);
    let grant = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let mut bob = Client::enter(&server, &path(&signer(&data)("bob", grant))).await;
    // Each address takes all it may have, and more: nothing, half a head, half a body.
    let mut held = Vec::new();
    for n in 0..480_u16 {
        let mut stream = connect(&server, 2 + (n % 16) as u8).await;
        let bytes: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nhost: h\r\nx-slow: ",
            _ => b"POST /api/auth/login HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n{",
        };
        let _ = stream.write_all(bytes).await;
        held.push(stream);
        if n % 40 == 39 {
            somebody_is_served(&server).await;
        }
    }
    for _ in 0..20 {
        somebody_is_served(&server).await;
    }
    bob.is_served().await;
    // A session that is new at this moment gets in, too.
    let grant = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let mut late = Client::enter(&server, &path(&signer(&data)("late", grant))).await;
    late.is_served().await;
}

#[tokio::test]
async fn two_thousand_slow_connections_cost_little() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(&dir.path().join("data"), &[]);
    somebody_is_served(&server).await;
    let (before, _) = server.usage();
    let mut held = Vec::new();
    for n in 0..2000_u16 {
        let mut stream = connect(&server, 2 + (n % 16) as u8).await;
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nx: ").await;
        held.push(stream);
    }
    for _ in 0..20 {
        for stream in held.iter_mut().step_by(10) {
            let _ = stream.write_all(b"y").await;
        }
        somebody_is_served(&server).await;
    }
    let (after, _) = server.usage();
    assert!(after < before + 100 * MIB_KIB, "{before} KiB became {after} KiB");
    // None of them has more than ten seconds for its head.
    let first = timeout(PATIENCE, held[0].read_u8()).await.expect("it is ended");
    assert!(first.is_err());
}

#[tokio::test]
async fn large_deep_and_packed_requests_are_refused_cheaply() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (server, _) = Server::run(&data, &[]);
    somebody_is_served(&server).await;
    let (before, _) = server.usage();
    let token = signer(&data)("admin", VideoGrant { room_create: true, ..VideoGrant::default() });
    let post = |path: &str, more: &str, body: &[u8]| {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        request
    };
    let json = "content-type: application/json\r\n";
    let known = format!("{json}authorization: Bearer {token}\r\n");
    let packed = format!("{known}content-encoding: gzip\r\n");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 256 << 20), &mut bomb).unwrap();
    let bomb = bomb.finish().unwrap();
    let create = "/twirp/livekit.RoomService/CreateRoom";
    let headers = format!("x: {}\r\n", "y".repeat(1 << 20));
    let cases = [
        ("a deep form", post("/api/auth/login", json, "[".repeat(16_000).as_bytes()), 400),
        ("a deep object", post("/api/auth/login", json, r#"{"a":"#.repeat(3_000).as_bytes()), 400),
        ("a deep call", post(create, &known, "[".repeat(1 << 20).as_bytes()), 400),
        ("a bomb", post(create, &packed, &bomb), 400),
        ("large headers", post("/api/auth/login", &headers, b""), 431),
        ("large headers for the media server", post("/whip/v1", &headers, b""), 431),
        ("many headers", post("/api/auth/login", &"x: y\r\n".repeat(200), b""), 431),
    ];
    for (what, request, expected) in cases {
        for _ in 0..5 {
            let answer = exchange(&server, 2, &request).await;
            assert_eq!(status(&answer), expected, "{what}: {answer}");
        }
        somebody_is_served(&server).await;
    }
    server.until("memory is as before", |s| s.usage().0 < before + 64 * MIB_KIB).await;
}

/// A guest that asks for rooms which do not exist, each time with another `X-Forwarded-For`. How often it was let.
fn guesses(server: &Server) -> usize {
    let ask = |n: usize| {
        let address = format!("198.51.100.{n}");
        let path = format!("/api/room/check/guess-{n}");
        server.request("GET", &path, &[("x-forwarded-for", address.as_str())], "").0
    };
    let answers: Vec<u16> = (0..20).map(ask).collect();
    assert!(answers.iter().all(|s| matches!(s, 404 | 429)), "{answers:?}");
    answers.iter().filter(|s| **s == 404).count()
}

#[test]
fn only_a_trusted_proxy_says_who_the_client_is() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(&dir.path().join("direct"), &[]);
    assert_eq!(guesses(&server), 5, "a stranger is who its socket says");
    let refused = server.request("GET", "/api/room/check/guess-99", &[], "");
    assert!(refused.1.contains("retry-after: ") && refused.2.contains("\"retryAfter\":"), "{refused:?}");
    // The header of another protocol is no way in either.
    let proxied = answer_to_proxy_header(&server);
    assert!(!proxied.contains("200 OK"), "{proxied}");
    drop(server);
    let trust = ["--set", "server.trustedProxies=127.0.0.1"];
    let (server, _) = Server::run(&dir.path().join("proxied"), &trust);
    assert_eq!(guesses(&server), 20, "behind a proxy each client counts for itself");
}

/// What the server says to a connection that begins with a PROXY header.
fn answer_to_proxy_header(server: &Server) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    let _ = stream
        .write_all(b"PROXY TCP4 198.51.100.1 127.0.0.1 1 2\r\nGET /api/health HTTP/1.1\r\nhost: h\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn what_is_no_address_of_the_app_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(&dir.path().join("data"), &[]);
    for path in [
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
        "/metrics/",
        "/status",
        "/assets/none.js",
        "/uploads/x",
        "/api/x",
    ] {
        let (status, body) = server.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(!body.contains("<html"), "{path}: {body}");
    }
    assert_eq!(server.get("/m/some-room").0, 200);
}

/// Joins with a token of any length: client libraries give up at 64 KiB.
async fn enter(server: &Server, token: &str) -> Client {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await.unwrap();
    stream.write_all(upgrade(&path(token)).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time").unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    let stream = MaybeTlsStream::Plain(stream);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let mut client = Client { socket, joined: Default::default() };
    let first = client.read().await;
    let signal_response::Message::Join(joined) = first else { panic!("first message: {first:?}") };
    client.joined = joined;
    client
}

async fn refreshed_token(client: &mut Client) -> String {
    loop {
        if let signal_response::Message::RefreshToken(token) = client.read().await {
            return token;
        }
    }
}

#[tokio::test]
async fn metadata_survives_a_full_reconnect_whatever_is_in_it() {
    let server = Server::livekit();
    let keys = ApiKeys::one("devkey", "secret");
    let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    for (who, metadata) in [
        ("plain", "x".repeat(512 * 1024)),
        ("json", r#"{"a":"b"},"#.repeat(52_000)),
        ("control", "\u{1}".repeat(512 * 1024)),
    ] {
        let mut bob = Client::join(&server, &format!("bob-{who}")).await;
        let attributes = [("k".to_owned(), "\"".repeat(60_000))].into();
        let claims = Claims {
            sub: who.into(),
            exp: Some(4_000_000_000),
            metadata: metadata.clone(),
            attributes,
            video: Some(video.clone()),
            ..Claims::default()
        };
        let mut token = sign(&claims, "devkey", &keys).unwrap();
        for round in 0..3 {
            let mut ada = enter(&server, &token).await;
            let me = ada.joined.participant.clone().unwrap();
            assert!(me.metadata == metadata, "{who}, {round}: {} bytes", me.metadata.len());
            assert_eq!(me.attributes["k"].len(), 60_000);
            // What the others see.
            loop {
                if let signal_response::Message::Update(update) = bob.read().await
                    && let Some(seen) = update.participants.iter().find(|p| p.sid == me.sid)
                {
                    assert!(seen.metadata == metadata, "{who}, {round}: {} bytes", seen.metadata.len());
                    break;
                }
            }
            token = refreshed_token(&mut ada).await;
        }
    }
}

#[tokio::test]
async fn tokens_that_are_too_long_are_refused_readably() {
    let server = Server::livekit();
    let token = token("ada", "den", |v| v.room = "r".repeat(4 << 20));
    let request =
        format!("GET /rtc/validate?access_token={token} HTTP/1.1\r\nhost: h\r\norigin: http://x\r\n\r\n");
    let answer = exchange(&server, 1, request.as_bytes()).await;
    assert_eq!(status(&answer), 414, "{answer}");
    assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    let long = token_of(100_000);
    let request =
        format!("GET /rtc/validate?access_token={long} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let answer = exchange(&server, 1, request.as_bytes()).await;
    assert!(status(&answer) == 200 && answer.ends_with("success"), "{answer}");
    // The same in the header.
    let request = format!(
        "GET /rtc/validate HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {long}\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(&server, 1, request.as_bytes()).await;
    assert!(status(&answer) == 200 && answer.ends_with("success"), "{answer}");
}

fn token_of(metadata: usize) -> String {
    let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let metadata = "m".repeat(metadata);
    let exp = Some(4_000_000_000);
    let claims = Claims { sub: "ada".into(), exp, metadata, video: Some(video), ..Claims::default() };
    sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap()
}
