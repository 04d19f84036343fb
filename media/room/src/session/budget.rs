//! How much a client may say, and what waits when it has said too much.

use crate::accounts::price;
use crate::context::Cx;
use crate::ids::Pid;
use crate::room::Room;
use crate::timers::Timer;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message;
use livekit_protocol::{SessionDescription, SignalRequest, UpdateSubscription};
use prost::Message as _;
use std::collections::VecDeque;

/// Messages that may wait for one client that has used up its share of the control plane.
const MAX_WAITING: usize = 64;
/// Their bytes. One may be larger.
const MAX_WAITING_BYTES: usize = 2 << 20;

/// Messages of a client that is over its budget: they are handled when it has recovered, in their order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<(Message, usize)>,
    bytes: usize,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// False when there is no room for it.
    fn push(&mut self, message: Message, size: usize) -> bool {
        if self.waiting.len() >= MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
            return false;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.waiting.push_back((message, size));
        true
    }

    fn pop(&mut self) -> Option<(Message, usize)> {
        let (message, size) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size);
        Some((message, size))
    }
}

impl Room {
    /// A message from a participant's socket. Each counts as one, and what it made the server do is charged afterwards.
    /// Who has used up its share waits; who goes on nevertheless loses its socket.
    pub(crate) fn on_signal(&mut self, cx: &mut Cx<'_>, pid: Pid, message: Message) {
        let (room, now, limits) = (self.key, cx.now.mono, &cx.config.limits);
        let (messages, work) = (limits.message_rate(), limits.work_rate());
        let Some(p) = self.get_mut(pid) else { return };
        p.heard_at = now;
        let (open, mut left) = cx.ledger.change(&p.account, now, limits, |account| {
            (account.messages.take(now, cost(&message), messages), account.work)
        });
        if !open {
            self.cut_off(cx, pid, "too many signalling messages");
            return;
        }
        let message = SignalRequest { message: Some(message) };
        let size = message.encoded_len();
        let Some(message) = message.message else { return };
        let waits = !p.backlog.is_empty() || left.is_spent(now, work);
        // What keeps or ends a session costs nothing.
        let light = matches!(message, Message::Ping(_) | Message::PingReq(_) | Message::Leave(_));
        if !waits || light {
            self.take_signal(cx, pid, message, size);
        } else if p.backlog.push(message, size) {
            cx.arm_timer(room, Some(pid), Timer::Backlog, left.wait(work));
        } else {
            self.cut_off(cx, pid, "these signalling messages take too much of the server's time");
        }
    }

    fn take_signal(&mut self, cx: &mut Cx<'_>, pid: Pid, message: Message, size: usize) {
        let Some(account) = self.get(pid).map(|p| p.account.clone()) else { return };
        let before = cx.work();
        let entries = price::ENTRY.saturating_mul(entries(&message) as u64);
        cx.spend(price::MESSAGE + entries + price::read(size) + price::description(description(&message)));
        self.handle_signal(cx, pid, message);
        cx.charge(&account, before);
    }

    /// Handles what waits, as far as the budget goes.
    pub(crate) fn take_backlog(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let (room, now, rate) = (self.key, cx.now.mono, cx.config.limits.work_rate());
        loop {
            let Some(p) = self.get_mut(pid) else { return };
            let mut left = cx.ledger.get(&p.account, now).work;
            if left.is_spent(now, rate) {
                if !p.backlog.is_empty() {
                    cx.set_timer(room, Some(pid), Timer::Backlog, left.wait(rate));
                }
                return;
            }
            let Some((message, size)) = p.backlog.pop() else { return };
            self.take_signal(cx, pid, message, size);
        }
    }

    /// The socket is gone, and what it left waiting with it.
    pub(crate) fn drop_backlog(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        cx.cancel_timer(self.key, Some(pid), Timer::Backlog);
        if let Some(p) = self.get_mut(pid) {
            p.backlog = Backlog::default();
        }
    }

    /// A client that does not stop talking loses its socket. It may come back; its budget stays what it is.
    fn cut_off(&mut self, cx: &mut Cx<'_>, pid: Pid, why: &str) {
        self.respond_id(cx, pid, Reason::LimitExceeded, why, 0, None);
        let Some(p) = self.get_mut(pid) else { return };
        tracing::info!(participant = %p.sid, why, "a signalling client is cut off");
        if let Some(conn) = p.conn {
            cx.close_signal(conn, false);
        }
        self.on_signal_closed(cx, pid);
    }
}

/// Bytes of a session description that cost as much as a message. Reading one takes time in proportion to its size.
const BYTES_PER_MESSAGE: usize = 32 * 1024;

/// Bytes of the session descriptions in a message.
fn description(message: &Message) -> usize {
    let size = |d: &Option<SessionDescription>| d.as_ref().map_or(0, |d| d.sdp.len());
    match message {
        Message::Offer(d) | Message::Answer(d) => d.sdp.len(),
        Message::SyncState(state) => size(&state.offer).saturating_add(size(&state.answer)),
        _ => 0,
    }
}

/// Entries of the lists in a message.
fn entries(message: &Message) -> usize {
    let subscription = |u: &UpdateSubscription| {
        u.participant_tracks.iter().map(|p| 1 + p.track_sids.len()).sum::<usize>() + u.track_sids.len()
    };
    match message {
        Message::AddTrack(r) => {
            r.simulcast_codecs.iter().map(|c| 1 + c.layers.len()).sum::<usize>() + r.layers.len()
        }
        Message::Subscription(update) => subscription(update),
        Message::TrackSetting(settings) => settings.track_sids.len(),
        Message::UpdateLayers(update) => update.layers.len(),
        Message::SubscriptionPermission(p) => {
            p.track_permissions.iter().map(|p| 1 + p.track_sids.len()).sum()
        }
        Message::SyncState(state) => {
            let data = state.data_subscription.as_ref().map_or(0, |d| d.updates.len());
            state.subscription.as_ref().map_or(0, subscription)
                + data
                + state.publish_tracks.len()
                + state.publish_data_tracks.len()
                + state.data_channels.len()
                + state.track_sids_disabled.len()
        }
        Message::UpdateMetadata(update) => update.attributes.len(),
        Message::UpdateAudioTrack(update) => update.features.len(),
        Message::UpdateDataSubscription(update) => update.updates.len(),
        _ => 0,
    }
}

/// How many messages a message counts as.
fn cost(message: &Message) -> u64 {
    (description(message) / BYTES_PER_MESSAGE) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Bucket;
    use crate::config::Limits;
    use std::time::{Duration, Instant};

    #[test]
    fn large_descriptions_count_as_many_messages() {
        let offer = |size: usize| {
            cost(&Message::Offer(SessionDescription {
                sdp: "x".repeat(size),
                ..SessionDescription::default()
            }))
        };
        assert_eq!((offer(0), offer(30_000), offer(512 * 1024)), (1, 1, 17));
        assert_eq!(cost(&Message::Ping(1)), 1);
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let start = Instant::now();
        let rate = Limits::default().message_rate();
        let mut bucket = Bucket::new(start);
        let taken = (0..1000).filter(|_| bucket.take(start, offer(512 * 1024), rate)).count();
        assert_eq!(taken, 118, "60 MB at once");
        let second = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| bucket.take(second, offer(512 * 1024), rate)).count(), 12);
    }
}
