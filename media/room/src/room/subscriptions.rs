//! Who receives what. A subscription is a wish; it is carried while the track exists and the publisher allows it.

use super::{Participant, Room, key};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::timers::Timer;
use bedrud_rtp::{Codec, MediaKind, Mid};
use bedrud_sdp::{NegotiatedPayload, SendTrack};
use bedrud_sfu::{DownTrackId, DownTrackSettings, UpTrackId};
use livekit_protocol::{
    SubscriptionError, SubscriptionPermissionUpdate, SubscriptionResponse, VideoQuality, signal_response,
};
use std::time::{Duration, Instant};

/// A track that does not appear for this long is given up.
const LOOKUP: Duration = Duration::from_secs(60);
/// Wishes one participant may have.
const MAX_SUBSCRIPTIONS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(super) wanted_at: Instant,
    /// Permission the subscriber was told.
    pub(super) allowed: Option<bool>,
    pub(super) down: Option<Down>,
}

/// A subscription that has a place in the SDP.
#[derive(Debug)]
pub(crate) struct Down {
    pub(super) send: SendTrack,
    pub(super) since: Instant,
    pub(super) accepted: Option<Accepted>,
    /// Codec it gets or waits for, once the client has answered.
    pub(super) codec: Option<Codec>,
    pub(super) bound: Option<Bound>,
    /// The client was told that nothing comes.
    pub(super) failed: bool,
    pub(super) settings: DownTrackSettings,
    /// Quality the subscriber asks for.
    pub(super) quality: VideoQuality,
    pub(super) congested: bool,
    /// Smoothed reception score, 0..=100.
    pub(super) score: Option<f32>,
}

/// A media section that takes one track after the other: negotiated once, for a participant that cannot negotiate again.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// What the section says of its stream.
    pub(crate) send: SendTrack,
    pub(crate) mid: Mid,
    pub(crate) payloads: Vec<NegotiatedPayload>,
}

/// What the client answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) mid: Mid,
    pub(super) payloads: Vec<NegotiatedPayload>,
}

/// A subscription the shard forwards.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) id: DownTrackId,
    pub(super) source: UpTrackId,
}

impl Down {
    pub(super) fn new(since: Instant, send: SendTrack, may_pause: bool, quality: VideoQuality) -> Self {
        Self {
            send,
            since,
            accepted: None,
            codec: None,
            bound: None,
            failed: false,
            settings: DownTrackSettings { paused: false, max_spatial: 0, max_temporal: 3, may_pause },
            quality,
            congested: false,
            score: None,
        }
    }
}

impl Participant {
    /// Whether a track has a place in the SDP.
    pub(crate) fn is_carried(&self, track: &str) -> bool {
        self.subscriptions.get(track).is_some_and(|s| s.down.is_some())
    }
}

impl Room {
    /// Wishes for a track, existing or not.
    pub(crate) fn subscribe(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let now = cx.now.mono;
        let Some(p) = self.get_mut(pid).filter(|p| p.one_shot.is_none()) else { return };
        p.declined.remove(track);
        if !p.subscriptions.contains_key(track) {
            if p.subscriptions.len() >= MAX_SUBSCRIPTIONS || track.len() > 64 {
                return;
            }
            p.subscriptions.insert(key(track), Subscription { wanted_at: now, allowed: None, down: None });
        }
        self.reconcile(cx, pid, track);
    }

    pub(crate) fn unsubscribe(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        self.detach(cx, pid, track);
        if let Some(p) = self.get_mut(pid) {
            p.subscriptions.remove(track);
        }
        let owner = self.owner(track);
        if let Some(t) = owner.and_then(|o| self.get_mut(o)).and_then(|o| o.tracks.get_mut(track)) {
            t.subscribers.remove(&pid);
        }
        if let Some(owner) = owner {
            self.forget_speaker(cx, pid, owner);
        }
        self.weigh_demand(cx, track);
        self.fill_places(cx, pid);
    }

    /// The client does not want a track: nothing but its own wish brings it back.
    pub(crate) fn decline(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        self.unsubscribe(cx, pid, track);
        let (owners, Some(p)) = (&self.owners, self.participants.get_mut(&pid)) else { return };
        if p.declined.len() >= MAX_SUBSCRIPTIONS {
            p.declined.retain(|t| owners.contains_key(t));
        }
        if p.declined.len() < MAX_SUBSCRIPTIONS && owners.contains_key(track) {
            p.declined.insert(key(track));
        }
    }

    /// Subscribes a participant to everything, as `auto_subscribe` asks.
    pub(crate) fn subscribe_to_all(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let visible = |p: &&Participant| p.pid != pid && !p.hidden();
        let tracks: Vec<Sid> =
            self.participants.values().filter(visible).flat_map(|p| p.tracks.keys().cloned()).collect();
        for track in tracks {
            if self.get(pid).is_some_and(|p| !p.declined.contains(&track)) {
                self.subscribe(cx, pid, &track);
            }
        }
    }

