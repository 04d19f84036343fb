//! Real connections to a port on loopback.

use super::*;
use crate::api::ClientAddr;
use crate::config::Config;
use crate::server::client_ip::TrustedProxies;
use crate::server::http::{HttpLimits, RequestIds, Service};
use crate::server::shutdown::Shutdown;
use crate::server::tls;
use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use tokio::io::AsyncWriteExt as _;

struct Fixture {
    address: SocketAddr,
    shutdown: Shutdown,
}

fn start(adjust: impl FnOnce(&mut Port)) -> Fixture {
    let routes = Router::new()
        .route(
            "/who",
            get(|Extension(c): Extension<ClientAddr>| async move { format!("{} {}", c.ip, c.https) }),
        )
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(600)).await }))
        .route("/wait", get(|| async { tokio::time::sleep(Duration::from_millis(200)).await }));
    let limits = HttpLimits {
        head: Some(Duration::from_millis(300)),
        answer: Some(Duration::from_millis(500)),
        head_bytes: 8192,
        drain: Duration::from_secs(5),
    };
    let proxies = Arc::new(TrustedProxies::new(&["192.0.2.1".to_owned()], "X-Forwarded-For"));
    let http = Service { routes, proxies, limits, ids: Arc::new(RequestIds::new(1)) };
    let mut port = Port {
        http,
        media: None,
        tls: None,
        connections: Connections::new(100, 100),
        sniff_timeout: Duration::from_millis(200),
    };
    adjust(&mut port);
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(serve(listener, Arc::new(port), shutdown.guard()));
    Fixture { address, shutdown }
}

impl Fixture {
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(
            format!("GET {path} HTTP/1.1\r\nhost: h:1\r\nconnection: close\r\n{headers}\r\n").as_bytes(),
        )
        .await
    }
}

/// Until the other side ends, however it does.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn http_is_served_with_the_peer_address_and_an_id() {
    let f = start(|_| {});
    let answer = f.get("/who", "x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("127.0.0.1 false"), "an untrusted peer is believed: {answer}");
    assert!(answer.contains("x-request-id: 00000001-1"));
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let f =
        start(|p| p.http.proxies = Arc::new(TrustedProxies::new(&["127.0.0.0/8".to_owned()], "X-Real-IP")));
    let answer = f.get("/who", "x-real-ip: 203.0.113.9\r\nx-forwarded-proto: https\r\n").await;
    assert!(answer.ends_with("203.0.113.9 true"), "{answer}");
}

#[tokio::test]
async fn other_protocols_and_silence_are_closed_without_an_answer() {
    let f = start(|_| {});
    for bytes in
        [&b"SSH-2.0-client\r\n"[..], b"\x16\x03\x01", b"\x00\x64\x00\x01\x00\x50\x21\x12\xa4\x42", b"GE", b""]
    {
        assert_eq!(f.exchange(bytes).await, "", "{bytes:?}");
    }
}

#[tokio::test]
async fn slow_and_oversized_requests_are_ended() {
    let f = start(|_| {});
    let half = f.exchange(b"GET /who HTTP/1.1\r\nhost: h\r\n").await;
    assert!(!half.contains("200 OK"), "{half}");
    let huge = f.get("/who", &format!("x: {}\r\n", "y".repeat(20_000))).await;
    assert!(!huge.contains("200 OK"), "{huge}");
    let many = f.get("/who", &"x: y\r\n".repeat(300)).await;
    assert!(!many.contains("200 OK"), "{many}");
    let slow = f.get("/slow", "").await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let f = start(|p| {
        p.connections = Connections::new(100, 2);
        p.sniff_timeout = Duration::from_secs(60);
    });
    let held = [TcpStream::connect(f.address).await.unwrap(), TcpStream::connect(f.address).await.unwrap()];
    assert_eq!(f.get("/who", "").await, "");
    drop(held);
    // The places are free again as soon as the closed connections are noticed.
    while f.get("/who", "").await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn tls_and_plain_http_share_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.enable_tls = true;
    let files = tls::files(&config, dir.path(), crate::server::health::unix_seconds()).unwrap();
    let acceptor = TlsAcceptor::from(tls::server_config(files.clone()).unwrap().0);
    let f = start(|p| {
        p.tls = Some(acceptor);
        p.sniff_timeout = Duration::from_secs(60);
    });
    let plain = f.get("/who?x=1", "").await;
    assert!(plain.starts_with("HTTP/1.1 308") && plain.contains("location: https://h:1/who?x=1"), "{plain}");

    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(&files.cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(f.address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with("127.0.0.1 true"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    assert!(!plain.contains("strict-transport-security"), "only https may promise https");
}

#[tokio::test]
async fn stopping_lets_an_open_request_finish_and_takes_no_new_ones() {
    let f = start(|_| {});
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    // The request must be on its way before stopping begins.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let address = f.address;
    assert!(f.shutdown.finish(Duration::from_secs(10)).await);
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    assert!(TcpStream::connect(address).await.is_err());
}
