//! What a peer or a stranger can send must neither disturb the others nor grow anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_sfu::{Command, DropReason, IceCredentials, ShardConfig};
use support::publisher::{Publisher, audio_pt, vp8_pt};
use support::{Lcg, World, check, path, tid};

#[test]
fn random_truncated_replayed_and_foreign_packets_are_dropped_and_counted() {
    let mut w = World::new(1);
    let track = w.publish(0, |id| Publisher::video(id, 3));
    w.subscribe(1, track, vec![vp8_pt(true)], true);
    w.run(500);
    let mut rng = Lcg(99);
    let before = w.shard.stats();
    for round in 0..3000u32 {
        let len = (rng.next() % 1500) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            // Every protocol's first byte, RTP and RTCP most of all.
            *first = [0, 1, 22, 64, 0x80, 0x90, 0xb0, 200][(round % 8) as usize];
        }
        let from = if round % 3 == 0 { path(77) } else { path(round % 2) };
        w.inject(from, bytes);
    }
    let probe = w.publishers[0].probe(0);
    for cut in 0..probe.len() {
        w.inject(path(0), probe[..cut].to_vec());
    }
    w.inject(path(0), probe.clone());
    w.inject(path(0), probe.clone());
    // Right bytes, wrong transport: another key.
    w.inject(path(1), probe);
    let after = w.shard.stats();
    for reason in [
        DropReason::Malformed,
        DropReason::UnknownAddress,
        DropReason::UnknownUfrag,
        DropReason::Unauthenticated,
        DropReason::Turn,
    ] {
        assert!(after.drops.get(reason) > before.drops.get(reason), "{}", reason.name());
    }
    assert_eq!((after.transports, after.addresses), (before.transports, before.addresses));
    w.run(1000);
    check::contiguous(&w.subscribers[0], 0);
    check::vp8(&w.subscribers[0].received);
}

#[test]
fn unknown_ssrcs_stay_bounded() {
    let mut w = World::new(2);
    let (tx, _rx) = w.connect(0);
    let before = w.shard.stats();
    for ssrc in 0..5000u32 {
        let header = bedrud_rtp::OutHeader {
            marker: false,
            pt: 96,
            seq: 1,
            timestamp: 0,
            ssrc,
            padding: false,
            extensions: bedrud_rtp::OutExtensions::default(),
        };
        let mut out = Vec::new();
        let written = header.write(&mut out, &support::extensions());
        out.extend([0; 20]);
        tx.seal_rtp(&mut out, 0, written.header_len, 1).unwrap();
        w.inject(path(0), out);
    }
    let after = w.shard.stats();
    assert_eq!(after.drops.get(DropReason::UnknownSsrc), 5000);
    assert_eq!(after.timers, before.timers);
}

#[test]
fn stale_and_excessive_commands_are_counted_not_obeyed() {
    let mut w = World::with_config(3, ShardConfig { max_transports: 1, ..ShardConfig::default() });
    w.connect(0);
    let mut id = tid(0);
    id.epoch = 9;
    let ice = |n| IceCredentials { ufrag: tid(n).ufrag(0), pwd: "p".repeat(24) };
    w.command(Command::CloseTransport { id });
    w.command(Command::OpenTransport { id, local_ice: ice(0) });
    w.command(Command::RemoveUpTrack { id: bedrud_sfu::UpTrackId(1) });
    w.command(Command::OpenTransport { id: tid(1), local_ice: ice(1) });
    let stats = w.shard.stats();
    assert_eq!(stats.transports, 1);
    assert_eq!((stats.drops.get(DropReason::StaleCommand), stats.drops.get(DropReason::Limit)), (3, 1));
}

#[test]
fn three_hundred_transports_leave_nothing_behind() {
    let mut w = World::new(4);
    for round in 0..3u32 {
        let mut tracks = Vec::new();
        for slot in 0..50u32 {
            let n = round * 100 + slot;
            let track = w.publish(n, |id| {
                let (mut config, p) =
                    if slot % 2 == 0 { Publisher::video(id, 3) } else { Publisher::audio(id, false) };
                config.transport = tid(n);
                (config, p)
            });
            tracks.push((track, slot % 2 == 0));
        }
        for slot in 50..100u32 {
            let (track, video) = tracks[(slot - 50) as usize];
            let pts =
                if video { vec![vp8_pt(true)] } else { vec![audio_pt(111, bedrud_rtp::Codec::Opus, true)] };
            w.subscribe(round * 100 + slot, track, pts, video);
        }
        w.run(200);
        assert!(w.subscribers.iter().all(|s| s.datagrams > 0));
        let stats = w.shard.stats();
        assert_eq!(
            (stats.transports, stats.up_tracks, stats.down_tracks, stats.addresses),
            (100, 50, 50, 100)
        );
        for slot in 0..100 {
            w.command(Command::CloseTransport { id: tid(round * 100 + slot) });
        }
        w.publishers.clear();
        w.subscribers.clear();
        w.run(20_000);
        let stats = w.shard.stats();
        assert_eq!(
            (
                stats.transports,
                stats.up_tracks,
                stats.down_tracks,
                stats.addresses,
                stats.ssrcs,
                stats.timers
            ),
            (0, 0, 0, 0, 0, 0)
        );
        assert!(w.shard.poll_deadline().is_none(), "nothing left to wait for");
        assert!(w.shard.capacity() < 2048, "{}", w.shard.capacity());
    }
}

#[test]
fn a_stream_that_starts_over_with_every_packet_is_limited() {
    let mut w = World::new(5);
    let (tx, _rx) = w.connect(0);
    w.command(Command::SetUpTrack(bedrud_sfu::UpTrackConfig {
        id: bedrud_sfu::UpTrackId(1),
        transport: tid(0),
        kind: bedrud_rtp::MediaKind::Video,
        mid: bedrud_rtp::Mid::new("v0").unwrap(),
        payload_types: vec![vp8_pt(true)],
        layers: vec![bedrud_sfu::UpLayer { spatial: 0, rid: None, ssrc: None, rtx_ssrc: None }],
    }));
    for n in 0..1000u32 {
        let header = bedrud_rtp::OutHeader {
            marker: false,
            pt: 96,
            seq: 1,
            timestamp: 0,
            ssrc: 10 + n,
            padding: false,
            extensions: bedrud_rtp::OutExtensions { mid: bedrud_rtp::Mid::new("v0"), ..Default::default() },
        };
        let mut out = Vec::new();
        let written = header.write(&mut out, &support::extensions());
        out.extend([0; 20]);
        tx.seal_rtp(&mut out, 0, written.header_len, 1).unwrap();
        w.inject(path(0), out);
    }
    w.run(1);
    let started = w.events.iter().filter(|e| matches!(e, bedrud_sfu::Event::UpLayerStarted { .. })).count();
    assert!((1..=4).contains(&started), "{started}");
    let stats = w.shard.stats();
    assert!(stats.drops.get(DropReason::Limit) >= 990 && stats.ssrcs <= 2, "{stats:?}");
}
