//! Which packets to ask for again, and when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits of a [`NackGenerator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackConfig {
    /// Missing packets remembered; beyond it the oldest are given up.
    pub max_missing: usize,
    /// Requests per packet.
    pub max_tries: u8,
    /// A missing packet is asked for once this many later ones arrived ...
    pub reorder_packets: u64,
    /// ... or after this time.
    pub reorder_time: Duration,
    /// Shortest time between two requests for one packet.
    pub min_interval: Duration,
    /// Longest time between two requests for one packet.
    pub max_interval: Duration,
    /// Round-trip time assumed while unknown.
    pub default_rtt: Duration,
}

impl Default for NackConfig {
    fn default() -> Self {
        Self {
            max_missing: 100,
            max_tries: 5,
            reorder_packets: 3,
            reorder_time: Duration::from_millis(10),
            min_interval: Duration::from_millis(20),
            max_interval: Duration::from_millis(400),
            default_rtt: Duration::from_millis(70),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    ext_seq: u64,
    since: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// Missing packets of one stream.
#[derive(Debug, Clone)]
pub struct NackGenerator {
    config: NackConfig,
    highest: Option<u64>,
    /// Ascending by sequence number.
    missing: VecDeque<Missing>,
    given_up: u64,
}

impl NackGenerator {
    /// A generator that has seen nothing. Allocates with the first loss.
    #[must_use]
    pub fn new(config: NackConfig) -> Self {
        Self { config, highest: None, missing: VecDeque::new(), given_up: 0 }
    }

    /// Notes a packet that arrived, first hand or repaired. True when it was missing.
    pub fn on_packet(&mut self, ext_seq: u64, now: Instant) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(ext_seq);
            return false;
        };
        if ext_seq <= highest {
            let found = self.missing.binary_search_by_key(&ext_seq, |m| m.ext_seq);
            return found.is_ok_and(|at| self.missing.remove(at).is_some());
        }
        self.highest = Some(ext_seq);
        // On the wire a number this far back would mean a newer packet.
        while self.missing.front().is_some_and(|m| ext_seq - m.ext_seq >= 0x8000) {
            self.missing.pop_front();
            self.given_up += 1;
        }
        let limit = self.config.max_missing as u64;
        let gap = ext_seq - highest - 1;
        // Of a huge gap only the newest part can be remembered.
        self.given_up += gap.saturating_sub(limit);
        for seq in ext_seq - gap.min(limit)..ext_seq {
            if self.missing.len() >= self.config.max_missing {
                self.missing.pop_front();
                self.given_up += 1;
            }
            self.missing.push_back(Missing { ext_seq: seq, since: now, asked: None, tries: 0 });
        }
        false
    }

    /// Appends the sequence numbers to ask for now, ascending. `rtt` is the round-trip time, if known.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u16>) {
        let (config, highest) = (self.config, self.highest.unwrap_or(0));
        let mut given_up = 0;
        self.missing.retain_mut(|m| {
            if due_at(&config, m, highest, rtt).is_some_and(|due| due > now) {
                return true;
            }
            if m.tries >= config.max_tries {
                given_up += 1;
                return false;
            }
            m.tries += 1;
            m.asked = Some(now);
            out.push(m.ext_seq as u16);
            true
        });
        self.given_up += given_up;
    }

    /// When [`NackGenerator::poll`] has something to do; a time in the past means now.
    #[must_use]
    pub fn next_due(&self, rtt: Option<Duration>) -> Option<Instant> {
        let highest = self.highest.unwrap_or(0);
        self.missing.iter().map(|m| due_at(&self.config, m, highest, rtt).unwrap_or(m.since)).min()
    }

    /// Forgets missing packets before `ext_seq`: a key frame arrived and nobody needs them.
    pub fn forget_before(&mut self, ext_seq: u64) {
        while self.missing.front().is_some_and(|m| m.ext_seq < ext_seq) {
            self.missing.pop_front();
        }
    }

    /// Packets missing now.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Packets that were given up since the last call: a hint to ask for a key frame.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }
}

