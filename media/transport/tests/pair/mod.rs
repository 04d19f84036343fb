//! A transport and an independent peer, a plain full-ICE str0m, on a virtual network in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test bench; each test binary uses its part"
)]

pub mod raw;

use bedrud_transport::{
    DataChannel, IceCredentials, Proto, RemoteTransport, Transport, TransportConfig, TransportContext,
    TransportOutput,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::crypto::CryptoProvider;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc};

pub const LATENCY: Duration = Duration::from_millis(5);

pub fn server_address() -> SocketAddr {
    "10.9.9.9:7881".parse().unwrap()
}

pub fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5000 + n))
}

pub fn creds(tag: &str) -> IceCredentials {
    IceCredentials { ufrag: format!("ufrag{tag}"), pwd: format!("{tag:x>24}") }
}

struct Datagram {
    due: Instant,
    to_server: bool,
    proto: Proto,
    client: SocketAddr,
    bytes: Vec<u8>,
}

pub struct Pair {
    pub now: Instant,
    pub dtls_server: bool,
    pub context: TransportContext,
    pub client: Rtc,
    pub server: Transport,
    client_deadline: Instant,
    wire: VecDeque<Datagram>,
    rng: SmallRng,
    /// Per cent of DTLS datagrams lost, each way.
    pub dtls_loss: u32,
    /// Client addresses nothing reaches any more, and nothing leaves.
    pub dead: HashSet<SocketAddr>,
    /// Client addresses that can send but not receive.
    pub deaf: HashSet<SocketAddr>,
    /// The link to the client carries so many bytes per second; a quarter of a second of them waits, what is beyond is lost.
    pub slow: Option<u64>,
    link_free: Instant,
    pub client_events: Vec<Event>,
    pub server_outputs: Vec<TransportOutput>,
}

#[allow(clippy::disallowed_methods, reason = "an arbitrary start of virtual time")]
pub fn start() -> Instant {
    Instant::now()
}

