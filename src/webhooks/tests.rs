//! Webhooks as a receiver sees them, over both databases.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use tokio::net::TcpSocket;

use super::testing::*;
use super::{Filter, client::Client, endpoint::Endpoint};
use crate::db::{Db, testing::TestDb, webhooks as outbox};

#[tokio::test]
async fn events_arrive_signed_and_in_the_order_of_their_room() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let mut receiver = Receiver::start(|_, _| ok()).await;
    let webhooks = start(settings(&[&receiver.url]), &store, &sfu).await;
    for n in 0..20 {
        room(&sfu, &format!("room {}", n % 5)).await;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut ids = HashSet::new();
    for _ in 0..40 {
        let hit = receiver.hit().await;
        let header = |name: &str| hit.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("content-type"), "application/webhook+json");
        assert!(header("host").starts_with("127.0.0.1:"));
        let claims = hit.claims().expect("the signature fits the body");
        assert_eq!(claims["iss"], KEY);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 300);
        let event = hit.json();
        let id = event["id"].as_str().unwrap();
        assert!(id.starts_with("EV_") && id.len() == 15, "{id}");
        assert!(ids.insert(id.to_owned()), "{id} came twice");
        assert!(event["createdAt"].as_str().unwrap().parse::<i64>().unwrap() > 1_600_000_000);
        assert!(event["room"]["sid"].as_str().unwrap().starts_with("RM_"));
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        seen.push((text(&event["room"]["name"]), text(&event["event"])));
    }
    for n in 0..5 {
        let name = format!("room {n}");
        let of_room: Vec<&str> = seen.iter().filter(|(r, _)| *r == name).map(|(_, e)| e.as_str()).collect();
        assert_eq!(of_room, ["room_started", "room_finished"].repeat(4), "{name}");
    }
    until("the outbox is empty", || async { waiting(&store).await == 0 }).await;
    assert_eq!(webhooks.stats().delivered.load(Relaxed), 40);
    assert!(dead(&store).await.is_empty());
}

#[tokio::test]
async fn failures_are_tried_again_until_they_succeed_and_nothing_overtakes() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let script = |n, _: &Hit| match n {
        1 => status(500),
        2 => status(503),
        3 => Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response()),
        4 => status(408),
        _ => ok(),
    };
    let mut receiver = Receiver::start(script).await;
    let webhooks = start(settings(&[&receiver.url]), &store, &sfu).await;
    room(&sfu, "den").await;
    let mut expected = vec!["den room_started"; 5];
    expected.push("den room_finished");
    assert_eq!(receiver.hits(6).await, expected);
    until("the outbox is empty", || async { waiting(&store).await == 0 }).await;
    assert!(receiver.is_quiet());
    let stats = webhooks.stats();
    assert_eq!((stats.failed.load(Relaxed), stats.delivered.load(Relaxed)), (4, 2));
}

#[tokio::test]
async fn a_receiver_that_was_not_there_gets_everything_when_it_is() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    // Bound but not listening: connections are refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/hook", socket.local_addr().unwrap());
    let webhooks = start(settings(&[&url]), &store, &sfu).await;
    room(&sfu, "den").await;
    let stats = webhooks.stats();
    until("some attempts failed", || async { stats.failed.load(Relaxed) > 3 }).await;
    assert_eq!(waiting(&store).await, 2);
    let mut receiver = Receiver::on(socket.listen(16).unwrap(), |_, _| ok());
    assert_eq!(receiver.hits(2).await, ["den room_started", "den room_finished"]);
}

