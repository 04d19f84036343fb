//! A call through the facade: real sockets, real signalling messages, an independent WebRTC implementation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod peer;

use bedrud_media::protocol::ForwardParticipantRequest;
use bedrud_media::{ByKind, RoomEvent, ServiceRequest, Sfu, SfuConfig, SfuEvent, ShardStats, Sniff, sniff};
use peer::{Peer, run_until};
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;
use str0m::media::MediaKind;

/// What the embedder's accept loop does with ICE/TCP connections.
fn serve_tcp(listener: TcpListener, sfu: Sfu) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut prefix = vec![];
            while sniff(&prefix) == Sniff::NeedMore {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                prefix.push(byte[0]);
            }
            if sniff(&prefix) == Sniff::IceTcp {
                sfu.adopt_tcp(stream, prefix).unwrap();
            }
        }
    });
}

fn start(tcp: bool, shards: u16) -> Sfu {
    // Several shards on all addresses, one on its own, so that both ways of binding are used.
    let bind = if shards > 1 { "[::]:0" } else { "127.0.0.1:0" };
    let mut config = SfuConfig::bound_to(bind.parse().unwrap());
    config.external_ips = vec![[127, 0, 0, 1].into()];
    config.net.shards = shards;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    config.tcp_port = tcp.then(|| listener.local_addr().unwrap().port());
    let sfu = Sfu::start(config).unwrap();
    serve_tcp(listener, sfu.clone());
    sfu
}

