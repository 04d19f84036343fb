//! What was sent under which number: enough to make the same bytes again from the publisher's ring.

use super::forwarder::{Deltas, Outgoing};
use std::time::{Duration, Instant};

/// Retransmissions of one packet.
const MAX_TRIES: u8 = 5;
/// Switches whose packets can still be made again.
const DELTAS: usize = 8;
/// A repeated request within this time is for the copy still under way, whatever the round trip.
const MIN_SPACING: Duration = Duration::from_millis(10);
const MAX_SPACING: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Entry {
    out_seq: u16,
    in_seq: u16,
    picture: u16,
    delta_id: u8,
    tries: u8,
    marker: bool,
    padding: bool,
    /// Milliseconds since the history began.
    sent_ms: u32,
    used: bool,
}

const EMPTY: Entry = Entry {
    out_seq: 0,
    in_seq: 0,
    picture: 0,
    delta_id: 0,
    tries: 0,
    marker: false,
    padding: false,
    sent_ms: 0,
    used: false,
};

/// A packet to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Again {
    /// Low bits of the publisher's sequence number.
    pub(crate) in_seq: u16,
    /// Added to the picture id.
    pub(crate) picture: u16,
    /// The marker bit is set in any case.
    pub(crate) marker: bool,
    /// It is padding in place of the publisher's packet.
    pub(crate) padding: bool,
    /// Deltas at that time.
    pub(crate) deltas: Deltas,
}

/// Ring of sent packets by outgoing sequence number.
#[derive(Debug)]
pub(crate) struct History {
    entries: Vec<Entry>,
    capacity: usize,
    deltas: [Option<Deltas>; DELTAS],
    origin: Instant,
}

impl History {
    /// Room for `capacity` packets (made a power of two), taken with the first one.
    pub(crate) fn new(now: Instant, capacity: usize) -> Self {
        let capacity = capacity.clamp(16, 1 << 14).next_power_of_two();
        Self { entries: Vec::new(), capacity, deltas: [None; DELTAS], origin: now }
    }

    fn ms(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.origin).as_millis() as u32
    }

    /// Notes a packet of the publisher's sequence number `in_seq`.
    pub(crate) fn record(&mut self, now: Instant, in_seq: u64, out: &Outgoing) {
        if self.entries.is_empty() {
            self.entries = vec![EMPTY; self.capacity];
        }
        let sent_ms = self.ms(now);
        let index = (out.seq as usize) & (self.capacity - 1);
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = Entry {
                out_seq: out.seq as u16,
                in_seq: in_seq as u16,
                picture: out.picture,
                delta_id: out.deltas.id,
                tries: 0,
                marker: out.marker,
                padding: out.padding,
                sent_ms,
                used: true,
            };
        }
        if let Some(slot) = self.deltas.get_mut(usize::from(out.deltas.id) % DELTAS) {
            *slot = Some(out.deltas);
        }
    }

    /// Looks up a packet asked for again, and counts the request. `None` when it is unknown, was just sent, or was
    /// sent too often.
    pub(crate) fn request(&mut self, now: Instant, rtt: Duration, out_seq: u16) -> Option<Again> {
        let now_ms = self.ms(now);
        let index = usize::from(out_seq) & (self.capacity - 1);
        let entry = self.entries.get_mut(index).filter(|e| e.used && e.out_seq == out_seq)?;
        let deltas = self
            .deltas
            .get(usize::from(entry.delta_id) % DELTAS)
            .copied()
            .flatten()
            .filter(|d| d.id == entry.delta_id)?;
        let spacing = rtt.clamp(MIN_SPACING, MAX_SPACING).as_millis() as u32;
        // The first request may come at once: half a round trip after the packet was sent at the earliest.
        if entry.tries >= MAX_TRIES || (entry.tries > 0 && now_ms.wrapping_sub(entry.sent_ms) < spacing) {
            return None;
        }
        entry.tries += 1;
        entry.sent_ms = now_ms;
        let Entry { in_seq, picture, marker, padding, .. } = *entry;
        Some(Again { in_seq, picture, marker, padding, deltas })
    }

    /// Forgets everything, e.g. when header extensions change and old bytes could not be made again.
    pub(crate) fn clear(&mut self) {
        self.entries = Vec::new();
        self.deltas = [None; DELTAS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(seq: u64, id: u8) -> Outgoing {
        let deltas = Deltas { id, layer: 1, ..Deltas::default() };
        Outgoing { seq, timestamp: 0, picture: 3, deltas, marker: false, padding: false }
    }

    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn requests_find_the_packet_and_are_spaced() {
        let t = crate::test_clock();
        let at = |ms| t + Duration::from_millis(ms);
        let mut h = History::new(t, 16);
        h.record(t, 70_000, &out(65_536 + 5, 1));
        assert_eq!(h.request(at(30), RTT, 4), None);
        let again = h.request(at(30), RTT, 5).unwrap();
        assert_eq!((again.in_seq, again.picture, again.deltas.layer), (70_000u64 as u16, 3, 1));
        assert_eq!(h.request(at(60), RTT, 5), None);
        let served = (80..2000).filter(|ms| h.request(at(*ms), RTT, 5).is_some()).count();
        assert_eq!(served, usize::from(MAX_TRIES) - 1);
    }

    #[test]
    fn overwritten_and_forgotten_deltas_miss() {
        let t = crate::test_clock();
        let mut h = History::new(t, 16);
        h.record(t, 1, &out(100, 0));
        for id in 1..=8u8 {
            h.record(t, u64::from(id), &out(100 + u64::from(id), id));
        }
        assert_eq!(h.request(t, RTT, 100), None);
        assert!(h.request(t, RTT, 101).is_some());
        h.clear();
        assert_eq!(h.request(t, RTT, 101), None);
    }
}
