//! Numbers for packets of the server's own: the receiver sees them as part of the stream, so media goes on after them.

use super::{Forwarder, Last, ticks};
use crate::downtrack::report::ntp_units;
use std::time::Instant;

impl Forwarder {
    /// Number and timestamp of a frame that stands where the source has nothing to say.
    pub(crate) fn fill_frame(&mut self, now: Instant) -> (u64, u32) {
        let last = match self.last {
            None => self.unborn(now),
            Some(last) => {
                let elapsed = now.saturating_duration_since(last.at);
                let ticks = ticks(elapsed, self.clock_rate).max(1);
                Last {
                    seq: last.seq + 1,
                    timestamp: last.timestamp.wrapping_add(ticks),
                    in_timestamp: last.in_timestamp.wrapping_add(ticks),
                    capture_ntp: last.capture_ntp.map(|ntp| ntp.wrapping_add(ntp_units(elapsed))),
                    at: now,
                    ..last
                }
            }
        };
        self.put(last)
    }

    /// Number and timestamp of a packet without media. It belongs to the frame before.
    pub(crate) fn fill_padding(&mut self, now: Instant) -> (u64, u32) {
        let last = match self.last {
            None => self.unborn(now),
            Some(last) => Last { seq: last.seq + 1, ..last },
        };
        self.put(last)
    }

    /// What comes before the first media packet. No layer is the one before it.
    fn unborn(&self, now: Instant) -> Last {
        Last {
            seq: self.first_seq,
            timestamp: self.start.timestamp,
            in_timestamp: 0,
            layer: u8::MAX,
            generation: 0,
            capture_ntp: None,
            at: now,
            picture: None,
            tl0: None,
            key_index: None,
            frame_number: None,
        }
    }

    /// Media goes on behind it, as after a pause.
    fn put(&mut self, last: Last) -> (u64, u32) {
        self.hold();
        self.last = Some(last);
        (last.seq, last.timestamp)
    }
}
