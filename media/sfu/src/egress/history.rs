//! Packets sent under transport-wide sequence numbers, matched with the receiver's feedback.

use bedrud_rtp::rtcp::TwccFeedback;

/// Packets remembered, a power of two.
const CAPACITY: usize = 1024;
/// A jump of the receiver's clock beyond this restarts the delay baseline, microseconds.
const CLOCK_JUMP_US: i64 = 60_000_000;
/// Feedback messages after which the older half of the delay baseline is forgotten.
const BASELINE_MESSAGES: u32 = 100;

#[derive(Debug, Clone, Copy)]
struct Sent {
    seq: u16,
    bytes: u16,
    at_us: i64,
    pending: bool,
}

const EMPTY: Sent = Sent { seq: 0, bytes: 0, at_us: 0, pending: false };

/// What one feedback message says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// Packets that arrived.
    pub(crate) received: u64,
    /// Packets that did not.
    pub(crate) lost: u64,
    /// Bytes that arrived.
    pub(crate) bytes: u64,
    /// Mean delay above the smallest seen lately, microseconds.
    pub(crate) queue_us: Option<i64>,
}

/// Send history of one transport.
#[derive(Debug, Default)]
pub(crate) struct SendHistory {
    sent: Vec<Sent>,
    next: u16,
    /// Smallest difference of the clocks in the present and the previous period.
    baseline: (Option<i64>, Option<i64>),
    messages: u32,
}

impl SendHistory {
    /// The number of the next packet.
    pub(crate) fn next_seq(&self) -> u16 {
        self.next
    }

    /// Notes that a packet left under [`SendHistory::next_seq`].
    pub(crate) fn record(&mut self, at_us: i64, bytes: usize) {
        if self.sent.is_empty() {
            self.sent = vec![EMPTY; CAPACITY];
        }
        let seq = self.next;
        self.next = seq.wrapping_add(1);
        if let Some(slot) = self.sent.get_mut(usize::from(seq) & (CAPACITY - 1)) {
            *slot = Sent { seq, bytes: u16::try_from(bytes).unwrap_or(u16::MAX), at_us, pending: true };
        }
    }

    /// Takes feedback. Every packet counts once.
    pub(crate) fn on_feedback(&mut self, feedback: &TwccFeedback<'_>) -> Acknowledged {
        let mut out = Acknowledged::default();
        let (mut sum, mut least) = (0i64, i64::MAX);
        for status in feedback.statuses() {
            let index = usize::from(status.seq) & (CAPACITY - 1);
            let Some(sent) = self.sent.get_mut(index).filter(|s| s.pending && s.seq == status.seq) else {
                continue;
            };
            match status.received_us {
                Some(received) => {
                    sent.pending = false;
                    out.received += 1;
                    out.bytes += u64::from(sent.bytes);
                    let delay = received - sent.at_us;
                    sum += delay;
                    least = least.min(delay);
                }
                // It may still come and be reported again: leave it pending, count the loss once it is overwritten by
                // a later report only if it stays away. The receiver reports a hole once, so count it here.
                None => out.lost += 1,
            }
        }
        if out.received > 0 {
            self.note_delay(least);
            let mean = sum / out.received.cast_signed();
            let base = [self.baseline.0, self.baseline.1].into_iter().flatten().min();
            out.queue_us = base.map(|b| mean - b);
        }
        out
    }

    fn note_delay(&mut self, delay: i64) {
        let jumped = self.baseline.0.or(self.baseline.1).is_some_and(|b| (delay - b).abs() > CLOCK_JUMP_US);
        if jumped {
            self.baseline = (None, None);
        }
        self.messages += 1;
        if self.messages >= BASELINE_MESSAGES {
            self.messages = 0;
            self.baseline = (None, self.baseline.0);
        }
        self.baseline.0 = Some(self.baseline.0.map_or(delay, |b| b.min(delay)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_rtp::receive::TwccRecorder;
    use bedrud_rtp::rtcp::{RtcpPacket, compound};

    fn exchange(h: &mut SendHistory, r: &mut TwccRecorder) -> Acknowledged {
        let mut buf = Vec::new();
        r.build(1, 2, &mut buf);
        let mut total = Acknowledged::default();
        for p in compound(&buf) {
            let Ok(RtcpPacket::Twcc(f)) = p else { panic!("not feedback") };
            let a = h.on_feedback(&f);
            total = Acknowledged {
                received: total.received + a.received,
                lost: total.lost + a.lost,
                bytes: total.bytes + a.bytes,
                queue_us: a.queue_us,
            };
        }
        total
    }

    #[test]
    fn loss_and_growing_delay_are_seen() {
        let (mut h, mut r) = (SendHistory::default(), TwccRecorder::new());
        for i in 0..100i64 {
            let seq = h.next_seq();
            h.record(i * 1000, 1200);
            if i % 10 != 3 {
                r.record(seq, 5_000_000 + i * 1000);
            }
        }
        let a = exchange(&mut h, &mut r);
        assert_eq!((a.received, a.lost, a.bytes), (90, 10, 90 * 1200));
        assert!(a.queue_us.unwrap() < 1000);
        for i in 100..200i64 {
            let seq = h.next_seq();
            h.record(i * 1000, 1200);
            r.record(seq, 5_000_000 + i * 1000 + 80_000);
        }
        let a = exchange(&mut h, &mut r);
        assert!((79_000..82_000).contains(&a.queue_us.unwrap()));
        assert_eq!(a.received, 100);
    }
}
