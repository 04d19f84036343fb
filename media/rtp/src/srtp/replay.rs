//! Replay window over a 64-bit packet index (RFC 3711 section 3.3.2).

use super::SrtpError;

const WORDS: usize = 8;
/// Packets below the highest index that can still be accepted.
pub(super) const WINDOW: u64 = 64 * WORDS as u64;

/// A ring of bits: bit `index % WINDOW` says whether `index` was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// A window whose first packet is `index`.
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet of this index may be accepted once it authenticates.
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        if index > self.highest {
            return Ok(());
        }
        if self.highest - index >= WINDOW {
            return Err(SrtpError::TooOld);
        }
        let (word, bit) = slot(index);
        match self.seen.get(word) {
            Some(bits) if bits & bit == 0 => Ok(()),
            _ => Err(SrtpError::Replayed),
        }
    }

    /// Records an authenticated packet.
    pub(super) fn mark(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    let (word, bit) = slot(skipped);
                    if let Some(bits) = self.seen.get_mut(word) {
                        *bits &= !bit;
                    }
                }
            }
            self.highest = index;
        }
        let (word, bit) = slot(index);
        if let Some(bits) = self.seen.get_mut(word) {
            *bits |= bit;
        }
    }
}

fn slot(index: u64) -> (usize, u64) {
    let at = index % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn window_agrees_with_a_set(start in 0u64..2000, steps in proptest::collection::vec(-700i64..700, 0..300)) {
            let mut window = ReplayWindow::starting_at(start);
            let mut seen = HashSet::from([start]);
            let (mut highest, mut at) = (start, start);
            for step in steps {
                at = at.saturating_add_signed(step);
                let expected = if at <= highest && highest - at >= WINDOW {
                    Err(SrtpError::TooOld)
                } else if seen.contains(&at) {
                    Err(SrtpError::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(at), expected);
                if expected.is_ok() {
                    window.mark(at);
                    seen.insert(at);
                    highest = highest.max(at);
                }
            }
        }
    }
}