/// `None` is at once.
fn due_at(config: &NackConfig, m: &Missing, highest: u64, rtt: Option<Duration>) -> Option<Instant> {
    match m.asked {
        None if highest - m.ext_seq.min(highest) >= config.reorder_packets => None,
        None => Some(m.since + config.reorder_time),
        Some(asked) => {
            // A quarter longer after each try.
            let mut wait = rtt.unwrap_or(config.default_rtt).min(config.max_interval);
            for _ in 1..m.tries {
                wait = (wait + wait / 4).min(config.max_interval);
            }
            Some(asked + wait.max(config.min_interval))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an Instant can only come from the clock")]
        Instant::now()
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn poll(generator: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut out = Vec::new();
        generator.poll(now, Some(ms(50)), &mut out);
        out
    }

    #[test]
    fn reordering_is_forgiven() {
        let (t, mut nack) = (start(), NackGenerator::new(NackConfig::default()));
        nack.on_packet(10, t);
        nack.on_packet(12, t);
        assert_eq!(poll(&mut nack, t + ms(5)), []);
        assert!(nack.on_packet(11, t + ms(6)));
        assert_eq!(poll(&mut nack, t + ms(50)), []);
        assert_eq!((nack.missing(), nack.next_due(None)), (0, None));
    }

    #[test]
    fn loss_is_asked_for_after_the_grace_by_time_or_by_packets() {
        let (t, mut nack) = (start(), NackGenerator::new(NackConfig::default()));
        nack.on_packet(10, t);
        nack.on_packet(12, t);
        assert_eq!(nack.next_due(None), Some(t + ms(10)));
        assert_eq!(poll(&mut nack, t + ms(10)), [11]);
        nack.on_packet(16, t + ms(11));
        // Packets 13 and 14 have two and three successors by number, 15 only one.
        assert_eq!(poll(&mut nack, t + ms(11)), [13]);
        assert_eq!(poll(&mut nack, t + ms(21)), [14, 15]);
    }

    #[test]
    fn repeats_are_spaced_by_the_round_trip_and_end() {
        let config = NackConfig::default();
        let (t, mut nack) = (start(), NackGenerator::new(config));
        nack.on_packet(0, t);
        nack.on_packet(2, t);
        let mut asked = Vec::new();
        for at in 0..2000 {
            if !poll(&mut nack, t + ms(at)).is_empty() {
                asked.push(at);
            }
        }
        assert_eq!(asked.len(), usize::from(config.max_tries));
        let gaps: Vec<_> = asked.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(gaps, [50, 63, 79, 98]);
        assert_eq!((nack.missing(), nack.take_given_up(), nack.take_given_up()), (0, 1, 0));
    }

    #[test]
    fn a_huge_gap_is_bounded() {
        let (t, mut nack) = (start(), NackGenerator::new(NackConfig::default()));
        nack.on_packet(0, t);
        nack.on_packet(1 << 40, t);
        assert_eq!(nack.missing(), 100);
        assert_eq!(nack.take_given_up(), (1 << 40) - 101);
        assert!(nack.on_packet((1 << 40) - 100, t));
        assert!(!nack.on_packet((1 << 40) - 101, t));
        nack.forget_before(1 << 40);
        assert_eq!(nack.missing(), 0);
    }

    #[test]
    fn numbers_half_the_range_back_are_not_asked_for() {
        let (t, mut nack) = (start(), NackGenerator::new(NackConfig::default()));
        nack.on_packet(1, t);
        nack.on_packet(3, t);
        nack.on_packet(2 + 0x8000, t);
        assert!(!poll(&mut nack, t + ms(20)).contains(&2));
    }

    proptest! {
        #[test]
        fn asks_only_for_what_never_came(seqs in proptest::collection::vec(0u64..300, 1..200)) {
            let (t, mut nack) = (start(), NackGenerator::new(NackConfig::default()));
            let mut seen = std::collections::HashSet::new();
            let first = seqs[0];
            for (i, seq) in seqs.iter().enumerate() {
                let now = t + ms(i as u64);
                nack.on_packet(*seq, now);
                seen.insert(*seq);
                for asked in poll(&mut nack, now) {
                    prop_assert!(!seen.contains(&u64::from(asked)) && u64::from(asked) > first);
                }
                prop_assert!(nack.missing() <= NackConfig::default().max_missing);
            }
        }
    }
}