#[tokio::test]
async fn what_was_not_delivered_is_delivered_once_after_a_restart() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    // The second event of each room is never answered.
    let script = |_, hit: &Hit| if hit.what().ends_with("started") { ok() } else { None };
    let mut receiver = Receiver::start(script).await;
    let url = receiver.url.clone();
    let webhooks = start(settings(&[&url]), &store, &sfu).await;
    for name in ["a", "b", "c"] {
        room(&sfu, name).await;
        room(&sfu, name).await;
    }
    receiver.hits(6).await;
    until("what arrived is forgotten", || async { waiting(&store).await == 9 }).await;
    // As a crash: nothing is finished, nothing is said.
    drop(webhooks);
    store.close().await;
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    drop(receiver);
    let store = db.store().await;
    let mut listener = None;
    until("the port is free again", || {
        let bound = std::net::TcpListener::bind(&address);
        listener = bound.ok();
        std::future::ready(listener.is_some())
    })
    .await;
    let listener = listener.unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut receiver = Receiver::on(tokio::net::TcpListener::from_std(listener).unwrap(), |_, _| ok());
    let webhooks = start(settings(&[&url]), &store, &sfu).await;
    let hits = receiver.hits(9).await;
    for name in ["a", "b", "c"] {
        let of_room: Vec<_> = hits.iter().filter(|hit| hit.starts_with(name)).collect();
        let expected = ["room_finished", "room_started", "room_finished"].map(|e| format!("{name} {e}"));
        assert_eq!(of_room, expected.iter().collect::<Vec<_>>());
    }
    until("the outbox is empty", || async { waiting(&store).await == 0 }).await;
    webhooks.stop(Duration::from_secs(30)).await;
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn refused_and_hopeless_events_become_dead_letters_that_can_be_sent_again() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let script = |n, _: &Hit| match n {
        1 => status(404),
        2 => Some((StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response()),
        3..=5 => status(500),
        _ => ok(),
    };
    let mut receiver = Receiver::start(script).await;
    let mut settings = settings(&[&receiver.url]);
    settings.limits.attempts = 3;
    let webhooks = start(settings, &store, &sfu).await;
    room(&sfu, "a").await;
    room(&sfu, "a").await;
    let expected =
        ["a room_started", "a room_finished", "a room_started", "a room_started", "a room_started"];
    assert_eq!(receiver.hits(5).await, expected);
    assert_eq!(receiver.hits(1).await, ["a room_finished"], "the dead do not hold up the living");
    until("three are dead", || async { dead(&store).await.len() == 3 }).await;
    let letters = dead(&store).await;
    let errors: Vec<&str> = letters.iter().map(|letter| letter.last_error.as_str()).collect();
    assert_eq!(
        errors,
        [
            "status 500 Internal Server Error",
            "status 302 Found: redirects are not followed",
            "status 404 Not Found"
        ]
    );
    assert_eq!(letters[0].attempts, 3);
    assert_eq!(webhooks.stats().dead.load(Relaxed), 3);

    let now = crate::server::clock::system().now();
    store.write(move |c: &mut Db| outbox::revive(c, None, now)).await.unwrap();
    assert_eq!(receiver.hits(3).await, ["a room_started", "a room_finished", "a room_started"]);
    until("all is done", || async { waiting(&store).await == 0 && dead(&store).await.is_empty() }).await;
}

#[tokio::test]
async fn filtered_events_are_not_even_stored() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let mut receiver = Receiver::start(|_, _| ok()).await;
    let mut settings = settings(&[&receiver.url]);
    settings.filter = Filter { include: vec!["room_finished".into()], exclude: Vec::new() };
    let webhooks = start(settings, &store, &sfu).await;
    room(&sfu, "a").await;
    room(&sfu, "b").await;
    let mut hits = receiver.hits(2).await;
    hits.sort();
    assert_eq!(hits, ["a room_finished", "b room_finished"]);
    webhooks.stop(Duration::from_secs(30)).await;
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_and_no_more_rooms_than_its_share() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    // Room "stuck" is never answered, the others at once.
    let script = |_, hit: &Hit| if hit.what().starts_with("stuck") { None } else { ok() };
    let mut slow = Receiver::start(script).await;
    let mut fast = Receiver::start(|_, _| ok()).await;
    let mut settings = settings(&[&slow.url, &fast.url]);
    settings.limits.workers = 2;
    let _webhooks = start(settings, &store, &sfu).await;
    room(&sfu, "stuck").await;
    assert_eq!(slow.hits(1).await, ["stuck room_started"]);
    for n in 0..10 {
        room(&sfu, &format!("{n}")).await;
    }
    fast.hits(22).await;
    let others = slow.hits(20).await;
    assert!(!others.iter().any(|hit| hit.starts_with("stuck")));
    until("only the stuck room waits", || async { waiting(&store).await == 2 }).await;
}

