//! Connection quality from the shard's reception figures.

use super::Room;
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use bedrud_rtp::{Codec, MediaKind};
use bedrud_sfu::TrackStats;
use livekit_protocol::{
    ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, StreamState, StreamStateInfo,
    StreamStateUpdate, signal_response,
};
use std::collections::{BTreeMap, BTreeSet};

/// Figures of one interval that belong to a room.
#[derive(Debug, Default)]
pub(crate) struct RoomStats {
    /// By publisher and track, all layers together.
    pub(crate) up: BTreeMap<(Pid, Sid), TrackStats>,
    /// By subscriber and track.
    pub(crate) down: BTreeMap<(Pid, Sid), TrackStats>,
}

impl RoomStats {
    pub(crate) fn add_up(&mut self, pid: Pid, track: Sid, s: TrackStats) {
        let sum = self.up.entry((pid, track)).or_default();
        sum.packets += s.packets;
        sum.bytes += s.bytes;
        sum.lost += s.lost;
        sum.jitter_ms = sum.jitter_ms.max(s.jitter_ms);
    }
}

impl Room {
    pub(crate) fn on_stats(&mut self, cx: &mut Cx<'_>, stats: RoomStats) {
        for ((pid, track), s) in stats.up {
            let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(&track)) else { continue };
            // The path to the publisher is not in its own jitter: round trips are left out upstream.
            let score = score(&TrackStats { rtt_ms: None, ..s }, t.primary.codec.codec);
            t.score = if t.info.muted { None } else { smooth(t.score, score) };
        }
        for ((pid, track), s) in stats.down {
            let Some(codec) = self.published(&track).map(|t| t.primary.codec.codec) else { continue };
            let down = self.get_mut(pid).and_then(|p| p.subscriptions.get_mut(&track)?.down.as_mut());
            let Some(down) = down else { continue };
            down.score = if down.settings.paused { None } else { smooth(down.score, score(&s, codec)) };
        }
        self.tell_quality(cx);
    }

    /// Worst score over everything a participant sends and receives.
    fn participant_score(&self, pid: Pid) -> Option<f32> {
        let p = self.get(pid)?;
        if !p.is_active() {
            return None;
        }
        if p.primary().is_some_and(|l| l.silent || l.closed) {
            return Some(0.0);
        }
        let up = p.tracks.values().filter_map(|t| t.score);
        let down = p.subscriptions.values().filter_map(|s| s.down.as_ref()?.score);
        Some(up.chain(down).fold(100.0, f32::min))
    }

    /// Tells how connections are, if anybody is new or changed its level.
    pub(crate) fn tell_quality(&mut self, cx: &mut Cx<'_>) {
        let mut changed = false;
        let mut scores: BTreeMap<Pid, f32> = BTreeMap::new();
        for pid in self.pids() {
            let Some(score) = self.participant_score(pid) else { continue };
            scores.insert(pid, score);
            let Some(p) = self.get_mut(pid) else { continue };
            let now = level(score);
            changed |= p.quality.replace(now) != Some(now);
        }
        if !changed {
            return;
        }
        for p in self.participants.values().filter(|p| p.is_active() && p.conn.is_some()) {
            let carried = p.subscriptions.iter().filter(|(_, s)| s.down.is_some());
            let publishers = carried.filter_map(|(track, _)| self.owner(track));
            let visible = publishers.filter(|o| self.get(*o).is_some_and(|o| !o.hidden()));
            let pids: BTreeSet<Pid> = visible.chain([p.pid]).collect();
            let entries = pids.into_iter().filter_map(|o| Some((o, *scores.get(&o)?)));
            self.send_quality(cx, p.pid, entries);
        }
    }

    pub(super) fn send_quality_of(&self, cx: &mut Cx<'_>, pid: Pid, of: Pid) {
        if self.get(pid).is_some_and(super::Participant::is_active) {
            let score = self.participant_score(of);
            self.send_quality(cx, pid, score.map(|s| (of, s)).into_iter());
        }
    }

    fn send_quality(&self, cx: &mut Cx<'_>, pid: Pid, of: impl Iterator<Item = (Pid, f32)>) {
        let Some(p) = self.get(pid).filter(|p| p.client.protocol >= 5) else { return };
        let entry = |(pid, score): (Pid, f32)| {
            let o = self.get(pid)?;
            let quality = match o.quality? {
                ConnectionQuality::Lost if p.client.protocol < 11 => ConnectionQuality::Poor,
                q => q,
            };
            let score = mos(score);
            Some(ConnectionQualityInfo { participant_sid: o.sid.to_string(), quality: quality as i32, score })
        };
        let updates: Vec<_> = of.filter_map(entry).collect();
        if !updates.is_empty() {
            p.send(cx, signal_response::Message::ConnectionQuality(ConnectionQualityUpdate { updates }));
        }
    }

    /// Congestion control paused or resumed a subscription.
    pub(crate) fn on_congestion(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &Sid, paused: bool) {
        let publisher = self.owner(track).and_then(|o| self.get(o)).map(|o| o.sid.to_string());
        let Some(p) = self.get_mut(pid) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { return };
        if std::mem::replace(&mut down.congested, paused) == paused {
            return;
        }
        let state = if paused { StreamState::Paused } else { StreamState::Active } as i32;
        let participant_sid = publisher.unwrap_or_default();
        let info = StreamStateInfo { participant_sid, track_sid: track.to_string(), state };
        p.send(
            cx,
            signal_response::Message::StreamStateUpdate(StreamStateUpdate { stream_states: vec![info] }),
        );
    }
}

