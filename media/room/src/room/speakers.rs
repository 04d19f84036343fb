//! Who is speaking.

use super::Room;
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::timers::Timer;
use bedrud_rtp::MediaKind;
use bedrud_sfu::AudioLevel;
use livekit_protocol::{SpeakerInfo, SpeakersChanged, TrackSource, signal_response};
use std::collections::BTreeSet;
use std::time::Duration;

/// Level of simulated speech, in eighths.
const SIMULATED: u8 = 8;

impl Room {
    /// Levels of one interval.
    pub(crate) fn on_audio_levels(&mut self, cx: &mut Cx<'_>, levels: &[(Pid, Sid, AudioLevel)]) {
        for (pid, track, level) in levels {
            let Some(t) = self.get_mut(*pid).and_then(|p| p.tracks.get_mut(track)) else { continue };
            t.metered = true;
            // The shard has weighed and smoothed it.
            t.loudness = if t.info.muted { 0.0 } else { linear(f32::from(level.level)) };
        }
        let heard: BTreeSet<Pid> = levels.iter().map(|(pid, ..)| *pid).collect();
        let threshold = linear(f32::from(cx.config.active_level));
        let changed: Vec<Pid> =
            heard.into_iter().filter(|pid| self.update_speaker(*pid, threshold)).collect();
        self.tell_speakers(cx, &changed);
    }

    /// Recomputes one participant's level; true when others must hear of it.
    fn update_speaker(&mut self, pid: Pid, threshold: f32) -> bool {
        let Some(p) = self.get_mut(pid) else { return false };
        let speech = p
            .tracks
            .values()
            .filter(|t| t.kind == MediaKind::Audio && t.info.source != TrackSource::ScreenShareAudio as i32);
        let loudest = speech.map(|t| t.loudness).fold(0.0, f32::max);
        let mut level = if loudest >= threshold { eighths(loudest) } else { 0 };
        if p.simulated_speech {
            level = SIMULATED;
        }
        std::mem::replace(&mut p.speaking, level) != level
    }

    /// Everyone hears about itself and those it receives.
    fn tell_speakers(&self, cx: &mut Cx<'_>, changed: &[Pid]) {
        if changed.is_empty() {
            return;
        }
        self.mark_viewers(cx);
        let mut changed: Vec<_> = changed.iter().filter_map(|pid| self.get(*pid)).collect();
        changed.sort_by_key(|p| std::cmp::Reverse(p.speaking));
        for p in self.participants.values().filter(|p| p.client.protocol >= 3 && p.conn.is_some()) {
            let mine =
                changed.iter().filter(|s| s.pid == p.pid || !s.hidden() && self.receives_from(p, s.pid));
            let speakers: Vec<_> = mine.map(|s| speaker(&s.sid, s.speaking)).collect();
            if !speakers.is_empty() {
                p.send(cx, signal_response::Message::SpeakersChanged(SpeakersChanged { speakers }));
            }
        }
    }

    /// A track is about to end: whoever received its sound hears that it is over.
    pub(super) fn hush(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        let threshold = linear(f32::from(cx.config.active_level));
        if std::mem::replace(&mut t.loudness, 0.0) > 0.0 && self.update_speaker(pid, threshold) {
            self.tell_speakers(cx, &[pid]);
        }
    }

    /// A participant received the last track of a publisher: it will hear nothing more of who speaks.
    pub(super) fn forget_speaker(&self, cx: &mut Cx<'_>, pid: Pid, publisher: Pid) {
        let (Some(p), Some(o)) = (self.get(pid), self.get(publisher)) else { return };
        if o.speaking > 0 && p.client.protocol >= 3 && !o.hidden() && !self.receives_from(p, publisher) {
            let speakers = vec![speaker(&o.sid, 0)];
            p.send(cx, signal_response::Message::SpeakersChanged(SpeakersChanged { speakers }));
        }
    }

    /// Takes over the level of a participant that speaks in another room.
    pub(super) fn show_speaking(&mut self, cx: &mut Cx<'_>, pid: Pid, level: u8) {
        let Some(p) = self.get_mut(pid) else { return };
        if std::mem::replace(&mut p.speaking, level) != level {
            self.tell_speakers(cx, &[pid]);
        }
    }

    pub(crate) fn simulate_speech(&mut self, cx: &mut Cx<'_>, pid: Pid, seconds: u32) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        p.simulated_speech = true;
        cx.set_timer(room, Some(pid), Timer::Speaking, Duration::from_secs(u64::from(seconds)));
        if self.update_speaker(pid, linear(f32::from(cx.config.active_level))) {
            self.tell_speakers(cx, &[pid]);
        }
    }

    pub(crate) fn end_simulated_speech(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        p.simulated_speech = false;
        if self.update_speaker(pid, linear(f32::from(cx.config.active_level))) {
            self.tell_speakers(cx, &[pid]);
        }
    }

    /// A new subscriber learns what was announced before it came.
    pub(super) fn send_current_state(&self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let (Some(p), Some(owner)) = (self.get(pid), self.owner(track).and_then(|o| self.get(o))) else {
            return;
        };
        if owner.speaking > 0 && p.client.protocol >= 3 {
            let speakers = vec![speaker(&owner.sid, owner.speaking)];
            p.send(cx, signal_response::Message::SpeakersChanged(SpeakersChanged { speakers }));
        }
        self.send_quality_of(cx, pid, owner.pid);
    }
}

fn speaker(sid: &str, level: u8) -> SpeakerInfo {
    SpeakerInfo { sid: sid.to_owned(), level: f32::from(level) / 8.0, active: level > 0 }
}

/// Amplitude of a level in -dBov.
fn linear(level: f32) -> f32 {
    10f32.powf(-level / 20.0)
}

fn eighths(loudness: f32) -> u8 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=8")]
    let level = (loudness * 8.0).ceil().clamp(0.0, 8.0) as u8;
    level
}