#[tokio::test]
async fn a_full_queue_drops_the_newest_and_the_next_event_says_how_many() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let open_gate = std::sync::Arc::clone(&gate);
    let script = move |_, _: &Hit| if gate.available_permits() > 0 { ok() } else { status(503) };
    let mut receiver = Receiver::start(script).await;
    let mut settings = settings(&[&receiver.url]);
    settings.limits.depth = 2;
    let webhooks = start(settings, &store, &sfu).await;
    room(&sfu, "a").await;
    let stats = webhooks.stats();
    until("two wait", || async { stats.pending.load(Relaxed) == 2 }).await;
    room(&sfu, "a").await;
    until("two are dropped", || async { stats.dropped_depth.load(Relaxed) == 2 }).await;
    open_gate.add_permits(1);
    until("the queue is empty", || async { stats.pending.load(Relaxed) == 0 }).await;
    open(&sfu, "a").await;
    loop {
        let event = receiver.hit().await.json();
        if event["numDropped"] != serde_json::Value::Null {
            assert_eq!(
                (event["event"].as_str(), event["numDropped"].as_i64()),
                (Some("room_started"), Some(2))
            );
            break;
        }
    }
}

#[tokio::test]
async fn the_last_events_are_stored_before_the_end() {
    let (db, sfu) = (TestDb::new(), sfu());
    let store = db.store().await;
    let receiver = Receiver::start(|_, _| None).await;
    let webhooks = start(settings(&[&receiver.url]), &store, &sfu).await;
    open(&sfu, "a").await;
    sfu.shutdown(Duration::ZERO).await;
    webhooks.stop(Duration::from_millis(300)).await;
    assert_eq!(waiting(&store).await, 2, "room_started and room_finished");
}

mod tls {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls_pki_types::PrivateKeyDer;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A TLS server for `localhost` that answers 204; the PEM of its issuer.
    async fn server() -> (String, String) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/hook", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"{}") && stream.read_buf(&mut request).await.unwrap() > 0 {}
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (url, authority.pem())
    }

    #[tokio::test]
    async fn receivers_must_show_a_certificate_that_is_trusted() {
        let (url, pem) = server().await;
        let (_, other) = server().await;
        let dir = tempfile::tempdir().unwrap();
        let post = |roots: &str, url: String| {
            let path = dir.path().join("roots.pem");
            std::fs::write(&path, roots).unwrap();
            let client = Client::new(Some(&path), Duration::from_secs(30)).unwrap();
            async move { client.post(&Endpoint::parse(&url).unwrap(), "token", "{}".into()).await }
        };
        assert_eq!(post(&pem, url.clone()).await.unwrap().status, StatusCode::NO_CONTENT);
        let error = post(&other, url.clone()).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
        let error = post(&pem, url.replace("localhost", "127.0.0.1")).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
        let none = Client::new(None, Duration::from_secs(30)).unwrap();
        assert!(none.post(&Endpoint::parse(&url).unwrap(), "t", "{}".into()).await.is_err());
    }

    #[tokio::test]
    async fn a_receiver_that_never_answers_ends_with_the_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::new(None, Duration::from_millis(50)).unwrap();
        let error = client.post(&Endpoint::parse(&url).unwrap(), "t", "{}".into()).await.unwrap_err();
        assert!(error.contains("no answer within"), "{error}");
    }
}