impl Pair {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, TransportConfig::default(), &[address(0)])
    }

    pub fn with(seed: u64, config: TransportConfig, addresses: &[SocketAddr]) -> Self {
        Self::build(seed, config, addresses, false, None)
    }

    /// With a client that took the part of the DTLS server.
    pub fn with_dtls_server(seed: u64) -> Self {
        Self::build(seed, TransportConfig::default(), &[address(0)], true, None)
    }

    /// Connected, with a client whose SCTP the test has taken over.
    pub fn with_raw_client(seed: u64) -> (Self, raw::Raw) {
        let raw = raw::Raw::default();
        let config = TransportConfig::default();
        let mut pair =
            Self::build(seed, config, &[address(0)], false, Some(Arc::new(raw.provider()))).open_channels();
        pair.run(Duration::from_secs(1));
        raw.take_over();
        (pair, raw)
    }

    /// Lets the raw client send what is queued, and the server answer.
    pub fn flush_raw(&mut self) {
        let _ = self.client.handle_input(Input::Timeout(self.now));
        self.run(LATENCY);
    }

    fn build(
        seed: u64,
        config: TransportConfig,
        addresses: &[SocketAddr],
        dtls_server: bool,
        crypto: Option<Arc<CryptoProvider>>,
    ) -> Self {
        let now = start();
        let context = TransportContext::new(config, None).unwrap();
        let mut builder = Rtc::builder();
        if let Some(crypto) = crypto {
            builder = builder.set_crypto_provider(crypto);
        }
        let mut client = builder.build(now);
        for a in addresses {
            client.add_local_candidate(Candidate::host(*a, "udp").unwrap());
        }
        client.add_remote_candidate(Candidate::host(server_address(), "udp").unwrap());
        let (local, remote) = (creds("server"), creds("client"));
        let mut api = client.direct_api();
        api.set_ice_controlling(true);
        api.set_local_ice_credentials(IceCreds { ufrag: remote.ufrag.clone(), pass: remote.pwd.clone() });
        api.set_remote_ice_credentials(IceCreds { ufrag: local.ufrag.clone(), pass: local.pwd.clone() });
        api.set_remote_fingerprint(context.fingerprint().parse().unwrap());
        api.start_dtls(!dtls_server).unwrap();
        api.start_sctp(!dtls_server);
        client.handle_input(Input::Timeout(now)).unwrap();
        let server = Transport::new(&context, local, now).unwrap();
        Self {
            now,
            context,
            dtls_server,
            client,
            server,
            client_deadline: now,
            wire: VecDeque::new(),
            rng: SmallRng::seed_from_u64(seed),
            dtls_loss: 0,
            dead: HashSet::new(),
            deaf: HashSet::new(),
            slow: None,
            link_free: now,
            client_events: vec![],
            server_outputs: vec![],
        }
    }

    pub fn client_description(&mut self) -> RemoteTransport {
        RemoteTransport {
            ice: creds("client"),
            fingerprint: self.client.direct_api().local_dtls_fingerprint().to_string(),
            sctp: true,
            dtls_server: self.dtls_server,
        }
    }

    pub fn describe_client(&mut self) {
        let remote = self.client_description();
        self.server.set_remote(&remote, self.now).unwrap();
    }

    /// A pair with channels of both directions, connected.
    pub fn connected(seed: u64) -> Self {
        Self::new(seed).open_channels()
    }

    fn open_channels(mut self) -> Self {
        self.describe_client();
        self.server.open_channel(self.now, DataChannel::Reliable);
        self.server.open_channel(self.now, DataChannel::Lossy);
        assert!(self.run_until(Duration::from_secs(5), |p| p.server_opened(DataChannel::Lossy)
            && p.server_opened(DataChannel::Reliable)));
        self
    }

    pub fn server_opened(&self, channel: DataChannel) -> bool {
        self.server_outputs.contains(&TransportOutput::ChannelOpen(channel))
    }

    pub fn server_connected(&self) -> bool {
        self.server_outputs.iter().any(|o| matches!(o, TransportOutput::Connected { .. }))
    }

    pub fn server_closed(&self) -> Option<bedrud_transport::CloseReason> {
        self.server_outputs.iter().find_map(|o| match o {
            TransportOutput::Closed { reason } => Some(*reason),
            _ => None,
        })
    }

    pub fn open_from_client(&mut self, label: &str) -> ChannelId {
        self.client.direct_api().create_data_channel(ChannelConfig {
            label: label.to_owned(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            protocol: String::new(),
        })
    }

    pub fn client_channel(&self, label: &str) -> Option<ChannelId> {
        self.client_events.iter().find_map(|e| match e {
            Event::ChannelOpen(id, l) if l == label => Some(*id),
            _ => None,
        })
    }

    pub fn client_data(&self) -> Vec<&[u8]> {
        self.client_events
            .iter()
            .filter_map(|e| match e {
                Event::ChannelData(d) => Some(d.data.as_slice()),
                _ => None,
            })
            .collect()
    }

    pub fn server_data(&self) -> Vec<(DataChannel, &[u8])> {
        self.server_outputs
            .iter()
            .filter_map(|o| match o {
                TransportOutput::Data { channel, bytes } => Some((*channel, bytes.as_ref())),
                _ => None,
            })
            .collect()
    }

    fn lose(&mut self, bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(20..=63)) && self.rng.random_range(0..100) < self.dtls_loss
    }

    /// Moves outputs of both sides onto the wire.
    fn collect(&mut self) {
        loop {
            match self.client.poll_output() {
                Ok(Output::Timeout(t)) => {
                    self.client_deadline = t;
                    break;
                }
                Ok(Output::Event(e)) => self.client_events.push(e),
                Ok(Output::Transmit(t)) => {
                    if self.dead.contains(&t.source) || self.lose(&t.contents) {
                        continue;
                    }
                    let proto = if t.proto == Protocol::Tcp { Proto::Tcp } else { Proto::Udp };
                    let due = self.now + LATENCY;
                    let at = self.wire.partition_point(|d| d.due <= due);
                    let (client, bytes) = (t.source, t.contents.to_vec());
                    self.wire.insert(at, Datagram { due, to_server: true, proto, client, bytes });
                }
                Err(_) => {
                    self.client_deadline = self.now + Duration::from_secs(3600);
                    break;
                }
            }
        }
        while let Some(output) = self.server.poll_output() {
            if let TransportOutput::Send { proto, destination, bytes } = &output {
                if self.dead.contains(destination) || self.deaf.contains(destination) || self.lose(bytes) {
                    continue;
                }
                let mut due = self.now + LATENCY;
                if let Some(rate) = self.slow {
                    let start = self.link_free.max(self.now);
                    if start > self.now + Duration::from_millis(250) {
                        continue;
                    }
                    let micros = bytes.len() as u64 * 1_000_000 / rate;
                    self.link_free = start + Duration::from_micros(micros);
                    due = self.link_free + LATENCY;
                }
                let at = self.wire.partition_point(|d| d.due <= due);
                let (proto, client) = (*proto, *destination);
                self.wire.insert(at, Datagram { due, to_server: false, proto, client, bytes: bytes.clone() });
            } else {
                self.server_outputs.push(output);
            }
        }
    }

    /// Advances to the next thing that happens, at most to `end`.
    fn step(&mut self, end: Instant) {
        self.collect();
        let next =
            [Some(self.client_deadline), self.server.poll_deadline(), self.wire.front().map(|d| d.due)]
                .into_iter()
                .flatten()
                .fold(end, Instant::min);
        self.now = self.now.max(next);
        while self.wire.front().is_some_and(|d| d.due <= self.now) {
            let Some(d) = self.wire.pop_front() else { break };
            if d.to_server {
                self.server.handle_datagram(self.now, d.proto, d.client, &d.bytes);
            } else {
                let proto = if d.proto == Proto::Tcp { Protocol::Tcp } else { Protocol::Udp };
                if let Ok(r) = Receive::new(proto, server_address(), d.client, &d.bytes) {
                    let _ = self.client.handle_input(Input::Receive(self.now, r));
                }
            }
            self.collect();
        }
        if self.client_deadline <= self.now {
            let _ = self.client.handle_input(Input::Timeout(self.now));
        }
        self.server.handle_timeout(self.now);
        self.collect();
        // A deadline that stays in the past would stop the clock.
        if self.client_deadline <= self.now && self.wire.is_empty() {
            self.now += Duration::from_millis(1);
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// Runs until `done`; false when `limit` passes first.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.collect();
        while !done(self) {
            if self.now >= end {
                return false;
            }
            self.step(end);
        }
        true
    }
}