/// 0..=100; `None` when there was nothing to judge.
fn score(s: &TrackStats, codec: Codec) -> Option<f32> {
    let sent = s.packets + s.lost;
    if s.packets == 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a percentage needs no more")]
    let loss = s.lost as f32 / sent as f32 * 100.0;
    let weight = match codec {
        Codec::Opus => 8.0 / 1.5,
        Codec::Red => 4.0 / 1.5,
        c if c.kind() == MediaKind::Audio => 8.0,
        _ => 10.0,
    };
    let delay = s.rtt_ms.unwrap_or(0.0) / 2.0 + 2.0 * s.jitter_ms;
    let delay = if delay <= 160.0 { delay / 40.0 } else { (delay - 120.0) / 10.0 };
    Some((100.0 - delay - loss * weight).clamp(30.0, 100.0))
}

/// Bad news counts at once, good news slowly.
fn smooth(old: Option<f32>, new: Option<f32>) -> Option<f32> {
    let (Some(old), Some(new)) = (old, new) else { return new };
    let factor = if new > old { 0.4 } else { 0.8 };
    Some(old + (new - old) * factor)
}

fn level(score: f32) -> ConnectionQuality {
    match score {
        s if s > 80.0 => ConnectionQuality::Excellent,
        s if s > 40.0 => ConnectionQuality::Good,
        s if s > 20.0 => ConnectionQuality::Poor,
        _ => ConnectionQuality::Lost,
    }
}

/// Mean opinion score (ITU-T G.107).
fn mos(s: f32) -> f32 {
    (1.0 + 0.035 * s + 7e-6 * s * (s - 60.0) * (100.0 - s)).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_lowers_the_level() {
        let of = |lost| {
            let s = TrackStats { packets: 1000 - lost, lost, ..TrackStats::default() };
            level(score(&s, Codec::Vp8).expect("packets"))
        };
        assert_eq!(of(0), ConnectionQuality::Excellent);
        assert_eq!(of(40), ConnectionQuality::Good);
        assert_eq!(of(100), ConnectionQuality::Poor);
        assert_eq!(score(&TrackStats::default(), Codec::Vp8), None);
    }

    #[test]
    fn wire_score_is_a_mean_opinion_score() {
        assert!((mos(100.0) - 4.5).abs() < 1e-3);
        assert!((mos(0.0) - 1.0).abs() < 1e-3);
    }
}
