//! What was decided about recent frames of a stream with dependency descriptors, and what can be decoded after that.

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
    /// All its packets are forwarded, or none.
    Made(bool),
    /// Too long ago.
    Forgotten,
}

/// Decisions about the frames since a key frame.
#[derive(Debug)]
pub(super) struct Dependencies {
    newest: u64,
    decided: Frames,
    left_out: Frames,
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
            Decision::Made(!self.left_out.has(frame))
        }
    }

    pub(super) fn record(&mut self, frame: u64, pass: bool) {
        // Forget what the place was used for before.
        for old in self.newest.saturating_add(1).max(frame.saturating_sub(WINDOW - 1))..=frame {
            self.decided.set(old, false);
            self.left_out.set(old, false);
        }
        self.newest = self.newest.max(frame);
        self.decided.set(frame, true);
        self.left_out.set(frame, !pass);
    }

    fn was_left_out(&self, frame: u64, back: u64) -> bool {
        let Some(before) = frame.checked_sub(back) else { return false };
        self.decision(before) == Decision::Made(false)
    }

    /// A frame not decided about yet: which chains begin or break with what went before it. A frame that is still
    /// missing breaks nothing, for it may be repaired. `key_frame` is the newest.
    pub(super) fn follow_chains(&mut self, dd: &DependencyDescriptor, key_frame: u64) {
        // What came after a late frame has told more, unless it is the key frame that makes the rest understood.
        if dd.frame < self.newest && dd.frame != key_frame {
            return;
        }
        for (chain, back) in (0u32..).zip(dd.chain_diffs()) {
            let bit = 1u32.checked_shl(chain).unwrap_or(0);
            if *back == 0 {
                self.broken &= !bit;
            } else if self.was_left_out(dd.frame, u64::from(*back)) {
                self.broken |= bit;
            }
        }
    }

    /// Whether everything of a chain was forwarded; `None` without a chain.
    pub(super) fn is_intact(&self, chain: Option<u8>) -> Option<bool> {
        chain.map(|c| self.broken.checked_shr(u32::from(c)).unwrap_or(0) & 1 == 0)
    }

    /// Nothing was left out that the frame is predicted from.
    pub(super) fn has_references(&self, dd: &DependencyDescriptor) -> bool {
        !dd.references().iter().any(|back| self.was_left_out(dd.frame, u64::from(*back)))
    }
}

/// Whether the frame is part of a decode target.
pub(super) fn is_part(dd: &DependencyDescriptor, target: u8) -> bool {
    dd.indication(target).is_some_and(|what| what != Indication::NotPresent)
}
