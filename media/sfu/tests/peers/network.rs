//! str0m clients, one shard, and a virtual network between them.
#![allow(dead_code, unreachable_pub, reason = "a test bench")]

use bedrud_rtp::{Codec, Extension, ExtensionMap, MediaKind, Mid};
use bedrud_sfu::{
    Command, DownTrackConfig, DownTrackId, DownTrackSettings, Event, IceCredentials, Path, PayloadType,
    Proto, RemoteTransport, SendBatch, Shard, ShardConfig, TransportId, UpLayer, UpTrackConfig, UpTrackId,
};
use bedrud_transport::{TransportConfig, TransportContext};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::channel::ChannelId;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, IceCreds, Input, Output, Rtc};

const LATENCY: Duration = Duration::from_millis(10);
const UP_SSRC: u32 = 4242;
const UP_RTX: u32 = 4243;

pub fn server() -> SocketAddr {
    ([10, 9, 9, 9], 7880).into()
}

pub fn address(n: u16) -> SocketAddr {
    ([10, 0, 0, 1], 5000 + n).into()
}

pub fn tid(slot: u32) -> TransportId {
    TransportId { shard: 0, slot, epoch: 3 }
}

/// Our credentials for a slot.
pub fn ice(slot: u32, tag: u32) -> IceCredentials {
    IceCredentials { ufrag: tid(slot).ufrag(tag), pwd: format!("p{slot:0>4}{tag:x>20}") }
}

fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    for (ext, id) in [
        (Extension::AudioLevel, 1),
        (Extension::AbsSendTime, 2),
        (Extension::TransportCc, 3),
        (Extension::Mid, 4),
        (Extension::Rid, 10),
        (Extension::RepairedRid, 11),
    ] {
        map.set(ext, id);
    }
    map
}

pub struct Received {
    pub seq: u64,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

pub struct Client {
    pub rtc: Rtc,
    slot: u32,
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    pub connected: bool,
    pub received: Vec<Received>,
    pub data: Vec<Vec<u8>>,
    pub channel: Option<ChannelId>,
    pub key_frame_requests: usize,
    publishing: bool,
    key_wanted: bool,
    seq: u64,
    picture: u16,
}

struct Datagram {
    due: Instant,
    to_server: bool,
    client: SocketAddr,
    bytes: Vec<u8>,
}

pub struct Network {
    pub shard: Shard,
    context: TransportContext,
    pub now: Instant,
    began: Instant,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// Per cent of SRTP and SRTCP lost, each way.
    pub loss: u32,
    pub dead: HashSet<SocketAddr>,
    pub deaf: HashSet<SocketAddr>,
    /// RTP packets sent to each address, arrived or not.
    media: HashMap<SocketAddr, u64>,
    /// The control plane takes no events.
    pub stalled: bool,
    /// The control plane lets every sender go on as soon as it has taken what it sent.
    pub grants: bool,
    /// A link to a client that carries so many bytes per second; a quarter of a second of them waits, the rest is lost.
    pub slow: Option<(SocketAddr, u64)>,
    link_free: Instant,
    rng: SmallRng,
    wire: VecDeque<Datagram>,
    batch: SendBatch,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary start of virtual time")]
        let now = Instant::now();
        let context = TransportContext::new(TransportConfig::default(), None).unwrap();
        Self {
            shard: Shard::new(ShardConfig::default(), context.clone(), seed, now),
            context,
            now,
            began: now,
            clients: Vec::new(),
            events: Vec::new(),
            loss: 0,
            dead: HashSet::new(),
            deaf: HashSet::new(),
            media: HashMap::new(),
            stalled: false,
            grants: false,
            slow: None,
            link_free: now,
            rng: SmallRng::seed_from_u64(seed),
            wire: VecDeque::new(),
            batch: SendBatch::default(),
        }
    }

    /// RTP packets sent to an address so far.
    pub fn media_to(&self, address: SocketAddr) -> u64 {
        self.media.get(&address).copied().unwrap_or(0)
    }

