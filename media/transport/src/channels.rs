//! The data channels of one transport and the messages waiting for them.

use crate::inbound::charge;
use crate::types::DataChannel;
use bytes::Bytes;
use std::collections::VecDeque;
use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};

/// Channels a peer may open; more are closed at once.
const MAX_CHANNELS: usize = 8;

/// Bytes that may wait for a channel that is not open yet.
const UNOPENED_QUEUE: usize = 1 << 20;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// SCTP has it, or it waits.
    Accepted,
    /// Dropped: lossy and congested, no open channel, or too large.
    Dropped,
    /// The reliable queue of an open channel is over its limit.
    Overflow,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: ChannelId,
    channel: DataChannel,
    open: bool,
}

/// SCTP takes a message whole or not at all, so refused ones wait here and are offered again at every turn.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    entries: Vec<Entry>,
    queue: VecDeque<(DataChannel, Bytes)>,
    queued_bytes: usize,
}

impl Channels {
    /// Bytes of reliable messages that wait for SCTP, as [`charge`] counts them.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Opens a labelled channel from our side; again is a no-op.
    pub(crate) fn open(&mut self, rtc: &mut Rtc, channel: DataChannel) {
        if channel == DataChannel::Unlabelled || self.entries.iter().any(|e| e.channel == channel) {
            return;
        }
        let reliable = channel.is_reliable();
        let id = rtc.direct_api().create_data_channel(ChannelConfig {
            label: channel.label().to_owned(),
            ordered: reliable,
            reliability: if reliable {
                Reliability::Reliable
            } else {
                Reliability::MaxRetransmits { retransmits: 0 }
            },
            negotiated: None,
            protocol: String::new(),
        });
        self.entries.push(Entry { id, channel, open: false });
    }

    /// A channel is open; one too many is closed. Returns the channel when it was not open before.
    pub(crate) fn opened(&mut self, rtc: &mut Rtc, id: ChannelId, label: &str) -> Option<DataChannel> {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            let first = !entry.open;
            entry.open = true;
            return first.then_some(entry.channel);
        }
        if self.entries.len() >= MAX_CHANNELS {
            rtc.direct_api().close_data_channel(id);
            return None;
        }
        let channel = DataChannel::from_label(label);
        let first = !self.entries.iter().any(|e| e.channel == channel && e.open);
        self.entries.push(Entry { id, channel, open: true });
        first.then_some(channel)
    }

    /// A channel is gone. Returns the label when no other channel carries it.
    pub(crate) fn closed(&mut self, id: ChannelId) -> Option<DataChannel> {
        let at = self.entries.iter().position(|e| e.id == id)?;
        let gone = self.entries.swap_remove(at);
        let last = !self.entries.iter().any(|e| e.channel == gone.channel);
        if last {
            self.queue.retain(|(c, _)| *c != gone.channel);
            self.queued_bytes = self.queue.iter().map(|(_, b)| charge(b.len())).sum();
        }
        (gone.open && last).then_some(gone.channel)
    }

    pub(crate) fn label_of(&self, id: ChannelId) -> Option<DataChannel> {
        self.entries.iter().find(|e| e.id == id).map(|e| e.channel)
    }

    fn open_id(&self, channel: DataChannel) -> Option<ChannelId> {
        self.entries.iter().find(|e| e.channel == channel && e.open).map(|e| e.id)
    }

    /// Sends or queues a reliable message. `limit` bounds the queue in bytes.
    pub(crate) fn send_reliable(
        &mut self,
        rtc: &mut Rtc,
        channel: DataChannel,
        bytes: Bytes,
        limit: usize,
    ) -> Written {
        let open = self.open_id(channel);
        if let Some(id) = open
            && self.queue.is_empty()
        {
            match rtc.channel(id).map(|mut c| c.write(true, &bytes)) {
                Some(Ok(true)) => return Written::Accepted,
                Some(Err(_)) => return Written::Dropped,
                Some(Ok(false)) | None => {}
            }
        }
        let limit = if open.is_some() { limit } else { limit.min(UNOPENED_QUEUE) };
        if self.queued_bytes.saturating_add(charge(bytes.len())) > limit {
            return if open.is_some() { Written::Overflow } else { Written::Dropped };
        }
        self.queued_bytes += charge(bytes.len());
        self.queue.push_back((channel, bytes));
        Written::Accepted
    }

    /// Sends a lossy message unless `buffered` bytes are waiting already.
    pub(crate) fn send_lossy(
        &mut self,
        rtc: &mut Rtc,
        channel: DataChannel,
        bytes: &[u8],
        buffered: usize,
    ) -> Written {
        let Some(mut open) = self.open_id(channel).and_then(|id| rtc.channel(id)) else {
            return Written::Dropped;
        };
        if open.buffered_amount() > buffered {
            return Written::Dropped;
        }
        match open.write(true, bytes) {
            Ok(true) => Written::Accepted,
            Ok(false) | Err(_) => Written::Dropped,
        }
    }

    /// Offers waiting messages to SCTP. Returns whether any was taken, and how many were given up.
    pub(crate) fn flush(&mut self, rtc: &mut Rtc) -> (bool, u64) {
        let (mut taken, mut dropped) = (false, 0);
        while let Some((channel, bytes)) = self.queue.front() {
            let Some(mut open) = self.open_id(*channel).and_then(|id| rtc.channel(id)) else { break };
            match open.write(true, bytes) {
                Ok(true) => taken = true,
                Ok(false) => break,
                Err(_) => dropped += 1,
            }
            self.queued_bytes = self.queued_bytes.saturating_sub(charge(bytes.len()));
            self.queue.pop_front();
        }
        (taken, dropped)
    }
}
