//! A client that receives, asks for what is missing and reports.

use super::{extensions, path};
use bedrud_rtp::receive::{ReceiveStats, TwccRecorder, extend_seq};
use bedrud_rtp::rtcp::{self, RtcpPacket, SenderInfo};
use bedrud_rtp::sniff::Vp8Descriptor;
use bedrud_rtp::{HeaderExtensions, PlayoutDelay, SrtpReceiver, SrtpSender};
use bedrud_sfu::Path;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet as received, original or repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rx {
    pub timestamp: u32,
    pub marker: bool,
    pub pt: u8,
    pub payload: Vec<u8>,
    pub vp8: Option<Vp8Descriptor>,
    /// Dependency descriptor.
    pub dd: Option<Vec<u8>>,
    pub playout: Option<PlayoutDelay>,
    pub level: Option<u8>,
    pub repaired: bool,
    pub at: u64,
    pub empty: bool,
}

impl Rx {
    /// What the publisher wrote behind the descriptor: layer, packet of the frame, millisecond.
    pub fn content(&self) -> (u8, u8, u32) {
        let at = self.vp8.map_or(0, |d| usize::from(d.len) + 1);
        let p = &self.payload[at..];
        (p[0], p[1], u32::from_be_bytes(p[2..6].try_into().unwrap()))
    }
}

/// Receiving client.
pub struct Subscriber {
    slot: u32,
    tx: SrtpSender,
    rx: SrtpReceiver,
    pub ssrc: u32,
    rtx_ssrc: Option<u32>,
    /// By extended sequence number.
    pub received: BTreeMap<u64, Rx>,
    highest: Option<u64>,
    pub reports: Vec<(SenderInfo, u64)>,
    stats: ReceiveStats,
    twcc: TwccRecorder,
    asked: BTreeMap<u64, u64>,
    pub send_nacks: bool,
    pub repaired: u64,
    pub duplicates: u64,
    pub datagrams: u64,
    pub remb: Option<u64>,
    pub pli: bool,
    /// Asks for the last hundred packets, all the time.
    pub nack_storm: bool,
    pub with_mid: u64,
    began: Instant,
    sr: Option<SenderInfo>,
}

impl Subscriber {
    pub fn new(slot: u32, tx: SrtpSender, rx: SrtpReceiver, ssrc: u32, rtx_ssrc: Option<u32>) -> Self {
        Self {
            slot,
            tx,
            rx,
            ssrc,
            rtx_ssrc,
            received: BTreeMap::new(),
            highest: None,
            reports: Vec::new(),
            stats: ReceiveStats::new(90_000),
            twcc: TwccRecorder::new(),
            asked: BTreeMap::new(),
            send_nacks: true,
            repaired: 0,
            duplicates: 0,
            datagrams: 0,
            remb: None,
            pli: false,
            nack_storm: false,
            with_mid: 0,
            began: super::start(),
            sr: None,
        }
    }

