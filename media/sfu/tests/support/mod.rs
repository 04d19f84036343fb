//! A virtual network around one shard, with clients that skip the handshake and use fixed SRTP keys.
#![allow(dead_code, unreachable_pub, reason = "shared by test binaries that each use a part")]

pub mod check;
pub mod descriptor;
pub mod publisher;
pub mod subscriber;
pub mod svc;

use bedrud_rtp::{Extension, ExtensionMap, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
use bedrud_sfu::{
    Command, DownTrackConfig, DownTrackId, DownTrackSettings, Event, IceCredentials, Path, PayloadType,
    Proto, SendBatch, Shard, ShardConfig, TransportId, UpTrackConfig, UpTrackId,
};
use bedrud_transport::{TransportConfig, TransportContext};
use publisher::Publisher;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use subscriber::Subscriber;
use svc::SvcPublisher;

pub const MID: u8 = 1;
pub const TWCC: u8 = 3;

/// A small deterministic generator.
#[derive(Debug, Clone)]
pub struct Lcg(pub u64);

impl Lcg {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.next() % 100 < percent
    }
}

pub fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "an Instant can only come from the clock")]
    let now = Instant::now();
    now + Duration::from_secs(10)
}

pub fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    map.set(Extension::Mid, MID);
    map.set(Extension::Rid, 2);
    map.set(Extension::TransportCc, TWCC);
    map.set(Extension::RepairedRid, 4);
    map.set(Extension::AudioLevel, 5);
    map.set(Extension::AbsSendTime, 6);
    map.set(Extension::DependencyDescriptor, 7);
    map.set(Extension::PlayoutDelay, 8);
    map
}

/// Contexts of one connection: the shard's pair and the client's pair.
pub fn contexts(n: u8) -> ((SrtpSender, SrtpReceiver), (SrtpSender, SrtpReceiver)) {
    let p = SrtpProfile::AeadAes128Gcm;
    let (a, b) = ([n; 16], [n ^ 0x80; 16]);
    let salt = [7; 12];
    let tx = |k: &[u8]| SrtpKeys::sender(p, k, &salt).unwrap();
    let rx = |k: &[u8]| SrtpKeys::receiver(p, k, &salt).unwrap();
    ((tx(&a), rx(&b)), (tx(&b), rx(&a)))
}

pub fn tid(slot: u32) -> TransportId {
    TransportId { shard: 0, slot, epoch: 1 }
}

pub fn path(slot: u32) -> Path {
    Path {
        proto: Proto::Udp,
        remote: ([192, 0, 2, 10], 10_000 + slot as u16).into(),
        local: ([192, 0, 2, 1], 7880).into(),
    }
}

/// An audio subscription of the client in `slot`.
pub fn audio_down(slot: u32, source: UpTrackId) -> DownTrackConfig {
    DownTrackConfig {
        id: DownTrackId(u64::from(slot)),
        transport: tid(slot),
        source,
        mid: bedrud_rtp::Mid::new("d0").unwrap(),
        ssrc: 0x3000_0000 + slot,
        rtx_ssrc: None,
        cname: "cname".to_owned(),
        payload_types: vec![publisher::audio_pt(111, bedrud_rtp::Codec::Opus, true)],
        settings: DownTrackSettings { paused: false, max_spatial: 0, max_temporal: 0, may_pause: true },
        strip_trailer: false,
        frame_trailer: bytes::Bytes::new(),
        announce: false,
        playout_delay: None,
    }
}