    pub fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command);
    }

    pub fn description(&mut self, client: usize) -> RemoteTransport {
        let rtc = &mut self.clients[client].rtc;
        let api = rtc.direct_api();
        let local = api.local_ice_credentials();
        RemoteTransport {
            ice: IceCredentials { ufrag: local.ufrag, pwd: local.pass },
            fingerprint: api.local_dtls_fingerprint().to_string(),
            sctp: true,
            dtls_server: false,
        }
    }

    fn new_client(&mut self, slot: u32, ours: &IceCredentials, addresses: &[SocketAddr]) {
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(self.now);
        for a in addresses {
            rtc.add_local_candidate(Candidate::host(*a, "udp").unwrap());
        }
        rtc.add_remote_candidate(Candidate::host(server(), "udp").unwrap());
        let mut api = rtc.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_ice_credentials(IceCreds { ufrag: ours.ufrag.clone(), pass: ours.pwd.clone() });
        api.set_remote_fingerprint(self.context.fingerprint().parse().unwrap());
        api.start_dtls(true).unwrap();
        api.start_sctp(true);
        api.enable_twcc_feedback();
        rtc.handle_input(Input::Timeout(self.now)).unwrap();
        self.clients.push(Client {
            rtc,
            slot,
            addresses: addresses.to_vec(),
            deadline: self.now,
            connected: false,
            received: Vec::new(),
            data: Vec::new(),
            channel: None,
            key_frame_requests: 0,
            publishing: false,
            key_wanted: true,
            seq: 100,
            picture: 5,
        });
    }

    /// A client the shard knows nothing about.
    pub fn add_stranger(&mut self, believed: &IceCredentials, at: SocketAddr) {
        self.new_client(u32::MAX, believed, &[at]);
    }

    pub fn add_client(&mut self, slot: u32, addresses: &[SocketAddr]) -> usize {
        let client = self.add_undescribed_client(slot, addresses);
        self.describe(client);
        client
    }

    /// A client whose description has not reached the shard yet.
    pub fn add_undescribed_client(&mut self, slot: u32, addresses: &[SocketAddr]) -> usize {
        let ours = ice(slot, 1);
        self.command(Command::OpenTransport { id: tid(slot), local_ice: ours.clone() });
        self.command(Command::SetExtensions { id: tid(slot), map: extensions() });
        self.new_client(slot, &ours, addresses);
        self.clients.len() - 1
    }

    pub fn describe(&mut self, client: usize) {
        let (remote, slot) = (self.description(client), self.clients[client].slot);
        self.command(Command::SetRemote { id: tid(slot), remote });
    }

    fn payload_types() -> Vec<PayloadType> {
        vec![PayloadType { pt: 96, codec: Codec::Vp8, variant: 0, rtx: Some(97), nack: true }]
    }

    pub fn add_publisher(&mut self, slot: u32) -> UpTrackId {
        let client = self.add_client(slot, &[address(slot as u16)]);
        let track = UpTrackId(1);
        self.command(Command::SetUpTrack(UpTrackConfig {
            id: track,
            transport: tid(slot),
            kind: MediaKind::Video,
            mid: Mid::new("vid").unwrap(),
            payload_types: Self::payload_types(),
            // The SSRC is not declared: the MID extension must tell.
            layers: vec![UpLayer { spatial: 0, rid: None, ssrc: None, rtx_ssrc: None }],
        }));
        let c = &mut self.clients[client];
        c.publishing = true;
        let mut api = c.rtc.direct_api();
        api.declare_media("vid".into(), str0m::media::MediaKind::Video);
        api.declare_stream_tx(UP_SSRC.into(), Some(UP_RTX.into()), "vid".into(), None);
        track
    }

    pub fn add_subscriber(&mut self, slot: u32, source: UpTrackId) {
        self.add_subscriber_at(slot, source, &[address(slot as u16)]);
    }

    pub fn add_subscriber_at(&mut self, slot: u32, source: UpTrackId, addresses: &[SocketAddr]) {
        let client = self.add_client(slot, addresses);
        let (ssrc, rtx) = (7000 + slot * 2, 7001 + slot * 2);
        let mut api = self.clients[client].rtc.direct_api();
        api.declare_media("sub".into(), str0m::media::MediaKind::Video);
        api.expect_stream_rx(ssrc.into(), Some(rtx.into()), "sub".into(), None);
        self.command(Command::AddDownTrack(DownTrackConfig {
            id: DownTrackId(u64::from(slot)),
            transport: tid(slot),
            source,
            mid: Mid::new("sub").unwrap(),
            ssrc,
            rtx_ssrc: Some(rtx),
            cname: "someone".to_owned(),
            payload_types: Self::payload_types(),
            settings: DownTrackSettings { paused: false, max_spatial: 2, max_temporal: 3, may_pause: true },
            strip_trailer: false,
            frame_trailer: bytes::Bytes::new(),
            announce: false,
            playout_delay: None,
        }));
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        let ms = (now - self.began).as_millis() as u64;
        for client in 0..self.clients.len() {
            if ms.is_multiple_of(33) {
                self.publish(client, ms);
            }
            if self.clients[client].deadline <= now {
                let _ = self.clients[client].rtc.handle_input(Input::Timeout(now));
            }
            self.drain(client);
        }
        if self.shard.poll_deadline().is_some_and(|d| d <= now) {
            self.shard.handle_timeout(now);
        }
        self.flush();
        while self.wire.front().is_some_and(|d| d.due <= now) {
            let d = self.wire.pop_front().unwrap();
            self.deliver(d);
        }
        self.flush();
        while !self.stalled
            && let Some(e) = self.shard.poll_event()
        {
            if let (true, Event::Data { id, payload, .. }) = (self.grants, &e) {
                let bytes = bedrud_sfu::charge(payload.len()) as u64;
                self.shard.handle_command(now, Command::GrantData { id: *id, bytes });
            }
            self.events.push(e);
        }
    }

    fn deliver(&mut self, mut d: Datagram) {
        let now = self.now;
        if d.to_server {
            let path = Path { proto: Proto::Udp, remote: d.client, local: server() };
            self.shard.handle_datagram(now, path, &mut d.bytes);
            return;
        }
        let at = d.client;
        let Some(client) = self.clients.iter().position(|c| c.addresses.contains(&at)) else { return };
        if let Ok(receive) = Receive::new(Protocol::Udp, server(), at, &d.bytes) {
            let _ = self.clients[client].rtc.handle_input(Input::Receive(now, receive));
        }
        self.drain(client);
    }

    fn publish(&mut self, client: usize, ms: u64) {
        let now = self.now;
        let c = &mut self.clients[client];
        if !c.publishing || !c.connected {
            return;
        }
        let key = std::mem::take(&mut c.key_wanted);
        c.picture = (c.picture + 1) & 0x7fff;
        let count = if key { 6 } else { 2 };
        for i in 0..count {
            let c = &mut self.clients[client];
            let mut payload = vec![0x80 | if i == 0 { 0x10 } else { 0 }, 0x80];
            payload.extend((c.picture | 0x8000).to_be_bytes());
            // Frame byte, then two bytes and the body.
            payload.extend([u8::from(!key), 0, 0]);
            payload.resize(900, ms as u8);
            let write = RtpWrite::new(96.into(), c.seq.into(), (ms * 90) as u32, now, payload)
                .marker(i + 1 == count)
                .nackable(true);
            c.seq += 1;
            c.rtc.direct_api().stream_tx(&Ssrc::from(UP_SSRC)).unwrap().write_rtp(write);
            let _ = c.rtc.handle_input(Input::Timeout(now));
            self.drain(client);
        }
    }

    fn lose(&mut self, bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(128..=191)) && self.rng.random_range(0..100) < self.loss
    }

    fn drain(&mut self, client: usize) {
        loop {
            let c = &mut self.clients[client];
            match c.rtc.poll_output() {
                Ok(Output::Timeout(t)) => {
                    c.deadline = t;
                    return;
                }
                Ok(Output::Transmit(t)) => {
                    if self.dead.contains(&t.source) || self.lose(&t.contents) {
                        continue;
                    }
                    let c = &mut self.clients[client];
                    if !c.addresses.contains(&t.source) {
                        c.addresses.push(t.source);
                    }
                    let due = self.now + LATENCY;
                    let at = self.wire.partition_point(|d| d.due <= due);
                    let (client, bytes) = (t.source, t.contents.to_vec());
                    self.wire.insert(at, Datagram { due, to_server: true, client, bytes });
                }
                Ok(Output::Event(event)) => match event {
                    str0m::Event::Connected => c.connected = true,
                    str0m::Event::RtpPacket(p) => c.received.push(Received {
                        seq: *p.seq_no,
                        timestamp: p.header.timestamp,
                        payload: p.payload.to_vec(),
                    }),
                    str0m::Event::KeyframeRequest(_) => {
                        c.key_frame_requests += 1;
                        c.key_wanted = true;
                    }
                    str0m::Event::ChannelOpen(id, _) => c.channel = Some(id),
                    str0m::Event::ChannelData(d) => c.data.push(d.data),
                    _ => {}
                },
                Err(_) => {
                    c.deadline = self.now + Duration::from_secs(3600);
                    return;
                }
            }
        }
    }

    fn flush(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        self.shard.flush(self.now, &mut batch);
        for run in batch.runs() {
            assert_eq!(run.path.local, server());
            let to = run.path.remote;
            for bytes in run.segments() {
                if let [128..=191, kind, ..] = bytes
                    && !(192..=223).contains(kind)
                {
                    *self.media.entry(to).or_default() += 1;
                }
                if self.dead.contains(&to) || self.deaf.contains(&to) || self.lose(bytes) {
                    continue;
                }
                let bytes = bytes.to_vec();
                let mut due = self.now + LATENCY;
                if let Some((_, rate)) = self.slow.filter(|(at, _)| *at == to) {
                    let start = self.link_free.max(self.now);
                    if start > self.now + Duration::from_millis(250) {
                        continue;
                    }
                    self.link_free = start + Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate);
                    due = self.link_free + LATENCY;
                }
                let at = self.wire.partition_point(|d| d.due <= due);
                self.wire.insert(at, Datagram { due, to_server: false, client: to, bytes });
            }
        }
        self.batch = batch;
    }
}
