//! Notices that the media server cannot go on, so that the process can end and be started again.

use bedrud_media::Sfu;
use std::time::Duration;

/// How often threads are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks at which a thread may stand still. Looks, not seconds: when the machine sleeps or the process is stopped,
/// nobody looks either.
const PATIENCE: u32 = 60;

/// Which threads moved from one look to the next.
#[derive(Debug, Default)]
struct Watchdog {
    threads: Vec<(u64, u32)>,
}

impl Watchdog {
    /// A look at all threads; the place of one that has stood still too often.
    fn look(&mut self, beats: &[u64]) -> Option<usize> {
        self.threads.resize(beats.len(), (u64::MAX, 0));
        let mut dead = None;
        for (place, ((last, still), beat)) in self.threads.iter_mut().zip(beats).enumerate() {
            *still = if last == beat { *still + 1 } else { 0 };
            *last = *beat;
            if *still >= PATIENCE {
                dead.get_or_insert(place);
            }
        }
        dead
    }
}

/// Returns when the media server cannot go on, with the reason.
pub(super) async fn watch(media: &Sfu) -> String {
    tokio::select! {
        why = media.failed() => why,
        why = stall(media) => why,
    }
}

async fn stall(media: &Sfu) -> String {
    let mut watchdog = Watchdog::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let threads = media.heartbeats();
        let beats: Vec<u64> = threads.iter().map(|(_, beat)| *beat).collect();
        if let Some((name, _)) = watchdog.look(&beats).and_then(|place| threads.get(place)) {
            return format!("the {name} has not moved for {} s", u64::from(PATIENCE) * LOOK.as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_is_found_and_one_that_moves_now_and_then_is_not() {
        let mut watchdog = Watchdog::default();
        for n in 0..10 * u64::from(PATIENCE) {
            assert_eq!(watchdog.look(&[n, n / 50]), None, "look {n}");
        }
        let mut watchdog = Watchdog::default();
        let dead: Vec<_> = (0..u64::from(PATIENCE) + 1).map(|n| watchdog.look(&[n, n, 7])).collect();
        assert_eq!(dead.iter().position(Option::is_some), Some(PATIENCE as usize));
        assert_eq!(dead.last(), Some(&Some(2)));
        assert_eq!(watchdog.look(&[0, 0, 8]), None, "it moves again");
    }
}
