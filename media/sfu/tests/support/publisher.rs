//! A client that sends simulcast VP8 or audio with fixed keys.

use super::{extensions, path};
use bedrud_rtp::rtcp::{self, RtcpPacket, SenderInfo};
use bedrud_rtp::{
    AudioLevelValue, Codec, MediaKind, Mid, OutExtensions, OutHeader, Rid, SrtpReceiver, SrtpSender,
};
use bedrud_sfu::{Path, PayloadType, UpLayer, UpTrackConfig, UpTrackId};
use std::collections::HashMap;
use std::time::Instant;

pub const VP8: u8 = 96;
pub const VP8_RTX: u8 = 97;
pub const OPUS: u8 = 111;
pub const RED: u8 = 63;

pub fn vp8_pt(nack: bool) -> PayloadType {
    PayloadType { pt: VP8, codec: Codec::Vp8, variant: 0, rtx: Some(VP8_RTX), nack }
}

pub fn audio_pt(pt: u8, codec: Codec, nack: bool) -> PayloadType {
    PayloadType { pt, codec, variant: 0, rtx: None, nack }
}

struct Layer {
    ssrc: u32,
    rtx_ssrc: u32,
    rid: Option<Rid>,
    packets_per_frame: usize,
    seq: u64,
    ts_base: u32,
    picture: u16,
    tl0: u8,
    key_index: u8,
    frame: u64,
    key_wanted: bool,
    sent: HashMap<u16, Vec<u8>>,
    rtx_seq: u64,
    active: bool,
    packets: u32,
}

/// Sends frames, answers PLI and NACK.
pub struct Publisher {
    slot: u32,
    tx: Option<SrtpSender>,
    rx: Option<SrtpReceiver>,
    mid: Mid,
    video: bool,
    red: bool,
    layers: Vec<Layer>,
    twcc: u16,
    pub paused: bool,
    pub with_extensions: u64,
    pub keys_sent: u64,
    pub plis: u64,
    pub nacked: u64,
    pub twcc_feedback: u64,
    pub receiver_reports: u64,
    pub level: u8,
    packets: u64,
    pending: Vec<(u32, u16)>,
}

impl Publisher {
    /// Simulcast video with this many layers. Numbers begin near their wrap.
    pub fn video(track: UpTrackId, layers: usize) -> (UpTrackConfig, Self) {
        let rids = ["q", "h", "f"];
        let make = |i: usize| Layer {
            ssrc: 0xa000 + track.0 as u32 * 16 + i as u32,
            rtx_ssrc: 0xb000_0000 + track.0 as u32 * 16 + i as u32,
            rid: (layers > 1).then(|| Rid::new(rids[i]).unwrap()),
            packets_per_frame: 1 + 2 * i,
            seq: 65_530 - i as u64 * 11,
            ts_base: u32::MAX - 90_000 * (i as u32 + 1),
            picture: 32_760 - i as u16 * 3,
            tl0: 250 + i as u8,
            key_index: 30,
            frame: 0,
            key_wanted: true,
            sent: HashMap::new(),
            rtx_seq: 1,
            active: true,
            packets: 0,
        };
        let layers: Vec<Layer> = (0..layers).map(make).collect();
        let config = UpTrackConfig {
            id: track,
            transport: super::tid(0),
            kind: MediaKind::Video,
            mid: Mid::new("v0").unwrap(),
            payload_types: vec![vp8_pt(true)],
            layers: layers
                .iter()
                .enumerate()
                .map(|(i, l)| UpLayer { spatial: i as u8, rid: l.rid, ssrc: None, rtx_ssrc: None })
                .collect(),
        };
        (config, Self::new("v0", true, false, layers))
    }

    /// One audio stream, Opus or RED over Opus.
    pub fn audio(track: UpTrackId, red: bool) -> (UpTrackConfig, Self) {
        let ssrc = 0xc000_0000 + track.0 as u32;
        let layer = Layer {
            ssrc,
            rtx_ssrc: 0,
            rid: None,
            packets_per_frame: 1,
            seq: 65_500,
            ts_base: u32::MAX - 4800,
            picture: 0,
            tl0: 0,
            key_index: 0,
            frame: 0,
            key_wanted: false,
            sent: HashMap::new(),
            rtx_seq: 0,
            active: true,
            packets: 0,
        };
        let mut payload_types = vec![audio_pt(OPUS, Codec::Opus, true)];
        if red {
            payload_types.push(audio_pt(RED, Codec::Red, false));
        }
        let config = UpTrackConfig {
            id: track,
            transport: super::tid(0),
            kind: MediaKind::Audio,
            mid: Mid::new("a0").unwrap(),
            payload_types,
            layers: vec![UpLayer { spatial: 0, rid: None, ssrc: Some(ssrc), rtx_ssrc: None }],
        };
        (config, Self::new("a0", false, red, vec![layer]))
    }

