//! A participant that floods its own data connection: who is in another room notices nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests with real sockets")]
#![allow(clippy::print_stdout, reason = "figures")]

mod peer;
#[path = "../transport/tests/pair/raw.rs"]
mod raw;

use bedrud_media::protocol::{DisconnectReason, leave_request::Action};
use bedrud_media::{Sfu, SfuConfig};
use peer::{Peer, run_until};
use raw::{Raw, data};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bystander's message may take this long on a busy machine; it took more than six seconds.
const PATIENCE: Duration = Duration::from_secs(2);

async fn bystander(attack: impl Fn(&Raw, u32) -> Vec<Vec<u8>>, ends: bool) {
    let mut config = SfuConfig::bound_to("127.0.0.1:0".parse().unwrap());
    config.external_ips = vec![[127, 0, 0, 1].into()];
    config.net.shards = 1;
    let sfu = Sfu::start(config).unwrap();
    let raw = Raw::default();
    let crypto = || Some(Arc::new(raw.provider()));
    let mut mallory = Peer::join_with(&sfu, "attic", "mallory", false, crypto).await.unwrap();
    let mut alice = Peer::join(&sfu, "room", "alice", false).await.unwrap();
    let mut bob = Peer::join(&sfu, "room", "bob", false).await.unwrap();
    for peer in [&mut mallory, &mut alice, &mut bob] {
        peer.publish().await;
    }
    run_until(&mut [&mut mallory, &mut alice, &mut bob], "data channels open", |p| {
        p.iter().all(|p| p.publisher.channels.len() == 3)
            && p[1..].iter().all(|p| p.subscriber.channels.len() == 3)
    })
    .await;
    raw.take_over();

    // A data message there and one back, again and again for some seconds.
    let (mut packets, mut said, mut longest) = (0u32, 0usize, Duration::ZERO);
    let started = Instant::now();
    let mut since = Instant::now();
    while started.elapsed() < Duration::from_secs(4) || (ends && mallory.left.is_none()) {
        assert!(started.elapsed() < Duration::from_secs(20), "the attacker is never sent away");
        // 2 Mbit/s, about 1,200 bytes a packet.
        while u64::from(packets) < started.elapsed().as_millis() as u64 / 5 {
            let chunks = attack(&raw, packets);
            raw.send(&chunks);
            packets += 1;
        }
        if alice.messages().len() == said && bob.messages().len() == said {
            assert!(alice.send_data("_reliable", "there"));
            since = Instant::now();
            said += 1;
        }
        if bob.messages().len() == said && alice.messages().len() < said && longest < since.elapsed() {
            longest = since.elapsed();
        }
        let answered = bob.messages().len();
        for peer in [&mut mallory, &mut alice, &mut bob] {
            peer.turn().await;
        }
        if bob.messages().len() > answered {
            assert!(bob.send_data("_reliable", "back"));
        }
        assert!(since.elapsed() < PATIENCE, "round trip {said} takes {:?}", since.elapsed());
    }
    println!("{said} round trips, the longest {longest:?}, {packets} packets of the attacker");
    assert!(said > 20, "{said}");
    assert_eq!(mallory.left.is_some(), ends);
    if let Some(left) = &mallory.left {
        assert_eq!((left.reason(), left.action()), (DisconnectReason::MediaFailure, Action::Disconnect));
    }
    drop((mallory, alice, bob));
    sfu.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_thousand_streams_stop_nobody_else() {
    let attack = |raw: &Raw, n: u32| {
        let tsn = raw.next_tsn().wrapping_add(n * 55);
        (0..55).map(|i| data(2, tsn.wrapping_add(i), (100 + n * 55 + i) as u16, 0, 53, b"x")).collect()
    };
    bystander(attack, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_that_never_fill_stop_nobody_else() {
    let attack = |raw: &Raw, n: u32| {
        let base = raw.next_tsn();
        (0..55)
            .map(|i| data(4, base.wrapping_add(1 + 2 * (8_000 - (n * 55 + i) % 8_000)), 0, 1, 53, b"x"))
            .collect()
    };
    bystander(attack, false).await;
}
