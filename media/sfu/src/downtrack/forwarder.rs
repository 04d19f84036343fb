//! Decides, packet by packet, what of an up track reaches one subscriber, and under which numbers.

use super::map::{Mapped, SequenceMap};
use crate::upstream::frame::Frame;
use std::time::{Duration, Instant};

/// Late packets of the previous layer are still taken for this long after a switch.
const PREVIOUS_LAYER_GRACE: Duration = Duration::from_millis(500);
/// A sender-report based timestamp is believed when this close to the one by arrival time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// What a packet of an up track looks like to the forwarder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming {
    /// Spatial layer.
    pub(crate) layer: u8,
    /// Generation of the layer's stream: changes with its SSRC.
    pub(crate) generation: u32,
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// What the payload says.
    pub(crate) frame: Frame,
    /// No payload at all.
    pub(crate) empty: bool,
    /// Capture instant on the publisher's NTP clock, once a sender report came.
    pub(crate) capture_ntp: Option<u64>,
}

/// Values that change only at a switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deltas {
    /// Number of the switch, wrapping.
    pub(crate) id: u8,
    /// Spatial layer.
    pub(crate) layer: u8,
    /// Generation of the layer's stream.
    pub(crate) generation: u32,
    /// Added to timestamps.
    pub(crate) timestamp: u32,
    /// Added to TL0PICIDX.
    pub(crate) tl0: u8,
    /// Added to KEYIDX.
    pub(crate) key_index: u8,
}

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// Timestamp.
    pub(crate) timestamp: u32,
    /// Added to the picture id.
    pub(crate) picture: u16,
    /// Deltas in force.
    pub(crate) deltas: Deltas,
    /// The payload is replaced by padding: the packet belongs to a picture that was left out, but its number is taken.
    pub(crate) padding: bool,
}

#[derive(Debug)]
struct Stream {
    deltas: Deltas,
    map: SequenceMap,
}

/// The stream before the last switch.
#[derive(Debug)]
struct Previous {
    stream: Stream,
    since: Instant,
    /// First number of the stream after the switch: numbers the old one would still have taken now belong to it.
    limit: u64,
}

/// Last values sent, on which the next switch continues.
#[derive(Debug, Clone, Copy)]
struct Last {
    seq: u64,
    timestamp: u32,
    /// Source of `timestamp`.
    in_timestamp: u32,
    layer: u8,
    generation: u32,
    capture_ntp: Option<u64>,
    at: Instant,
    picture: Option<u16>,
    tl0: Option<u8>,
    key_index: Option<u8>,
}

/// Start values of an outgoing stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartValues {
    /// First sequence number.
    pub(crate) seq: u16,
    /// First timestamp.
    pub(crate) timestamp: u32,
    /// First picture id.
    pub(crate) picture: u16,
}

/// Gate and rewriter of one down track.
#[derive(Debug)]
pub(crate) struct Forwarder {
    clock_rate: u32,
    video: bool,
    start: StartValues,
    first_seq: u64,
    current: Option<Stream>,
    previous: Option<Previous>,
    /// False after a pause: the current stream goes on only with a key frame.
    synced: bool,
    target: Option<u8>,
    max_temporal: u8,
    temporal: u8,
    last: Option<Last>,
    next_delta_id: u8,
    picture_timestamp: Option<u32>,
    refresh: bool,
}

impl Forwarder {
    /// `resume` is the first sequence number when the SSRC was used before.
    pub(crate) fn new(video: bool, clock_rate: u32, start: StartValues, resume: Option<u64>) -> Self {
        Self {
            clock_rate,
            video,
            start,
            first_seq: resume.unwrap_or(u64::from(start.seq)),
            current: None,
            previous: None,
            synced: false,
            target: None,
            max_temporal: u8::MAX,
            temporal: u8::MAX,
            last: None,
            next_delta_id: 0,
            picture_timestamp: None,
            refresh: false,
        }
    }

    /// Sets the layer wanted from the next key frame on; `None` stops.
    pub(crate) fn set_target(&mut self, target: Option<u8>) {
        self.target = target;
        if target.is_none() {
            self.hold();
        }
    }

