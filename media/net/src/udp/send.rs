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
        port: &mut UdpPort,
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
    port: &mut UdpPort,
    counters: &mut NetCounters,
    mut runs: impl Iterator<Item = RunRef<'a>>,
    mut on_blocked: impl FnMut(RunRef<'a>) -> u64,
) {
    let mut pending: VecDeque<RunRef<'a>> = VecDeque::with_capacity(BATCH);
    let mut blocked = false;
    loop {
        while !blocked && pending.len() < BATCH {
            let Some(run) = runs.next() else { break };
            if port.gso && run.segments().len() > 1 {
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
        let sent = if port.scalar { send_one(port, &pending) } else { send_batch(port, &pending) };
        counters.send_calls += 1;
        match sent {
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
                    // Devices without checksum offload cannot segment. Do it by hand from now on.
                    tracing::info!(error = %e, "UDP segmentation offload does not work here and is off");
                    port.gso = false;
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
    let mut controls: [ControlBuffer; BATCH] = [[0; 4]; BATCH];
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
        if run.bytes.len() > run.segment {
            control::set_segment(header, control, u16::try_from(run.segment).unwrap_or(u16::MAX));
        }
        used += 1;
    }
    // SAFETY: the first `used` messages point at live buffers of the lengths given; the kernel only reads them.
    let n = unsafe { libc::sendmmsg(port.as_raw_fd(), messages.as_mut_ptr(), used, libc::MSG_DONTWAIT as _) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
