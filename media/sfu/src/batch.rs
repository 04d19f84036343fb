//! What one flush wants sent: datagrams in one arena, grouped into runs the kernel can segment by itself (UDP GSO).

use crate::path::Path;

/// Most segments in a run (`UDP_MAX_SEGMENTS` of Linux).
pub const MAX_RUN_SEGMENTS: usize = 64;
/// Most bytes in a run: the payload of the largest IPv4 datagram.
pub const MAX_RUN_BYTES: usize = 65_507;

/// Consecutive datagrams to one destination: all `segment` bytes long, only the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    path: Path,
    start: usize,
    end: usize,
    segment: usize,
    droppable: bool,
    closed: bool,
}

/// One run with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRef<'a> {
    /// Destination.
    pub path: Path,
    /// The datagrams, back to back.
    pub bytes: &'a [u8],
    /// Size of every datagram but the last, at least 1.
    pub segment: usize,
    /// True for video: when the socket refuses, this goes first; audio, RTCP, STUN and DTLS are kept.
    pub droppable: bool,
}

impl<'a> RunRef<'a> {
    /// The single datagrams (what a TCP writer frames, or a socket without GSO sends).
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment.max(1))
    }
}

/// Datagrams of one flush. Reused: [`SendBatch::clear`] keeps the memory.
#[derive(Debug, Default)]
pub struct SendBatch {
    arena: Vec<u8>,
    runs: Vec<Run>,
    packets: usize,
}

impl SendBatch {
    /// An empty batch with room for `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { arena: Vec::with_capacity(bytes), runs: Vec::with_capacity(bytes / 1200 + 1), packets: 0 }
    }

    /// Runs in the order they should leave. Runs to one destination keep their order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = RunRef<'_>> {
        self.runs.iter().map(|r| RunRef {
            path: r.path,
            bytes: self.arena.get(r.start..r.end).unwrap_or(&[]),
            segment: r.segment,
            droppable: r.droppable,
        })
    }

    /// Datagrams in the batch.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Bytes in the batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// True when there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Forgets everything sent, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.runs.clear();
        self.packets = 0;
    }

    /// Appends a complete datagram.
    pub fn push(&mut self, path: Path, datagram: &[u8], droppable: bool) {
        let start = self.arena.len();
        self.arena.extend_from_slice(datagram);
        self.commit(path, start, droppable);
    }

    /// The arena, for a datagram written in place: note its length, append, then call [`SendBatch::commit`] with the
    /// noted start, or [`SendBatch::abandon`].
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// Takes back what was appended since `start`.
    pub fn abandon(&mut self, start: usize) {
        self.arena.truncate(start);
    }

    /// Takes back what was appended since the last whole datagram.
    pub(crate) fn abandon_rest(&mut self) {
        self.arena.truncate(self.runs.last().map_or(0, |run| run.end));
    }

    /// Makes everything appended since `start` one datagram to `path`.
    pub fn commit(&mut self, path: Path, start: usize, droppable: bool) {
        let end = self.arena.len();
        let len = end.saturating_sub(start);
        if len == 0 {
            return;
        }
        self.packets += 1;
        if let Some(run) = self.runs.last_mut() {
            let fits = !run.closed
                && run.path == path
                && run.droppable == droppable
                && run.end == start
                && len <= run.segment
                && end - run.start <= MAX_RUN_BYTES
                && (end - run.start).div_ceil(run.segment) <= MAX_RUN_SEGMENTS;
            if fits {
                run.end = end;
                run.closed = len < run.segment;
                return;
            }
        }
        self.runs.push(Run { path, start, end, segment: len, droppable, closed: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Proto;

    fn path(port: u16) -> Path {
        Path {
            proto: Proto::Udp,
            remote: ([192, 0, 2, 1], port).into(),
            local: ([192, 0, 2, 2], 7880).into(),
        }
    }

    #[test]
    fn equal_sizes_share_a_run_with_one_shorter_tail() {
        let mut b = SendBatch::default();
        for len in [100, 100, 60, 60] {
            b.push(path(1), &vec![len as u8; len], true);
        }
        let runs: Vec<_> = b.runs().collect();
        assert_eq!(runs.iter().map(|r| r.bytes.len()).collect::<Vec<_>>(), [260, 60]);
        assert_eq!(runs[0].segments().map(<[u8]>::len).collect::<Vec<_>>(), [100, 100, 60]);
        assert_eq!(b.packets(), 4);
    }

    #[test]
    fn larger_packet_other_path_and_other_class_start_a_run() {
        let mut b = SendBatch::default();
        b.push(path(1), &[0; 10], true);
        b.push(path(1), &[0; 11], true);
        b.push(path(2), &[0; 11], true);
        b.push(path(2), &[0; 11], false);
        assert_eq!(b.runs().len(), 4);
    }

    #[test]
    fn runs_are_bounded_in_segments_and_bytes() {
        let mut b = SendBatch::default();
        for _ in 0..200 {
            b.push(path(1), &[0; 20], false);
        }
        assert!(b.runs().all(|r| r.segments().len() <= MAX_RUN_SEGMENTS));
        b.clear();
        for _ in 0..100 {
            b.push(path(1), &[0; 1400], false);
        }
        assert!(b.runs().all(|r| r.bytes.len() <= MAX_RUN_BYTES));
        assert_eq!(b.runs().map(|r| r.segments().len()).sum::<usize>(), 100);
    }

    #[test]
    fn abandoned_bytes_leave_no_trace() {
        let mut b = SendBatch::default();
        b.push(path(1), &[1; 10], false);
        let start = b.arena().len();
        b.arena().extend_from_slice(&[2; 30]);
        b.abandon(start);
        b.push(path(1), &[3; 10], false);
        let run = b.runs().next().unwrap();
        assert_eq!(run.bytes.len(), 20);
        assert!(run.bytes.iter().all(|x| *x != 2));
    }
}
