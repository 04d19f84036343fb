//! Chooses among the layers inside one stream: temporal layers, and spatial layers with SVC.
//!
//! Layers go down at the next picture. They go up where a decoder can follow: temporal layers where the stream says so,
//! spatial layers with a key picture, or with dependency descriptors wherever everything needed was forwarded.

mod dependency;

use super::forwarder::Incoming;
use bedrud_rtp::sniff::{DependencyDescriptor, DependencyStructure, FrameLayer};
use dependency::{Decision, Dependencies, is_part};
use std::time::{Duration, Instant};

/// How long going up to a higher temporal layer waits for a picture that allows it.
const RAISE_PATIENCE: Duration = Duration::from_secs(1);
/// Changes remembered for packets that come late.
const STEPS: usize = 4;
/// No limit.
const ALL: FrameLayer = FrameLayer { spatial: u8::MAX, temporal: u8::MAX };

/// What the dependency descriptor of a packet tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dependency<'a> {
    /// Its descriptor.
    pub(crate) frame: &'a DependencyDescriptor,
    /// Structure in force.
    pub(crate) structure: &'a DependencyStructure,
    /// Newest key frame with a structure.
    pub(crate) since: u64,
    /// Decode targets the publisher produces.
    pub(crate) active: u32,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Forward it.
    pub(crate) pass: bool,
    /// It is the last one of its picture for this subscriber.
    pub(crate) marker: bool,
}

impl Verdict {
    /// Forwarded as it is.
    pub(crate) const PASS: Self = Self { pass: true, marker: false };
    const LEAVE: Self = Self { pass: false, marker: false };
}

/// State of one down track for the stream it forwards.
#[derive(Debug)]
pub(crate) struct Selector {
    wish: FrameLayer,
    /// What is forwarded of the newest picture.
    in_force: FrameLayer,
    /// Timestamps from which on other layers were in force, and which, newest first.
    steps: [Option<(u32, FrameLayer)>; STEPS],
    /// Timestamp of the newest picture.
    picture: Option<u32>,
    /// Of the newest picture something was left out, or its end was marked: it gets no more layers.
    closed: bool,
    /// Timestamps of pictures of which frames were forwarded whose layer was not known: then all of them is.
    unsure: [Option<u32>; 2],
    /// Since when a higher temporal layer is wanted.
    raise_since: Option<Instant>,
    dependencies: Option<Box<Dependencies>>,
    /// Lower layers are wanted, but what they need was not forwarded.
    stuck: bool,
    /// That is new.
    news: bool,
}

impl Selector {
    pub(crate) fn new() -> Self {
        Self {
            wish: ALL,
            in_force: ALL,
            steps: [None; STEPS],
            picture: None,
            closed: false,
            unsure: [None; 2],
            raise_since: None,
            dependencies: None,
            stuck: false,
            news: false,
        }
    }

    /// Sets the highest spatial layer wanted.
    pub(crate) fn set_max_spatial(&mut self, max: u8) {
        self.wish.spatial = max;
    }

    /// Sets the highest temporal layer wanted.
    pub(crate) fn set_max_temporal(&mut self, max: u8) {
        self.wish.temporal = max;
    }

    /// Only a key picture brings the spatial layer wanted.
    pub(crate) fn wants_key_frame(&self) -> bool {
        let (now, wish) = (self.in_force.spatial, self.wish.spatial);
        now < wish && !(self.dependencies.is_some() && wish == u8::MAX) || now > wish && self.stuck
    }

    /// True once after it turned out that only a key picture brings the layers wanted.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Active decode targets to tell the subscriber, when they are not the publisher's.
    pub(crate) fn active_targets(&self) -> Option<u32> {
        self.dependencies.as_ref().and_then(|d| d.told)
    }

    /// A stream begins with this packet of a key frame.
    pub(crate) fn restart(&mut self, packet: &Incoming<'_>) {
        self.in_force = self.wish;
        self.steps = [None; STEPS];
        self.picture = None;
        self.closed = false;
        self.unsure = [None; 2];
        self.raise_since = None;
        self.stuck = false;
        self.dependencies = packet.dependency.map(|d| Box::new(Dependencies::new(d.frame.frame)));
    }

    /// Decides about a packet of the stream; `is_new` when none after it was seen.
    pub(crate) fn judge(&mut self, now: Instant, packet: &Incoming<'_>, is_new: bool) -> Verdict {
        if self.dependencies.is_some() {
            // A packet whose place nobody knows (its structure is missing, say) may be needed.
            packet.dependency.map_or(Verdict::PASS, |d| self.judge_frame(packet, &d, is_new))
        } else {
            self.judge_layer(now, packet, is_new)
        }
    }

    /// True when the packet begins a picture, or begins its key frame when that came out of order.
    fn begins(&mut self, packet: &Incoming<'_>, is_new: bool, key: bool) -> bool {
        if self.picture == Some(packet.timestamp) {
            return key && !self.closed;
        }
        if is_new {
            self.picture = Some(packet.timestamp);
            self.closed = false;
        }
        is_new
    }

    fn judge_layer(&mut self, now: Instant, packet: &Incoming<'_>, is_new: bool) -> Verdict {
        let frame = &packet.frame;
        if self.begins(packet, is_new, frame.key) {
            self.adjust(now, packet);
        }
        let limits = self.limits_at(packet.timestamp);
        let pass = frame.spatial <= limits.spatial && frame.temporal <= limits.temporal;
        let marker = pass && frame.end && frame.spatial == limits.spatial;
        self.note(packet, pass, marker);
        Verdict { pass, marker }
    }