async fn call(sfu: Sfu, tcp: bool) {
    let mut events = sfu.events();
    let mut alice = Peer::join(&sfu, "room", "alice", tcp).await.unwrap();
    let mut bob = Peer::join(&sfu, "room", "bob", tcp).await.unwrap();
    alice.publish().await;
    bob.publish().await;
    run_until(&mut [&mut alice, &mut bob], "both connections of both connect", |p| {
        p.iter().all(|p| p.publisher.connected && p.subscriber.connected)
    })
    .await;
    run_until(&mut [&mut alice, &mut bob], "media arrives both ways", |p| {
        p.iter().all(|p| {
            p.subscriber.payloads(MediaKind::Audio) > 20 && p.subscriber.payloads(MediaKind::Video) > 20
        })
    })
    .await;
    for (receiver, sender) in [(&alice, "bob"), (&bob, "alice")] {
        let audio = &receiver.subscriber.received[&MediaKind::Audio];
        assert!(audio.iter().all(|p| p.starts_with(b"opus ")), "payloads are forwarded as they are");
        let video = &receiver.subscriber.received[&MediaKind::Video];
        assert!(video.iter().all(|p| p.windows(4).any(|w| w == b"vp8 ")));
        assert_eq!(receiver.participants[sender].tracks.len(), 2);
        assert_eq!(receiver.published.len(), 2);
    }
    run_until(&mut [&mut alice, &mut bob], "data channels open", |p| {
        p.iter().all(|p| p.publisher.channels.len() == 3 && p.subscriber.channels.len() == 3)
    })
    .await;
    assert!(alice.send_data("_reliable", "hello bob"));
    assert!(bob.send_data("_lossy", "hello alice"));
    run_until(&mut [&mut alice, &mut bob], "data arrives both ways", |p| {
        p.iter().all(|p| !p.messages().is_empty())
    })
    .await;
    assert_eq!(bob.messages(), [("_reliable".into(), "alice".into(), "hello bob".into())]);
    assert_eq!(alice.messages(), [("_lossy".into(), "bob".into(), "hello alice".into())]);

    let stats = sfu.stats().await.unwrap();
    assert_eq!((stats.transports(), stats.sessions, stats.hub.participants), (4, 2, 2));
    assert_eq!(stats.tcp_connections(), if tcp { 4 } else { 0 });

    let figures = sfu.metrics().await.unwrap();
    let both = ByKind { audio: 2, video: 2 };
    assert_eq!((figures.hub.rooms[0].published, figures.hub.rooms[0].subscribed), (both, both));
    assert_eq!((figures.hub.counters.participants_joined, figures.hub.counters.video_published), (2, 2));
    let sum = |pick: fn(&ShardStats) -> u64| figures.stats.shards.iter().map(|s| pick(&s.shard)).sum::<u64>();
    assert!(sum(|s| s.rtp_in) > 80 && sum(|s| s.rtp_out) > 80 && sum(|s| s.rtp_bytes_out) > 800);

    bob.leave().await;
    run_until(&mut [&mut alice, &mut bob], "bob is gone", |p| {
        p[1].closed && p[1].publisher.closed && p[1].subscriber.closed
    })
    .await;
    alice.leave().await;
    run_until(&mut [&mut alice], "alice is gone", |p| p[0].closed).await;
    drop((alice, bob));
    let mut seen = vec![];
    while let Some(SfuEvent::Room(event)) = events.try_recv() {
        seen.push(match *event {
            RoomEvent::RoomStarted { .. } => "room_started".to_owned(),
            RoomEvent::RoomAgentsChanged { .. } => "room_agents_changed".to_owned(),
            RoomEvent::TokensRevoked(entry) => format!("{} revoked", entry.identity),
            RoomEvent::RoomFinished { .. } => "room_finished".to_owned(),
            RoomEvent::ParticipantJoined { participant, .. } => format!("{} joined", participant.identity),
            RoomEvent::ParticipantLeft { participant, .. } => format!("{} left", participant.identity),
            RoomEvent::TrackPublished { participant, .. } => format!("{} published", participant.identity),
            RoomEvent::TrackUnpublished { participant, .. } => {
                format!("{} unpublished", participant.identity)
            }
            other => format!("{other:?}"),
        });
    }
    assert_eq!(seen[0], "room_started");
    for who in ["alice", "bob"] {
        for (what, times) in [("joined", 1), ("published", 2), ("left", 1)] {
            let text = format!("{who} {what}");
            assert_eq!(seen.iter().filter(|s| **s == text).count(), times, "{text}: {seen:?}");
        }
    }
    let stats = sfu.stats().await.unwrap();
    assert_eq!((stats.transports(), stats.sessions, stats.hub.participants), (0, 0, 0));
    sfu.shutdown(Duration::from_secs(1)).await;
    assert!(sfu.stats().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_exchange_media_and_data_over_udp() {
    call(start(false, 1), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_exchange_media_and_data_over_ice_tcp() {
    call(start(true, 1), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_reach_their_room_whichever_socket_their_datagrams_arrive_at() {
    call(start(false, 3), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_participant_is_received_in_a_room_on_another_shard() {
    let sfu = start(false, 2);
    let mut alice = Peer::join(&sfu, "room", "alice", false).await.unwrap();
    // Rooms take turns on the shards.
    let mut bob = Peer::join(&sfu, "hall", "bob", false).await.unwrap();
    alice.publish().await;
    run_until(&mut [&mut alice, &mut bob], "the publisher is connected", |p| p[0].publisher.connected).await;
    let (room, identity) = ("room".to_owned(), "alice".to_owned());
    let forward = ForwardParticipantRequest { room, identity, destination_room: "hall".to_owned() };
    sfu.service(ServiceRequest::ForwardParticipant(forward)).await.unwrap();
    run_until(&mut [&mut alice, &mut bob], "media arrives in the other room", |p| {
        p[1].subscriber.payloads(MediaKind::Audio) > 20 && p[1].subscriber.payloads(MediaKind::Video) > 20
    })
    .await;
    assert!(bob.subscriber.received[&MediaKind::Audio].iter().all(|p| p.starts_with(b"opus ")));
    let relayed: u64 = sfu.stats().await.unwrap().shards.iter().map(|s| s.net.relayed).sum();
    assert!(relayed > 40, "{relayed}");
    bob.leave().await;
    alice.leave().await;
    run_until(&mut [&mut alice, &mut bob], "both are gone", |p| p.iter().all(|p| p.closed)).await;
    drop((alice, bob));
    assert_eq!(sfu.stats().await.unwrap().transports(), 0);
    sfu.shutdown(Duration::from_secs(1)).await;
}
