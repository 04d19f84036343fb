//! Messages on their way from a peer to the owner of its transport: how many, how large, and how fast.

use crate::bucket::TokenBucket;
use crate::config::TransportConfig;
use crate::types::DataChannel;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// What a message counts beside its bytes: the memory around it, and the work for it.
pub const MESSAGE_OVERHEAD: usize = 128;
/// Bytes that may wait here, overhead included. Beyond what the peer's window ever allowed, even if its messages are
/// tiny: who goes on sending into a closed window is cut off.
const MAX_WAITING: usize = 8 << 20;

/// What a message counts, in bytes.
#[must_use]
pub const fn charge(len: usize) -> usize {
    len.saturating_add(MESSAGE_OVERHEAD)
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It may go on now.
    Passed,
    /// It waits.
    Waits,
    /// It is lossy and beyond the peer's rate.
    Dropped,
    /// The peer ignores its window.
    Overflow,
}

/// Reliable messages wait for two things: for the rate of the peer, and for the owner, which takes as many bytes as it
/// has granted.
#[derive(Debug)]
pub(crate) struct Inbound {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// Bytes the owner still takes; below zero by at most one message.
    credit: i64,
    waiting: VecDeque<(DataChannel, Bytes)>,
    waiting_bytes: usize,
}

impl Inbound {
    pub(crate) fn new(config: &TransportConfig) -> Self {
        let (messages, bytes) = (config.data_messages_per_second, config.data_bytes_per_second);
        Self {
            messages: TokenBucket::new(messages, messages.saturating_mul(2)),
            bytes: TokenBucket::new(bytes, bytes),
            credit: i64::try_from(config.reliable_window_bytes).unwrap_or(i64::MAX),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Bytes that wait, overhead included.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn has_tokens(&mut self, now: Instant) -> bool {
        self.messages.is_ready(now) && self.bytes.is_ready(now)
    }

    fn pay(&mut self, now: Instant, len: usize) {
        self.messages.take(now, 1);
        self.bytes.take(now, len as u64);
    }

    /// A message came.
    pub(crate) fn take(&mut self, now: Instant, channel: DataChannel, message: &Bytes) -> Taken {
        // Those that wait for the rate go first, or a flood of lossy ones would hold them up for ever.
        let behind = !self.waiting.is_empty() && (channel.is_reliable() || self.credit > 0);
        let tokens = self.has_tokens(now);
        if !channel.is_reliable() {
            if behind || !tokens {
                return Taken::Dropped;
            }
            self.pay(now, message.len());
            return Taken::Passed;
        }
        if !behind && tokens && self.credit > 0 {
            self.pay(now, message.len());
            self.credit -= charge(message.len()) as i64;
            return Taken::Passed;
        }
        self.waiting_bytes += charge(message.len());
        if self.waiting_bytes > MAX_WAITING {
            return Taken::Overflow;
        }
        self.waiting.push_back((channel, message.clone()));
        Taken::Waits
    }

    /// The owner takes so many bytes more.
    pub(crate) fn grant(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The next message that may go on.
    pub(crate) fn release(&mut self, now: Instant) -> Option<(DataChannel, Bytes)> {
        if self.waiting.is_empty() || self.credit <= 0 || !self.has_tokens(now) {
            return None;
        }
        let (channel, message) = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(charge(message.len()));
        self.credit -= charge(message.len()) as i64;
        self.pay(now, message.len());
        Some((channel, message))
    }

    /// When [`Inbound::release`] has something without anything else happening.
    pub(crate) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() || self.credit <= 0 {
            return None;
        }
        Some(self.messages.ready_at(now).max(self.bytes.ready_at(now)))
    }
}
