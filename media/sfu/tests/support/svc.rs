//! A client that sends all spatial and temporal layers in one stream, and what a decoder makes of the rest of it.

use super::descriptor::{LAYERS, LayerFrame};
use super::subscriber::Rx;
use super::{extensions, path};
use bedrud_rtp::rtcp::{self, RtcpPacket};
use bedrud_rtp::{Codec, MediaKind, Mid, OutExtensions, OutHeader, SrtpReceiver, SrtpSender};
use bedrud_sfu::{Path, PayloadType, UpLayer, UpTrackConfig, UpTrackId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub const MEDIA: u8 = 101;
const RTX: u8 = 102;
const SSRC: u32 = 0xd000_0000;
const RTX_SSRC: u32 = 0xd000_0001;
/// Numbers begin before their wraps.
pub const FIRST_FRAME: u32 = 65_500;

pub fn payload_type(codec: Codec) -> PayloadType {
    PayloadType { pt: MEDIA, codec, variant: 0, rtx: Some(RTX), nack: true }
}

/// Behind the payload descriptor of every packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub spatial: u8,
    pub temporal: u8,
    pub part: u8,
    pub parts: u8,
    pub key: bool,
    pub ms: u32,
    pub frame: u32,
    pub references: Vec<u32>,
}

impl Content {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend([self.spatial, self.temporal, self.part, self.parts, u8::from(self.key)]);
        out.extend(self.ms.to_be_bytes());
        out.extend(self.frame.to_be_bytes());
        out.push(self.references.len() as u8);
        for r in &self.references {
            out.extend(r.to_be_bytes());
        }
        // Upper layers are larger.
        out.resize(out.len() + 200 + 300 * usize::from(self.spatial), self.spatial);
    }

    pub fn read(rx: &Rx) -> Self {
        let p = &rx.payload[if rx.dd.is_some() { 1 } else { vp9_len(&rx.payload) }..];
        let word = |at: usize| u32::from_be_bytes(p[at..at + 4].try_into().unwrap());
        Self {
            spatial: p[0],
            temporal: p[1],
            part: p[2],
            parts: p[3],
            key: p[4] != 0,
            ms: word(5),
            frame: word(9),
            references: (0..usize::from(p[13])).map(|i| word(14 + 4 * i)).collect(),
        }
    }
}

/// The descriptors written here: I and L set, 15 bits of picture id, TL0PICIDX, with V two bytes of structure.
fn vp9_len(payload: &[u8]) -> usize {
    5 + 2 * usize::from(payload[0] >> 1 & 1)
}

/// Sends pictures, answers PLI and NACK.
pub struct SvcPublisher {
    codec: Codec,
    key_mode: bool,
    slot: u32,
    tx: Option<SrtpSender>,
    rx: Option<SrtpReceiver>,
    /// Spatial layers being sent.
    active: u8,
    tell_active: bool,
    key_wanted: bool,
    /// Pictures since the key picture.
    since_key: u32,
    pub keys_sent: u64,
    pub plis: u64,
    number: u32,
    picture: u16,
    tl0: u8,
    seq: u64,
    rtx_seq: u64,
    /// Newest frame of each spatial and temporal layer.
    last: [[Option<u32>; LAYERS as usize]; LAYERS as usize],
    chains: [u32; LAYERS as usize],
    sent: HashMap<u16, (OutHeaderParts, Vec<u8>)>,
    pending: Vec<u16>,
    twcc: u16,
    pub paused: bool,
}

#[derive(Debug, Clone)]
struct OutHeaderParts {
    marker: bool,
    timestamp: u32,
    descriptor: Vec<u8>,
}

impl SvcPublisher {
    /// `key_mode`: layers are predicted from each other in key pictures only.
    pub fn new(track: UpTrackId, codec: Codec, key_mode: bool) -> (UpTrackConfig, Self) {
        let config = UpTrackConfig {
            id: track,
            transport: super::tid(0),
            kind: MediaKind::Video,
            mid: Mid::new("s0").unwrap(),
            payload_types: vec![payload_type(codec)],
            layers: vec![UpLayer { spatial: 0, rid: None, ssrc: Some(SSRC), rtx_ssrc: Some(RTX_SSRC) }],
        };
        let publisher = Self {
            codec,
            key_mode,
            slot: 0,
            tx: None,
            rx: None,
            active: LAYERS,
            tell_active: false,
            key_wanted: true,
            since_key: 0,
            keys_sent: 0,
            plis: 0,
            number: FIRST_FRAME,
            picture: 32_750,
            tl0: 250,
            seq: 65_520,
            rtx_seq: 1,
            last: Default::default(),
            chains: [0; LAYERS as usize],
            sent: HashMap::new(),
            pending: Vec::new(),
            twcc: 0,
            paused: false,
        };
        (config, publisher)
    }