    /// Layer wanted.
    pub(crate) fn target(&self) -> Option<u8> {
        self.target
    }

    /// Highest temporal layer wanted.
    pub(crate) fn set_max_temporal(&mut self, max: u8) {
        self.max_temporal = max;
    }

    /// Layer being sent.
    pub(crate) fn current_layer(&self) -> Option<u8> {
        self.current.as_ref().filter(|_| self.synced).map(|s| s.deltas.layer)
    }

    /// Stops until the next key frame (packet, for audio), from which numbers continue without a hole.
    pub(crate) fn hold(&mut self) {
        self.synced = false;
    }

    /// True when only a key frame lets packets through, or lets the target layer through.
    pub(crate) fn wants_key_frame(&self) -> bool {
        self.video && self.target.is_some() && (self.refresh || self.current_layer() != self.target)
    }

    /// The receiver lost the picture: it waits for a key frame of the layer it gets.
    pub(crate) fn want_refresh(&mut self) {
        self.refresh = self.video;
    }

    /// Sequence number and timestamp of the newest packet sent.
    pub(crate) fn last_sent(&self) -> Option<(u64, u32)> {
        self.last.map(|l| (l.seq, l.timestamp))
    }

    /// First sequence number of the stream.
    pub(crate) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Deltas of the stream being sent (kept while held).
    pub(crate) fn deltas(&self) -> Option<Deltas> {
        self.current.as_ref().map(|s| s.deltas)
    }

    /// Decides about one packet.
    pub(crate) fn on_packet(&mut self, now: Instant, packet: &Incoming) -> Option<Outgoing> {
        let target = self.target?;
        let is_current = self.synced
            && self
                .current
                .as_ref()
                .is_some_and(|s| s.deltas.layer == packet.layer && s.deltas.generation == packet.generation);
        if is_current {
            self.refresh &= !packet.frame.key;
            return self.forward(now, packet);
        }
        if self.may_switch(target, packet) {
            self.switch(now, packet);
            self.refresh = false;
            return self.forward(now, packet);
        }
        self.forward_late(now, packet)
    }

    /// A key frame of a layer between the current and the target one is a step in the right direction.
    fn may_switch(&self, target: u8, packet: &Incoming) -> bool {
        if packet.empty {
            return false;
        }
        if !self.video {
            return true;
        }
        if !packet.frame.key {
            return false;
        }
        match self.current.as_ref().filter(|_| self.synced) {
            None => packet.layer <= target,
            Some(s) if s.deltas.layer == packet.layer => true,
            Some(s) if s.deltas.layer < target => packet.layer > s.deltas.layer && packet.layer <= target,
            Some(s) if s.deltas.layer > target => packet.layer >= target && packet.layer < s.deltas.layer,
            Some(_) => false,
        }
    }

    fn switch(&mut self, now: Instant, packet: &Incoming) {
        let id = self.next_delta_id;
        self.next_delta_id = id.wrapping_add(1);
        let frame = &packet.frame;
        let (seq, timestamp, picture, tl0, key_index) = match &self.last {
            None => (self.first_seq, self.start.timestamp, Some(self.start.picture), Some(0), Some(0)),
            Some(last) => (
                last.seq + 1,
                self.next_timestamp(now, last, packet),
                last.picture.map(|p| p.wrapping_add(1)),
                last.tl0.map(|t| t.wrapping_add(1)),
                last.key_index.map(|k| k.wrapping_add(1)),
            ),
        };
        let delta8 = |to: Option<u8>, from: Option<u8>| to.zip(from).map_or(0, |(t, f)| t.wrapping_sub(f));
        let deltas = Deltas {
            id,
            layer: packet.layer,
            generation: packet.generation,
            timestamp: timestamp.wrapping_sub(packet.timestamp),
            tl0: delta8(tl0, frame.tl0),
            key_index: delta8(key_index, frame.key_index),
        };
        let moved = picture.zip(frame.picture).map_or(0, |(to, from)| to.wrapping_sub(from));
        let stream = Stream { deltas, map: SequenceMap::new(packet.seq, seq, moved) };
        let old = self.current.replace(stream);
        self.previous = old.filter(|_| self.synced).map(|stream| Previous { stream, since: now, limit: seq });
        self.synced = true;
        self.temporal = self.max_temporal;
        self.picture_timestamp = Some(packet.timestamp);
    }

