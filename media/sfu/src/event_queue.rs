//! Events on their way to the control plane, bounded whatever peers do while it takes none.
//!
//! What happens to an event when the control plane stands still is decided by what it is:
//!
//! - That a transport connected or closed is told once per transport and kept.
//! - States (paths, channels, layers, congestion) are kept as far as they are the last of their kind: when many events
//!   wait, a newer one takes the place of the older. There are as many as there are tracks and transports, which the
//!   control plane made itself.
//! - Statistics and levels are dropped: the next ones say the same.
//! - Messages are what peers can send without end. Each transport has a share of what may wait. One that has used it up
//!   is not listened to ([`EventQueue::is_full_for`]): its datagrams are dropped like a network would drop them, and its
//!   SCTP sends again later. So no message is lost in a connection that goes on, nobody is closed for it, and one that
//!   sends too much holds up nobody but itself.

use crate::command::DataChannel;
use crate::event::Event;
use crate::ids::{DownTrackId, TransportId, UpTrackId};
use std::collections::{HashMap, VecDeque};

/// Messages and bytes of one transport that may wait.
const SHARE_MESSAGES: usize = 1024;
const SHARE_BYTES: usize = 1 << 20;
/// Bytes of messages of all transports that may wait before those with the most are not listened to. With twice as many
/// nobody is.
const ALL_BYTES: usize = 64 << 20;
/// Waiting events from which states take the place of older ones.
const MERGE_FROM: usize = 4096;
/// What a message costs besides its payload.
const OVERHEAD: usize = 128;

/// States of which only the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Path(TransportId),
    Reach(TransportId),
    DataCongestion(TransportId),
    Channel(TransportId, DataChannel),
    LayerStart(UpTrackId, u8),
    LayerActivity(UpTrackId, u8),
    Unsupported(DownTrackId),
    Congestion(DownTrackId),
}

impl State {
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::PathChanged { id, .. } => Self::Path(*id),
            Event::Disconnected { id } | Event::Reconnected { id } => Self::Reach(*id),
            Event::DataCongested { id, .. } => Self::DataCongestion(*id),
            Event::ChannelOpen { id, channel } | Event::ChannelClosed { id, channel } => {
                Self::Channel(*id, *channel)
            }
            Event::UpLayerStarted { track, spatial, .. } => Self::LayerStart(*track, *spatial),
            Event::UpLayerActivity { track, spatial, .. } => Self::LayerActivity(*track, *spatial),
            Event::DownTrackUnsupported { track, .. } => Self::Unsupported(*track),
            Event::DownTrackCongested { track, .. } => Self::Congestion(*track),
            Event::Connected { .. }
            | Event::Closed { .. }
            | Event::Data { .. }
            | Event::DownTrackStarted { .. }
            | Event::AudioLevels(_)
            | Event::Stats { .. } => return None,
        })
    }
}

/// Messages that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    messages: usize,
    bytes: usize,
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes + OVERHEAD;
    }

    fn take(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes + OVERHEAD);
    }
}

/// Events in order.
#[derive(Debug)]
pub(crate) struct EventQueue {
    /// `None` where a newer state took over.
    entries: VecDeque<Option<Event>>,
    /// Number of the first entry.
    first: u64,
    live: usize,
    /// Where the last of each state waits, once many events do.
    latest: Option<HashMap<State, u64>>,
    shares: HashMap<TransportId, Share>,
    all: Share,
    max: usize,
}

