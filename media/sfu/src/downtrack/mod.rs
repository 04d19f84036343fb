//! What subscribers get: one down track per subscription.

pub(crate) mod black;
pub(crate) mod filler;
pub(crate) mod forwarder;
pub(crate) mod history;
pub(crate) mod map;
pub(crate) mod payload;
pub(crate) mod report;
pub(crate) mod selector;
pub(crate) mod trailer;
pub(crate) mod write;

use crate::arena::Key;
use crate::command::{DownTrackConfig, DownTrackSettings, PayloadType};
use crate::config::ShardConfig;
use crate::event::TrackStats;
use crate::ids::{DownTrackId, TransportId};
use bedrud_rtp::{Codec, Mid, PlayoutDelay, Pt, Ssrc};
use bytes::Bytes;
use filler::{Fill, Filler};
use forwarder::{Forwarder, Incoming, Last, Outgoing, StartValues};
use history::History;
use payload::PtOut;
use report::SenderReports;
use std::time::{Duration, Instant};

/// Retransmission bytes a stream may always spend before its share of sent bytes counts.
const RTX_FLOOR: u64 = 30_000;

/// What a receiver keeps once it heard it (the MID of an SSRC, playout limits) is said in this many first packets. The
/// choice hangs on the number alone, so that a packet made again has the same bytes.
const INTRODUCTION: u64 = 200;

/// A packet of the server's own, waiting for the flush of its subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub(crate) down: Key,
    pub(crate) fill: Fill,
    /// Extended sequence number.
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
}

/// A packet waiting for the flush of its subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queued {
    pub(crate) down: Key,
    /// Extended sequence number in the publisher's stream.
    pub(crate) in_seq: u64,
    pub(crate) out: Outgoing,
    /// Extended sequence number on the RTX stream, for a retransmission with RTX.
    pub(crate) rtx: Option<u64>,
    /// A retransmission.
    pub(crate) again: bool,
}

/// Payload type translation last used.
#[derive(Debug, Clone, Copy)]
struct PtCache {
    from: PayloadType,
    to: Option<PtOut>,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct DownTrack {
    pub(crate) id: DownTrackId,
    pub(crate) transport: TransportId,
    pub(crate) source: Key,
    pub(crate) mid: Mid,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx_ssrc: Option<Ssrc>,
    pub(crate) cname: String,
    pub(crate) payload_types: Vec<PayloadType>,
    pub(crate) settings: DownTrackSettings,
    pub(crate) strip_trailer: bool,
    pub(crate) frame_trailer: Bytes,
    pub(crate) announce: bool,
    pub(crate) playout_delay: Option<PlayoutDelay>,
    pub(crate) video: bool,
    pub(crate) clock_rate: u32,
    pub(crate) forwarder: Forwarder,
    pub(crate) history: History,
    pub(crate) reports: SenderReports,
    /// Highest layer congestion control allows; `None` pauses.
    pub(crate) allowed: Option<u8>,
    /// Packets of our own while nothing comes from the source.
    pub(crate) filler: Option<Filler>,
    /// [`crate::Event::DownTrackStarted`] was sent.
    pub(crate) started: bool,
    /// [`crate::Event::DownTrackUnsupported`] was sent for the present codec.
    pub(crate) unsupported: bool,
    pt: Option<PtCache>,
    resumed: Option<u64>,
    rtx_next: u64,
    rtx_spent: u64,
    rtx_percent: u32,
    pub(crate) sent_packets: u64,
    pub(crate) sent_bytes: u64,
    stats_packets: u64,
    stats_bytes: u64,
    pub(crate) stats_plis: u32,
    pub(crate) stats_nacks: u32,
}

/// Where the numbers of a new down track begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) media: StartValues,
    /// Set when the SSRC of the media stream was used before.
    pub(crate) resume: Option<Retired>,
    /// First extended sequence number of the RTX stream.
    pub(crate) rtx: u64,
}

/// A stream whose down track ended: a number must not be sealed twice under one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retired {
    /// First extended sequence number never used.
    pub(crate) next: u64,
    /// Last values sent, of a media stream.
    pub(crate) last: Option<Last>,
}

