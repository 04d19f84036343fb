//! Packets of our own where a source is muted or a subscription ends.

use super::Shard;
use crate::arena::Key;
use crate::downtrack::DownTrack;
use crate::downtrack::filler::Filler;
use crate::ids::TransportId;
use crate::peer::{Ending, Peer};
use crate::slots::Slots;
use crate::timers::Timers;
use std::time::{Duration, Instant};

/// An ending whose last packet left is forgotten after this time.
const RETIRE: Duration = Duration::from_millis(100);

impl Shard {
    /// The source was muted, or is heard again.
    pub(super) fn fill_muted(&mut self, now: Instant, up: Key) {
        let Some(track) = self.ups.get(up) else { return };
        for key in &track.downs {
            let Some(down) = self.downs.get_mut(*key) else { continue };
            // A subscriber that hears nothing of the track needs no end of it.
            let open = track.muted && !down.settings.paused;
            let fresh = down.forwarder.last_sent().is_none();
            down.filler = if open { Filler::on_mute(now, down, fresh) } else { None };
            arm(&mut self.peers, &mut self.timers, down);
        }
    }

    /// A new subscription, perhaps of a source that is muted already.
    pub(super) fn fill_fresh(&mut self, now: Instant, key: Key) {
        let Some(down) = self.downs.get_mut(key) else { return };
        if !self.ups.get(down.source).is_some_and(|u| u.muted) || down.settings.paused {
            return;
        }
        down.filler = Filler::on_mute(now, down, true);
        arm(&mut self.peers, &mut self.timers, down);
    }

    /// A subscription ended; the numbers of its streams stay unused until its last packets left.
    pub(super) fn fill_end(&mut self, now: Instant, key: Key, mut down: DownTrack) {
        let Some(peer) = self.peers.get_mut(down.transport) else { return };
        // What is muted was silent before, and a relay's far end finishes its own subscriptions.
        let silent = !down.video && self.ups.get(down.source).is_some_and(|u| u.muted);
        down.filler = if silent || peer.relay { None } else { Filler::on_end(now, &down) };
        if down.filler.is_none() {
            return peer.retire(&down);
        }
        down.history.clear();
        arm(&mut self.peers, &mut self.timers, &down);
        if let Some(peer) = self.peers.get_mut(down.transport) {
            peer.endings.push(Ending { key, down, filled: None });
        }
    }

    pub(super) fn run_fillers(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.fill_due.is_none_or(|d| d > now) {
            return;
        }
        let ready = peer.can_send() && !peer.tcp_congested;
        let mut next: Option<Instant> = None;
        for key in &peer.downs {
            let Some(down) = self.downs.get_mut(*key) else { continue };
            peer.fills.extend(down.fill(now, *key, ready));
            match down.filler.and_then(|f| f.due()) {
                Some(due) => next = Some(next.map_or(due, |n| n.min(due))),
                None => down.filler = None,
            }
        }
        let mut waiting = !peer.fills.is_empty();
        // The last packet of each went with the flush before.
        peer.finish_endings(|down| down.filler.is_none_or(|f| f.due().is_none()));
        for Ending { key, down, filled } in &mut peer.endings {
            *filled = down.fill(now, *key, ready);
            waiting |= filled.is_some();
            let due = down.filler.and_then(|f| f.due()).unwrap_or(now + RETIRE);
            next = Some(next.map_or(due, |n| n.min(due)));
        }
        peer.fill_due = next;
        if waiting {
            self.mark_dirty(id);
        }
    }
}

/// Makes sure the connection is visited when its subscription wants a packet.
fn arm(peers: &mut Slots<Peer>, timers: &mut Timers, down: &DownTrack) {
    let due = down.filler.and_then(|f| f.due());
    if let (Some(due), Some(peer)) = (due, peers.get_mut(down.transport)) {
        peer.fill_due = Some(peer.fill_due.map_or(due, |t| t.min(due)));
        timers.arm(peer.id, &mut peer.armed, Some(due));
    }
}
