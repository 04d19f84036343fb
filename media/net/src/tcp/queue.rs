//! Bytes waiting for a slow TCP connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    /// Written or waiting.
    Accepted,
    /// Dropped: the queue is over its limit, or beyond a 16-bit length.
    Dropped,
    /// Even what must not be dropped does not fit: the connection is of no use.
    Full,
}

/// Framed packets on their way out.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    bytes: VecDeque<u8>,
    /// Position in the stream behind each frame, and when it was queued.
    marks: VecDeque<(u64, Instant)>,
    written: u64,
    congested: bool,
}

impl WriteQueue {
    /// True from going over a limit until everything is written.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends one packet. While congested, droppable ones are refused at once.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        packet: &[u8],
        droppable: bool,
        limit: usize,
        max_age: Duration,
    ) -> Queued {
        let Ok(length) = u16::try_from(packet.len()) else { return Queued::Dropped };
        let old = self.marks.front().is_some_and(|(_, at)| now.saturating_duration_since(*at) > max_age);
        if old || self.bytes.len() + packet.len() > limit {
            self.congested = true;
        }
        if self.congested && droppable {
            return Queued::Dropped;
        }
        if self.bytes.len() + packet.len() > 2 * limit {
            return Queued::Full;
        }
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(packet);
        self.marks.push_back((self.written + self.bytes.len() as u64, now));
        Queued::Accepted
    }

    /// Appends bytes as they are.
    pub(crate) fn push_raw(&mut self, now: Instant, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.marks.push_back((self.written + self.bytes.len() as u64, now));
    }

    /// Writes what the socket takes. True when nothing is left.
    pub(crate) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while !self.bytes.is_empty() {
            let (first, _) = self.bytes.as_slices();
            match socket.write(first) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.bytes.drain(..n);
                    self.written += n as u64;
                    while self.marks.front().is_some_and(|(end, _)| *end <= self.written) {
                        self.marks.pop_front();
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.congested = false;
        if self.bytes.capacity() > 64 << 10 {
            self.bytes.shrink_to(4096);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_millis(500);

    struct Sink {
        room: usize,
        got: Vec<u8>,
    }

    impl Write for Sink {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let n = buf.len().min(self.room);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.got.extend_from_slice(&buf[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn video_stops_at_the_limit_until_all_is_written() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        assert_eq!(queue.push(now, &[1; 60], true, 100, AGE), Queued::Accepted);
        assert_eq!(queue.push(now, &[2; 60], true, 100, AGE), Queued::Dropped);
        assert!(queue.is_congested());
        assert_eq!(queue.push(now, &[3; 10], true, 100, AGE), Queued::Dropped, "video stays stopped");
        assert_eq!(queue.push(now, &[4; 10], false, 100, AGE), Queued::Accepted);
        assert_eq!(queue.push(now, &[5; 150], false, 100, AGE), Queued::Full);
        let mut sink = Sink { room: 50, got: vec![] };
        assert!(!queue.write_to(&mut sink).unwrap());
        assert!(queue.is_congested());
        sink.room = 1000;
        assert!(queue.write_to(&mut sink).unwrap());
        assert!(!queue.is_congested());
        assert_eq!(sink.got.len(), 62 + 12);
        assert_eq!(sink.got[..3], [0, 60, 1]);
        assert_eq!(sink.got[62..65], [0, 10, 4]);
    }

    #[test]
    fn old_bytes_count_as_congestion() {
        let (mut queue, now) = (WriteQueue::default(), Instant::now());
        assert_eq!(queue.push(now, &[1; 10], true, 1000, AGE), Queued::Accepted);
        assert_eq!(queue.push(now + AGE, &[1; 10], true, 1000, AGE), Queued::Accepted);
        assert_eq!(queue.push(now + AGE + AGE, &[1; 10], true, 1000, AGE), Queued::Dropped);
    }

    #[test]
    fn a_gone_peer_is_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut queue = WriteQueue::default();
        queue.push_raw(Instant::now(), b"x");
        assert!(queue.write_to(&mut Gone).is_err());
    }
}