    pub fn path(&self) -> Path {
        path(self.slot)
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    pub fn receive(&mut self, ms: u64, mut bytes: Vec<u8>) {
        if (192..=223).contains(&bytes[1]) {
            let len = self.rx.open_rtcp(&mut bytes).expect("RTCP authenticates");
            for p in rtcp::compound(&bytes[..len]) {
                if let RtcpPacket::SenderReport(sr) = p.expect("RTCP parses") {
                    assert_eq!(sr.ssrc, self.ssrc);
                    self.stats.on_sender_report(&sr.info, self.at(ms));
                    self.sr = Some(sr.info);
                    self.reports.push((sr.info, ms));
                }
            }
            return;
        }
        self.datagrams += 1;
        // Also proves that no sequence number is protected twice: the replay window would refuse it.
        let opened = match self.rx.open_rtp(&mut bytes) {
            Ok(o) => o,
            Err(bedrud_rtp::SrtpError::Replayed) => {
                self.duplicates += 1;
                return;
            }
            Err(e) => panic!("packet does not authenticate: {e}"),
        };
        let plain = &bytes[..opened.len];
        let ext = HeaderExtensions::read(&opened.header, plain, &extensions());
        self.with_mid += u64::from(ext.mid.is_some());
        if let Some(seq) = ext.transport_cc {
            self.twcc.record(seq, ms as i64 * 1000);
        }
        let mut payload = opened.header.payload(plain).unwrap().to_vec();
        let repaired = Some(opened.header.ssrc) == self.rtx_ssrc;
        let seq = if repaired {
            let osn = u16::from_be_bytes([payload[0], payload[1]]);
            payload.drain(..2);
            self.repaired += 1;
            extend_seq(self.highest.unwrap(), osn).unwrap()
        } else {
            assert_eq!(opened.header.ssrc, self.ssrc);
            self.stats.on_packet(opened.ext_seq, opened.header.timestamp, payload.len(), self.at(ms));
            opened.ext_seq
        };
        self.highest = Some(self.highest.map_or(seq, |h| h.max(seq)));
        let vp8 = if opened.header.pt < 100 { Vp8Descriptor::parse(&payload) } else { None };
        let rx = Rx {
            timestamp: opened.header.timestamp,
            marker: opened.header.marker,
            pt: opened.header.pt,
            empty: payload.is_empty(),
            payload,
            vp8,
            dd: ext.dependency_descriptor(plain).map(<[u8]>::to_vec),
            playout: ext.playout_delay,
            level: ext.audio_level.map(|l| l.level),
            repaired,
            at: ms,
        };
        if let Some(before) = self.received.get(&seq) {
            self.duplicates += 1;
            assert_eq!(before.payload, rx.payload, "a retransmission repeats the original");
            assert_eq!((before.timestamp, before.marker), (rx.timestamp, rx.marker));
            assert_eq!(before.dd, rx.dd, "and its dependency descriptor");
            return;
        }
        self.received.insert(seq, rx);
    }

    pub fn step(&mut self, ms: u64, out: &mut Vec<(Path, Vec<u8>)>) {
        let mut buf = Vec::new();
        if ms.is_multiple_of(10) && self.send_nacks {
            let lost = self.missing(ms);
            if !lost.is_empty() {
                rtcp::write_receiver_report(&mut buf, 1, &[]);
                rtcp::write_nack(&mut buf, 1, self.ssrc, &lost);
            }
        }
        if ms % 60 == 5 && self.twcc.pending() > 0 {
            rtcp::write_receiver_report(&mut buf, 1, &[]);
            self.twcc.build(1, self.ssrc, &mut buf);
        }
        if ms % 1000 == 500 {
            if let Some(block) = self.stats.report(self.ssrc, self.at(ms)) {
                rtcp::write_receiver_report(&mut buf, 1, &[block]);
            }
            if let Some(remb) = self.remb {
                rtcp::write_remb(&mut buf, 1, remb, &[self.ssrc]);
            }
        }
        if self.nack_storm
            && let Some(highest) = self.highest
        {
            let all: Vec<u16> = (highest.saturating_sub(100)..=highest).map(|s| s as u16).collect();
            rtcp::write_receiver_report(&mut buf, 1, &[]);
            rtcp::write_nack(&mut buf, 1, self.ssrc, &all);
        }
        if std::mem::take(&mut self.pli) {
            rtcp::write_receiver_report(&mut buf, 1, &[]);
            rtcp::write_pli(&mut buf, 1, self.ssrc);
        }
        if !buf.is_empty() {
            self.tx.seal_rtcp(&mut buf, 0).unwrap();
            out.push((self.path(), buf));
        }
    }

    fn missing(&mut self, ms: u64) -> Vec<u16> {
        let (Some((first, _)), Some(highest)) = (self.received.first_key_value(), self.highest) else {
            return Vec::new();
        };
        let from = (*first).max(highest.saturating_sub(100));
        let mut lost = Vec::new();
        for seq in from..highest {
            if self.received.contains_key(&seq) {
                continue;
            }
            let next = self.asked.entry(seq).or_insert(ms + 5);
            if *next <= ms {
                *next = ms + 40;
                lost.push(seq as u16);
            }
        }
        lost
    }
}
