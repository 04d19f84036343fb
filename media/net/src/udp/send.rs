//! Sending in batches, whole runs by segmentation offload.

use super::address;
use super::control::{self, ControlBuffer};
use super::socket::UdpPort;
use crate::report::NetCounters;
use bedrud_sfu::{Path, RunRef};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

/// Messages of one call.
const BATCH: usize = 64;
/// Bytes kept for the next turn when the socket is full.
const MAX_BACKLOG: usize = 1 << 20;

/// A socket that takes several datagrams at once.
pub(crate) trait Outlet {
    /// Whether one message may hold a run of several datagrams.
    fn offload(&self) -> bool;
    /// Segmentation failed: one message is one datagram from now on.
    fn stop_offload(&mut self);
    /// Offers messages in order; returns how many were taken, or the error of the first.
    fn offer(&mut self, messages: &VecDeque<RunRef<'_>>) -> io::Result<usize>;
}

impl Outlet for UdpPort {
    fn offload(&self) -> bool {
        self.gso
    }

    fn stop_offload(&mut self) {
        self.gso = false;
    }

    fn offer(&mut self, messages: &VecDeque<RunRef<'_>>) -> io::Result<usize> {
        if self.scalar { send_one(self, messages) } else { send_batch(self, messages) }
    }
}

/// A run the socket did not take.
#[derive(Debug)]
struct Waiting {
    path: Path,
    bytes: Vec<u8>,
    segment: usize,
    droppable: bool,
}

impl Waiting {
    fn run(&self) -> RunRef<'_> {
        RunRef { path: self.path, bytes: &self.bytes, segment: self.segment, droppable: self.droppable }
    }
}

/// The sending half of one socket.
///
/// When the socket is full, what is left waits one turn. If it is still full then, video is given up; audio, RTCP,
/// STUN and DTLS keep waiting, up to a bound.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl Sender {
    /// Whether something waits for the socket to become writable.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Offers what waits, then `runs`. Order to one destination is kept.
    pub(crate) fn send<'a>(
        &mut self,
        port: &mut impl Outlet,
        counters: &mut NetCounters,
        runs: impl Iterator<Item = RunRef<'a>>,
    ) {
        if self.waiting.is_empty() {
            send_runs(port, counters, runs, |run| self.keep(run));
            return;
        }
        let old = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut blocked = false;
        send_runs(port, counters, old.iter().map(Waiting::run), |run| {
            blocked = true;
            if run.droppable { run.segments().len() as u64 } else { self.keep(run) }
        });
        if blocked {
            // Still full: nothing new can pass what waits.
            for run in runs {
                counters.send_dropped +=
                    if run.droppable { run.segments().len() as u64 } else { self.keep(run) };
            }
        } else {
            send_runs(port, counters, runs, |run| self.keep(run));
        }
    }

    /// Keeps a run for the next turn. Returns the datagrams given up instead.
    fn keep(&mut self, run: RunRef<'_>) -> u64 {
        if self.waiting_bytes + run.bytes.len() > MAX_BACKLOG {
            return run.segments().len() as u64;
        }
        self.waiting_bytes += run.bytes.len();
        self.waiting.push_back(Waiting {
            path: run.path,
            bytes: run.bytes.to_vec(),
            segment: run.segment,
            droppable: run.droppable,
        });
        0
    }
}