/// Both ends and the wires between.
pub struct World {
    pub shard: Shard,
    pub now: Instant,
    pub began: Instant,
    pub publishers: Vec<Publisher>,
    pub svc: Option<SvcPublisher>,
    pub subscribers: Vec<Subscriber>,
    pub events: Vec<Event>,
    pub up_loss: u32,
    pub down_loss: u32,
    /// Milliseconds a packet on the way up may be held back, out of order.
    pub up_jitter: u32,
    /// Bits per second of the way down, with a queue of 300 ms; more is lost.
    pub down_capacity: Option<u64>,
    link_free: Instant,
    pub overflowed: u64,
    /// Failures the test asked for.
    pub failures: u64,
    pub delay: Duration,
    pub rng: Lcg,
    batch: SendBatch,
    /// For other shards.
    pub relayed: Vec<(Path, Vec<u8>)>,
    up: VecDeque<(Instant, Path, Vec<u8>)>,
    down: VecDeque<(Instant, Path, Vec<u8>)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with_config(seed, ShardConfig::default())
    }

    pub fn with_config(seed: u64, config: ShardConfig) -> Self {
        let now = start();
        let context = TransportContext::new(TransportConfig::default(), None).unwrap();
        Self {
            shard: Shard::new(config, context, seed, now),
            now,
            began: now,
            publishers: Vec::new(),
            svc: None,
            subscribers: Vec::new(),
            events: Vec::new(),
            up_loss: 0,
            down_loss: 0,
            up_jitter: 0,
            down_capacity: None,
            link_free: now,
            overflowed: 0,
            failures: 0,
            delay: Duration::from_millis(15),
            rng: Lcg(seed),
            batch: SendBatch::default(),
            relayed: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
        }
    }

    pub fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
    }

    /// A transport of this shard.
    fn tid(&self, slot: u32) -> TransportId {
        TransportId { shard: self.shard.config().shard, ..tid(slot) }
    }

    /// Opens transport `slot` and connects it; returns the client's contexts.
    pub fn connect(&mut self, slot: u32) -> (SrtpSender, SrtpReceiver) {
        let id = self.tid(slot);
        let local_ice = IceCredentials { ufrag: id.ufrag(slot), pwd: "p".repeat(24) };
        self.command(Command::OpenTransport { id, local_ice });
        self.command(Command::SetExtensions { id, map: extensions() });
        let (ours, theirs) = contexts(slot as u8);
        assert!(self.shard.connect_without_handshake(self.now, id, path(slot), ours.0, ours.1));
        theirs
    }

    pub fn publish(
        &mut self,
        slot: u32,
        make: impl FnOnce(UpTrackId) -> (UpTrackConfig, Publisher),
    ) -> UpTrackId {
        let track = UpTrackId(u64::from(slot) + 1000);
        let (tx, rx) = self.connect(slot);
        let (config, mut publisher) = make(track);
        publisher.attach(slot, tx, rx);
        self.command(Command::SetUpTrack(config));
        self.publishers.push(publisher);
        track
    }

    /// Publishes one stream with all layers, in slot 0.
    pub fn publish_svc(&mut self, codec: bedrud_rtp::Codec, key_mode: bool) -> UpTrackId {
        let track = UpTrackId(1000);
        let (tx, rx) = self.connect(0);
        let (config, mut publisher) = SvcPublisher::new(track, codec, key_mode);
        publisher.attach(0, tx, rx);
        self.command(Command::SetUpTrack(config));
        self.svc = Some(publisher);
        track
    }

    pub fn subscribe(
        &mut self,
        slot: u32,
        source: UpTrackId,
        pts: Vec<PayloadType>,
        rtx: bool,
    ) -> DownTrackId {
        self.subscribe_as(slot, source, pts, rtx, |_| {})
    }

    /// As [`World::subscribe`], with the subscription changed by `adjust`.
    pub fn subscribe_as(
        &mut self,
        slot: u32,
        source: UpTrackId,
        pts: Vec<PayloadType>,
        rtx: bool,
        adjust: impl FnOnce(&mut DownTrackConfig),
    ) -> DownTrackId {
        let (tx, rx) = self.connect(slot);
        let id = DownTrackId(u64::from(slot) + 5000);
        let ssrc = 0x1000_0000 + slot;
        let rtx_ssrc = rtx.then_some(0x2000_0000 + slot);
        self.subscribers.push(Subscriber::new(slot, tx, rx, ssrc, rtx_ssrc));
        let mut config = DownTrackConfig {
            id,
            transport: self.tid(slot),
            source,
            mid: bedrud_rtp::Mid::new("d0").unwrap(),
            ssrc,
            rtx_ssrc,
            cname: "cname".to_owned(),
            payload_types: pts,
            settings: DownTrackSettings { paused: false, max_spatial: 2, max_temporal: 3, may_pause: true },
            strip_trailer: false,
            frame_trailer: bytes::Bytes::new(),
            announce: false,
            playout_delay: None,
        };
        adjust(&mut config);
        self.command(Command::AddDownTrack(config));
        id
    }

    pub fn settings(&mut self, id: DownTrackId, paused: bool, max_spatial: u8, max_temporal: u8) {
        let settings = DownTrackSettings { paused, max_spatial, max_temporal, may_pause: true };
        self.command(Command::SetDownTrack { id, settings });
    }

    /// Hands a datagram to the shard at once.
    pub fn inject(&mut self, path: Path, mut bytes: Vec<u8>) {
        self.shard.handle_datagram(self.now, path, &mut bytes);
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
        assert_eq!(self.shard.stats().panics, self.failures, "the shard caught a failure");
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let now = self.now;
        let elapsed = (now - self.began).as_millis() as u64;
        let mut sent = Vec::new();
        for p in &mut self.publishers {
            p.step(now, elapsed, &mut sent);
        }
        if let Some(p) = &mut self.svc {
            p.step(elapsed, &mut sent);
        }
        for s in &mut self.subscribers {
            s.step(elapsed, &mut sent);
        }
        for (path, bytes) in sent {
            if !self.rng.chance(self.up_loss) {
                let mut at = now + self.delay;
                if self.up_jitter > 0 {
                    at += Duration::from_millis(u64::from(self.rng.next() % (self.up_jitter + 1)));
                }
                let place = self.up.partition_point(|(t, _, _)| *t <= at);
                self.up.insert(place, (at, path, bytes));
            }
        }
        while self.up.front().is_some_and(|p| p.0 <= now) {
            let (_, path, mut bytes) = self.up.pop_front().unwrap();
            self.shard.handle_datagram(now, path, &mut bytes);
        }
        if self.shard.poll_deadline().is_some_and(|d| d <= now) {
            self.shard.handle_timeout(now);
        }
        self.flush();
        while self.down.front().is_some_and(|p| p.0 <= now) {
            let (_, path, bytes) = self.down.pop_front().unwrap();
            for p in self.publishers.iter_mut().filter(|p| p.path() == path) {
                p.receive(bytes.clone());
            }
            for p in self.svc.iter_mut().filter(|p| p.path() == path) {
                p.receive(bytes.clone());
            }
            for s in self.subscribers.iter_mut().filter(|s| s.path() == path) {
                s.receive(elapsed, bytes.clone());
            }
        }
        while let Some(e) = self.shard.poll_event() {
            self.events.push(e);
        }
    }

    fn flush(&mut self) {
        self.batch.clear();
        self.shard.flush(self.now, &mut self.batch);
        for run in self.batch.runs() {
            for segment in run.segments() {
                if run.path.relay_shard().is_some() {
                    self.relayed.push((run.path.reversed(), segment.to_vec()));
                    continue;
                }
                if self.rng.chance(self.down_loss) {
                    continue;
                }
                let mut leaves = self.now;
                if let Some(capacity) = self.down_capacity {
                    if self.link_free > self.now + Duration::from_millis(300) {
                        self.overflowed += 1;
                        continue;
                    }
                    let bits = (segment.len() as u64 + 28) * 8;
                    self.link_free =
                        self.link_free.max(self.now) + Duration::from_micros(bits * 1_000_000 / capacity);
                    leaves = self.link_free;
                }
                self.down.push_back((leaves + self.delay, run.path, segment.to_vec()));
            }
        }
    }
}