    /// At a picture boundary: down at once, up where the stream says it may. Streams that never say so go up with a
    /// base picture after a while.
    fn adjust(&mut self, now: Instant, packet: &Incoming<'_>) {
        let (frame, wish) = (&packet.frame, self.wish);
        let mut next = self.in_force;
        next.spatial = if frame.key { wish.spatial } else { next.spatial.min(wish.spatial) };
        if wish.temporal <= next.temporal || frame.key {
            next.temporal = wish.temporal;
            self.raise_since = None;
        } else {
            let since = *self.raise_since.get_or_insert(now);
            if frame.temporal > next.temporal && frame.temporal <= wish.temporal && frame.switch_up {
                next.temporal = frame.temporal;
            } else if frame.opens_up && frame.temporal <= next.temporal
                || frame.temporal == 0 && now.saturating_duration_since(since) >= RAISE_PATIENCE
            {
                next.temporal = wish.temporal;
            }
        }
        self.step(packet.timestamp, next);
    }

    fn judge_frame(&mut self, packet: &Incoming<'_>, d: &Dependency<'_>, is_new: bool) -> Verdict {
        let (dd, number) = (d.frame, d.frame.frame);
        let Some(dependencies) = self.dependencies.as_mut() else { return Verdict::PASS };
        let pass = match (dependencies.decision(number), dd.layer) {
            // Another packet of the key frame came before the one with the structure.
            (Decision::Made(true), Some(_)) if dd.structure_attached => self.judge_open(packet, d, is_new),
            (Decision::Made(pass), _) => pass,
            (Decision::Forgotten, _) => return Verdict::LEAVE,
            (Decision::Open, Some(_)) => self.judge_open(packet, d, is_new),
            (Decision::Open, None) => {
                // Nobody misses a frame from before the key frame. One behind it, whose structure is missing, may be
                // needed.
                let pass = number >= d.since;
                dependencies.record(number, pass);
                self.begins(packet, is_new, false);
                if pass && !self.unsure.contains(&Some(packet.timestamp)) {
                    self.unsure = [Some(packet.timestamp), self.unsure[0]];
                }
                pass
            }
        };
        let limits = self.limits_at(packet.timestamp);
        // Where the layer is not known the picture may end; one too many ends does no harm, one too few stalls a decoder.
        let marker = pass && dd.frame_end && dd.layer.is_none_or(|l| l.spatial == limits.spatial);
        self.note(packet, pass, marker);
        Verdict { pass, marker }
    }

    /// The first packet of a frame seen.
    fn judge_open(&mut self, packet: &Incoming<'_>, d: &Dependency<'_>, is_new: bool) -> bool {
        let Some(dependencies) = self.dependencies.as_mut() else { return true };
        dependencies.follow_chains(d.frame, d.since);
        if self.begins(packet, is_new, d.frame.structure_attached) {
            self.choose(packet.timestamp, d);
        }
        let limits = self.limits_at(packet.timestamp);
        let Some(dependencies) = self.dependencies.as_mut() else { return true };
        let target = (0u8..).zip(d.structure.targets()).find(|(_, t)| t.layer == limits);
        let part = target.is_some_and(|(i, _)| is_part(d.frame, i));
        let pass =
            (part || self.unsure.contains(&Some(packet.timestamp))) && dependencies.has_references(d.frame);
        dependencies.record(d.frame.frame, pass);
        pass
    }

    /// Takes the best decode target that can be decoded from here on.
    fn choose(&mut self, timestamp: u32, d: &Dependency<'_>) {
        let waited = self.wants_key_frame();
        let Some(dependencies) = self.dependencies.as_mut() else { return };
        let (now, wish) = (self.in_force, self.wish);
        let usable = (0u8..).zip(d.structure.targets()).filter(|(i, t)| {
            let started = d.frame.structure_attached || t.layer.spatial == now.spatial;
            d.active >> i & 1 != 0 && dependencies.is_intact(t.chain).unwrap_or(started)
        });
        let layers = || usable.clone().map(|(_, t)| t.layer).filter(|l| l.temporal <= wish.temporal);
        let within = layers().filter(|l| l.spatial <= wish.spatial).max();
        // What is lower cannot be decoded yet: more than wanted until a key frame is better than nothing.
        let chosen = within.or_else(|| layers().filter(|l| l.spatial == now.spatial).max());
        self.stuck = within.is_none() && now.spatial > wish.spatial;
        let chosen = chosen.unwrap_or(now);
        let within = d.structure.targets_within(chosen) & d.active;
        dependencies.told = match dependencies.told {
            _ if within != d.active => Some(within),
            Some(_) if !d.frame.structure_attached => Some(d.active),
            _ => None,
        };
        self.step(timestamp, chosen);
        self.news |= !waited && self.wants_key_frame();
    }

    fn note(&mut self, packet: &Incoming<'_>, pass: bool, marker: bool) {
        if self.picture == Some(packet.timestamp) {
            self.closed |= !pass || marker && self.dependencies.is_none();
        }
    }

    fn step(&mut self, timestamp: u32, next: FrameLayer) {
        if self.in_force == next && self.steps.first().is_some_and(Option::is_some) {
            return;
        }
        self.in_force = next;
        self.steps.rotate_right(1);
        if let Some(first) = self.steps.first_mut() {
            *first = Some((timestamp, next));
        }
    }

    /// Layers in force at a picture; late packets get what their picture got.
    fn limits_at(&self, timestamp: u32) -> FrameLayer {
        let began = |from: u32| timestamp.wrapping_sub(from).cast_signed() >= 0;
        let mut oldest = self.in_force;
        for (from, layer) in self.steps.iter().flatten() {
            oldest = *layer;
            if began(*from) {
                break;
            }
        }
        oldest
    }
}