    fn new(mid: &str, video: bool, red: bool, layers: Vec<Layer>) -> Self {
        Self {
            slot: 0,
            tx: None,
            rx: None,
            mid: Mid::new(mid).unwrap(),
            video,
            red,
            layers,
            twcc: 65_000,
            paused: false,
            with_extensions: 40,
            keys_sent: 0,
            plis: 0,
            nacked: 0,
            twcc_feedback: 0,
            receiver_reports: 0,
            level: 20,
            packets: 0,
            pending: Vec::new(),
        }
    }

    pub fn attach(&mut self, slot: u32, tx: SrtpSender, rx: SrtpReceiver) {
        self.slot = slot;
        self.tx = Some(tx);
        self.rx = Some(rx);
    }

    pub fn path(&self) -> Path {
        path(self.slot)
    }

    pub fn set_active(&mut self, layer: usize, active: bool) {
        self.layers[layer].active = active;
        self.layers[layer].key_wanted = true;
    }

    pub fn step(&mut self, _now: Instant, ms: u64, out: &mut Vec<(Path, Vec<u8>)>) {
        let period = if self.video { 33 } else { 20 };
        if ms.is_multiple_of(period) && !self.paused {
            for i in 0..self.layers.len() {
                if self.layers[i].active {
                    self.frame(i, ms, out);
                }
            }
        }
        for (ssrc, seq) in std::mem::take(&mut self.pending) {
            self.retransmit(ssrc, seq, out);
        }
        if ms % 1000 == 7 {
            for i in 0..self.layers.len() {
                self.sender_report(i, ms, out);
            }
        }
    }

    fn timestamp(&self, layer: usize, ms: u64) -> u32 {
        let rate = if self.video { 90 } else { 48 };
        self.layers[layer].ts_base.wrapping_add((ms * rate) as u32)
    }

    fn sender_report(&mut self, layer: usize, ms: u64, out: &mut Vec<(Path, Vec<u8>)>) {
        let info = SenderInfo {
            ntp: (3_900_000_000u64 << 32) + ((ms << 32) / 1000),
            rtp_timestamp: self.timestamp(layer, ms),
            packets: self.layers[layer].packets,
            octets: 0,
        };
        let mut buf = Vec::new();
        rtcp::write_sender_report(&mut buf, self.layers[layer].ssrc, &info, &[]);
        self.tx.as_mut().unwrap().seal_rtcp(&mut buf, 0).unwrap();
        out.push((self.path(), buf));
    }

