//! How the sequence numbers and picture ids of one stream map to the output while that stream is forwarded.

use std::collections::VecDeque;

/// Remembered ranges of dropped packets; late packets from before the oldest are dropped.
const MAX_GAPS: usize = 64;

/// What became of one incoming sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// It leaves as this extended sequence number, its picture id moved by this (wrapping).
    To {
        /// Outgoing extended sequence number.
        seq: u64,
        /// Added to the picture id.
        picture: u16,
    },
    /// It was or would have been left out; its number is not part of the output.
    LeftOut,
    /// It lies before the switch or before everything remembered.
    TooOld,
}

/// After a dropped range `[first, from)`, numbers from `from` on move by these.
#[derive(Debug, Clone, Copy)]
struct Gap {
    first: u64,
    from: u64,
    seq: i64,
    picture: u16,
}

/// Mapping of one stream since a switch to it.
#[derive(Debug)]
pub(crate) struct SequenceMap {
    start: u64,
    highest: u64,
    base: (i64, u16),
    gaps: VecDeque<Gap>,
    forgotten_below: u64,
    last_dropped_picture: Option<u16>,
}

impl SequenceMap {
    /// Packet `start` leaves as `out`; picture ids move by `picture`.
    pub(crate) fn new(start: u64, out: u64, picture: u16) -> Self {
        Self {
            start,
            highest: start.saturating_sub(1),
            base: (out.wrapping_sub(start).cast_signed(), picture),
            gaps: VecDeque::new(),
            forgotten_below: start,
            last_dropped_picture: None,
        }
    }

    fn current(&self) -> (i64, u16) {
        self.gaps.back().map_or(self.base, |g| (g.seq, g.picture))
    }

    /// True when `seq` is newer than everything seen.
    pub(crate) fn is_new(&self, seq: u64) -> bool {
        seq > self.highest
    }

    /// Maps a packet that is forwarded, or asks about a late one.
    pub(crate) fn map(&mut self, seq: u64) -> Mapped {
        if self.is_new(seq) {
            self.highest = seq;
            let (delta, picture) = self.current();
            return Mapped::To { seq: seq.wrapping_add_signed(delta), picture };
        }
        self.lookup(seq)
    }

    fn lookup(&self, seq: u64) -> Mapped {
        if seq < self.start || seq < self.forgotten_below {
            return Mapped::TooOld;
        }
        for gap in self.gaps.iter().rev() {
            if seq >= gap.from {
                return Mapped::To { seq: seq.wrapping_add_signed(gap.seq), picture: gap.picture };
            }
            if seq >= gap.first {
                return Mapped::LeftOut;
            }
        }
        Mapped::To { seq: seq.wrapping_add_signed(self.base.0), picture: self.base.1 }
    }

    /// Leaves out a new packet and closes the gap. `picture` is the id of the picture it belongs to when the whole
    /// picture goes, so that picture ids close up too.
    pub(crate) fn leave_out(&mut self, seq: u64, picture: Option<u16>) {
        if !self.is_new(seq) {
            return;
        }
        self.highest = seq;
        let (delta, mut moved) = self.current();
        if picture.is_some() && picture != self.last_dropped_picture {
            moved = moved.wrapping_sub(1);
            self.last_dropped_picture = picture;
        }
        if let Some(gap) = self.gaps.back_mut().filter(|g| g.from == seq) {
            gap.from = seq + 1;
            gap.seq = delta - 1;
            gap.picture = moved;
            return;
        }
        if self.gaps.len() >= MAX_GAPS
            && let Some(gap) = self.gaps.pop_front()
        {
            self.base = (gap.seq, gap.picture);
            self.forgotten_below = gap.from;
        }
        self.gaps.push_back(Gap { first: seq, from: seq + 1, seq: delta - 1, picture: moved });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(m: &mut SequenceMap, seq: u64) -> Option<(u64, u16)> {
        match m.map(seq) {
            Mapped::To { seq, picture } => Some((seq, picture)),
            _ => None,
        }
    }

    #[test]
    fn dropped_pictures_close_the_numbers() {
        let mut m = SequenceMap::new(100, 5000, 7);
        assert_eq!(out(&mut m, 100), Some((5000, 7)));
        m.leave_out(101, Some(11));
        m.leave_out(102, Some(11));
        m.leave_out(103, Some(12));
        assert_eq!(out(&mut m, 104), Some((5001, 5)));
    }

    #[test]
    fn late_packets_use_the_mapping_of_their_time() {
        let mut m = SequenceMap::new(100, 5000, 0);
        assert_eq!(out(&mut m, 100), Some((5000, 0)));
        assert_eq!(out(&mut m, 102), Some((5002, 0)));
        m.leave_out(103, None);
        assert_eq!(out(&mut m, 105), Some((5004, 0)));
        assert_eq!(m.map(101), Mapped::To { seq: 5001, picture: 0 });
        assert_eq!(m.map(103), Mapped::LeftOut);
        assert_eq!(m.map(104), Mapped::To { seq: 5003, picture: 0 });
        assert_eq!(m.map(99), Mapped::TooOld);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut m = SequenceMap::new(0, 0, 0);
        assert_eq!(out(&mut m, 0), Some((0, 0)));
        for i in 0..1000u64 {
            m.leave_out(1 + 2 * i, None);
            assert_eq!(out(&mut m, 2 + 2 * i).map(|o| o.0), Some(1 + i));
        }
        assert!(m.gaps.len() <= MAX_GAPS);
        assert_eq!(m.map(2), Mapped::TooOld);
        assert_eq!(m.map(1998), Mapped::To { seq: 999, picture: 0 });
    }

    #[test]
    fn outputs_never_collide() {
        let mut rng: u64 = 1;
        let mut m = SequenceMap::new(10, 10, 0);
        let mut seen = std::collections::BTreeSet::new();
        let mut order: Vec<u64> = (10..2000).collect();
        for i in 1..order.len() {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if rng >> 60 == 0 {
                order.swap(i - 1, i);
            }
        }
        order.sort_by_key(|s| (*s == 10, *s < 10));
        order.insert(0, 10);
        order.dedup();
        let mut arrived = std::collections::BTreeSet::new();
        for seq in order {
            if !arrived.insert(seq) {
                continue;
            }
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if m.is_new(seq) && rng >> 62 == 0 {
                m.leave_out(seq, None);
            } else if let Mapped::To { seq: o, .. } = m.map(seq) {
                assert!(seen.insert(o), "{o} twice");
            }
        }
    }
}
