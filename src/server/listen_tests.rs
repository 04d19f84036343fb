//! Real connections to a port on loopback.

use super::*;
use crate::api::ClientAddr;
use crate::config::Config;
use crate::intake::Intake;
use crate::server::client_ip::TrustedProxies;
use crate::server::connections::Connections;
use crate::server::head::{HeadLimits, LongHeads, LongQuery};
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
        head: HeadLimits {
            time: Some(Duration::from_millis(300)),
            idle: Some(Duration::from_secs(2)),
            bytes: 8192,
            long_bytes: 1 << 20,
            memory: LongHeads::new(4 << 20, Duration::from_secs(60)),
        },
        answer: Some(Duration::from_millis(500)),
        drain: Duration::from_secs(5),
    };
    let proxies = Arc::new(TrustedProxies::new(&["192.0.2.1".to_owned()], "X-Forwarded-For"));
    let ids = Arc::new(RequestIds::new(1));
    let connections = Connections::new(100, 100);
    let http = Service { routes, proxies, limits, ids, connections, intake: Intake::new(0) };
    let mut port = Port { http, media: None, tls: None, sniff_timeout: Duration::from_millis(200) };
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
        p.http.connections = Connections::new(100, 2);
        p.http.limits.head.time = Some(Duration::from_secs(600));
        p.http.limits.answer = None;
        p.sniff_timeout = Duration::from_secs(600);
    });
    let mut held =
        [TcpStream::connect(f.address).await.unwrap(), TcpStream::connect(f.address).await.unwrap()];
    // Its own oldest silent connection makes room.
    assert!(f.get("/who", "").await.starts_with("HTTP/1.1 200"));
    assert_eq!(read_all(&mut held[0]).await, "");
    for stream in &mut held {
        *stream = TcpStream::connect(f.address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    }
    // Both are at work once a further one is refused.
    while !f.get("/who", "").await.is_empty() {
        tokio::task::yield_now().await;
    }
    drop(held);
    // The places are free again as soon as the closed connections are noticed.
    while f.get("/who", "").await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_server_takes_newcomers_in_place_of_those_who_say_nothing() {
    let f = start(|p| {
        p.http.connections = Connections::new(8, 0);
        p.http.limits.head.time = Some(Duration::from_secs(600));
        p.sniff_timeout = Duration::from_secs(600);
    });
    let mut silent = Vec::new();
    for n in 0..50 {
        let mut stream = TcpStream::connect(f.address).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\nx: ").await.unwrap();
        }
        silent.push(stream);
        if n % 10 == 9 {
            assert!(f.get("/who", "").await.starts_with("HTTP/1.1 200"), "after {n}");
        }
    }
    assert_eq!(read_all(&mut silent[0]).await, "", "the oldest had to go");
}

