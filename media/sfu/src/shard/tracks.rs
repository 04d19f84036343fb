//! Adding, changing and removing tracks.

use super::Shard;
use crate::arena::Key;
use crate::command::{DownTrackConfig, DownTrackSettings, UpTrackConfig};
use crate::downtrack::forwarder::StartValues;
use crate::downtrack::{DownTrack, Start};
use crate::ids::{DownTrackId, TransportId, UpTrackId};
use crate::peer::{MAX_RETIRED, SsrcUse};
use crate::stats::DropReason;
use crate::upstream::UpTrack;
use bedrud_rtp::ExtensionMap;
use rand::Rng;
use std::time::Instant;

/// Most layers of a track.
const MAX_LAYERS: usize = 4;
/// Most tracks a transport publishes.
const MAX_UP_TRACKS: usize = 128;

impl Shard {
    pub(super) fn set_extensions(&mut self, id: TransportId, map: ExtensionMap) {
        let Some(peer) = self.peers.get_mut(id) else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        if peer.extensions == map {
            return;
        }
        peer.extensions = map;
        // Retransmissions would carry other headers under numbers already sealed.
        for key in &peer.downs {
            if let Some(down) = self.downs.get_mut(*key) {
                down.forget_history();
            }
        }
    }

    pub(super) fn set_up_track(&mut self, now: Instant, config: UpTrackConfig) {
        if self.peers.get(config.transport).is_none() || config.layers.is_empty() {
            self.drop_packet(DropReason::StaleCommand);
            return;
        }
        if config.layers.len() > MAX_LAYERS {
            self.drop_packet(DropReason::Limit);
            return;
        }
        let (id, transport) = (config.id, config.transport);
        let known = self.up_ids.get(&id).copied();
        let key = match known {
            Some(key) => {
                let Some(up) = self.ups.get_mut(key).filter(|u| u.transport == transport) else {
                    self.drop_packet(DropReason::StaleCommand);
                    return;
                };
                up.update(config);
                for down in &up.downs {
                    if let Some(down) = self.downs.get_mut(*down) {
                        down.forget_history();
                    }
                }
                key
            }
            None => {
                if self.peers.get(transport).is_none_or(|p| p.ups.len() >= MAX_UP_TRACKS) {
                    self.drop_packet(DropReason::Limit);
                    return;
                }
                let key = self.ups.insert(UpTrack::new(config, &self.config));
                self.up_ids.insert(id, key);
                if let Some(peer) = self.peers.get_mut(transport) {
                    peer.ups.push(key);
                }
                key
            }
        };
        self.index_ssrcs(key);
        if let Some(peer) = self.peers.get_mut(transport) {
            // They may belong to this track.
            peer.unknown.clear();
        }
        self.arm_stats(now);
        self.retarget(now, key);
    }

    /// Rebuilds the SSRC table of one track.
    fn index_ssrcs(&mut self, key: Key) {
        let Some(up) = self.ups.get(key) else { return };
        let Some(peer) = self.peers.get_mut(up.transport) else { return };
        peer.ssrcs.retain(|_, u| u.up != key);
        for (layer, l) in up.layers.iter().enumerate() {
            if let Some(ssrc) = l.ssrc {
                peer.ssrcs.insert(ssrc, SsrcUse { up: key, layer, rtx: false });
            }
            if let Some(ssrc) = l.rtx_ssrc {
                peer.ssrcs.insert(ssrc, SsrcUse { up: key, layer, rtx: true });
            }
        }
    }

    pub(super) fn remove_up(&mut self, now: Instant, key: Key) {
        let Some(up) = self.ups.get_mut(key) else { return };
        for down in std::mem::take(&mut up.downs) {
            self.remove_down(now, down);
        }
        let Some(up) = self.ups.remove(key) else { return };
        self.up_ids.remove(&up.id);
        self.audible.retain(|k| *k != key);
        if let Some(peer) = self.peers.get_mut(up.transport) {
            peer.ups.retain(|k| *k != key);
            peer.ssrcs.retain(|_, u| u.up != key);
        }
    }

    pub(super) fn mute_up_track(&mut self, now: Instant, id: UpTrackId, muted: bool) {
        let Some(key) = self.up_ids.get(&id).copied() else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        let Some(up) = self.ups.get_mut(key) else { return };
        if up.muted == muted {
            return;
        }
        up.muted = muted;
        up.meter.silence();
        self.retarget(now, key);
        self.fill_muted(now, key);
    }

    fn random_start(&mut self) -> StartValues {
        self.start_values.unwrap_or_else(|| StartValues {
            // In the lower half, so that a receiver that misses the first packets still guesses the rollover counter.
            seq: self.rng.random_range(1..0x7fff),
            timestamp: self.rng.random(),
            picture: self.rng.random_range(0..0x7fff),
        })
    }

    pub(super) fn add_down_track(&mut self, now: Instant, config: DownTrackConfig) {
        let source = self.up_ids.get(&config.source).copied();
        let Some((source, video)) = source.and_then(|k| Some((k, self.ups.get(k)?.is_video()))) else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        if self.down_ids.contains_key(&config.id) {
            return;
        }
        let media = self.random_start();
        let rtx_start = self.rng.random_range(1..0x7fff);
        let Some(peer) = self.peers.get_mut(config.transport) else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        peer.cut_endings(config.ssrc, config.rtx_ssrc);
        let taken = |ssrc| peer.down_ssrcs.contains_key(&ssrc);
        if taken(config.ssrc) || config.rtx_ssrc.is_some_and(taken) || peer.retired.len() >= MAX_RETIRED {
            self.drop_packet(DropReason::Limit);
            return;
        }
        let start = Start {
            media,
            resume: peer.retired.remove(&config.ssrc),
            rtx: config.rtx_ssrc.and_then(|s| peer.retired.remove(&s)).map_or(rtx_start, |r| r.next),
        };
        let (id, transport, ssrc, rtx_ssrc) = (config.id, config.transport, config.ssrc, config.rtx_ssrc);
        let key = self.downs.insert(DownTrack::new(now, config, source, video, start, &self.config));
        peer.downs.push(key);
        peer.down_ssrcs.insert(ssrc, key);
        if let Some(rtx) = rtx_ssrc {
            peer.down_ssrcs.insert(rtx, key);
        }
        self.down_ids.insert(id, key);
        if let Some(up) = self.ups.get_mut(source) {
            up.downs.push(key);
        }
        self.arm_stats(now);
        self.wake(now, transport);
        self.retarget_one(now, key);
        self.fill_fresh(now, key);
    }

    pub(super) fn set_down_track(&mut self, now: Instant, id: DownTrackId, settings: DownTrackSettings) {
        let Some(key) = self.down_ids.get(&id).copied() else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        let Some(down) = self.downs.get_mut(key) else { return };
        down.settings = settings;
        if settings.paused {
            down.filler = None;
        }
        self.retarget_one(now, key);
    }

    pub(super) fn remove_down(&mut self, now: Instant, key: Key) {
        let Some(down) = self.downs.remove(key) else { return };
        self.down_ids.remove(&down.id);
        if let Some(up) = self.ups.get_mut(down.source) {
            up.downs.retain(|k| *k != key);
        }
        let Some(peer) = self.peers.get_mut(down.transport) else { return };
        peer.downs.retain(|k| *k != key);
        peer.down_ssrcs.retain(|_, k| *k != key);
        peer.queue.retain(|q| q.down != key);
        peer.fills.retain(|f| f.down != key);
        self.fill_end(now, key, down);
    }
}