    /// Continues the clock of the output: by the publisher's clock where sender reports tell it, else by arrival.
    fn next_timestamp(&self, now: Instant, last: &Last, packet: &Incoming) -> u32 {
        let ticks = |d: Duration| (d.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u32;
        let elapsed = now.saturating_duration_since(last.at);
        let by_arrival = last.timestamp.wrapping_add(ticks(elapsed));
        let same_stream = last.layer == packet.layer && last.generation == packet.generation;
        let by_clock = if same_stream {
            Some(last.timestamp.wrapping_add(packet.timestamp.wrapping_sub(last.in_timestamp)))
        } else {
            last.capture_ntp.zip(packet.capture_ntp).map(|(from, to)| {
                let elapsed = i128::from(to.wrapping_sub(from).cast_signed());
                last.timestamp.wrapping_add(((elapsed * i128::from(self.clock_rate)) >> 32) as u32)
            })
        };
        let chosen = by_clock
            .filter(|t| {
                u64::from(t.wrapping_sub(by_arrival).cast_signed().unsigned_abs())
                    <= u64::from(ticks(CLOCK_TOLERANCE))
            })
            .unwrap_or(by_arrival);
        // Never backwards, never the timestamp of the frame before.
        if chosen.wrapping_sub(last.timestamp).cast_signed() <= 0 {
            last.timestamp.wrapping_add(1)
        } else {
            chosen
        }
    }

    fn forward(&mut self, now: Instant, packet: &Incoming) -> Option<Outgoing> {
        let frame = &packet.frame;
        let is_new = self.current.as_ref()?.map.is_new(packet.seq);
        if is_new && self.video && self.picture_timestamp != Some(packet.timestamp) {
            self.picture_timestamp = Some(packet.timestamp);
            self.adjust_temporal(frame);
        }
        let too_high = frame.temporal > self.temporal;
        let stream = self.current.as_mut()?;
        if is_new && (packet.empty || too_high) {
            stream.map.leave_out(packet.seq, frame.picture.filter(|_| too_high));
            return None;
        }
        let Mapped::To { seq, picture } = stream.map.map(packet.seq) else { return None };
        let deltas = stream.deltas;
        let timestamp = packet.timestamp.wrapping_add(deltas.timestamp);
        if self.last.is_none_or(|l| seq > l.seq) {
            self.last = Some(Last {
                seq,
                timestamp,
                in_timestamp: packet.timestamp,
                layer: packet.layer,
                generation: packet.generation,
                capture_ntp: packet.capture_ntp,
                at: now,
                picture: frame.picture.map(|p| p.wrapping_add(picture)),
                tl0: frame.tl0.map(|t| t.wrapping_add(deltas.tl0)),
                key_index: frame.key_index.map(|k| k.wrapping_add(deltas.key_index)),
            });
        }
        Some(Outgoing { seq, timestamp, picture, deltas, padding: packet.empty || too_high })
    }

    /// At a picture boundary: down at once, up only where the stream allows it.
    fn adjust_temporal(&mut self, frame: &Frame) {
        if self.max_temporal < self.temporal || frame.key {
            self.temporal = self.max_temporal;
        } else if frame.temporal > self.temporal && frame.temporal <= self.max_temporal && frame.switch_up {
            self.temporal = frame.temporal;
        }
    }

    /// A packet of the layer sent before the switch, still missing in the output.
    fn forward_late(&mut self, now: Instant, packet: &Incoming) -> Option<Outgoing> {
        let Previous { stream, since, limit } = self.previous.as_mut()?;
        if now.saturating_duration_since(*since) > PREVIOUS_LAYER_GRACE {
            self.previous = None;
            return None;
        }
        let deltas = stream.deltas;
        if deltas.layer != packet.layer
            || deltas.generation != packet.generation
            || !self.synced
            || stream.map.is_new(packet.seq)
        {
            return None;
        }
        let Mapped::To { seq, picture } = stream.map.map(packet.seq) else { return None };
        if seq >= *limit {
            return None;
        }
        let timestamp = packet.timestamp.wrapping_add(deltas.timestamp);
        Some(Outgoing { seq, timestamp, picture, deltas, padding: packet.empty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const START: StartValues = StartValues { seq: 65_533, timestamp: u32::MAX - 5, picture: 32_766 };

    fn packet(layer: u8, seq: u64, timestamp: u32, key: bool, temporal: u8, picture: u16) -> Incoming {
        let frame = Frame {
            key,
            temporal,
            switch_up: true,
            picture: Some(picture),
            tl0: Some(picture as u8),
            key_index: Some(0),
        };
        Incoming { layer, generation: 1, seq, timestamp, frame, empty: false, capture_ntp: None }
    }

    fn forwarder(target: u8) -> Forwarder {
        let mut f = Forwarder::new(true, 90_000, START, None);
        f.set_target(Some(target));
        f.set_max_temporal(3);
        f
    }

    #[test]
    fn nothing_passes_before_a_key_frame_of_a_wanted_layer() {
        let t = crate::test_clock();
        let mut f = forwarder(1);
        assert!(f.wants_key_frame());
        assert_eq!(f.on_packet(t, &packet(1, 10, 1000, false, 0, 5)), None);
        assert_eq!(f.on_packet(t, &packet(2, 10, 1000, true, 0, 5)), None);
        let out = f.on_packet(t, &packet(0, 70, 7000, true, 0, 9)).unwrap();
        assert_eq!((out.seq, out.timestamp), (65_533, START.timestamp));
        assert!(f.wants_key_frame(), "the target is another layer");
        let later = t + Duration::from_millis(100);
        let out = f.on_packet(later, &packet(1, 11, 1500, true, 0, 6)).unwrap();
        assert_eq!((out.seq, out.timestamp), (65_534, START.timestamp.wrapping_add(9000)));
        assert!(!f.wants_key_frame());
    }

    #[test]
    fn sender_reports_align_the_clocks_of_layers() {
        let t = crate::test_clock();
        let mut f = forwarder(1);
        let mut low = packet(0, 1, 500, true, 0, 1);
        low.capture_ntp = Some(100 << 32);
        f.on_packet(t, &low);
        let mut high = packet(1, 1, 9_000_000, true, 0, 1);
        // Captured 40 ms later, arrived 90 ms later.
        high.capture_ntp = Some((100 << 32) + (40 << 32) / 1000);
        let out = f.on_packet(t + Duration::from_millis(90), &high).unwrap();
        let step = out.timestamp.wrapping_sub(START.timestamp);
        assert!((3599..=3601).contains(&step), "{step}");
        // A clock that makes no sense is not believed.
        let mut f = forwarder(1);
        f.on_packet(t, &low);
        high.capture_ntp = Some(500 << 32);
        let out = f.on_packet(t + Duration::from_millis(90), &high).unwrap();
        assert_eq!(out.timestamp.wrapping_sub(START.timestamp), 8100);
    }

    #[test]
    fn late_packets_of_the_layer_before_fill_their_holes() {
        let t = crate::test_clock();
        let mut f = forwarder(0);
        f.on_packet(t, &packet(0, 10, 0, true, 0, 1));
        f.on_packet(t, &packet(0, 12, 3000, false, 0, 2));
        f.set_target(Some(1));
        let switched = f.on_packet(t, &packet(1, 50, 0, true, 0, 1)).unwrap();
        assert_eq!(switched.seq, 65_536);
        let late = f.on_packet(t, &packet(0, 11, 3000, false, 0, 2)).unwrap();
        assert_eq!(late.seq, 65_534);
        assert_eq!(late.deltas.layer, 0);
        assert_eq!(f.on_packet(t, &packet(0, 13, 6000, false, 0, 3)), None);
        let much_later = t + Duration::from_secs(1);
        assert_eq!(f.on_packet(much_later, &packet(0, 9, 0, false, 0, 1)), None);
    }

    #[test]
    fn a_new_generation_of_the_same_layer_needs_a_key_frame() {
        let t = crate::test_clock();
        let mut f = forwarder(0);
        f.on_packet(t, &packet(0, 60_000, 0, true, 0, 1));
        let mut again = packet(0, 3, 77, false, 0, 9);
        again.generation = 2;
        assert_eq!(f.on_packet(t, &again), None);
        again.frame.key = true;
        let out = f.on_packet(t, &again).unwrap();
        assert_eq!(out.seq, 65_534);
        assert_eq!(out.timestamp, START.timestamp.wrapping_add(1));
    }

    #[test]
    fn empty_packets_leave_no_hole() {
        let t = crate::test_clock();
        let mut f = forwarder(0);
        f.on_packet(t, &packet(0, 10, 0, true, 0, 1));
        let mut empty = packet(0, 11, 0, false, 0, 1);
        empty.empty = true;
        assert_eq!(f.on_packet(t, &empty), None);
        assert_eq!(f.on_packet(t, &packet(0, 12, 3000, false, 0, 2)).unwrap().seq, 65_534);
    }

    proptest! {
        /// Whatever is lost, late, switched or thinned: no number is used twice, numbers are dense but for packets
        /// that never came, and picture ids go on by one per picture sent.
        #[test]
        fn outputs_are_unique_and_dense(
            fates in proptest::collection::vec((0u8..100, 0u8..3, 0u8..4), 20..300),
            lossless: bool,
        ) {
            let t = crate::test_clock();
            let mut f = forwarder(2);
            let mut sent: BTreeMap<u64, (u32, u16)> = BTreeMap::new();
            let mut delayed: Vec<Incoming> = Vec::new();
            let mut absent = 0u64;
            for (i, (fate, target, temporal)) in fates.iter().enumerate() {
                let now = t + Duration::from_millis(33 * i as u64);
                if i % 20 == 0 {
                    f.set_target(Some(*target));
                    f.set_max_temporal(*temporal);
                }
                let tid = [0u8, 2, 1, 2][i % 4];
                for layer in 0..3u8 {
                    for part in 0..2u64 {
                        let seq = 1000 * (u64::from(layer) + 1) + 2 * i as u64 + part;
                        let picture = 100 * u16::from(layer) + i as u16;
                        let key = i % 8 == 0;
                        let p = packet(layer, seq, 3000 * i as u32, key && part == 0, tid * u8::from(!key), picture);
                        let is_late = !lossless && *fate < 10 && part == 1;
                        if !lossless && *fate > 95 {
                            absent += 1;
                        } else if is_late {
                            absent += 1;
                            delayed.push(p);
                        } else if let Some(out) = f.on_packet(now, &p) {
                            let picture = picture.wrapping_add(out.picture);
                            prop_assert!(sent.insert(out.seq, (out.timestamp, picture)).is_none());
                        }
                    }
                }
                if *fate % 7 == 0 {
                    for p in delayed.drain(..) {
                        if let Some(out) = f.on_packet(now, &p) {
                            let picture = p.frame.picture.unwrap().wrapping_add(out.picture);
                            prop_assert!(sent.insert(out.seq, (out.timestamp, picture)).is_none());
                        }
                    }
                }
            }
            if lossless {
                let mut last: Option<(u64, (u32, u16))> = None;
                for (seq, (timestamp, picture)) in sent {
                    if let Some((before, (ts, id))) = last {
                        prop_assert_eq!(seq, before + 1);
                        let moved = timestamp != ts;
                        prop_assert!(timestamp.wrapping_sub(ts).cast_signed() >= 0);
                        prop_assert_eq!(picture.wrapping_sub(id), u16::from(moved));
                    }
                    last = Some((seq, (timestamp, picture)));
                }
            } else if let (Some(first), Some(last)) = (sent.keys().next(), sent.keys().last()) {
                let holes = last - first + 1 - sent.len() as u64;
                prop_assert!(holes <= absent, "{holes} holes for {absent} packets that came late or never");
            }
        }
    }
}
