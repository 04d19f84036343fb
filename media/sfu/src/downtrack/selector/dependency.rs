//! What was decided about recent frames of a stream with dependency descriptors, and what can be decoded after that.

use super::Verdict;
use bedrud_rtp::sniff::{DependencyDescriptor, Indication};

/// Frames remembered; chain distances reach no further.
const WINDOW: u64 = 256;

/// A bit per remembered frame.
#[derive(Debug, Clone, Copy, Default)]
struct Frames([u64; WINDOW as usize / 64]);

impl Frames {
    fn place(frame: u64) -> (usize, u64) {
        ((frame % WINDOW / 64) as usize, 1 << (frame % 64))
    }

    fn has(&self, frame: u64) -> bool {
        let (word, bit) = Self::place(frame);
        self.0.get(word).is_some_and(|w| w & bit != 0)
    }

    fn set(&mut self, frame: u64, on: bool) {
        let (word, bit) = Self::place(frame);
        if let Some(w) = self.0.get_mut(word) {
            *w = if on { *w | bit } else { *w & !bit };
        }
    }
}

/// What is known about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing of it was seen.
    Open,
    /// All its packets go the same way; `marker` is meant for its last one.
    Made(Verdict),
    /// Too long ago.
    Forgotten,
}

/// Decisions about the frames since a key frame.
#[derive(Debug)]
pub(super) struct Dependencies {
    newest: u64,
    decided: Frames,
    left_out: Frames,
    marked: Frames,
    /// Chains of which a frame was left out since they began, a bit each.
    broken: u32,
    /// Active decode targets the subscriber is told, once they are other than the publisher's.
    pub(super) told: Option<u32>,
}

impl Dependencies {
    /// Begins at a key frame.
    pub(super) fn new(frame: u64) -> Self {
        Self {
            newest: frame,
            decided: Frames::default(),
            left_out: Frames::default(),
            marked: Frames::default(),
            broken: u32::MAX,
            told: None,
        }
    }

    fn is_remembered(&self, frame: u64) -> bool {
        frame.saturating_add(WINDOW) > self.newest
    }

    pub(super) fn decision(&self, frame: u64) -> Decision {
        if frame > self.newest {
            Decision::Open
        } else if !self.is_remembered(frame) {
            Decision::Forgotten
        } else if !self.decided.has(frame) {
            Decision::Open
        } else {
            Decision::Made(Verdict { pass: !self.left_out.has(frame), marker: self.marked.has(frame) })
        }
    }

    pub(super) fn record(&mut self, frame: u64, verdict: Verdict) {
        // Forget what the place was used for before.
        for old in self.newest.saturating_add(1).max(frame.saturating_sub(WINDOW - 1))..=frame {
            self.decided.set(old, false);
            self.left_out.set(old, false);
        }
        self.newest = self.newest.max(frame);
        self.decided.set(frame, true);
        self.left_out.set(frame, !verdict.pass);
        self.marked.set(frame, verdict.marker);
    }

    fn was_left_out(&self, frame: u64, back: u64) -> bool {
        let Some(before) = frame.checked_sub(back) else { return false };
        matches!(self.decision(before), Decision::Made(v) if !v.pass)
    }

    /// A frame not decided about yet: which chains begin or break with what went before it. A frame that is still
    /// missing breaks nothing, for it may be repaired.
    pub(super) fn follow_chains(&mut self, dd: &DependencyDescriptor) {
        let in_order = dd.frame >= self.newest;
        for (chain, back) in (0u32..).zip(dd.chain_diffs()) {
            let bit = 1u32.checked_shl(chain).unwrap_or(0);
            if *back == 0 {
                if in_order {
                    self.broken &= !bit;
                }
            } else if self.was_left_out(dd.frame, u64::from(*back)) {
                self.broken |= bit;
            }
        }
    }

    /// Whether everything of a chain was forwarded; `None` without a chain.
    pub(super) fn is_intact(&self, chain: Option<u8>) -> Option<bool> {
        chain.map(|c| self.broken.checked_shr(u32::from(c)).unwrap_or(0) & 1 == 0)
    }

    /// Part of a decode target, with all it is predicted from.
    pub(super) fn is_decodable(&self, dd: &DependencyDescriptor, target: u8) -> bool {
        dd.indication(target).is_some_and(|what| what != Indication::NotPresent)
            && !dd.references().iter().any(|back| self.was_left_out(dd.frame, u64::from(*back)))
    }
}
