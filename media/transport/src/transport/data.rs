//! Data messages in both directions, and holding back who sends more than others take.

use super::Transport;
use crate::channels::Written;
use crate::inbound::Taken;
use crate::output::{CloseReason, TransportOutput};
use crate::types::DataChannel;
use bytes::Bytes;
use std::time::Instant;
use str0m::Input;

/// A queue is congested from this part of its limit on ...
const HIGH: usize = 16;
/// ... until it holds this part of that.
const LOW: usize = 4;
/// What a congested peer must take in the time it is given.
const LEAST_PROGRESS: usize = 256 << 10;

/// A peer that does not take what waits for it.
#[derive(Debug)]
pub(super) struct Congestion {
    /// When it is looked at again.
    pub(super) judge_at: Instant,
    /// Bytes it has taken since it was last looked at.
    taken: usize,
    /// Bytes that waited at the end of the last turn.
    queued: usize,
}

impl Transport {
    /// Sends a message at once, as [`Transport::queue`] and [`Transport::flush_data`].
    pub fn send(&mut self, now: Instant, channel: DataChannel, bytes: Bytes) {
        self.queue(now, channel, bytes);
        self.flush_data(now);
    }

    /// Writes a message that leaves with the next [`Transport::flush_data`] or any other turn. A reliable one waits when
    /// SCTP is full or its channel is not open yet, and ends the transport when too much waits on an open channel; a lossy
    /// one is dropped.
    pub fn queue(&mut self, now: Instant, channel: DataChannel, bytes: Bytes) {
        if self.closed {
            return;
        }
        let config = *self.context.config();
        let written = if channel.is_reliable() {
            self.channels.send_reliable(&mut self.rtc, channel, bytes, config.reliable_queue_bytes)
        } else {
            self.channels.send_lossy(&mut self.rtc, channel, &bytes, config.lossy_buffer_bytes)
        };
        match written {
            Written::Accepted => {
                self.stats.data.sent += 1;
                self.unsent = true;
                if let Some(congestion) = &mut self.congestion {
                    congestion.queued = self.channels.queued_bytes();
                }
            }
            Written::Dropped if channel.is_reliable() => self.stats.data.reliable_dropped += 1,
            Written::Dropped => self.stats.data.lossy_dropped += 1,
            Written::Overflow => self.close_with(now, CloseReason::SlowConsumer),
        }
    }

    /// Sends what [`Transport::queue`] has written: many messages go into few datagrams.
    pub fn flush_data(&mut self, now: Instant) {
        if self.unsent && !self.closed {
            self.turn(now, Some(Input::Timeout(now)));
        }
    }

    /// The owner takes so many bytes more of the peer's reliable messages, as [`crate::charge`] counts them.
    pub fn grant(&mut self, now: Instant, bytes: u64) {
        if !self.closed {
            self.inbound.grant(bytes);
            self.run_data(now);
        }
    }

    /// A message of the peer.
    pub(super) fn receive_data(
        &mut self,
        now: Instant,
        channel: DataChannel,
        bytes: &Bytes,
    ) -> Option<CloseReason> {
        match self.inbound.take(now, channel, bytes) {
            Taken::Passed => self.hand_out(channel, bytes.clone()),
            Taken::Waits => {}
            Taken::Dropped => self.stats.data.over_rate += 1,
            Taken::Overflow => {
                tracing::info!(ufrag = %self.local.ufrag, "a peer sends data into a closed window and is cut off");
                return Some(CloseReason::ProtocolError);
            }
        }
        None
    }

    fn hand_out(&mut self, channel: DataChannel, bytes: Bytes) {
        self.stats.data.received += 1;
        self.outputs.push_back(TransportOutput::Data { channel, bytes });
    }

    /// Hands out what may go on by now, tells the peer of a window that has opened, and judges a congested peer.
    pub(super) fn run_data(&mut self, now: Instant) {
        while !self.closed
            && let Some((channel, bytes)) = self.inbound.release(now)
        {
            self.hand_out(channel, bytes);
        }
        self.watch_data(now);
        if self.closed || self.congestion.as_ref().is_none_or(|c| c.judge_at > now) {
            return;
        }
        let timeout = self.context.config().slow_consumer_timeout;
        match &mut self.congestion {
            Some(c) if c.taken >= LEAST_PROGRESS => {
                c.taken = 0;
                c.judge_at = now + timeout;
            }
            _ => self.close_with(now, CloseReason::SlowConsumer),
        }
    }

    /// After anything that moves messages: windows, deadlines, congestion.
    pub(super) fn watch_data(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        let waiting = self.inbound.waiting_bytes();
        self.release_deadline = self.inbound.deadline(now);
        let queued = self.channels.queued_bytes();
        let config = self.context.config();
        let high = config.reliable_queue_bytes / HIGH;
        match &mut self.congestion {
            None if queued > high => {
                let judge_at = now + config.slow_consumer_timeout;
                self.congestion = Some(Congestion { judge_at, taken: 0, queued });
                self.outputs.push_back(TransportOutput::Congested(true));
            }
            Some(_) if queued <= high / LOW => {
                self.congestion = None;
                self.outputs.push_back(TransportOutput::Congested(false));
            }
            Some(c) => {
                c.taken = c.taken.saturating_add(c.queued.saturating_sub(queued));
                c.queued = queued;
            }
            None => {}
        }
        // The turn carries the news out and comes back here; it must not try again for ever.
        if self.tee.with(|t| t.window.hold(waiting)) && !std::mem::replace(&mut self.telling, true) {
            self.turn(now, Some(Input::Timeout(now)));
            self.telling = false;
        }
    }
}
