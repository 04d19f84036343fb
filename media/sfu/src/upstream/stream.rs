//! One SSRC of a publisher.

use super::frame::Frame;
use super::ring::{NewPacket, PacketRing};
use super::spatial::SpatialLayers;
use crate::command::PayloadType;
use crate::event::TrackStats;
use bedrud_rtp::receive::{NackConfig, NackGenerator, ReceiveStats, SenderClock};
use bedrud_rtp::rtcp::SenderInfo;
use bedrud_rtp::sniff::{DependencyDescriptor, DependencyReader, sniff};
use bedrud_rtp::{AudioLevelValue, Codec, HeaderExtensions, Pt, Ssrc};
use std::time::{Duration, Instant};

/// Window of the bit rate measurement.
const RATE_WINDOW: Duration = Duration::from_millis(500);
/// Packets of the future beyond this many are a broken or hostile sender; the stream restarts.
const MAX_JUMP: u64 = 30_000;

/// A media packet as it comes in, decrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: &'a [u8],
    pub(crate) extensions: &'a HeaderExtensions,
    pub(crate) dependency_descriptor: &'a [u8],
    pub(crate) capture_time: &'a [u8],
    /// Came as a retransmission.
    pub(crate) repaired: bool,
}

/// What the stream made of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Place in the stream.
    pub(crate) frame: Frame,
    /// Capture instant on the publisher's NTP clock.
    pub(crate) capture_ntp: Option<u64>,
    /// No payload.
    pub(crate) empty: bool,
    /// Other spatial layers are sent than before.
    pub(crate) layers_changed: bool,
}

/// State of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    pub(crate) generation: u32,
    pub(crate) codec: Codec,
    pub(crate) pt: Pt,
    pub(crate) ring: PacketRing,
    nack_enabled: bool,
    nack: NackGenerator,
    stats: ReceiveStats,
    clock: Option<SenderClock>,
    /// Last sender report and its arrival.
    pub(crate) sender_report: Option<(SenderInfo, Instant)>,
    /// Reader of dependency descriptors, once there were some.
    pub(crate) dependency: Option<Box<DependencyReader>>,
    /// Spatial layers inside the stream, once there were some.
    pub(crate) spatial: Option<Box<SpatialLayers>>,
    pub(crate) last_packet: Instant,
    /// Packets arrive.
    pub(crate) live: bool,
    rate_start: Instant,
    rate_bytes: u64,
    rate: u64,
    reported: (u64, u64, u64, u64),
    stats_nacks: u32,
    /// Retransmissions that arrived.
    pub(crate) repaired: u64,
}

impl Stream {
    pub(crate) fn new(now: Instant, ssrc: Ssrc, generation: u32, pt: &PayloadType, ring: usize) -> Self {
        Self {
            ssrc,
            generation,
            codec: pt.codec,
            pt: pt.pt,
            ring: PacketRing::new(ring),
            nack_enabled: pt.nack,
            nack: NackGenerator::new(NackConfig::default()),
            stats: ReceiveStats::new(pt.codec.clock_rate()),
            clock: None,
            sender_report: None,
            dependency: None,
            spatial: None,
            last_packet: now,
            live: true,
            rate_start: now,
            rate_bytes: 0,
            rate: 0,
            reported: (0, 0, 0, 0),
            stats_nacks: 0,
            repaired: 0,
        }
    }

    /// The publisher changed its codec on the same SSRC.
    pub(crate) fn set_payload_type(&mut self, pt: &PayloadType) {
        self.codec = pt.codec;
        self.pt = pt.pt;
        self.nack_enabled = pt.nack;
    }

