//! Decides, packet by packet, what of an up track reaches one subscriber, and under which numbers.

mod fill;
mod values;

use super::map::{Mapped, SequenceMap};
use super::selector::{Selector, Verdict};
use std::time::{Duration, Instant};
pub(crate) use values::{Deltas, Incoming, Last, Outgoing, StartValues};

/// Late packets of the previous layer are still taken for this long after a switch.
const PREVIOUS_LAYER_GRACE: Duration = Duration::from_millis(500);
/// A sender-report based timestamp is believed when this close to the one by arrival time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

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
    selector: Selector,
    last: Option<Last>,
    next_delta_id: u8,
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
            selector: Selector::new(),
            last: None,
            next_delta_id: 0,
            refresh: false,
        }
    }

    /// Goes on where another track under the same SSRC ended: the receiver sees one stream whose source changes.
    pub(crate) fn continue_from(&mut self, last: Last) {
        // The clocks of two publishers are not comparable, and no layer is the one before.
        self.last = Some(Last { layer: u8::MAX, capture_ntp: None, ..last });
    }

    /// What a later track under this SSRC goes on from.
    pub(crate) fn last(&self) -> Option<Last> {
        self.last
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

    /// Highest spatial layer wanted of those inside a stream; `u8::MAX` is no limit.
    pub(crate) fn set_max_spatial(&mut self, max: u8) {
        self.selector.set_max_spatial(max);
    }

    /// Highest temporal layer wanted.
    pub(crate) fn set_max_temporal(&mut self, max: u8) {
        self.selector.set_max_temporal(max);
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
        self.video
            && self.target.is_some()
            && (self.refresh || self.current_layer() != self.target || self.selector.wants_key_frame())
    }

    /// True once after it turned out that only a key frame brings the layer wanted.
    pub(crate) fn began_to_wait(&mut self) -> bool {
        self.selector.take_news()
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
    pub(crate) fn on_packet(&mut self, now: Instant, packet: &Incoming<'_>) -> Option<Outgoing> {
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
    fn may_switch(&self, target: u8, packet: &Incoming<'_>) -> bool {
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

    fn switch(&mut self, now: Instant, packet: &Incoming<'_>) {
        let id = self.take_delta_id();
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
        // A receiver takes a key frame for an old one unless its number is higher than that of the key frame before.
        let number = self.last.and_then(|l| l.frame_number).map(|n| n.wrapping_add(1)).zip(frame.number);
        let delta8 = |to: Option<u8>, from: Option<u8>| to.zip(from).map_or(0, |(t, f)| t.wrapping_sub(f));
        let deltas = Deltas {
            id,
            layer: packet.layer,
            generation: packet.generation,
            timestamp: timestamp.wrapping_sub(packet.timestamp),
            tl0: delta8(tl0, frame.tl0),
            key_index: delta8(key_index, frame.key_index),
            frame_number: number.map_or(0, |(to, from)| to.wrapping_sub(from)),
            active_targets: None,
        };
        let moved = picture.zip(frame.picture).map_or(0, |(to, from)| to.wrapping_sub(from));
        let stream = Stream { deltas, map: SequenceMap::new(packet.seq, seq, moved) };
        let old = self.current.replace(stream);
        self.previous = old.filter(|_| self.synced).map(|stream| Previous { stream, since: now, limit: seq });
        self.synced = true;
        self.selector.restart(packet);
    }

    fn take_delta_id(&mut self) -> u8 {
        let id = self.next_delta_id;
        self.next_delta_id = id.wrapping_add(1);
        id
    }

    /// Continues the clock of the output: by the publisher's clock where sender reports tell it, else by arrival.
    fn next_timestamp(&self, now: Instant, last: &Last, packet: &Incoming<'_>) -> u32 {
        let ticks = |d: Duration| ticks(d, self.clock_rate);
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

    fn forward(&mut self, now: Instant, packet: &Incoming<'_>) -> Option<Outgoing> {
        let frame = &packet.frame;
        let is_new = self.current.as_ref()?.map.is_new(packet.seq);
        let verdict = if self.video { self.selector.judge(now, packet, is_new) } else { Verdict::PASS };
        let stream = self.current.as_mut()?;
        if is_new && (packet.empty || !verdict.pass) {
            let whole_picture = !verdict.pass && frame.dense_pictures;
            stream.map.leave_out(packet.seq, frame.picture.filter(|_| whole_picture));
            return None;
        }
        let Mapped::To { seq, picture } = stream.map.map(packet.seq) else { return None };
        let active_targets = self.selector.active_targets();
        if stream.deltas.active_targets != active_targets {
            stream.deltas.active_targets = active_targets;
            stream.deltas.id = self.next_delta_id;
            self.next_delta_id = self.next_delta_id.wrapping_add(1);
        }
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
                frame_number: frame.number.map(|n| n.wrapping_add(deltas.frame_number)),
            });
        }
        let padding = packet.empty || !verdict.pass;
        Some(Outgoing { seq, timestamp, picture, deltas, marker: verdict.marker, padding })
    }

    /// A packet of the layer sent before the switch, still missing in the output.
    fn forward_late(&mut self, now: Instant, packet: &Incoming<'_>) -> Option<Outgoing> {
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
        Some(Outgoing { seq, timestamp, picture, deltas, marker: false, padding: packet.empty })
    }
}

/// A duration on an RTP clock.
fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests;
