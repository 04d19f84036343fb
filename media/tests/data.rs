//! Data between real clients over real sockets: who reads slowly, and who sends without end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, tells what it measured and runs in real time"
)]

mod peer;

use bedrud_media::protocol::{DataPacket, UserPacket, data_packet};
use bedrud_media::{Sfu, SfuConfig};
use peer::{Peer, run_until};
use prost::Message as _;
use std::time::Duration;

fn server(change: impl FnOnce(&mut SfuConfig)) -> Sfu {
    let mut config = SfuConfig::bound_to("127.0.0.1:0".parse().unwrap());
    change(&mut config);
    Sfu::start(config).unwrap()
}

async fn arrive(sfu: &Sfu, room: &str, names: &[&str]) -> Vec<Peer> {
    let mut peers = Vec::new();
    for name in names {
        peers.push(Peer::join(sfu, room, name, false).await.unwrap());
    }
    for peer in &mut peers {
        peer.publish().await;
    }
    let mut all: Vec<&mut Peer> = peers.iter_mut().collect();
    run_until(&mut all, "everybody has channels", |p| {
        p.iter().all(|p| p.publisher.channels.len() == 3 && p.subscriber.channels.len() >= 2)
    })
    .await;
    peers
}

fn packet(topic: &str, payload: Vec<u8>) -> Vec<u8> {
    let user = UserPacket { payload, topic: Some(topic.to_owned()), ..UserPacket::default() };
    DataPacket { value: Some(data_packet::Value::User(user)), ..DataPacket::default() }.encode_to_vec()
}

/// Messages of a topic a client got, in order: the number each begins with.
fn numbers(peer: &Peer, topic: &str) -> Vec<u32> {
    let of = |bytes: &Vec<u8>| match DataPacket::decode(bytes.as_slice()).unwrap().value {
        Some(data_packet::Value::User(u)) if u.topic.as_deref() == Some(topic) => {
            Some(u32::from_be_bytes(*u.payload.first_chunk().unwrap()))
        }
        _ => None,
    };
    peer.subscriber.data.iter().filter_map(|(_, bytes)| of(bytes)).collect()
}

/// CPU time of the server's threads, in clock ticks.
fn server_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let ticks = tasks.filter_map(|t| {
        let stat = std::fs::read_to_string(t.ok()?.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        let ours = head.contains("(shard-") || head.contains("(sfu-control");
        let fields: Vec<&str> = rest.split_whitespace().collect();
        ours.then(|| fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
    });
    ticks.sum()
}

/// A file is sent faster than one of its receivers can take it. That one gets all of it and stays; another room does
/// not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_and_stays() {
    const MESSAGES: u32 = 500;
    // Everything is smaller than in life, so that the test is short.
    let sfu = server(|c| c.transport.reliable_queue_bytes = 2 << 20);
    let mut peers = arrive(&sfu, "files", &["alice", "bob", "carol"]).await;
    let mut others = arrive(&sfu, "other", &["dave", "erin"]).await;
    peers[1].subscriber.slow = Some(2_500_000);
    let (mut sent, mut pings, mut most, began) = (0, 0u32, 0, std::time::Instant::now());
    let done = |peers: &[Peer]| peers[1..].iter().all(|p| numbers(p, "file").len() == MESSAGES as usize);
    while !done(&peers) {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", peers[1].summary());
        assert!(peers.iter().all(|p| p.left.is_none() && !p.closed), "nobody is dropped");
        while sent < MESSAGES {
            let mut payload = sent.to_be_bytes().to_vec();
            payload.resize(15_000, 7);
            if !peers[0].publisher.write("_reliable", &packet("file", payload)) {
                break;
            }
            sent += 1;
        }
        if numbers(&others[1], "ping").len() == pings as usize
            && others[0].publisher.write("_reliable", &packet("ping", pings.to_be_bytes().to_vec()))
        {
            pings += 1;
        }
        for peer in peers.iter_mut().chain(&mut others) {
            peer.turn().await;
        }
        let lag = sent as usize - numbers(&peers[1], "file").len();
        most = most.max(lag);
    }
    println!(
        "{} bytes in {:?}, {most} messages under way at most, {pings} pings",
        15_000 * sent,
        began.elapsed()
    );
    for peer in &peers[1..] {
        assert_eq!(numbers(peer, "file"), (0..MESSAGES).collect::<Vec<_>>(), "{}", peer.identity);
    }
    assert!(pings > 20, "{pings} answers elsewhere");
    sfu.shutdown(Duration::from_secs(1)).await;
}

/// One-byte messages without end to four receivers.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_small_messages_is_cut_to_the_budget() {
    let sfu = server(|_| {});
    let mut peers = arrive(&sfu, "flood", &["alice", "bob", "carol", "dave", "erin"]).await;
    let small = packet("flood", vec![0, 0, 0, 1]);
    let (before, began, mut sent) = (server_ticks(), std::time::Instant::now(), 0u32);
    while began.elapsed() < Duration::from_secs(5) {
        for _ in 0..2000 {
            if !peers[0].publisher.write("_lossy", &small) {
                break;
            }
            sent += 1;
        }
        for peer in &mut peers {
            peer.turn().await;
        }
    }
    let elapsed = began.elapsed();
    let metrics = sfu.metrics().await.unwrap();
    let hub = metrics.hub.data;
    let (mut received, mut over_rate) = (0, 0);
    for shard in &metrics.stats.shards {
        received += shard.shard.data.received;
        over_rate += shard.shard.data.over_rate;
    }
    let core = (server_ticks() - before) as f64 / elapsed.as_secs_f64();
    eprintln!(
        "{sent} written, {received} taken, {} to each, in {elapsed:?} at {core:.0} % of a core",
        numbers(&peers[1], "flood").len()
    );
    let seconds = elapsed.as_secs() + 2;
    assert!(received + over_rate > 1000 && !numbers(&peers[4], "flood").is_empty());
    assert!(received <= 10_000 + 5_000 * seconds, "{received} taken");
    assert!(hub.deliveries <= 40_000 + 20_000 * seconds, "{hub:?}");
    sfu.shutdown(Duration::from_secs(1)).await;
}
