//! Collecting our RTCP packets into compounds of a datagram each.

use bedrud_rtp::Ssrc;
use bedrud_rtp::rtcp::write_receiver_report;

/// A compound is closed when it has grown beyond this; single packets are below 1 100 bytes.
const SOFT_LIMIT: usize = 700;
/// Bytes of compounds that may wait.
const MAX_WAITING: usize = 64 * 1024;

/// RTCP waiting for the flush of its transport, plain.
#[derive(Debug, Default)]
pub(crate) struct RtcpQueue {
    buf: Vec<u8>,
    ends: Vec<usize>,
}

impl RtcpQueue {
    /// Appends what `write` appends. A compound starts with a report: an empty one unless `is_report`.
    pub(crate) fn add(&mut self, sender: Ssrc, is_report: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if self.buf.len() > MAX_WAITING {
            return;
        }
        let begun = self.ends.last().copied().unwrap_or(0);
        if self.buf.len() - begun > SOFT_LIMIT {
            self.ends.push(self.buf.len());
        }
        if self.buf.len() == self.ends.last().copied().unwrap_or(0) && !is_report {
            write_receiver_report(&mut self.buf, sender, &[]);
        }
        write(&mut self.buf);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The compounds.
    pub(crate) fn compounds(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.ends.iter().copied().chain(std::iter::once(self.buf.len()));
        ends.scan(0usize, |begin, end| {
            let compound = self.buf.get(*begin..end).unwrap_or(&[]);
            *begin = end;
            Some(compound)
        })
        .filter(|c| !c.is_empty())
    }

    /// Forgets everything, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.buf.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_rtp::rtcp::{RtcpPacket, compound, write_pli};

    #[test]
    fn compounds_start_with_a_report_and_fit_a_datagram() {
        let mut q = RtcpQueue::default();
        for i in 0..200 {
            q.add(1, false, |b| write_pli(b, 1, i));
        }
        let all: Vec<&[u8]> = q.compounds().collect();
        assert!(all.len() > 1);
        let mut plis = 0;
        for c in all {
            assert!(c.len() < 1200);
            let mut packets = compound(c).map(Result::unwrap);
            assert!(matches!(packets.next(), Some(RtcpPacket::ReceiverReport(_))));
            plis += packets.filter(|p| matches!(p, RtcpPacket::Pli(_))).count();
        }
        assert_eq!(plis, 200);
        q.clear();
        assert_eq!(q.compounds().count(), 0);
    }
}
