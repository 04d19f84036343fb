//! The real shard: a datagram in, sealed datagrams in a send batch out.

use super::bare::material;
use super::{Side, vp8_payload};
use bedrud_rtp::{
    Codec, Extension, ExtensionMap, MediaKind, OutExtensions, OutHeader, ShortId, SrtpKeys, SrtpProfile,
    SrtpSender,
};
use bedrud_sfu::{
    Command, DownTrackConfig, DownTrackId, DownTrackSettings, IceCredentials, Path, PayloadType, Proto,
    SendBatch, Shard, ShardConfig, TransportId, UpLayer, UpTrackConfig, UpTrackId,
};
use bedrud_transport::{TransportConfig, TransportContext};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
/// Virtual time from packet to packet.
const STEP: Duration = Duration::from_millis(1);
/// Packets sealed ahead of a timed stretch, so that reading the clock does not count.
const AHEAD: u64 = 64;

pub(crate) struct ShardForwarder {
    fanout: usize,
    tracks: usize,
    shard: Shard,
    now: Instant,
    publisher: SrtpSender,
    map: ExtensionMap,
    ext_seq: u64,
    batch: SendBatch,
    ready: Vec<Vec<u8>>,
}

fn path(connection: usize) -> Path {
    let remote = SocketAddr::from(([10, 0, (connection >> 8) as u8, connection as u8], 5000));
    Path { proto: Proto::Udp, remote, local: SocketAddr::from(([192, 0, 2, 1], 7880)) }
}

fn transport(connection: usize) -> TransportId {
    TransportId { shard: 0, slot: connection as u32, epoch: 1 }
}

fn vp8() -> PayloadType {
    PayloadType { pt: 96, codec: Codec::Vp8, variant: 0, rtx: Some(97), nack: true }
}

impl ShardForwarder {
    /// One publisher with `tracks` video tracks of which the first is live, and `fanout` subscribers of all of them.
    pub(crate) fn new(fanout: usize, tracks: usize) -> Self {
        let year = Duration::from_secs(365 * 24 * 3600);
        let config = ShardConfig {
            connect_timeout: year,
            // Nobody reports anything here: no estimate may stop the stream.
            start_bitrate: 10_000_000_000,
            max_bitrate: 10_000_000_000,
            min_bitrate: 10_000_000_000,
            ..ShardConfig::default()
        };
        let limits =
            TransportConfig { connect_timeout: year, disconnected_timeout: year, ..Default::default() };
        let now = Instant::now();
        let context = TransportContext::new(limits, None).expect("context");
        let mut map = ExtensionMap::default();
        map.set(Extension::TransportCc, 3);
        map.set(Extension::Mid, 4);
        map.set(Extension::AbsSendTime, 2);
        let mut shard = Shard::new(config, context, 7, now);
        for connection in 0..=fanout {
            let id = transport(connection);
            let local_ice = IceCredentials { ufrag: id.ufrag(connection as u32), pwd: "p".repeat(24) };
            shard.handle_command(now, Command::OpenTransport { id, local_ice });
            shard.handle_command(now, Command::SetExtensions { id, map });
            let (tx, rx) = SrtpKeys::from_dtls(PROFILE, &material(connection), false).expect("keys");
            assert!(shard.connect_without_handshake(now, id, path(connection), tx, rx));
        }
        for track in 0..tracks {
            shard.handle_command(
                now,
                Command::SetUpTrack(UpTrackConfig {
                    id: UpTrackId(track as u64),
                    transport: transport(0),
                    kind: MediaKind::Video,
                    mid: ShortId::new(&track.to_string()).expect("mid"),
                    payload_types: vec![vp8()],
                    layers: vec![UpLayer {
                        spatial: 0,
                        rid: None,
                        ssrc: Some(1000 + track as u32),
                        rtx_ssrc: None,
                    }],
                }),
            );
            for connection in 1..=fanout {
                let ssrc = (10_000 + track * 2) as u32;
                shard.handle_command(
                    now,
                    Command::AddDownTrack(DownTrackConfig {
                        id: DownTrackId((track * 100_000 + connection) as u64),
                        transport: transport(connection),
                        source: UpTrackId(track as u64),
                        mid: ShortId::new(&track.to_string()).expect("mid"),
                        ssrc,
                        rtx_ssrc: Some(ssrc + 1),
                        cname: "cname".into(),
                        payload_types: vec![vp8()],
                        settings: DownTrackSettings {
                            paused: false,
                            max_spatial: 2,
                            max_temporal: 3,
                            may_pause: true,
                        },
                        strip_trailer: false,
                        frame_trailer: Default::default(),
                        announce: false,
                        playout_delay: None,
                    }),
                );
            }
        }
        let (publisher, _) = SrtpKeys::from_dtls(PROFILE, &material(0), true).expect("keys");
        let batch = SendBatch::with_capacity((fanout + 1) * 1300);
        let mut this =
            Self { fanout, tracks, shard, now, publisher, map, ext_seq: 0, batch, ready: Vec::new() };
        // Key frame, and past the packets that carry a mid.
        this.run(300);
        this
    }

    fn seal(&mut self) -> Vec<u8> {
        self.ext_seq += 1;
        let header = OutHeader {
            marker: true,
            pt: 96,
            seq: self.ext_seq as u16,
            timestamp: self.ext_seq as u32 * 90,
            ssrc: 1000,
            padding: false,
            extensions: OutExtensions {
                transport_cc: Some(self.ext_seq as u16),
                abs_send_time: Some(0),
                ..OutExtensions::default()
            },
        };
        let mut packet = Vec::with_capacity(1300);
        let header_len = header.write(&mut packet, &self.map).header_len;
        packet.extend_from_slice(&vp8_payload(self.ext_seq as u16, self.ext_seq == 1));
        self.publisher.seal_rtp(&mut packet, 0, header_len, self.ext_seq).expect("seals");
        packet
    }
}

impl Side for ShardForwarder {
    fn name(&self) -> String {
        format!("shard N={} K={}", self.fanout, self.tracks)
    }

    fn fanout(&self) -> usize {
        self.fanout
    }

    fn run(&mut self, packets: u64) -> Duration {
        let before = self.shard.stats().rtp_out;
        let mut took = Duration::ZERO;
        let mut left = packets;
        while left > 0 {
            let now = left.min(AHEAD);
            left -= now;
            let mut ready = std::mem::take(&mut self.ready);
            ready.clear();
            ready.extend((0..now).map(|_| self.seal()));
            let start = Instant::now();
            for packet in &mut ready {
                self.now += STEP;
                self.shard.handle_datagram(self.now, path(0), packet);
                if self.shard.poll_deadline().is_some_and(|due| due <= self.now) {
                    self.shard.handle_timeout(self.now);
                }
                self.batch.clear();
                self.shard.flush(self.now, &mut self.batch);
                while self.shard.poll_event().is_some() {}
            }
            took += start.elapsed();
            self.ready = ready;
        }
        let sent = self.shard.stats().rtp_out - before;
        assert_eq!(sent, packets * self.fanout as u64, "{:?}", self.shard.stats());
        took
    }
}