#[tokio::test]
async fn proxies_are_told_how_long_an_idle_connection_lives() {
    let f = start(|p| p.http.limits.head.idle = Some(Duration::from_secs(150)));
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"false") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(String::from_utf8_lossy(&answer).contains("keep-alive: timeout=150"));
    // Idle for longer than a head may take, and still good.
    tokio::time::sleep(Duration::from_millis(600)).await;
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("keep-alive"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_time() {
    let f = start(|p| p.http.limits.head.idle = Some(Duration::from_millis(100)));
    let answer = f.exchange(b"GET /who HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(answer.ends_with("127.0.0.1 false"), "{answer}");
}

#[tokio::test]
async fn long_queries_reach_their_route_on_every_request_of_a_connection() {
    let f = start(|p| {
        let echo = |query: Option<Extension<LongQuery>>, uri: axum::http::Uri, body: String| async move {
            let query = query.map_or(uri.query().unwrap_or_default().len(), |Extension(q)| q.0.len());
            format!("[{query} {}]", body.len())
        };
        p.http.routes = Router::new().route("/rtc", get(echo).post(echo)).route("/who", get(echo));
        p.http.limits.head.time = Some(Duration::from_secs(60));
        p.http.limits.answer = None;
    });
    let long = format!("access_token={}", "x".repeat(700_000));
    let n = long.len();
    let requests = [
        format!("GET /rtc?{long} HTTP/1.1\r\nhost: h\r\n\r\n"),
        // What looks like a head in a body is none.
        "POST /rtc?a=b HTTP/1.1\r\nhost: h\r\ncontent-length: 34\r\n\r\nGET /rtc?c=d HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(),
        format!("\r\nGET //rtc?{long} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\r\n", "y".repeat(80_000)),
        "GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".to_owned(),
    ]
    .concat();
    // Pipelined, and in pieces that end anywhere.
    for piece in [1 << 20, 10_007] {
        let mut stream = TcpStream::connect(f.address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let write = async {
            for piece in requests.as_bytes().chunks(piece) {
                writer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (text, ()) = tokio::join!(read_all(&mut reader), write);
        let bodies: Vec<&str> = text.split('[').skip(1).filter_map(|rest| rest.split(']').next()).collect();
        assert_eq!(bodies, [format!("{n} 0"), "3 34".into(), format!("{n} 0"), "0 0".into()], "{text}");
    }
    // One byte at a time, as far as a test can wait for.
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    for byte in b"GET /rtc?a=b HTTP/1.1\nhost: h\nconnection: close\n\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_all(&mut stream).await.ends_with("[3 0]"));
}

#[tokio::test]
async fn heads_that_are_too_long_are_refused_in_words_that_every_page_can_read() {
    let f = start(|p| p.http.limits.head.time = Some(Duration::from_secs(60)));
    let long = "x".repeat(100_000);
    let endless = "x".repeat(3 << 20);
    let header = |size: usize| format!("x: {}\r\n", "y".repeat(size));
    let cases = [
        (format!("GET /who?a={long} HTTP/1.1\r\nhost: h\r\n\r\n"), 414),
        (format!("GET /rtc?access_token={endless} HTTP/1.1\r\nhost: h\r\n\r\n"), 414),
        (format!("GET /{long} HTTP/1.1\r\nhost: h\r\n\r\n"), 414),
        (format!("GET /who HTTP/1.1\r\nhost: h\r\n{}\r\n", header(1 << 20)), 431),
        (format!("GET /rtc HTTP/1.1\r\nhost: h\r\n{}\r\n", header(1 << 19)), 431),
        (format!("GET /who HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(300)), 431),
    ];
    for (request, status) in cases {
        let mut stream = TcpStream::connect(f.address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let (answer, _) = tokio::join!(read_all(&mut reader), writer.write_all(request.as_bytes()));
        let first = &request[..40];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{first}: {answer}");
        assert!(
            answer.contains("access-control-allow-origin: *") && answer.contains("{\"error\":"),
            "{answer}"
        );
    }
}

/// A server whose memory for long heads is used up by two that do not end, and what a third client hears.
async fn third_long_head(patience: Duration) -> (Fixture, Vec<TcpStream>, LongHeads, String) {
    let memory = LongHeads::new(1 << 20, patience);
    let f = start(|p| {
        p.http.limits.head.memory = memory.clone();
        p.http.limits.head.time = Some(Duration::from_secs(60));
    });
    let half = format!("GET /rtc?access_token={}", "x".repeat(400_000));
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(f.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        held.push(stream);
    }
    while memory.free() > 200_000 {
        tokio::task::yield_now().await;
    }
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let request = format!("{half} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let (answer, _) = tokio::join!(read_all(&mut reader), writer.write_all(request.as_bytes()));
    (f, held, memory, answer)
}

#[tokio::test]
async fn all_long_heads_together_are_bounded() {
    let (f, held, memory, refused) = third_long_head(Duration::from_secs(60)).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert!(f.get("/who", "").await.starts_with("HTTP/1.1 200"), "short heads need nothing of it");
    drop(held);
    while memory.free() < 1 << 20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn slow_long_heads_make_room_for_quick_ones() {
    let (_f, mut held, _, answer) = third_long_head(Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(read_all(&mut held[0]).await, "", "the oldest had to go");
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_sends_on_and_chunked_bodies_end_the_connection() {
    let f = start(|_| {});
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut request = b"POST /who HTTP/1.1\r\nhost: h\r\ncontent-length: 4000000\r\n\r\n".to_vec();
    request.extend(vec![b'x'; 4_000_000]);
    let (answer, sent) = tokio::join!(read_all(&mut reader), writer.write_all(&request));
    assert!(answer.starts_with("HTTP/1.1 405") && sent.is_ok(), "{answer}");
    let chunked = b"POST /who HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let answer = f.exchange(chunked).await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_stops_has_no_more_time_than_a_head() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.enable_tls = true;
    let files = tls::files(&config, dir.path(), crate::server::health::unix_seconds()).unwrap();
    let acceptor = TlsAcceptor::from(tls::server_config(files).unwrap().0);
    let f = start(|p| {
        p.tls = Some(acceptor);
        p.sniff_timeout = Duration::from_secs(600);
    });
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"\x16", b""] {
        let ended = tokio::time::timeout(Duration::from_secs(60), f.exchange(bytes)).await;
        assert_eq!(ended.expect("it is ended"), "", "{bytes:?}");
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

    let connector = connector(&files.cert);
    let stream = TcpStream::connect(f.address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with("127.0.0.1 true"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    assert!(!plain.contains("strict-transport-security"), "only https may promise https");

    // Records that arrive byte by byte are still TLS.
    let stream = TcpStream::connect(f.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), Trickle(stream)).await.unwrap();
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with("127.0.0.1 true"), "{answer}");
}

/// A client that knows this certificate.
fn connector(cert: &std::path::Path) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(client))
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

/// A framed Binding request that names no transport of ours.
fn check() -> Vec<u8> {
    let mut frame = vec![0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    frame.extend([7; 12]);
    frame
}

/// Beginnings that are neither one thing nor the other, or first one and then another: one handler takes each, or it is
/// closed, and nobody is answered twice.
#[tokio::test]
async fn what_begins_as_one_protocol_is_never_served_as_another() {
    let sfu = Sfu::start(bedrud_media::SfuConfig::bound_to(([127, 0, 0, 1], 0).into())).unwrap();
    let media = sfu.clone();
    let f = start(|p| {
        p.media = Some(media);
        p.sniff_timeout = Duration::from_secs(5);
    });
    let request = b"GET /who HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let mut huge = check();
    (huge[0], huge[1]) = (0xff, 0xff);
    let cases: [(&str, Vec<u8>); 7] = [
        ("a verb, then a check", [b"GET ", &check()[..]].concat()),
        ("a verb, then a frame with a check", [b"POST", &check()[2..]].concat()),
        ("a frame of 65,535 bytes", huge.clone()),
        ("a check, then a frame of 65,535 bytes", [check(), huge].concat()),
        ("a check, then a request", [&check()[..], request].concat()),
        ("the beginning of TLS, then a check", [b"\x16\x03\x01", &check()[..]].concat()),
        ("half a verb, then TLS", b"GE\x16\x03\x01".to_vec()),
    ];
    let exchange = async |what: &str, bytes: &[u8], at_once: usize| {
        let mut stream = TcpStream::connect(f.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // A refusal may come before the last byte.
        for piece in bytes.chunks(at_once) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        let answer = read_all(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{what}: served as HTTP: {answer}");
        assert!(!answer.starts_with('\u{1}'), "{what}: served as ICE");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
    };
    let all =
        cases.iter().flat_map(|(what, bytes)| [exchange(what, bytes, 1), exchange(what, bytes, 1 << 20)]);
    futures_util::future::join_all(all).await;
    // The plain cases beside them, byte by byte: the one is served, the other has ten seconds.
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    for byte in request {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    let mut stream = TcpStream::connect(f.address).await.unwrap();
    for byte in check() {
        stream.write_all(&[byte]).await.unwrap();
    }
    // Half a minute before; the deadline itself is tested with the clock in hand.
    let closed = tokio::time::timeout(Duration::from_secs(25), read_all(&mut stream)).await;
    assert_eq!(closed.expect("an unanswered check holds its connection"), "");
    assert_eq!(sfu.stats().await.unwrap().tcp_connections(), 0);
}

/// Hands over one byte at a time.
struct Trickle(TcpStream);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Trickle {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        let one = bytes.get(..1).unwrap_or(bytes);
        std::pin::Pin::new(&mut self.0).poll_write(cx, one)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
