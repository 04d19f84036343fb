//! Fitting the layers subscribers want into a bit rate: base layers of all tracks first, then one layer more each.

/// Most spatial layers considered.
pub(crate) const MAX_LAYERS: usize = 4;
/// A layer above what is sent now must fit with this margin, so that the choice does not flap.
const RAISE_MARGIN: f64 = 1.15;

/// A video track that competes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    /// Bits per second of each live layer, by spatial index; 0 is not live.
    pub(crate) rates: [u64; MAX_LAYERS],
    /// Highest layer wanted.
    pub(crate) max: u8,
    /// Layer allowed by the choice before, `None` when paused.
    pub(crate) before: Option<u8>,
    /// Whether it may be paused; otherwise its smallest layer is sent whatever the budget.
    pub(crate) pausable: bool,
}

/// Layers allowed per track in the order of `wants`; `u8::MAX` is no limit, `None` pauses.
pub(crate) fn allocate(budget: u64, wants: &[Want], out: &mut Vec<Option<u8>>) {
    out.clear();
    let top = |w: &Want| (0..MAX_LAYERS).rev().find(|l| *l <= usize::from(w.max) && rate(w, *l) > 0);
    let ideal: u64 = wants.iter().filter_map(|w| top(w).or(next_usable(w, None)).map(|l| rate(w, l))).sum();
    let was_limited = wants.iter().any(|w| w.before != Some(u8::MAX));
    let needed = if was_limited { (ideal as f64 * RAISE_MARGIN) as u64 } else { ideal };
    if needed <= budget {
        out.extend(wants.iter().map(|_| Some(u8::MAX)));
        return;
    }
    out.extend(wants.iter().map(|_| None));
    let mut left = budget;
    // Round 0 gives every track its smallest usable layer, each later round one step more.
    for round in 0..MAX_LAYERS {
        for (want, given) in wants.iter().zip(out.iter_mut()) {
            if (round == 0) != given.is_none() {
                continue;
            }
            let Some(layer) = next_usable(want, *given) else { continue };
            let (new, old) = (rate(want, layer), given.map_or(0, |l| rate(want, usize::from(l))));
            let rises = want.before.is_none_or(|b| layer > usize::from(b));
            let margin = if rises { RAISE_MARGIN } else { 1.0 };
            let base = round == 0 && !want.pausable;
            if base || (new as f64 * margin) as u64 <= left + old {
                left = (left + old).saturating_sub(new);
                *given = Some(layer as u8);
            }
        }
    }
    // A track without a live layer costs nothing and must be able to start.
    for (want, given) in wants.iter().zip(out.iter_mut()) {
        if want.rates.iter().all(|r| *r == 0) {
            *given = Some(u8::MAX);
        }
    }
}

/// The smallest live layer above `given` that is wanted; when nothing at or below the wish lives, the smallest there is
/// serves as base.
fn next_usable(want: &Want, given: Option<u8>) -> Option<usize> {
    let live = |l: &usize| rate(want, *l) > 0;
    match given {
        None => (0..MAX_LAYERS).find(live),
        Some(g) => (usize::from(g) + 1..=usize::from(want.max).min(MAX_LAYERS - 1)).find(live),
    }
}

fn rate(want: &Want, layer: usize) -> u64 {
    want.rates.get(layer).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMULCAST: [u64; MAX_LAYERS] = [150_000, 500_000, 1_700_000, 0];

    fn want(max: u8, before: Option<u8>) -> Want {
        Want { rates: SIMULCAST, max, before, pausable: true }
    }

    fn run(budget: u64, wants: &[Want]) -> Vec<Option<u8>> {
        let mut out = Vec::new();
        allocate(budget, wants, &mut out);
        out
    }

    #[test]
    fn plenty_means_no_limit() {
        assert_eq!(run(4_000_000, &[want(2, Some(u8::MAX)); 2]), [Some(u8::MAX); 2]);
    }

    #[test]
    fn base_layers_come_before_higher_ones() {
        assert_eq!(run(700_000, &[want(2, Some(2)); 3]), [Some(0), Some(0), Some(0)]);
        assert_eq!(run(900_000, &[want(2, Some(2)); 3]), [Some(1), Some(0), Some(0)]);
        assert_eq!(run(200_000, &[want(2, Some(2)); 2]), [Some(0), None]);
        assert_eq!(run(0, &[want(2, Some(2))]), [None]);
    }

    #[test]
    fn a_track_that_may_not_pause_keeps_its_smallest_layer() {
        let steady = |before| Want { pausable: false, ..want(2, before) };
        assert_eq!(run(0, &[steady(Some(2)), steady(Some(0))]), [Some(0), Some(0)]);
        let single = Want { rates: [900_000, 0, 0, 0], ..steady(Some(0)) };
        assert_eq!(run(200_000, &[single]), [Some(0)]);
    }

    #[test]
    fn rising_needs_a_margin() {
        let tight = 1_750_000;
        assert_eq!(run(tight, &[want(2, Some(u8::MAX))]), [Some(u8::MAX)]);
        assert_eq!(run(tight, &[want(2, Some(1))]), [Some(1)]);
        assert_eq!(run(2_000_000, &[want(2, Some(1))]), [Some(u8::MAX)]);
    }

    #[test]
    fn wishes_limit_and_silent_tracks_stay_open() {
        let silent = Want { rates: [0; MAX_LAYERS], max: 2, before: Some(u8::MAX), pausable: true };
        assert_eq!(run(160_000, &[want(0, Some(0)), silent]), [Some(0), Some(u8::MAX)]);
        let only_high = Want { rates: [0, 0, 1_000_000, 0], max: 0, before: Some(2), pausable: true };
        assert_eq!(run(1_200_000, &[only_high, want(2, Some(1))])[0], Some(2));
    }
}