    /// VP8 temporal pattern 0 2 1 2; the payload tells layer, frame and packet.
    fn frame(&mut self, layer: usize, ms: u64, out: &mut Vec<(Path, Vec<u8>)>) {
        let timestamp = self.timestamp(layer, ms);
        let video = self.video;
        let (red, level) = (self.red, self.level);
        let l = &mut self.layers[layer];
        let key = video && std::mem::take(&mut l.key_wanted);
        if key {
            self.keys_sent += 1;
            l.key_index = (l.key_index + 1) & 31;
            l.frame = 0;
        }
        let tid = if key { 0 } else { [0u8, 2, 1, 2][(l.frame % 4) as usize] };
        if tid == 0 {
            l.tl0 = l.tl0.wrapping_add(1);
        }
        l.picture = (l.picture + 1) & 0x7fff;
        let count = l.packets_per_frame * if key { 4 } else { 1 };
        let number = l.frame;
        l.frame += 1;
        for i in 0..count {
            let l = &mut self.layers[layer];
            let mut payload = Vec::new();
            if video {
                let sync = tid > 0 && number % 4 < 3;
                payload.extend([0x80 | if i == 0 { 0x10 } else { 0 }, 0xf0]);
                payload.extend((l.picture | 0x8000).to_be_bytes());
                payload.extend([l.tl0, tid << 6 | u8::from(sync) << 5 | l.key_index]);
                payload.push(u8::from(!key));
            } else if red {
                payload.extend([0x80 | OPUS, 0x0f, 0x00, 4, OPUS, 1, 1, 1, 1]);
            }
            payload.extend([layer as u8, i as u8]);
            payload.extend((ms as u32).to_be_bytes());
            payload.resize(
                payload.len() + if video { 700 - usize::from(i + 1 == count) * 100 } else { 60 },
                layer as u8,
            );
            let seq = l.seq;
            l.seq += 1;
            l.packets += 1;
            let pt = if video {
                VP8
            } else if red {
                RED
            } else {
                OPUS
            };
            let (ssrc, rid) = (l.ssrc, l.rid);
            let mark = !video || i + 1 == count;
            l.sent.insert(seq as u16, [&[u8::from(mark)][..], &timestamp.to_be_bytes(), &payload].concat());
            let ext = OutExtensions {
                audio_level: (!video).then_some(AudioLevelValue { level, voice: true }),
                ..OutExtensions::default()
            };
            let packet = self.packet(mark, pt, seq, timestamp, ssrc, rid, None, ext, &payload);
            out.push((self.path(), packet));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a packet has many fields")]
    fn packet(
        &mut self,
        marker: bool,
        pt: u8,
        seq: u64,
        timestamp: u32,
        ssrc: u32,
        rid: Option<Rid>,
        repaired: Option<Rid>,
        mut ext: OutExtensions<'_>,
        payload: &[u8],
    ) -> Vec<u8> {
        self.packets += 1;
        if self.packets <= self.with_extensions || repaired.is_some() {
            ext.mid = Some(self.mid);
            ext.rid = rid;
            ext.repaired_rid = repaired;
        }
        ext.transport_cc = Some(self.twcc);
        self.twcc = self.twcc.wrapping_add(1);
        let header =
            OutHeader { marker, pt, seq: seq as u16, timestamp, ssrc, padding: false, extensions: ext };
        let mut out = Vec::new();
        let written = header.write(&mut out, &extensions());
        out.extend_from_slice(payload);
        self.tx.as_ref().unwrap().seal_rtp(&mut out, 0, written.header_len, seq).unwrap();
        out
    }

    fn retransmit(&mut self, ssrc: u32, seq: u16, out: &mut Vec<(Path, Vec<u8>)>) {
        let Some(l) = self.layers.iter_mut().find(|l| l.ssrc == ssrc) else { return };
        let Some(kept) = l.sent.get(&seq).cloned() else { return };
        let (rtx_seq, rtx_ssrc, rid) = (l.rtx_seq, l.rtx_ssrc, l.rid);
        l.rtx_seq += 1;
        let timestamp = u32::from_be_bytes(kept[1..5].try_into().unwrap());
        let payload = [&seq.to_be_bytes()[..], &kept[5..]].concat();
        let ext = OutExtensions::default();
        let packet =
            self.packet(kept[0] != 0, VP8_RTX, rtx_seq, timestamp, rtx_ssrc, None, rid, ext, &payload);
        out.push((self.path(), packet));
    }

    /// A padding probe on the RTX stream of a layer.
    pub fn probe(&mut self, layer: usize) -> Vec<u8> {
        let l = &mut self.layers[layer];
        let (seq, ssrc, rid) = (l.rtx_seq, l.rtx_ssrc, l.rid);
        l.rtx_seq += 1;
        self.packet(false, VP8_RTX, seq, 1, ssrc, None, rid, OutExtensions::default(), &[])
    }

    pub fn receive(&mut self, mut bytes: Vec<u8>) {
        let len = self.rx.as_mut().unwrap().open_rtcp(&mut bytes).expect("feedback authenticates");
        for packet in rtcp::compound(&bytes[..len]) {
            match packet.expect("feedback parses") {
                RtcpPacket::Pli(p) => {
                    self.plis += 1;
                    assert!(self.layers.iter().any(|l| l.ssrc == p.media));
                    for l in &mut self.layers {
                        l.key_wanted = true;
                    }
                }
                RtcpPacket::Nack(n) => {
                    let lost: Vec<u16> = n.lost().collect();
                    self.nacked += lost.len() as u64;
                    for seq in lost {
                        self.pending.push((n.media, seq));
                    }
                }
                RtcpPacket::Twcc(_) => self.twcc_feedback += 1,
                RtcpPacket::ReceiverReport(r) => self.receiver_reports += r.blocks().count() as u64,
                _ => {}
            }
        }
    }
}