impl DownTrack {
    pub(crate) fn new(
        now: Instant,
        config: DownTrackConfig,
        source: Key,
        video: bool,
        start: Start,
        shard: &ShardConfig,
    ) -> Self {
        let clock_rate = config
            .payload_types
            .first()
            .map_or(if video { 90_000 } else { 48_000 }, |p| p.codec.clock_rate());
        let ring = if video { shard.video_ring } else { shard.audio_ring };
        let resumed = start.resume.map(|r| r.next);
        let mut forwarder = Forwarder::new(video, clock_rate, start.media, resumed);
        if let Some(last) = start.resume.and_then(|r| r.last) {
            forwarder.continue_from(last);
        }
        Self {
            id: config.id,
            transport: config.transport,
            source,
            mid: config.mid,
            ssrc: config.ssrc,
            rtx_ssrc: config.rtx_ssrc,
            cname: config.cname,
            payload_types: config.payload_types,
            settings: config.settings,
            strip_trailer: config.strip_trailer,
            frame_trailer: config.frame_trailer,
            announce: config.announce,
            playout_delay: config.playout_delay,
            video,
            clock_rate,
            forwarder,
            history: History::new(now, ring),
            reports: SenderReports::default(),
            allowed: Some(u8::MAX),
            filler: None,
            started: false,
            unsupported: false,
            pt: None,
            resumed,
            rtx_next: start.rtx,
            rtx_spent: 0,
            rtx_percent: shard.rtx_percent,
            sent_packets: 0,
            sent_bytes: 0,
            stats_packets: 0,
            stats_bytes: 0,
            stats_plis: 0,
            stats_nacks: 0,
        }
    }

    /// How the publisher's payload type leaves.
    pub(crate) fn pt_out(&mut self, from: &PayloadType) -> Option<PtOut> {
        if let Some(cache) = self.pt.as_ref().filter(|c| c.from == *from) {
            return cache.to;
        }
        let to = PtOut::find(from, &self.payload_types);
        self.pt = Some(PtCache { from: *from, to });
        self.unsupported = false;
        to
    }

    /// Payload type and codec of what was last sent as it came.
    pub(crate) fn sends(&self) -> Option<(Pt, Codec)> {
        match self.pt.as_ref()? {
            PtCache { from, to: Some(PtOut::Same { pt, .. }) } => Some((*pt, from.codec)),
            _ => None,
        }
    }

    /// Whether the packet of this number carries what a receiver must hear once.
    pub(crate) fn introduces(&self, seq: u64) -> bool {
        seq.saturating_sub(self.forwarder.first_seq()) < INTRODUCTION
    }

    /// Takes the number of the next packet of our own, when one is due.
    pub(crate) fn fill(&mut self, now: Instant, key: Key, ready: bool) -> Option<Filled> {
        let fill = self.filler.as_mut()?.poll(now, ready)?;
        let (seq, timestamp) = match fill {
            Fill::Silence | Fill::Black => self.forwarder.fill_frame(now),
            Fill::Padding => self.forwarder.fill_padding(now),
        };
        Some(Filled { down: key, fill, seq, timestamp })
    }

    /// Forgets what could not be made again after a change of negotiation.
    pub(crate) fn forget_history(&mut self) {
        self.history.clear();
        self.pt = None;
    }

    /// Takes a packet of the source; the result goes into the subscriber's queue.
    pub(crate) fn offer(&mut self, now: Instant, key: Key, packet: &Incoming<'_>) -> Option<Queued> {
        let out = self.forwarder.on_packet(now, packet)?;
        self.history.record(now, packet.seq, &out);
        Some(Queued { down: key, in_seq: packet.seq, out, rtx: None, again: false })
    }

    /// The RTX payload type for a payload type of the source, when retransmissions have a stream of their own.
    pub(crate) fn rtx_pt(&self, to: PtOut) -> Option<(Ssrc, Pt)> {
        match to {
            PtOut::Same { rtx, .. } => self.rtx_ssrc.zip(rtx),
            PtOut::RedPrimary { .. } => None,
        }
    }

    /// Takes `bytes` from the retransmission budget.
    pub(crate) fn spend_rtx(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let limit = RTX_FLOOR + self.sent_bytes * u64::from(self.rtx_percent) / 100;
        if self.rtx_spent + bytes > limit {
            return false;
        }
        self.rtx_spent += bytes;
        true
    }

    /// Next number of the RTX stream.
    pub(crate) fn next_rtx(&mut self) -> u64 {
        let seq = self.rtx_next;
        self.rtx_next += 1;
        seq
    }

    /// What a later track with these SSRCs goes on from: media, then RTX.
    pub(crate) fn retire(&self) -> (Option<Retired>, Retired) {
        let last = self.forwarder.last();
        let next = self.forwarder.last_sent().map(|(seq, _)| seq + 1).or(self.resumed);
        (next.map(|next| Retired { next, last }), Retired { next: self.rtx_next, last: None })
    }

    /// Figures of what left since the last call, completed by what the receiver reports.
    pub(crate) fn take_stats(&mut self, rtt: Option<Duration>) -> TrackStats {
        let packets = self.sent_packets - std::mem::replace(&mut self.stats_packets, self.sent_packets);
        let bytes = self.sent_bytes - std::mem::replace(&mut self.stats_bytes, self.sent_bytes);
        TrackStats {
            packets,
            bytes,
            lost: self.reports.take_lost(),
            jitter_ms: self.reports.jitter_ms(self.clock_rate),
            rtt_ms: rtt.map(|r| r.as_secs_f32() * 1000.0),
            plis: std::mem::take(&mut self.stats_plis),
            nacks: std::mem::take(&mut self.stats_nacks),
        }
    }
}
