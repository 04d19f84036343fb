//! The shard between a publisher and a subscriber, both of whom hold good keys and send what they like.

use bedrud_rtp::receive::extend_seq;
use bedrud_rtp::{
    Codec, Extension, ExtensionMap, MediaKind, RtpHeader, ShortId, SrtpKeys, SrtpProfile, SrtpSender,
};
use bedrud_sfu::{
    Command, DataChannel, DownTrackConfig, DownTrackId, DownTrackSettings, IceCredentials, Path, PayloadType,
    Proto, SendBatch, Shard, ShardConfig, TransportId, UpLayer, UpTrackConfig, UpTrackId,
};
use bedrud_transport::{TransportConfig, TransportContext};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const CODECS: [(u8, Codec); 5] =
    [(96, Codec::Vp8), (98, Codec::Vp9), (108, Codec::H264), (35, Codec::Av1), (111, Codec::Opus)];
/// Streams of the publisher: media and RTX of two video layers, audio, video with all layers in one stream.
const SSRCS: [u32; 6] = [1000, 1001, 1002, 1003, 1004, 1005];
/// The down track of the last.
const SVC: DownTrackId = DownTrackId(2);

/// One end of a connection.
struct Peer {
    path: Path,
    sender: SrtpSender,
    /// Index last sealed per stream.
    sent: [u64; SSRCS.len()],
}

fn peer_id(what: u8) -> TransportId {
    transport(if what & 0x80 == 0 { 1 } else { 2 })
}

fn transport(slot: u32) -> TransportId {
    TransportId { shard: 0, slot, epoch: 1 }
}

fn path(slot: u32) -> Path {
    let remote = SocketAddr::from(([10, 0, 0, slot as u8], 5000));
    Path { proto: Proto::Udp, remote, local: SocketAddr::from(([192, 0, 2, 1], 7880)) }
}

fn payload_types(kind: MediaKind) -> Vec<PayloadType> {
    let rtx = |pt| (kind == MediaKind::Video).then_some(pt + 1);
    CODECS
        .iter()
        .filter(|(_, codec)| codec.kind() == kind)
        .map(|(pt, codec)| PayloadType { pt: *pt, codec: *codec, variant: 0, rtx: rtx(*pt), nack: true })
        .collect()
}

fn context() -> TransportContext {
    static CONTEXT: OnceLock<TransportContext> = OnceLock::new();
    CONTEXT.get_or_init(|| TransportContext::new(TransportConfig::default(), None).expect("context")).clone()
}

fn connect(shard: &mut Shard, now: Instant, slot: u32) -> Peer {
    let id = transport(slot);
    let mut map = ExtensionMap::default();
    for (i, ext) in Extension::ALL.into_iter().enumerate() {
        map.set(ext, i as u8 + 1);
    }
    let local_ice = IceCredentials { ufrag: id.ufrag(slot), pwd: "p".repeat(24) };
    shard.handle_command(now, Command::OpenTransport { id, local_ice });
    shard.handle_command(now, Command::SetExtensions { id, map });
    let material: Vec<u8> = (0..PROFILE.keying_material_len() as u8).map(|b| b ^ slot as u8).collect();
    let (tx, rx) = SrtpKeys::from_dtls(PROFILE, &material, false).expect("keys");
    let (sender, _) = SrtpKeys::from_dtls(PROFILE, &material, true).expect("keys");
    assert!(shard.connect_without_handshake(now, id, path(slot), tx, rx));
    Peer { path: path(slot), sender, sent: [0x4000; SSRCS.len()] }
}

fn tracks(shard: &mut Shard, now: Instant) {
    let layer = |spatial: u8, ssrc, rtx_ssrc| UpLayer { spatial, rid: None, ssrc: Some(ssrc), rtx_ssrc };
    let kinds = [
        (MediaKind::Video, vec![layer(0, SSRCS[0], Some(SSRCS[1])), layer(1, SSRCS[2], Some(SSRCS[3]))]),
        (MediaKind::Audio, vec![layer(0, SSRCS[4], None)]),
        (MediaKind::Video, vec![layer(0, SSRCS[5], None)]),
    ];
    for (track, (kind, layers)) in kinds.into_iter().enumerate() {
        let (id, ssrc) = (UpTrackId(track as u64), 9000 + 2 * track as u32);
        let mid = ShortId::new(&track.to_string()).expect("mid");
        let payload_types = payload_types(kind);
        let up = UpTrackConfig {
            id,
            transport: transport(1),
            kind,
            mid,
            payload_types: payload_types.clone(),
            layers,
        };
        shard.handle_command(now, Command::SetUpTrack(up));
        let down = DownTrackConfig {
            id: DownTrackId(track as u64),
            transport: transport(2),
            source: id,
            mid,
            ssrc,
            rtx_ssrc: (kind == MediaKind::Video).then_some(ssrc + 1),
            cname: "cname".into(),
            payload_types,
            settings: DownTrackSettings { paused: false, max_spatial: 2, max_temporal: 3, may_pause: true },
            strip_trailer: false,
            frame_trailer: Default::default(),
            announce: false,
            playout_delay: None,
        };
        shard.handle_command(now, Command::AddDownTrack(down));
    }
}

