//! The media port as a whole, on the loopback interface. One test: it counts the process's descriptors.
#![allow(clippy::unwrap_used, reason = "tests")]

use bedrud_net::{
    AdoptError, EventSink, FailureSink, MediaNet, NetConfig, ReportSink, SSL_CLIENT_HELLO, SSL_SERVER_HELLO,
    ShardReport, TcpLimits,
};
use bedrud_transport::{TransportConfig, TransportContext};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn count(dir: &str) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Waits until `dir` has `wanted` entries, and returns how many it has: the kernel lets a joiner go on before the
/// thread is gone from its lists.
#[allow(clippy::disallowed_methods, reason = "the edge of the test: it waits for the kernel, by the clock")]
fn settled(dir: &str, wanted: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(10);
    while count(dir) != wanted && Instant::now() < deadline {
        std::thread::yield_now();
    }
    count(dir)
}

/// What the acceptor does: accept, read the first bytes.
fn accept(listener: &TcpListener, first: &[u8]) -> (TcpStream, TcpStream, Vec<u8>) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.write_all(first).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut prefix = vec![0; first.len()];
    server.read_exact(&mut prefix).unwrap();
    (client, server, prefix)
}

/// The present state of all shards.
fn reports(net: &MediaNet) -> Vec<ShardReport> {
    let (answers, got) = std::sync::mpsc::channel();
    let sink: ReportSink = Arc::new(move |shard, report| {
        let _ = answers.send((shard, report));
    });
    assert!(net.ask_reports(&sink).into_iter().all(|asked| asked));
    drop(sink);
    let mut reports: Vec<_> = got.iter().collect();
    assert_eq!(reports.len(), usize::from(net.shards()));
    reports.sort_unstable_by_key(|(shard, _)| *shard);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn unanswerable_check() -> Vec<u8> {
    let mut frame = vec![0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    frame.extend([7; 12]);
    frame
}

#[test]
fn streams_are_adopted_limited_and_closed_with_everything_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink: EventSink = Arc::new(|_, _| Ok(()));
    let failed: FailureSink = Arc::new(|shard, why| panic!("shard {shard}: {why}"));
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    for shards in [1, 3] {
        let config = NetConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            shards,
            tcp: TcpLimits { unauthenticated_per_host: 3, ..TcpLimits::default() },
            ..NetConfig::default()
        };
        let context = TransportContext::new(TransportConfig::default(), None).unwrap();
        let net = MediaNet::start(&config, &context, &sink, &failed).unwrap();
        assert_eq!(net.shards(), shards);
        let running = threads + usize::from(shards);
        assert_eq!(settled("/proc/self/task", running), running);

        // Datagrams arrive and are counted, whichever socket the kernel picks.
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..10 {
            peer.send_to(b"\xffjunk", net.local_addr()).unwrap();
        }
        let total = |f: fn(&ShardReport) -> u64| reports(&net).iter().map(f).sum::<u64>();
        while total(|r| r.net.datagrams_in) < 10 {}

        // The pretend-TLS hello is answered.
        let (mut client, server, prefix) = accept(&listener, &SSL_CLIENT_HELLO);
        net.adopt_tcp(server, prefix).unwrap();
        let mut hello = [0; SSL_SERVER_HELLO.len()];
        client.read_exact(&mut hello).unwrap();
        assert_eq!(hello, SSL_SERVER_HELLO);

        // Frames that came with the stream and after it are taken.
        let (mut framed, server, prefix) = accept(&listener, &unanswerable_check());
        net.adopt_tcp(server, prefix).unwrap();
        framed.write_all(&unanswerable_check()).unwrap();
        while total(|r| r.net.tcp_frames_in) < 2 {}

        // A frame beyond all reason ends the connection.
        let (mut broken, server, prefix) = accept(&listener, &unanswerable_check());
        net.adopt_tcp(server, prefix).unwrap();
        broken.write_all(&[0xff; 100]).unwrap();
        assert_eq!(broken.read(&mut [0; 8]).unwrap_or(0), 0);
        while total(|r| r.net.tcp_connections as u64) != 2 {}

        // One host may not hold more than its share, and other protocols are refused.
        let (_third, server, prefix) = accept(&listener, &unanswerable_check());
        net.adopt_tcp(server, prefix).unwrap();
        let (_fourth, server, prefix) = accept(&listener, &unanswerable_check());
        assert!(matches!(net.adopt_tcp(server, prefix), Err(AdoptError::TooManyFromHost)));
        let (_web, server, prefix) = accept(&listener, b"GET / HTTP/1.1\r\n");
        assert!(matches!(net.adopt_tcp(server, prefix), Err(AdoptError::NotIceTcp)));

        net.shutdown();
        assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0, "adopted streams are closed");
        let nobody: ReportSink = Arc::new(|_, _| {});
        assert!(!net.ask_reports(&nobody).contains(&true), "threads that have ended answer nothing");
        drop(net);
    }
    assert_eq!(settled("/proc/self/task", threads), threads);
    assert_eq!(settled("/proc/self/fd", descriptors), descriptors);
}