    pub fn attach(&mut self, slot: u32, tx: SrtpSender, rx: SrtpReceiver) {
        self.slot = slot;
        self.tx = Some(tx);
        self.rx = Some(rx);
    }

    pub fn path(&self) -> Path {
        path(self.slot)
    }

    /// Sends fewer or more spatial layers. More begin with a key picture.
    pub fn set_layers(&mut self, n: u8) {
        self.key_wanted |= n > self.active;
        self.active = n;
        self.tell_active = true;
    }

    pub fn step(&mut self, ms: u64, out: &mut Vec<(Path, Vec<u8>)>) {
        if ms.is_multiple_of(33) && !self.paused {
            self.send_picture(ms as u32, out);
        }
        for seq in std::mem::take(&mut self.pending) {
            self.retransmit(seq, out);
        }
    }

    fn send_picture(&mut self, ms: u32, out: &mut Vec<(Path, Vec<u8>)>) {
        let key = std::mem::take(&mut self.key_wanted);
        if key {
            self.keys_sent += 1;
            self.since_key = 0;
            self.last = Default::default();
        }
        let temporal = [0u8, 2, 1, 2][self.since_key as usize % 4];
        self.since_key += 1;
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        let mut below = None;
        for spatial in 0..self.active {
            let frame = self.layer_frame(spatial, temporal, key, below);
            below = Some(frame.number);
            self.send_frame(ms, &frame, out);
        }
    }

    fn layer_frame(&mut self, spatial: u8, temporal: u8, key: bool, below: Option<u32>) -> LayerFrame {
        let (s, t) = (usize::from(spatial), usize::from(temporal));
        let number = self.number;
        self.number += 1;
        let mut references: Vec<u32> = Vec::new();
        if !key {
            // The newest frame of the layer that the temporal layer may use.
            references.extend(self.last[s][..t.max(1)].iter().flatten().max());
        }
        if key || !self.key_mode {
            references.extend(below);
        }
        let mut chain_diffs = [0; LAYERS as usize];
        for (c, chain) in self.chains.iter_mut().enumerate() {
            if !(key && spatial == 0) {
                chain_diffs[c] = (number - *chain) as u8;
            }
            let part = if self.key_mode && !key { s == c } else { s <= c };
            if part && temporal == 0 {
                *chain = number;
            }
        }
        self.last[s][t] = Some(number);
        LayerFrame {
            number,
            spatial,
            temporal,
            key,
            references,
            chain_diffs,
            key_mode: self.key_mode,
            active: self.active,
            tell_active: spatial == 0 && std::mem::take(&mut self.tell_active),
            id_offset: (self.keys_sent * 9 % 64) as u8,
        }
    }

    fn send_frame(&mut self, ms: u32, frame: &LayerFrame, out: &mut Vec<(Path, Vec<u8>)>) {
        let parts = (1 + frame.spatial) * if frame.key { 2 } else { 1 };
        for part in 0..parts {
            let (start, end) = (part == 0, part + 1 == parts);
            let mut payload = Vec::new();
            let mut descriptor = Vec::new();
            if self.codec == Codec::Av1 {
                descriptor = frame.descriptor(start, end);
                payload.push(if frame.key && frame.spatial == 0 && start { 0x18 } else { 0x10 });
            } else {
                self.vp9_descriptor(frame, start, end, &mut payload);
            }
            let (FrameParts { spatial, temporal, key, number }, references) =
                (frame.into(), frame.references.clone());
            Content { spatial, temporal, part, parts, key, ms, frame: number, references }
                .write(&mut payload);
            let marker = end && frame.spatial + 1 == self.active;
            let parts =
                OutHeaderParts { marker, timestamp: (u32::MAX - 9000).wrapping_add(ms * 90), descriptor };
            let seq = self.seq;
            self.seq += 1;
            self.sent.insert(seq as u16, (parts.clone(), payload.clone()));
            let packet = self.packet(&parts, MEDIA, SSRC, seq, &payload);
            out.push((self.path(), packet));
        }
    }