impl EventQueue {
    /// `max` bounds the messages, and the events beside which statistics are still taken.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            live: 0,
            latest: None,
            shares: HashMap::new(),
            all: Share::default(),
            max: max.max(1),
        }
    }

    /// Events that wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.live
    }

    /// Appends an event; false when it was dropped.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        match &event {
            Event::Stats { .. } | Event::AudioLevels(_) if self.live >= self.max => return false,
            Event::Data { id, payload, .. } => {
                self.shares.entry(*id).or_default().add(payload.len());
                self.all.add(payload.len());
            }
            _ => {}
        }
        if self.live >= MERGE_FROM {
            self.replace_older(&event);
        }
        self.entries.push_back(Some(event));
        self.live += 1;
        true
    }

    /// Next event.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        loop {
            let entry = self.entries.pop_front()?;
            self.first += 1;
            let Some(event) = entry else { continue };
            self.live -= 1;
            if self.live < MERGE_FROM / 2 {
                self.latest = None;
            }
            if let Event::Data { id, payload, .. } = &event {
                self.all.take(payload.len());
                if let Some(share) = self.shares.get_mut(id) {
                    share.take(payload.len());
                    if share.messages == 0 {
                        self.shares.remove(id);
                    }
                }
            }
            return Some(event);
        }
    }

    /// Whether a transport must wait with more messages.
    pub(crate) fn is_full_for(&self, id: TransportId) -> bool {
        let (own, all) = (self.shares.get(&id).copied().unwrap_or_default(), self.all);
        if own.messages >= SHARE_MESSAGES || own.bytes >= SHARE_BYTES {
            return true;
        }
        if all.messages < self.max && all.bytes < ALL_BYTES {
            return false;
        }
        let senders = self.shares.len();
        let twice = all.messages >= 2 * self.max || all.bytes >= 2 * ALL_BYTES;
        twice || own.messages * senders > all.messages || own.bytes * senders > all.bytes
    }

    fn replace_older(&mut self, event: &Event) {
        let Some(state) = State::of(event) else { return };
        if self.entries.len() > 2 * self.live {
            self.entries.retain(Option::is_some);
            self.latest = None;
        }
        let (entries, first) = (&mut self.entries, self.first);
        let latest = self.latest.get_or_insert_with(|| {
            let numbered = (first..).zip(entries.iter());
            numbered.filter_map(|(n, e)| Some((State::of(e.as_ref()?)?, n))).collect()
        });
        let number = first + entries.len() as u64;
        let Some(old) = latest.insert(state, number) else { return };
        let place = old.checked_sub(first).and_then(|n| usize::try_from(n).ok());
        if let Some(entry) = place.and_then(|n| entries.get_mut(n))
            && entry.take_if(|e| State::of(e) == Some(state)).is_some()
        {
            self.live -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tid(slot: u32) -> TransportId {
        TransportId { shard: 0, slot, epoch: 1 }
    }

    fn data(slot: u32, bytes: usize) -> Event {
        let payload = Bytes::from(vec![0; bytes]);
        Event::Data { id: tid(slot), channel: DataChannel::Reliable, payload }
    }

    fn activity(track: u64, live: bool) -> Event {
        Event::UpLayerActivity { track: UpTrackId(track), spatial: 0, live }
    }

    fn drain(q: &mut EventQueue) -> Vec<Event> {
        std::iter::from_fn(|| q.pop()).collect()
    }

    #[test]
    fn who_has_used_its_share_waits_and_nobody_else() {
        let mut q = EventQueue::new(65_536);
        while !q.is_full_for(tid(1)) {
            q.push(data(1, 100));
        }
        assert_eq!(q.len(), SHARE_MESSAGES);
        while !q.is_full_for(tid(2)) {
            q.push(data(2, 100_000));
        }
        assert!(q.all.bytes < 4 << 20);
        assert!(!q.is_full_for(tid(3)), "one that has sent nothing");
        for _ in 0..100 {
            q.pop();
        }
        assert!(!q.is_full_for(tid(1)), "it may go on as its messages are taken");
        drain(&mut q);
        assert_eq!((q.shares.len(), q.all), (0, Share::default()));
    }

    #[test]
    fn when_all_together_are_too_many_those_with_the_most_wait() {
        let mut q = EventQueue::new(1000);
        for n in 0..900 {
            q.push(data(n % 9, 10));
        }
        for _ in 0..100 {
            q.push(data(20, 10));
            q.push(data(21, 10));
        }
        let full: Vec<u32> = (0..30).filter(|slot| q.is_full_for(tid(*slot))).collect();
        assert_eq!(full, [], "all have the same");
        q.push(data(20, 10));
        assert!(q.is_full_for(tid(20)) && !q.is_full_for(tid(21)) && !q.is_full_for(tid(29)));
        for slot in 100..1100 {
            q.push(data(slot, 10));
        }
        assert!(q.is_full_for(tid(29)), "there is an end to everything");
        assert_eq!(drain(&mut q).len(), 2101, "nothing is lost");
    }

    #[test]
    fn states_that_come_and_go_while_nobody_listens_take_no_more_room() {
        let mut q = EventQueue::new(65_536);
        for slot in 0..100 {
            q.push(Event::Disconnected { id: tid(slot) });
        }
        for round in 0..1_000_000_u64 {
            q.push(activity(round % 50, round % 3 == 0));
            let id = tid((round % 100) as u32);
            q.push(if round % 2 == 0 { Event::Disconnected { id } } else { Event::Reconnected { id } });
        }
        q.push(Event::Closed { id: tid(7), reason: crate::CloseReason::TimedOut });
        assert!(q.entries.len() <= 3 * MERGE_FROM, "{}", q.entries.len());
        let events = drain(&mut q);
        for track in 0..50 {
            let last = events
                .iter()
                .rev()
                .find(|e| matches!(e, Event::UpLayerActivity { track: t, .. } if t.0 == track));
            let round = (0..1_000_000_u64).rev().find(|r| r % 50 == track).unwrap();
            assert_eq!(last, Some(&activity(track, round % 3 == 0)), "the last word about {track} is lost");
        }
        for slot in 0..100 {
            let last = events.iter().rev().find(
                |e| matches!(e, Event::Disconnected { id } | Event::Reconnected { id } if id.slot == slot),
            );
            let reached = slot % 2 != 0;
            assert_eq!(matches!(last, Some(Event::Reconnected { .. })), reached);
        }
        assert!(matches!(events.last(), Some(Event::Closed { .. })));
        assert!(q.latest.is_none());
    }

    #[test]
    fn the_order_is_kept_and_few_events_are_all_told() {
        let mut q = EventQueue::new(100);
        let sent: Vec<Event> = (0..60).map(|n| activity(n % 3, n % 2 == 0)).collect();
        for event in &sent {
            assert!(q.push(event.clone()));
        }
        assert_eq!(drain(&mut q), sent);
        for _ in 0..100 {
            q.push(data(1, 1));
        }
        assert!(!q.push(Event::AudioLevels(Vec::new())), "figures give way");
        assert!(q.push(Event::Connected {
            id: tid(1),
            path: crate::SelectedPath { tcp: false, remote: ([192, 0, 2, 1], 1).into() }
        }));
    }
}