/// Sends runs until the socket is full; the rest goes to `on_blocked`, which returns how many datagrams it gave up.
fn send_runs<'a>(
    port: &mut impl Outlet,
    counters: &mut NetCounters,
    mut runs: impl Iterator<Item = RunRef<'a>>,
    mut on_blocked: impl FnMut(RunRef<'a>) -> u64,
) {
    let mut pending: VecDeque<RunRef<'a>> = VecDeque::with_capacity(BATCH);
    let mut blocked = false;
    loop {
        while !blocked && pending.len() < BATCH {
            let Some(run) = runs.next() else { break };
            if port.offload() && run.segments().len() > 1 {
                pending.push_back(run);
            } else {
                pending.extend(run.segments().map(|bytes| RunRef { bytes, segment: bytes.len(), ..run }));
            }
        }
        if blocked {
            counters.send_blocked += 1;
            for run in pending.into_iter().chain(runs) {
                counters.send_dropped += on_blocked(run);
            }
            return;
        }
        if pending.is_empty() {
            return;
        }
        counters.send_calls += 1;
        match port.offer(&pending) {
            Ok(n) => {
                for run in pending.drain(..n.min(pending.len())) {
                    counters.datagrams_out += run.segments().len() as u64;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => blocked = true,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                let Some(run) = pending.pop_front() else { return };
                if run.segments().len() > 1 && offload_failed(&e) {
                    if e.raw_os_error() != Some(libc::EINVAL) {
                        // Devices without checksum offload cannot segment. Do it by hand from now on.
                        tracing::info!(error = %e, "UDP segmentation offload does not work here and is off");
                        port.stop_offload();
                    }
                    for bytes in run.segments().collect::<Vec<_>>().into_iter().rev() {
                        pending.push_front(RunRef { bytes, segment: bytes.len(), ..run });
                    }
                } else {
                    counters.send_errors += run.segments().len() as u64;
                }
            }
        }
    }
}

fn offload_failed(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOPROTOOPT))
}

fn send_one(port: &UdpPort, pending: &VecDeque<RunRef<'_>>) -> io::Result<usize> {
    let Some(run) = pending.front() else { return Ok(0) };
    let to = match (run.path.remote, port.v6) {
        (std::net::SocketAddr::V4(v4), true) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        (other, _) => other,
    };
    port.socket.send_to(run.bytes, to).map(|_| 1)
}

