//! Which layer every down track should get, and asking for the key frames that takes.

use super::Shard;
use crate::arena::Key;
use crate::egress::allocate::{MAX_LAYERS, Want, allocate};
use crate::event::Event;
use crate::ids::TransportId;
use bedrud_rtp::rtcp::write_pli;
use std::time::Instant;

impl Shard {
    /// Chooses anew for every subscriber of a track.
    pub(super) fn retarget(&mut self, now: Instant, up: Key) {
        let Some(track) = self.ups.get(up) else { return };
        let mut wanted = false;
        for key in &track.downs {
            wanted |= retarget_down(&self.peers, track, self.downs.get_mut(*key));
        }
        if wanted {
            self.want_key_frame(now, up);
        }
    }

    /// Chooses anew for one down track.
    pub(super) fn retarget_one(&mut self, now: Instant, down: Key) {
        let Some(source) = self.downs.get(down).map(|d| d.source) else { return };
        let Some(track) = self.ups.get(source) else { return };
        if retarget_down(&self.peers, track, self.downs.get_mut(down)) {
            self.want_key_frame(now, source);
        }
    }

    /// Chooses anew for every down track of a subscriber.
    pub(super) fn retarget_downs(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get(id) else { return };
        let mut keys = std::mem::take(&mut self.scratch.keys);
        keys.clear();
        keys.extend_from_slice(&peer.downs);
        for key in &keys {
            self.retarget_one(now, *key);
        }
        self.scratch.keys = keys;
    }

    /// Asks the publisher for a key frame, at once or as soon as its limit allows.
    pub(super) fn want_key_frame(&mut self, now: Instant, up: Key) {
        let Some(track) = self.ups.get_mut(up).filter(|u| u.is_video() && !u.muted) else { return };
        track.key_frames.want(now);
        let (id, due) = (track.transport, track.key_frames.due());
        if due.is_some_and(|d| d <= now) {
            self.send_key_frame_request(now, up);
        }
        self.note_key_frame_due(id, up);
    }

    fn note_key_frame_due(&mut self, id: TransportId, up: Key) {
        let due = self.ups.get(up).and_then(|u| u.key_frames.due());
        if let (Some(due), Some(peer)) = (due, self.peers.get_mut(id)) {
            peer.key_frame_due = Some(peer.key_frame_due.map_or(due, |d| d.min(due)));
            self.rearm(id);
        }
    }

    /// Sends the request if it is due: one PLI per live layer somebody waits for. Senders that make all layers start
    /// over on any of them treat the whole compound as one request.
    fn send_key_frame_request(&mut self, now: Instant, up: Key) {
        let Some(track) = self.ups.get_mut(up) else { return };
        if !track.key_frames.poll(now) {
            return;
        }
        let mut waiting = [false; MAX_LAYERS];
        for down in track.downs.iter().filter_map(|k| self.downs.get(*k)) {
            if let Some(target) = down.forwarder.target().filter(|_| down.forwarder.wants_key_frame())
                && let Some(slot) = waiting.get_mut(usize::from(target))
            {
                *slot = true;
            }
        }
        // Asked for by hand, or by a receiver that has its layer: any layer will do.
        let any = !waiting.contains(&true);
        let Some(peer) = self.peers.get_mut(track.transport) else { return };
        let mut sent = 0;
        for layer in track.layers.iter().filter(|l| l.is_live()) {
            let named = waiting.get(usize::from(layer.config.spatial)).copied().unwrap_or(false);
            if let Some(ssrc) = layer.ssrc.filter(|_| named || any) {
                let sender = peer.feedback_ssrc;
                peer.rtcp.add(sender, false, |buf| write_pli(buf, sender, ssrc));
                sent += 1;
            }
        }
        if sent == 0 {
            // Nothing to ask; the first packet of a layer starts it again.
            track.key_frames.satisfied();
            return;
        }
        track.stats_plis += 1;
        self.stats.plis_out += 1;
        let id = track.transport;
        self.mark_dirty(id);
    }

    /// Requests of one publisher that are due.
    pub(super) fn run_key_frame_requests(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.key_frame_due.is_none_or(|d| d > now) {
            return;
        }
        let mut keys = std::mem::take(&mut self.scratch.keys);
        keys.clear();
        keys.extend_from_slice(&peer.ups);
        peer.key_frame_due = None;
        for up in &keys {
            self.settle_key_frames(*up);
            self.send_key_frame_request(now, *up);
            self.note_key_frame_due(id, *up);
        }
        self.scratch.keys = keys;
    }

    /// Ends the requests of a track when everybody has what they needed.
    pub(super) fn settle_key_frames(&mut self, up: Key) {
        let Some(track) = self.ups.get_mut(up) else { return };
        if track.key_frames.was_answered() {
            let waiting =
                track.downs.iter().filter_map(|k| self.downs.get(*k)).any(|d| d.forwarder.wants_key_frame());
            if !waiting {
                track.key_frames.satisfied();
            }
        }
    }

    /// Fits the video tracks of a subscriber into its budget.
    pub(super) fn allocate(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get(id).filter(|p| !p.relay) else { return };
        let mut keys = std::mem::take(&mut self.scratch.keys);
        let mut wants = std::mem::take(&mut self.scratch.wants);
        let mut allowed = std::mem::take(&mut self.scratch.allowed);
        keys.clear();
        wants.clear();
        let mut audio = 0;
        for key in &peer.downs {
            let Some(down) = self.downs.get(*key) else { continue };
            let Some(up) = self.ups.get(down.source) else { continue };
            if down.settings.paused || up.muted {
                continue;
            }
            if !down.video {
                audio += up.layers.iter().find_map(|l| l.stream.as_ref().map(|s| s.bitrate())).unwrap_or(0);
                continue;
            }
            keys.push(*key);
            wants.push(Want {
                rates: up.rates(),
                max: down.settings.max_spatial,
                before: down.allowed,
                pausable: down.settings.may_pause,
            });
        }
        allocate(peer.egress.budget().saturating_sub(audio), &wants, &mut allowed);
        for (key, new) in keys.iter().zip(&allowed) {
            let Some(down) = self.downs.get_mut(*key) else { continue };
            let old = std::mem::replace(&mut down.allowed, *new);
            if old == *new {
                continue;
            }
            let track = down.id;
            if old.is_none() != new.is_none() {
                self.emit(Event::DownTrackCongested { track, paused: new.is_none() });
            }
            self.retarget_one(now, *key);
        }
        self.scratch.keys = keys;
        self.scratch.wants = wants;
        self.scratch.allowed = allowed;
    }
}

/// Sets the target of a down track; true when it now waits for a key frame.
fn retarget_down(
    peers: &crate::slots::Slots<crate::peer::Peer>,
    up: &crate::upstream::UpTrack,
    down: Option<&mut crate::downtrack::DownTrack>,
) -> bool {
    let Some(down) = down else { return false };
    let peer = peers.get(down.transport);
    let open = !down.settings.paused
        && !up.muted
        && peer.is_some_and(|p| p.can_send() && !(p.tcp_congested && down.video));
    let max = down.allowed.map(|a| a.min(down.settings.max_spatial));
    let choice = max.filter(|_| open).and_then(|m| up.choose(m));
    let target = choice.map(|c| c.layer);
    down.forwarder.set_max_spatial(choice.map_or(u8::MAX, |c| c.spatial));
    down.forwarder.set_max_temporal(down.settings.max_temporal);
    if down.forwarder.target() != target {
        down.forwarder.set_target(target);
    }
    down.forwarder.wants_key_frame()
}
