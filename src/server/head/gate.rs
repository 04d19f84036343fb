//! The stream between socket and HTTP parser.

use super::exchange::{Exchange, Framing};
use super::lift::{Lifted, lift};
use super::long::Place;
use super::scan::{Progress, Scanner};
use super::{HeadLimits, Refusal};
use bytes::{Buf as _, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes read at once.
const CHUNK: usize = 8192;
/// Bytes of a head that cost nothing.
const FREE: usize = 16 * 1024;
/// Memory for longer heads is taken in steps of this size, bytes.
const STEP: usize = 64 * 1024;
/// Of the next request, read while one is under way, bytes.
const AHEAD: usize = 8192;
/// Empty lines that may stand before a request (RFC 9112 section 2.2), bytes.
const MAX_BLANK: usize = 64;
/// After an answer to a request that was not read to its end, so much more is read and thrown away, for so long: a reset
/// would overtake the answer.
const LINGER: Duration = Duration::from_secs(2);
const MAX_LINGER: usize = 16 << 20;
/// What the parser gets in place of a head that was refused.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Reads heads of requests from a socket and gives them to the parser when they are complete.
#[derive(Debug)]
pub struct Gate<S> {
    inner: S,
    exchange: Exchange,
    limits: HeadLimits,
    phase: Phase,
    /// Read and not handed on.
    buf: BytesMut,
    scanner: Scanner,
    blank: usize,
    place: Option<Place>,
    /// Length of the head at the front of `buf`, once it is complete.
    complete: Option<usize>,
    clock: Clock,
    timer: Option<Pin<Box<Sleep>>>,
    first_deadline: Option<Instant>,
    served: bool,
    lingered: usize,
}

/// Where the stream is.
#[derive(Debug)]
enum Phase {
    /// Before or in a head.
    Head,
    /// The parser gets a head.
    Deliver(Bytes),
    /// The parser has a whole head and says next what follows.
    Parsed,
    /// So many bytes of body.
    Body(u64),
    /// No more heads are read here.
    Open,
    /// The head was refused: the rest is not read.
    Shut,
}

/// What the timer measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Off,
    First,
    Idle,
    Head,
}

impl<S> Gate<S> {
    /// `deadline` is that of the first head: some of its time may have passed.
    pub fn new(inner: S, exchange: Exchange, limits: HeadLimits, deadline: Option<Instant>) -> Self {
        Self {
            inner,
            exchange,
            limits,
            phase: Phase::Head,
            buf: BytesMut::new(),
            scanner: Scanner::default(),
            blank: 0,
            place: None,
            complete: None,
            clock: Clock::Off,
            timer: None,
            first_deadline: deadline,
            served: false,
            lingered: 0,
        }
    }