    /// Newest extended sequence number.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.stats.highest()
    }

    /// True when a sequence number is so far off that the sender must have started over.
    pub(crate) fn is_restart(&self, seq: u64) -> bool {
        self.stats.highest().is_some_and(|h| seq.abs_diff(h) > MAX_JUMP)
    }

    /// Takes a packet: sniffs, counts, stores. `None` when it was there already or is too old. Leaves its dependency
    /// descriptor, if any, in `dependency`: it is large and most packets have none.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        a: &Arrival<'_>,
        dependency: &mut Option<DependencyDescriptor>,
    ) -> Option<Accepted> {
        if !a.dependency_descriptor.is_empty() {
            let reader = self.dependency.get_or_insert_with(|| Box::new(DependencyReader::new()));
            *dependency = reader.read(a.dependency_descriptor).ok();
        }
        let dependency = dependency.as_ref();
        let info = sniff(self.codec, a.payload, dependency);
        let frame = Frame::new(&info, dependency);
        let level: Option<AudioLevelValue> = a.extensions.audio_level;
        let stored = self.ring.insert(&NewPacket {
            seq: a.seq,
            timestamp: a.timestamp,
            marker: a.marker,
            pt: self.pt,
            descriptor: info.descriptor,
            layout: dependency.and_then(|d| d.layout),
            audio_level: level,
            frame,
            payload: a.payload,
            dependency_descriptor: a.dependency_descriptor,
            capture_time: a.capture_time,
        });
        if !stored {
            return None;
        }
        if a.repaired {
            self.repaired += 1;
        } else {
            self.stats.on_packet(a.seq, a.timestamp, a.payload.len(), now);
            self.last_packet = now;
        }
        if self.nack_enabled {
            self.nack.on_packet(a.seq, now);
        }
        self.rate_bytes += a.payload.len() as u64;
        let layers_changed = match self.codec {
            Codec::Vp9 | Codec::Av1 => {
                let reader = self.dependency.as_deref();
                let structure = dependency.and_then(|d| reader?.structure_at(d.frame));
                // VP9 tells by itself; what of it is forwarded does not hang on the dependency descriptor.
                let dependency = dependency.zip(structure).filter(|_| self.codec == Codec::Av1);
                SpatialLayers::on_packet(&mut self.spatial, now, &info, dependency, a.payload.len())
            }
            _ => false,
        };
        Some(Accepted {
            frame,
            capture_ntp: self.clock.map(|c| c.ntp_at(a.timestamp)),
            empty: a.payload.is_empty(),
            layers_changed,
        })
    }

    /// Takes a sender report.
    pub(crate) fn on_sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.stats.on_sender_report(info, now);
        self.clock = Some(SenderClock::new(info, self.codec.clock_rate()));
        self.sender_report = Some((*info, now));
    }

    /// When [`Stream::poll_nacks`] is due.
    pub(crate) fn nack_due(&self, rtt: Option<Duration>) -> Option<Instant> {
        if self.nack.missing() == 0 { None } else { self.nack.next_due(rtt) }
    }

    /// Missing packets to ask for now.
    pub(crate) fn poll_nacks(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u16>) {
        let before = out.len();
        self.nack.poll(now, rtt, out);
        self.stats_nacks += (out.len() - before) as u32;
    }

    /// Packets given up: only a key frame helps.
    pub(crate) fn take_given_up(&mut self) -> bool {
        self.nack.take_given_up() > 0
    }

    /// A block of a receiver report.
    pub(crate) fn report(&mut self, now: Instant) -> Option<bedrud_rtp::rtcp::ReportBlock> {
        self.stats.report(self.ssrc, now)
    }

    /// Payload bits per second over the last window.
    pub(crate) fn bitrate(&self) -> u64 {
        self.rate
    }

    /// Ends a measurement window, if it is long enough.
    pub(crate) fn measure(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.rate_start);
        if elapsed < RATE_WINDOW {
            return;
        }
        self.rate = smoothed_rate(self.rate, std::mem::take(&mut self.rate_bytes), elapsed);
        if let Some(spatial) = &mut self.spatial {
            spatial.measure(elapsed);
        }
        self.rate_start = now;
    }

    /// Figures since the last call.
    pub(crate) fn take_stats(&mut self) -> TrackStats {
        let now = (self.stats.packets(), self.stats.bytes(), self.stats.expected(), self.stats.lost());
        let before = std::mem::replace(&mut self.reported, now);
        TrackStats {
            packets: now.0 - before.0,
            bytes: now.1 - before.1,
            lost: now.3.saturating_sub(before.3),
            jitter_ms: self.stats.jitter().as_secs_f32() * 1000.0,
            rtt_ms: None,
            plis: 0,
            nacks: std::mem::take(&mut self.stats_nacks),
        }
    }
}

/// Bits per second after a window with `bytes`. Key frames make the rate jump: half of the old value stays.
pub(super) fn smoothed_rate(old: u64, bytes: u64, window: Duration) -> u64 {
    let measured = u128::from(bytes) * 8_000_000 / window.as_micros().max(1);
    let measured = u64::try_from(measured).unwrap_or(u64::MAX);
    if old == 0 { measured } else { (old / 2).saturating_add(measured / 2) }
}
