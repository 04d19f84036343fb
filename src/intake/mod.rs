//! What is read from the network into memory before anybody can judge it: how much of one request, and how much of all
//! requests together.
//!
//! A leaf: the listener gives each request its [`Intake`], and handlers read bodies with [`read`] after they have judged
//! the head.

mod pool;

pub use pool::{BytePool, Held};

use axum::body::Body;
use axum::http::Extensions;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use std::ops::Deref;
use std::time::Duration;

/// Bytes of a body that cost nothing: as much as a connection takes anyway, and enough for every form. So whoever fills
/// the pool keeps nobody from signing in.
const FREE: usize = 4096;
/// A body that stops for this long is given up.
const STALL: Duration = Duration::from_secs(10);
/// Of all bodies of strangers together, bytes.
const STRANGERS: usize = 16 << 20;
/// Of all bodies of those who have shown credentials, bytes.
const KNOWN: usize = 64 << 20;

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Somebody without credentials.
    Stranger,
    /// Somebody whose credentials were found good.
    Known,
}

/// Marks a request whose credentials were found good.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated;

/// The memory for bodies of all requests. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Intake {
    strangers: BytePool,
    known: BytePool,
    /// How long a body may stop.
    stall: Duration,
}

impl Intake {
    /// `largest` is the largest body that any route takes.
    #[must_use]
    pub fn new(largest: usize) -> Self {
        let known = KNOWN.max(largest.saturating_mul(2));
        Self { strangers: BytePool::new(STRANGERS), known: BytePool::new(known), stall: STALL }
    }

    /// That of a request; one of its own outside a listener.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::new(0))
    }

    fn pool(&self, sender: Sender) -> &BytePool {
        match sender {
            Sender::Stranger => &self.strangers,
            Sender::Known => &self.known,
        }
    }
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// It is larger than the route takes: 413.
    TooLarge,
    /// There is no memory for it now: 503 with `Retry-After: 1`.
    Busy,
    /// The connection broke, or the client stopped sending: 400.
    Broken,
}

/// A body in memory. Its place in the pool is free again when it is dropped.
#[derive(Debug)]
pub struct Buffered {
    bytes: Vec<u8>,
    _held: Option<Held>,
}

impl Deref for Buffered {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `limit` bytes. What announces more is refused unread.
///
/// # Errors
/// [`ReadError`].
pub async fn read(
    mut body: Body,
    limit: usize,
    intake: &Intake,
    sender: Sender,
) -> Result<Buffered, ReadError> {
    let announced = body.size_hint();
    if announced.lower() > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    let pool = intake.pool(sender);
    let mut bytes = Vec::new();
    let mut held: Option<Held> = None;
    // Taken once and not in steps: a copy that grows is twice as large for a while. Pages nobody sent are not in memory.
    let exact = announced.exact().and_then(|n| usize::try_from(n).ok());
    loop {
        let frame = tokio::time::timeout(intake.stall, body.frame()).await.map_err(|_| ReadError::Broken)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| ReadError::Broken)?.into_data() else { continue };
        let len = bytes.len().saturating_add(data.len());
        if len > limit {
            return Err(ReadError::TooLarge);
        }
        if len > FREE {
            // What is announced counts from the moment it exceeds what is free, so that nobody waits half-way.
            let need = exact.unwrap_or(len).max(len);
            held = Some(match held.take() {
                Some(held) => held.grown(need).ok_or(ReadError::Busy)?,
                None => pool.take(need).ok_or(ReadError::Busy)?,
            });
            bytes.reserve_exact(exact.unwrap_or(0).saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Buffered { bytes, _held: held })
}

#[cfg(test)]
mod tests;