    /// True when the time for what is awaited is over.
    fn timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        let wanted = match (self.served, self.buf.is_empty()) {
            (false, _) => Clock::First,
            (true, true) => Clock::Idle,
            (true, false) => Clock::Head,
        };
        if self.clock != wanted {
            let from_now = |span: Option<Duration>| span.and_then(|span| Instant::now().checked_add(span));
            let deadline = match wanted {
                Clock::First => self.first_deadline,
                Clock::Idle => from_now(self.limits.idle),
                Clock::Head | Clock::Off => from_now(self.limits.time),
            };
            self.timer = deadline.map(|at| Box::pin(sleep_until(at)));
            self.clock = wanted;
        }
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }

    /// Looks at what has come of a head; a refused one takes the place of the head.
    fn look(&mut self) {
        while self.scanner_is_fresh() && self.buf.first().is_some_and(|b| b"\r\n".contains(b)) {
            self.buf.advance(1);
            self.blank += 1;
        }
        if self.blank > MAX_BLANK {
            return self.refuse(Refusal::Headers);
        }
        match self.scanner.advance(&self.buf, &self.limits) {
            Progress::More => {
                if let Err(refusal) = self.pay() {
                    self.refuse(refusal);
                }
            }
            Progress::Complete(len) => self.complete = Some(len),
            Progress::Refused(refusal) => self.refuse(refusal),
        }
    }

    fn scanner_is_fresh(&self) -> bool {
        self.complete.is_none() && self.scanner.is_at_start()
    }

    /// Takes memory for a long head from the pool of all.
    fn pay(&mut self) -> Result<(), Refusal> {
        if self.buf.len() <= FREE {
            return Ok(());
        }
        let need = self.buf.len().next_multiple_of(STEP);
        match &self.place {
            Some(place) => place.grow(need).then_some(()).ok_or(Refusal::Busy),
            None => {
                let place = self.limits.memory.enter(need, self.exchange.evict_handle());
                self.place = Some(place.ok_or(Refusal::Busy)?);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        (self.buf, self.place) = (BytesMut::new(), None);
        self.exchange.hand_over(Lifted::default(), Some(refusal), None);
        self.phase = Phase::Deliver(Bytes::from_static(REFUSED));
    }

    /// Hands a complete head on.
    fn deliver(&mut self, len: usize) {
        let head = self.buf.split_to(len).freeze();
        // What is left is mostly nothing; it must not keep the memory of a long head.
        self.buf = BytesMut::from(self.buf.as_ref());
        (self.complete, self.scanner, self.blank) = (None, Scanner::default(), 0);
        (self.clock, self.timer, self.served) = (Clock::Off, None, true);
        match lift(&head, &self.limits) {
            Ok((head, lifted)) => {
                let held = self.place.take().and_then(Place::complete);
                self.exchange.hand_over(lifted, None, held);
                self.phase = Phase::Deliver(head);
            }
            Err(refusal) => self.refuse(refusal),
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads at most `max` bytes behind what is there; 0 at the end.
    fn fill(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<usize>> {
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(chunk.get_mut(..max.min(CHUNK)).unwrap_or_default());
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
        self.buf.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// Goes on in a head. Ready when the phase has changed, or with `true` at the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.exchange.is_upgraded() {
            self.phase = Phase::Open;
            return Poll::Ready(Ok(false));
        }
        loop {
            // The next head waits until the answer is sent: what is lifted off belongs to one request.
            let running = self.exchange.is_running(cx);
            if running {
                (self.clock, self.timer) = (Clock::Off, None);
                if self.complete.is_some() || self.buf.len() >= AHEAD {
                    return Poll::Pending;
                }
            } else if let Some(len) = self.complete {
                self.deliver(len);
                return Poll::Ready(Ok(false));
            } else if self.timed_out(cx) {
                return match self.buf.is_empty() {
                    true => Poll::Ready(Ok(true)),
                    false => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                };
            }
            if !self.buf.is_empty() && self.scanner.is_at_start() && self.complete.is_none() {
                // Came with the body before.
                self.look();
            } else {
                if ready!(self.fill(cx, CHUNK))? == 0 {
                    return Poll::Ready(Ok(true));
                }
                self.look();
            }
            if !matches!(self.phase, Phase::Head) {
                return Poll::Ready(Ok(false));
            }
        }
    }
}

/// Moves as much as fits, at most `max` bytes.
fn pour(from: &mut impl bytes::Buf, max: usize, to: &mut ReadBuf<'_>) -> usize {
    let n = from.chunk().len().min(max).min(to.remaining());
    to.put_slice(from.chunk().get(..n).unwrap_or_default());
    from.advance(n);
    n
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.phase {
                Phase::Head => {
                    if ready!(this.poll_head(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Deliver(head) => {
                    pour(head, usize::MAX, out);
                    if head.is_empty() {
                        this.phase = Phase::Parsed;
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Parsed => {
                    this.phase = match this.exchange.framing() {
                        Some(Framing::Length(0)) if this.exchange.is_refused() => Phase::Shut,
                        Some(Framing::Length(length)) => Phase::Body(length),
                        Some(Framing::Unknown) => Phase::Open,
                        // The parser sees no head where we see one.
                        None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    };
                }
                Phase::Body(0) => {
                    this.exchange.received();
                    this.phase = Phase::Head;
                }
                Phase::Body(left) => {
                    let max = usize::try_from(*left).unwrap_or(usize::MAX);
                    if this.buf.is_empty() && ready!(this.fill(cx, max))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    let n = pour(&mut this.buf, max, out);
                    if let Phase::Body(left) = &mut this.phase {
                        *left = left.saturating_sub(n as u64);
                        if *left == 0 {
                            this.exchange.received();
                        }
                    }
                    return Poll::Ready(Ok(()));
                }
                Phase::Open => {
                    if this.buf.is_empty() {
                        return Pin::new(&mut this.inner).poll_read(cx, out);
                    }
                    pour(&mut this.buf, usize::MAX, out);
                    return Poll::Ready(Ok(()));
                }
                Phase::Shut => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.exchange.set_stalled(written.is_pending());
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.exchange.set_stalled(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        let unread = match this.phase {
            Phase::Head | Phase::Parsed | Phase::Deliver(_) => false,
            Phase::Body(left) => left > 0,
            Phase::Open => !this.exchange.is_upgraded(),
            Phase::Shut => true,
        };
        if !unread {
            return Poll::Ready(Ok(()));
        }
        if this.lingered == 0 {
            this.timer = Some(Box::pin(sleep_until(Instant::now() + LINGER)));
        }
        loop {
            if this.lingered > MAX_LINGER
                || this.timer.as_mut().is_some_and(|t| t.as_mut().poll(cx).is_ready())
            {
                return Poll::Ready(Ok(()));
            }
            // Counted up at once, so that the timer is not set anew.
            this.lingered += 1;
            match ready!(this.fill(cx, CHUNK)) {
                Ok(n) if n > 0 => this.lingered += n,
                _ => return Poll::Ready(Ok(())),
            }
            this.buf.clear();
        }
    }
}