    fn vp9_descriptor(&self, frame: &LayerFrame, start: bool, end: bool, out: &mut Vec<u8>) {
        let structure = frame.key && frame.spatial == 0 && start;
        let bit = |on: bool, at: u8| u8::from(on) << at;
        let inter_layer = frame.spatial > 0 && (frame.key || !self.key_mode);
        out.push(0xa0 | bit(!frame.key, 6) | bit(start, 3) | bit(end, 2) | bit(structure, 1));
        out.extend((self.picture | 0x8000).to_be_bytes());
        out.push(frame.temporal << 5 | bit(true, 4) | frame.spatial << 1 | u8::from(inter_layer));
        out.push(self.tl0);
        if structure {
            out.extend([(self.active - 1) << 5, 0]);
        }
    }

    fn packet(&mut self, parts: &OutHeaderParts, pt: u8, ssrc: u32, seq: u64, payload: &[u8]) -> Vec<u8> {
        let dependency_descriptor = (!parts.descriptor.is_empty()).then_some(parts.descriptor.as_slice());
        let extensions_out = OutExtensions {
            transport_cc: Some(self.twcc),
            dependency_descriptor,
            ..OutExtensions::default()
        };
        self.twcc = self.twcc.wrapping_add(1);
        let header = OutHeader {
            marker: parts.marker,
            pt,
            seq: seq as u16,
            timestamp: parts.timestamp,
            ssrc,
            padding: false,
            extensions: extensions_out,
        };
        let mut out = Vec::new();
        let written = header.write(&mut out, &extensions());
        out.extend_from_slice(payload);
        self.tx.as_ref().unwrap().seal_rtp(&mut out, 0, written.header_len, seq).unwrap();
        out
    }

    fn retransmit(&mut self, seq: u16, out: &mut Vec<(Path, Vec<u8>)>) {
        let Some((parts, payload)) = self.sent.get(&seq).cloned() else { return };
        let rtx_seq = self.rtx_seq;
        self.rtx_seq += 1;
        let payload = [&seq.to_be_bytes()[..], &payload].concat();
        let packet = self.packet(&parts, RTX, RTX_SSRC, rtx_seq, &payload);
        out.push((self.path(), packet));
    }

    pub fn receive(&mut self, mut bytes: Vec<u8>) {
        let len = self.rx.as_mut().unwrap().open_rtcp(&mut bytes).expect("feedback authenticates");
        for packet in rtcp::compound(&bytes[..len]) {
            match packet.expect("feedback parses") {
                RtcpPacket::Pli(_) => {
                    self.plis += 1;
                    self.key_wanted = true;
                }
                RtcpPacket::Nack(n) => self.pending.extend(n.lost()),
                _ => {}
            }
        }
    }
}

struct FrameParts {
    spatial: u8,
    temporal: u8,
    key: bool,
    number: u32,
}

impl From<&LayerFrame> for FrameParts {
    fn from(f: &LayerFrame) -> Self {
        Self { spatial: f.spatial, temporal: f.temporal, key: f.key, number: f.number }
    }
}

/// A decoded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub ms: u32,
    pub spatial: u8,
    pub temporal: u8,
}

/// What a decoder makes of it.
#[derive(Debug, Default)]
pub struct Decoded {
    pub pictures: Vec<Picture>,
    /// Frames that lack what they are predicted from.
    pub useless: usize,
    /// Packets of a picture behind its marker.
    pub reopened: usize,
}

/// Decodes what was received. Frames must be whole, and the end of every picture must be marked.
pub fn decode(received: &BTreeMap<u64, Rx>) -> Decoded {
    let mut out = Decoded::default();
    let mut decoded = BTreeSet::new();
    let mut open: Option<(u32, u8)> = None;
    let mut picture: Option<(u32, bool)> = None;
    for (seq, rx) in received.iter().filter(|(_, r)| !r.empty) {
        let c = Content::read(rx);
        let (frame, part) = open.take().unwrap_or((c.frame, 0));
        assert_eq!((c.frame, c.part), (frame, part), "parts of a frame in order at {seq}");
        let marked = match picture {
            Some((ms, marked)) if ms == c.ms => {
                out.reopened += usize::from(marked);
                marked
            }
            before => {
                assert!(before.is_none_or(|(_, marked)| marked), "no marker before {} ms at {seq}", c.ms);
                false
            }
        };
        picture = Some((c.ms, marked || rx.marker));
        if c.part + 1 < c.parts {
            open = Some((c.frame, c.part + 1));
        } else if c.references.iter().any(|r| !decoded.contains(r)) {
            out.useless += 1;
        } else {
            decoded.insert(c.frame);
            let new = Picture { ms: c.ms, spatial: c.spatial, temporal: c.temporal };
            match out.pictures.last_mut().filter(|p| p.ms == c.ms) {
                Some(p) => *p = new,
                None => out.pictures.push(new),
            }
        }
    }
    out
}
