//! Receiving in batches, with segments the kernel coalesced taken apart again.

use super::address;
use super::control::{self, ControlBuffer};
use super::socket::UdpPort;
use crate::report::NetCounters;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

/// Messages of one call.
const BATCH: usize = 32;
/// Largest single datagram taken without offload; media keeps below the path MTU.
const PLAIN: usize = 2048;
/// Largest coalesced read.
const COALESCED: usize = 65_536;

/// Receive buffers of one socket.
#[derive(Debug)]
pub(crate) struct Receiver {
    buffer: Vec<u8>,
    slot: usize,
}

impl Receiver {
    pub(crate) fn new(port: &UdpPort) -> Self {
        let slot = if port.gro { COALESCED } else { PLAIN };
        let slots = if port.scalar { 1 } else { BATCH };
        Self { buffer: vec![0; slot * slots], slot }
    }

    /// Receives one batch; every datagram goes to `on_datagram` with our address and
    /// its source. False when there was nothing.
    pub(crate) fn receive(
        &mut self,
        port: &UdpPort,
        counters: &mut NetCounters,
        on_datagram: impl FnMut(SocketAddr, SocketAddr, &mut [u8]),
    ) -> io::Result<bool> {
        let got = if port.scalar {
            self.receive_one(port, counters, on_datagram)
        } else {
            self.receive_batch(port, counters, on_datagram)
        };
        match got {
            Ok(()) => {
                counters.receive_calls += 1;
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            // An earlier send met a closed port or the call was interrupted: nothing is wrong with the socket.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => Ok(true),
            Err(e) => Err(e),
        }
    }

    fn receive_one(
        &mut self,
        port: &UdpPort,
        counters: &mut NetCounters,
        mut on_datagram: impl FnMut(SocketAddr, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        let (n, source) = port.socket.recv_from(&mut self.buffer)?;
        if n == self.slot {
            counters.truncated += 1;
        } else if let Some(datagram) = self.buffer.get_mut(..n) {
            counters.datagrams_in += 1;
            on_datagram(port.local, address::canonical(source), datagram);
        }
        Ok(())
    }

    fn receive_batch(
        &mut self,
        port: &UdpPort,
        counters: &mut NetCounters,
        mut on_datagram: impl FnMut(SocketAddr, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        let mut names = [address::empty(); BATCH];
        let mut controls: [ControlBuffer; BATCH] = [control::EMPTY; BATCH];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: all zeroes is a valid mmsghdr (null pointers, zero lengths).
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let mut used = 0;
        for ((((slot, name), control), vector), message) in self
            .buffer
            .chunks_exact_mut(self.slot)
            .zip(&mut names)
            .zip(&mut controls)
            .zip(&mut vectors)
            .zip(&mut messages)
        {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            let header = &mut message.msg_hdr;
            header.msg_name = std::ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            if port.gro || port.tells_local {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = size_of::<ControlBuffer>() as _;
            }
            used += 1;
        }
        // SAFETY: the first `used` messages point at live, disjoint buffers of the lengths given.
        let n = unsafe {
            libc::recvmmsg(
                port.as_raw_fd(),
                messages.as_mut_ptr(),
                used,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(n) = usize::try_from(n) else { return Err(io::Error::last_os_error()) };
        for ((message, name), slot) in
            messages.iter().take(n).zip(&names).zip(self.buffer.chunks_exact_mut(self.slot))
        {
            let Some(source) = address::decode(name) else { continue };
            if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                counters.truncated += 1;
                continue;
            }
            let Some(bytes) = slot.get_mut(..message.msg_len as usize) else { continue };
            let about = control::read(&message.msg_hdr);
            let local = about.local.map_or(port.local, |ip| SocketAddr::new(ip, port.local.port()));
            for datagram in bytes.chunks_mut(about.segment.unwrap_or(COALESCED)) {
                counters.datagrams_in += 1;
                on_datagram(local, source, datagram);
            }
        }
        Ok(())
    }
}
