//! What subscribers show: `track_setting` becomes layers.

use super::track::Published;
use super::{Room, key};
use crate::accounts::price;
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::timers::Timer;
use bedrud_sfu::{Command, DownTrackSettings};
use livekit_protocol::{UpdateTrackSettings, VideoQuality};
use std::time::Duration;

/// Changes are collected for this long, except un-disabling.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Tracks one participant may have settings for.
const MAX_SETTINGS: usize = 4096;

impl Room {
    pub(crate) fn on_track_setting(&mut self, cx: &mut Cx<'_>, pid: Pid, mut settings: UpdateTrackSettings) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        let mut urgent = false;
        for sid in std::mem::take(&mut settings.track_sids) {
            cx.spend(price::RECONCILE);
            let sid = key(&sid);
            if sid.len() > 64 || p.settings.len() >= MAX_SETTINGS && !p.settings.contains_key(&sid) {
                continue;
            }
            p.changed_settings.insert(sid.clone());
            let was_disabled = p.settings.insert(sid, settings.clone()).is_some_and(|s| s.disabled);
            urgent |= was_disabled && !settings.disabled;
        }
        if urgent {
            cx.cancel_timer(room, Some(pid), Timer::Settings);
            self.apply_changed_settings(cx, pid);
        } else {
            cx.arm_timer(room, Some(pid), Timer::Settings, DEBOUNCE);
        }
    }

    /// Applies what changed since the last time.
    pub(crate) fn apply_changed_settings(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        for track in std::mem::take(&mut p.changed_settings) {
            cx.spend(price::RECONCILE);
            self.apply_setting(cx, pid, &track);
        }
    }

    /// What was collected is applied, at the cost of who asked for it.
    pub(super) fn on_settings_timer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(account) = self.get(pid).map(|p| p.account.clone()) else { return };
        let before = cx.work();
        self.apply_changed_settings(cx, pid);
        cx.charge(&account, before);
    }

    /// Brings all subscriptions of a participant in line with its settings.
    pub(crate) fn apply_settings(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        for track in p.subscriptions.keys().cloned().collect::<Vec<_>>() {
            cx.spend(price::RECONCILE);
            self.apply_setting(cx, pid, &track);
        }
    }

    fn apply_setting(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &Sid) {
        let shard = self.shard;
        let Some(asked) = self.get(pid).and_then(|p| p.settings.get(track)).cloned() else { return };
        let may_pause = self.get(pid).is_some_and(|p| p.may_pause);
        let Some((quality, settings)) = self.published(track).map(|t| layers_for(t, &asked, may_pause))
        else {
            return;
        };
        let Some(p) = self.get_mut(pid) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { return };
        if (down.settings, down.quality) == (settings, quality) {
            return;
        }
        down.quality = quality;
        if down.settings != settings {
            down.settings = settings;
            if let Some(bound) = &down.bound {
                cx.command(shard, Command::SetDownTrack { id: bound.id, settings });
            }
        }
        self.weigh_demand(cx, track);
    }

    /// First settings of a subscription: what was said before it existed, or the default.
    pub(super) fn settle_initial(&mut self, _cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(p) = self.get_mut(pid) else { return };
        let (adaptive, may_pause) = (p.adaptive_stream, p.may_pause);
        let remembered = p.settings.get_mut(track).map(|s| {
            // An adaptive client that has just got the element on screen would otherwise wait for its own next message.
            s.disabled &= !adaptive;
            s.clone()
        });
        let Some(t) = self.published(track) else { return };
        let (quality, settings) = match remembered {
            Some(asked) => layers_for(t, &asked, may_pause),
            None => {
                let quality = if adaptive { VideoQuality::Low } else { VideoQuality::High };
                let max_spatial = t.spatial(quality);
                (quality, DownTrackSettings { paused: false, max_spatial, max_temporal: 3, may_pause })
            }
        };
        let Some(p) = self.get_mut(pid) else { return };
        if let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) {
            down.settings = settings;
            down.quality = quality;
        }
    }

    pub(super) fn published(&self, track: &str) -> Option<&Published> {
        self.get(self.owner(track)?)?.tracks.get(track)
    }
}

fn layers_for(
    track: &Published,
    asked: &UpdateTrackSettings,
    may_pause: bool,
) -> (VideoQuality, DownTrackSettings) {
    let quality = track.wanted(asked);
    // Layers halve the frame rate; publishers send up to 30 frames a second.
    let max_temporal = match asked.fps {
        0 | 16.. => 3,
        8..=15 => 1,
        _ => 0,
    };
    let settings = DownTrackSettings {
        paused: asked.disabled,
        max_spatial: track.spatial(quality),
        max_temporal,
        may_pause,
    };
    (quality, settings)
}
