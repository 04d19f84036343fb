//! Waiting for sockets: `epoll` and an `eventfd` to be woken by.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    ReadWrite,
}

impl Interest {
    fn bits(self) -> u32 {
        let read = libc::EPOLLIN | libc::EPOLLRDHUP;
        (match self {
            Self::Read => read,
            Self::ReadWrite => read | libc::EPOLLOUT,
        }) as u32
    }
}

/// A ready socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Level-triggered readiness.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just created by the kernel and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(|epoll| Self { epoll })
    }

    pub(crate) fn add(&self, fd: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    pub(crate) fn modify(&self, fd: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Forgets a socket that goes on living elsewhere. A closed one is forgotten by itself, unless a descriptor of it
    /// is still open.
    pub(crate) fn remove(&self, fd: &impl AsRawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::Read)
    }

    fn control(&self, op: libc::c_int, fd: &impl AsRawFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: token };
        // SAFETY: `event` outlives the call; both descriptors are open.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), op, fd.as_raw_fd(), &raw mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// From now on waiting fails.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn break_for_test(&mut self) {
        if let Ok(null) = std::fs::File::open("/dev/null") {
            self.epoll = null.into();
        }
    }

    /// Waits at most `timeout` (forever when `None`), rounded up to a millisecond.
    pub(crate) fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        const MAX: usize = 256;
        ready.clear();
        let millis = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX];
        // SAFETY: `events` has room for `MAX` entries and outlives the call.
        let n = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), MAX as libc::c_int, millis)
        };
        if n < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        let hangup = (libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLRDHUP) as u32;
        for event in events.iter().take(usize::try_from(n).unwrap_or(0)) {
            let bits = event.events;
            ready.push(Ready {
                token: event.u64,
                readable: bits & (libc::EPOLLIN as u32 | hangup) != 0,
                writable: bits & libc::EPOLLOUT as u32 != 0,
            });
        }
        Ok(())
    }
}

/// Wakes a [`Poller`] from other threads.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        Ok(Self(Arc::new(fd)))
    }

    pub(crate) fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes are read from `one`. A full counter wakes as well, so the result does not matter.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Takes the wake-up back.
    pub(crate) fn reset(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes are written to `count`. Nothing to read is fine.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_wakes_once_per_reset() {
        let (poller, waker) = (Poller::new().unwrap(), Waker::new().unwrap());
        poller.add(&waker, 7, Interest::Read).unwrap();
        let mut ready = vec![];
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
        waker.wake();
        waker.wake();
        poller.wait(&mut ready, None).unwrap();
        assert!(ready.len() == 1 && ready[0].token == 7 && ready[0].readable);
        waker.reset();
        poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
    }
}