fn send_batch(port: &UdpPort, pending: &VecDeque<RunRef<'_>>) -> io::Result<usize> {
    let mut names = [address::empty(); BATCH];
    let mut controls: [ControlBuffer; BATCH] = [control::EMPTY; BATCH];
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all zeroes is a valid mmsghdr (null pointers, zero lengths).
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut used = 0;
    for ((((run, name), control), vector), message) in
        pending.iter().zip(&mut names).zip(&mut controls).zip(&mut vectors).zip(&mut messages)
    {
        vector.iov_base = run.bytes.as_ptr().cast_mut().cast();
        vector.iov_len = run.bytes.len();
        let header = &mut message.msg_hdr;
        header.msg_namelen = address::encode(run.path.remote, port.v6, name);
        header.msg_name = std::ptr::from_mut(name).cast();
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        let source = Some(run.path.local.ip()).filter(|ip| port.tells_local && !ip.is_unspecified());
        let segmented = run.bytes.len() > run.segment;
        if segmented || source.is_some() {
            let mut writer = control::Writer::new(header, control);
            if segmented {
                writer.segment(u16::try_from(run.segment).unwrap_or(u16::MAX));
            }
            if let Some(ip) = source {
                writer.source(ip, port.v6);
            }
        }
        used += 1;
    }
    // SAFETY: the first `used` messages point at live buffers of the lengths given; the kernel only reads them.
    let n = unsafe { libc::sendmmsg(port.as_raw_fd(), messages.as_mut_ptr(), used, libc::MSG_DONTWAIT as _) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_sfu::{Proto, SendBatch};

    /// Takes `room` messages, then is full.
    struct Fake {
        room: usize,
        offload: bool,
        broken_offload: bool,
        unreachable: Option<u16>,
        got: Vec<(u16, Vec<u8>)>,
    }

    impl Fake {
        fn new(room: usize) -> Self {
            Self { room, offload: false, broken_offload: false, unreachable: None, got: vec![] }
        }
    }

    impl Outlet for Fake {
        fn offload(&self) -> bool {
            self.offload
        }

        fn stop_offload(&mut self) {
            self.offload = false;
        }

        fn offer(&mut self, messages: &VecDeque<RunRef<'_>>) -> io::Result<usize> {
            let mut taken = 0;
            for run in messages {
                let error = if self.room == 0 {
                    Some(io::ErrorKind::WouldBlock.into())
                } else if self.unreachable == Some(run.path.remote.port()) {
                    Some(io::Error::from_raw_os_error(libc::ENETUNREACH))
                } else if self.broken_offload && run.segments().len() > 1 {
                    Some(io::Error::from_raw_os_error(libc::EIO))
                } else {
                    None
                };
                if let Some(error) = error {
                    return if taken > 0 { Ok(taken) } else { Err(error) };
                }
                self.room -= 1;
                taken += 1;
                self.got.extend(run.segments().map(|s| (run.path.remote.port(), s.to_vec())));
            }
            Ok(taken)
        }
    }

    fn path(port: u16) -> Path {
        Path { proto: Proto::Udp, remote: ([127, 0, 0, 1], port).into(), local: ([127, 0, 0, 1], 1).into() }
    }

    fn batch(datagrams: &[(u16, u8, bool)]) -> SendBatch {
        let mut batch = SendBatch::default();
        for (port, byte, droppable) in datagrams {
            batch.push(path(*port), &[*byte; 8], *droppable);
        }
        batch
    }

    fn bytes(fake: &Fake) -> Vec<u8> {
        fake.got.iter().map(|(_, b)| b[0]).collect()
    }

    #[test]
    fn what_does_not_fit_waits_one_turn_then_video_goes() {
        let (mut sender, mut counters, mut port) = (Sender::default(), NetCounters::default(), Fake::new(1));
        sender.send(&mut port, &mut counters, batch(&[(1, 1, true), (1, 2, true), (1, 3, false)]).runs());
        assert_eq!(bytes(&port), [1]);
        assert!(sender.has_backlog());
        assert_eq!(counters.send_dropped, 0);
        // Still full: video of the backlog and of the new turn goes, the rest keeps waiting in order.
        port.room = 0;
        sender.send(&mut port, &mut counters, batch(&[(1, 4, true), (1, 5, false)]).runs());
        assert_eq!(counters.send_dropped, 2);
        port.room = 100;
        sender.send(&mut port, &mut counters, batch(&[(1, 6, true)]).runs());
        assert_eq!(bytes(&port), [1, 3, 5, 6]);
        assert!(!sender.has_backlog());
        assert_eq!(counters.datagrams_out, 4);
    }

    #[test]
    fn the_backlog_is_bounded() {
        let (mut sender, mut counters, mut port) = (Sender::default(), NetCounters::default(), Fake::new(0));
        let mut large = SendBatch::default();
        for _ in 0..2000 {
            large.push(path(1), &[0; 1200], false);
        }
        for _ in 0..3 {
            sender.send(&mut port, &mut counters, large.runs());
        }
        assert!(sender.waiting_bytes <= MAX_BACKLOG);
        assert!(counters.send_dropped > 0);
    }

    #[test]
    fn an_unreachable_client_does_not_stop_the_others() {
        let (mut sender, mut counters, mut port) =
            (Sender::default(), NetCounters::default(), Fake::new(100));
        port.unreachable = Some(2);
        sender.send(&mut port, &mut counters, batch(&[(1, 1, true), (2, 2, true), (3, 3, true)]).runs());
        assert_eq!(bytes(&port), [1, 3]);
        assert_eq!((counters.send_errors, counters.datagrams_out), (1, 2));
    }

    #[test]
    fn broken_offload_is_replaced_by_single_datagrams() {
        let (mut sender, mut counters, mut port) =
            (Sender::default(), NetCounters::default(), Fake::new(100));
        (port.offload, port.broken_offload) = (true, true);
        sender.send(&mut port, &mut counters, batch(&[(1, 1, true), (1, 2, true), (1, 3, true)]).runs());
        assert_eq!(bytes(&port), [1, 2, 3]);
        assert!(!port.offload);
        assert_eq!(counters.send_errors, 0);
    }
}
