//! After a failure: the transport that was being served goes, and what is left is made whole.
//!
//! A panic can leave half a change behind: a list that was taken out, a deadline that was popped, a track that is in one
//! table and not in the other. Nothing of that may cost anybody but the transport at whose work it happened.

use super::Shard;
use crate::downtrack::DownTrack;
use crate::event::{CloseReason, Event};
use crate::ids::TransportId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Failures without a cause that may happen within [`UNEXPLAINED_WINDOW`] before the shard is given up.
const MAX_UNEXPLAINED: u32 = 32;
const UNEXPLAINED_WINDOW: Duration = Duration::from_secs(60);

/// Failures at nobody's work.
#[derive(Debug, Default)]
pub(super) struct Unexplained {
    /// A failure is being dealt with. Still set afterwards when that failed too.
    repairing: bool,
    since: Option<Instant>,
    count: u32,
}

impl Unexplained {
    fn add(&mut self, now: Instant) {
        if self.since.is_none_or(|t| now.saturating_duration_since(t) > UNEXPLAINED_WINDOW) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
    }
}

impl Shard {
    /// True when failures come without a transport that could be closed for them, so that there is no reason to believe
    /// that they stop, or when one could not be repaired. The owner should end the process and say so.
    #[must_use]
    pub fn is_beyond_repair(&self) -> bool {
        self.unexplained.repairing || self.unexplained.count >= MAX_UNEXPLAINED
    }

    /// Does one piece of work; false when it failed.
    pub(super) fn guarded(&mut self, now: Instant, work: impl FnOnce(&mut Self)) -> bool {
        self.serving = None;
        // Unwind safety: what a failure leaves behind is what `recover` is for.
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).is_ok();
        if !done {
            self.recover(now);
        }
        done
    }

    fn recover(&mut self, now: Instant) {
        self.stats.panics += 1;
        self.unexplained.repairing = true;
        match self.serving.take() {
            Some(id) => {
                tracing::error!(
                    ?id,
                    "the media server failed at the work of this transport, which is closed"
                );
                self.expel(id);
                self.repair(now);
                self.emit(Event::Closed { id, reason: CloseReason::ServerFailure });
            }
            None => {
                tracing::error!(
                    shard = self.config.shard,
                    "the media server failed at the work of no transport"
                );
                self.unexplained.add(now);
                self.repair(now);
            }
        }
        self.unexplained.repairing = false;
    }

    /// Takes a transport out without asking it anything: it may be in any state.
    fn expel(&mut self, id: TransportId) {
        let Some(peer) = self.peers.remove(id) else { return };
        self.stats.drops.add_many(crate::stats::DropReason::Congested, peer.queue.len() as u64);
        if catch_unwind(AssertUnwindSafe(|| drop(peer))).is_err() {
            tracing::error!(?id, "the transport failed once more as it was dropped");
        }
    }

    /// Brings all tables back in step with the transports there are. The work grows with all of them, which is little
    /// compared with the handshake whoever caused it needs to come back.
    fn repair(&mut self, now: Instant) {
        let peers = &self.peers;
        let ended = self.ups.take_where(|up| peers.get(up.transport).is_none());
        drop(ended);
        let ups = &self.ups;
        let orphaned =
            |down: &DownTrack| peers.get(down.transport).is_none() || ups.get(down.source).is_none();
        for (_, down) in self.downs.take_where(orphaned) {
            // The numbers it used under its keys must not be used again.
            if let Some(peer) = self.peers.get_mut(down.transport) {
                peer.retire(&down);
            }
        }
        let (peers, downs) = (&self.peers, &self.downs);
        for up in self.ups.iter_mut() {
            up.downs.retain(|key| downs.get(*key).is_some());
        }
        let (ups, downs) = (&self.ups, &self.downs);
        self.up_ids.retain(|_, key| ups.get(*key).is_some());
        self.down_ids.retain(|_, key| downs.get(*key).is_some());
        self.audible.retain(|key| ups.get(*key).is_some());
        self.addresses.retain(|id| peers.get(id).is_some());
        self.timers.clear();
        self.dirty.clear();
        self.unsent.clear();
        for peer in self.peers.iter_mut() {
            peer.ups.retain(|key| ups.get(*key).is_some_and(|up| up.transport == peer.id));
            peer.downs.retain(|key| downs.get(*key).is_some());
            peer.ssrcs.retain(|_, usage| ups.get(usage.up).is_some());
            peer.down_ssrcs.retain(|_, key| downs.get(*key).is_some());
            peer.queue.retain(|queued| downs.get(queued.down).is_some());
            peer.fills.retain(|filled| downs.get(filled.down).is_some());
            // Who had something to send may have been in a list that is lost, and so may who had something to do.
            peer.dirty = true;
            self.dirty.push(peer.id);
            if peer.unsent {
                self.unsent.push(peer.id);
            }
            peer.armed = None;
            let due = peer.deadline();
            self.timers.arm(peer.id, &mut peer.armed, due);
        }
        // Not at once: what failed in an interval's report would fail again for ever.
        self.audio_due = (!self.audible.is_empty()).then_some(now + self.config.audio_interval);
        let tracks = self.ups.len() + self.downs.len() > 0;
        self.stats_due = tracks.then_some(now + self.config.stats_interval);
        self.scratch = super::Scratch::default();
    }
}
