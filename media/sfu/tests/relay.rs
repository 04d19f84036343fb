//! A stream published on one shard and subscribed to on another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::{Codec, MediaKind};
use bedrud_sfu::{
    Command, DownTrackId, DownTrackSettings, DropReason, PayloadType, RelayKey, ShardConfig, TransportId,
    UpLayer, UpTrackConfig, UpTrackId,
};
use support::publisher::{OPUS, Publisher, audio_pt, vp8_pt};
use support::{World, audio_down, check};

const NEAR: TransportId = TransportId { shard: 0, slot: 900, epoch: 1 };
const FAR: TransportId = TransportId { shard: 1, slot: 70_000, epoch: 3 };
const ARRIVING: UpTrackId = UpTrackId(7000);

/// Two shards and the queue between them.
struct Pair {
    near: World,
    far: World,
    /// Per cent of the datagrams that a full queue refuses.
    loss: u32,
    lost: u32,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let near = World::new(seed);
        let mut far = World::with_config(seed, ShardConfig { shard: 1, ..ShardConfig::default() });
        (far.now, far.began) = (near.now, near.began);
        let mut pair = Self { near, far, loss: 0, lost: 0 };
        let key = RelayKey([7; 56]);
        pair.near.command(Command::OpenRelay { id: NEAR, peer: FAR, key: key.clone() });
        pair.far.command(Command::OpenRelay { id: FAR, peer: NEAR, key });
        pair
    }

    /// Carries a track of the near shard, one subscription per layer.
    fn carry(&mut self, source: UpTrackId, pt: PayloadType, layers: u8) {
        let video = pt.codec.kind() == MediaKind::Video;
        let layer = |spatial: u8| UpLayer {
            spatial,
            rid: None,
            ssrc: Some(100 + u32::from(spatial)),
            rtx_ssrc: video.then_some(200 + u32::from(spatial)),
        };
        let layers: Vec<UpLayer> = (0..layers).map(layer).collect();
        for l in &layers {
            let mut down = audio_down(0, source);
            down.id = DownTrackId(8000 + u64::from(l.spatial));
            down.transport = NEAR;
            (down.ssrc, down.rtx_ssrc) = (l.ssrc.unwrap(), l.rtx_ssrc);
            down.payload_types = vec![pt];
            let max_spatial = l.spatial;
            down.settings =
                DownTrackSettings { paused: false, max_spatial, max_temporal: 3, may_pause: false };
            self.near.command(Command::AddDownTrack(down));
        }
        self.far.command(Command::SetUpTrack(UpTrackConfig {
            id: ARRIVING,
            transport: FAR,
            kind: pt.codec.kind(),
            mid: bedrud_rtp::Mid::new("0").unwrap(),
            payload_types: vec![pt],
            layers,
        }));
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.near.run(1);
            self.far.run(1);
            for (path, bytes) in std::mem::take(&mut self.near.relayed) {
                assert_eq!(path.local, bedrud_sfu::Path::relay(FAR, NEAR).local);
                if self.near.rng.chance(self.loss) {
                    self.lost += 1;
                    continue;
                }
                self.far.inject(path, bytes);
            }
            for (path, bytes) in std::mem::take(&mut self.far.relayed) {
                self.near.inject(path, bytes);
            }
        }
    }
}

fn drops(w: &World) -> u64 {
    DropReason::ALL.iter().map(|r| w.shard.stats().drops.get(*r)).sum()
}

fn vp8() -> PayloadType {
    vp8_pt(true)
}

#[test]
fn video_crosses_with_its_layers_and_key_frame_requests_go_back() {
    let mut p = Pair::new(1);
    let track = p.near.publish(0, |id| Publisher::video(id, 3));
    p.carry(track, vp8(), 3);
    p.run(1000);
    let high = p.far.subscribe(1, ARRIVING, vec![vp8()], true);
    let low = p.far.subscribe(2, ARRIVING, vec![vp8()], true);
    p.far.settings(low, false, 0, 3);
    p.run(3000);
    for (i, layer) in [(0, 2), (1, 0)] {
        let s = &p.far.subscribers[i];
        check::contiguous(s, 0);
        check::timestamps(&s.received);
        check::whole_frames(&s.received);
        assert_eq!(check::vp8(&s.received).last(), Some(&layer));
        assert!(s.received.len() > 80, "{}", s.received.len());
    }
    let before = p.near.publishers[0].plis;
    p.far.settings(high, true, 2, 3);
    p.run(2000);
    p.far.settings(high, false, 2, 3);
    p.run(1500);
    assert!(p.near.publishers[0].plis > before, "the publisher is asked for the picture");
    check::vp8(&p.far.subscribers[0].received);
    assert_eq!(drops(&p.far), 0, "{:?}", p.far.shard.stats().drops);
    assert!(!p.far.subscribers[0].reports.is_empty(), "sender reports cross too");
}

#[test]
fn what_a_full_queue_refused_is_repaired() {
    let mut p = Pair::new(2);
    let track = p.near.publish(0, |id| Publisher::video(id, 1));
    p.carry(track, vp8(), 1);
    p.far.subscribe(1, ARRIVING, vec![vp8()], true);
    p.loss = 10;
    p.run(8000);
    assert!(p.lost > 10, "{}", p.lost);
    let s = &p.far.subscribers[0];
    check::contiguous(s, 20);
    check::timestamps(&s.received);
    assert!(p.near.shard.stats().rtx_out > 5);
}

#[test]
fn sound_crosses_and_silence_says_that_it_ended() {
    let mut p = Pair::new(3);
    let opus = audio_pt(OPUS, Codec::Opus, false);
    let track = p.near.publish(0, |id| Publisher::audio(id, false));
    p.carry(track, opus, 1);
    p.far.subscribe(1, ARRIVING, vec![opus], false);
    p.run(1000);
    let heard = p.far.subscribers[0].received.len();
    assert!(heard > 40, "{heard}");
    assert!(p.far.subscribers[0].received.values().all(|r| r.level.is_some()));
    p.near.command(Command::MuteUpTrack { id: track, muted: true });
    p.far.command(Command::MuteUpTrack { id: ARRIVING, muted: true });
    p.run(2000);
    check::contiguous(&p.far.subscribers[0], 0);
    assert_eq!(p.far.shard.stats().fills_out, 50);
}

#[test]
fn only_media_enters_by_a_relay_and_closing_it_leaves_nothing() {
    let mut p = Pair::new(4);
    let track = p.near.publish(0, |id| Publisher::video(id, 1));
    p.carry(track, vp8(), 1);
    p.run(200);
    let path = bedrud_sfu::Path::relay(NEAR, FAR).reversed();
    for first in [0u8, 1, 20, 22, 128, 200] {
        p.far.inject(path, [first].repeat(60));
    }
    assert_eq!(drops(&p.far), 6);
    p.far.command(Command::CloseTransport { id: FAR });
    p.near.command(Command::CloseTransport { id: NEAR });
    p.run(100);
    for (w, transports) in [(&p.near, 1), (&p.far, 0)] {
        let stats = w.shard.stats();
        assert_eq!((stats.transports, stats.down_tracks), (transports, 0));
        assert_eq!(stats.addresses, transports);
    }
}