    /// A new track: those who take everything and those who waited for it get it.
    pub(super) fn offer_track(&mut self, cx: &mut Cx<'_>, publisher: Pid, track: &Sid) {
        self.mark_viewers(cx);
        let hidden = self.get(publisher).is_none_or(Participant::hidden);
        for pid in self.pids() {
            let Some(p) = self.get(pid).filter(|p| p.pid != publisher) else { continue };
            let wished = p.subscriptions.contains_key(track);
            let ready = p.is_active() || p.client.protocol >= 8;
            if wished || p.auto_subscribe && ready && !hidden {
                self.subscribe(cx, pid, track);
            }
        }
    }

    /// Brings one subscription to the state it should have.
    pub(super) fn reconcile(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(owner) = self.owner(track) else {
            cx.arm_timer(self.key, Some(pid), Timer::Lookup, LOOKUP);
            return;
        };
        if owner == pid {
            if let Some(p) = self.get_mut(pid) {
                p.subscriptions.remove(track);
            }
            return;
        }
        let allowed = self.is_audience(owner, track, pid);
        let publisher_sid = self.get(owner).map(|o| o.sid.to_string()).unwrap_or_default();
        if let Some(t) = self.get_mut(owner).and_then(|o| o.tracks.get_mut(track)) {
            t.subscribers.insert(pid);
        }
        let Some(p) = self.get_mut(pid) else { return };
        let can = p.permission.can_subscribe;
        let Some(s) = p.subscriptions.get_mut(track) else { return };
        let carried = s.down.is_some();
        if s.allowed.replace(allowed) != Some(allowed) && can {
            let update = SubscriptionPermissionUpdate {
                participant_sid: publisher_sid,
                track_sid: track.to_owned(),
                allowed,
            };
            p.send(cx, signal_response::Message::SubscriptionPermissionUpdate(update));
        }
        match (can && allowed, carried) {
            (true, false) => {
                let kind = self.published(track).map(|t| t.kind);
                if kind.is_some_and(|kind| self.has_place(cx, pid, kind)) {
                    self.attach(cx, pid, owner, track);
                }
            }
            (false, true) => {
                self.detach(cx, pid, track);
                self.forget_speaker(cx, pid, owner);
                self.weigh_demand(cx, track);
                self.fill_places(cx, pid);
            }
            _ => {}
        }
    }

    pub(crate) fn reconcile_all(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        for track in p.subscriptions.keys().cloned().collect::<Vec<_>>() {
            self.reconcile(cx, pid, &track);
        }
    }

    /// The participant leaves: its transport goes anyway, so nothing is negotiated.
    pub(super) fn drop_all_subscriptions(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        for (track, s) in std::mem::take(&mut p.subscriptions) {
            if let Some(bound) = s.down.and_then(|d| d.bound) {
                cx.routes.downs.remove(&bound.id);
            }
            let owner = self.owner(&track);
            if let Some(t) = owner.and_then(|o| self.get_mut(o)).and_then(|o| o.tracks.get_mut(&track)) {
                t.subscribers.remove(&pid);
                self.weigh_demand(cx, &track);
            }
        }
    }

    /// Whether a participant may receive one more track of this kind.
    pub(super) fn has_place(&self, cx: &Cx<'_>, pid: Pid, kind: MediaKind) -> bool {
        let max = match kind {
            MediaKind::Video => cx.config.limits.subscriptions_video,
            MediaKind::Audio => cx.config.limits.subscriptions_audio,
        };
        let Some(p) = self.get(pid).filter(|_| max != 0) else { return true };
        p.subscriptions.values().filter(|s| s.down.as_ref().is_some_and(|d| d.send.kind == kind)).count()
            < max
    }

    /// A place may have become free for a subscription that waits for one.
    pub(super) fn fill_places(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let limits = &cx.config.limits;
        if limits.subscriptions_video == 0 && limits.subscriptions_audio == 0 {
            return;
        }
        let Some(p) = self.get(pid) else { return };
        let waiting = p.subscriptions.iter().filter(|(_, s)| s.down.is_none());
        let mut waiting: Vec<(Instant, Sid)> = waiting.map(|(t, s)| (s.wanted_at, t.clone())).collect();
        waiting.sort_unstable();
        for (_, track) in waiting {
            if self.owner(&track).is_some() {
                self.reconcile(cx, pid, &track);
            }
        }
    }

    /// Gives up wishes for tracks that never appeared.
    pub(crate) fn give_up_lookups(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let now = cx.now.mono;
        let Some(p) = self.get(pid) else { return };
        let unknown = p.subscriptions.iter().filter(|(track, _)| !self.owners.contains_key(*track));
        let unknown: Vec<(Sid, Instant)> = unknown.map(|(t, s)| (t.clone(), s.wanted_at)).collect();
        let mut next: Option<Instant> = None;
        for (track, wanted_at) in unknown {
            let due = wanted_at + LOOKUP;
            if due > now {
                next = Some(next.map_or(due, |n| n.min(due)));
                continue;
            }
            let Some(p) = self.get_mut(pid) else { return };
            p.subscriptions.remove(&track);
            p.settings.remove(&track);
            let err = SubscriptionError::SeTrackNotfound as i32;
            let response = SubscriptionResponse { track_sid: track.to_string(), err };
            p.send(cx, signal_response::Message::SubscriptionResponse(response));
        }
        if let Some(at) = next {
            cx.set_timer(self.key, Some(pid), Timer::Lookup, at.saturating_duration_since(now));
        }
    }
}