/// A script of steps: what to do, a length, and as many bytes to do it with.
pub fn run(data: &[u8]) {
    let mut now = Instant::now();
    let mut shard = Shard::new(ShardConfig::default(), context(), 7, now);
    let mut peers = [connect(&mut shard, now, 1), connect(&mut shard, now, 2)];
    tracks(&mut shard, now);
    let mut batch = SendBatch::default();
    let mut rest = data;
    while let [what, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        step(&mut shard, &mut now, &mut peers, *what, bytes);
        batch.clear();
        shard.flush(now, &mut batch);
        // One datagram in must not become a flood: retransmissions, feedback and key frame requests are bounded.
        assert!(batch.packets() <= 2000, "{} packets", batch.packets());
        for run in batch.runs() {
            assert!(run.segments().all(|s| !s.is_empty() && s.len() <= 1500));
            assert!(peers.iter().any(|p| p.path == run.path), "sent to a stranger");
        }
        // The shard catches what fails inside; here it is what is looked for.
        assert_eq!(shard.stats().panics, 0);
        while shard.poll_event().is_some() {}
    }
}

fn step(shard: &mut Shard, now: &mut Instant, peers: &mut [Peer; 2], what: u8, bytes: &[u8]) {
    let [publisher, subscriber] = peers;
    let peer = if what & 0x80 == 0 { publisher } else { subscriber };
    match what & 7 {
        0 => shard.handle_datagram(*now, path(u32::from(what)), &mut bytes.to_vec()),
        1 => shard.handle_datagram(*now, peer.path, &mut bytes.to_vec()),
        2..=4 => {
            if let Some(mut packet) = seal_rtp(peer, what >> 3 & 7, bytes) {
                shard.handle_datagram(*now, peer.path, &mut packet);
            }
        }
        5 | 6 => {
            let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
            packet.extend_from_slice(bytes);
            if peer.sender.seal_rtcp(&mut packet, 0).is_ok() {
                shard.handle_datagram(*now, peer.path, &mut packet);
            }
        }
        7 if what & 0x20 != 0 => {
            let id = peer_id(what);
            let channel = DataChannel::ALL[usize::from(what >> 3 & 3) % DataChannel::ALL.len()];
            if bytes.is_empty() {
                shard.handle_command(*now, Command::OpenDataChannel { id, channel });
            } else {
                let payload = bytes.repeat(1 + usize::from(bytes[0])).into();
                shard.handle_command(*now, Command::SendData { to: vec![id], channel, payload });
            }
        }
        7 if what & 0x40 != 0 => {
            let wish = bytes.first().copied().unwrap_or(0);
            let settings = DownTrackSettings {
                paused: wish & 0x80 != 0,
                max_spatial: wish & 3,
                max_temporal: wish >> 2 & 3,
                may_pause: true,
            };
            shard.handle_command(*now, Command::SetDownTrack { id: SVC, settings });
        }
        _ => {
            let wait = bytes.first_chunk::<2>().map_or(5, |b| u16::from_be_bytes(*b));
            *now += Duration::from_millis(u64::from(wait));
            shard.handle_timeout(*now);
        }
    }
}

/// The bytes as a packet of one of the publisher's streams, or of none; sequence jumps are theirs too.
fn seal_rtp(peer: &mut Peer, stream: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packet = bytes.to_vec();
    let first = packet.first_mut()?;
    *first = *first & 0x3f | 0x80;
    let stream = usize::from(stream);
    if let Some(ssrc) = SSRCS.get(stream) {
        packet.get_mut(8..12)?.copy_from_slice(&ssrc.to_be_bytes());
    }
    let header = RtpHeader::parse(&packet).ok()?;
    // A peer that reseals an index would only be refused as a replay, so it may.
    let last = peer.sent.get_mut(stream.min(SSRCS.len() - 1))?;
    let index = extend_seq(*last, header.seq)?;
    *last = (*last).max(index);
    peer.sender.seal_rtp(&mut packet, 0, usize::from(header.header_len), index).ok()?;
    Some(packet)
}
