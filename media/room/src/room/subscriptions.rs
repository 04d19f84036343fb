//! Who receives what. A subscription is a wish; it is carried while the track exists and the publisher allows it.

use super::{Farewell, Participant, Room, Subscriber, key};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::timers::Timer;
use bedrud_rtp::{Codec, MediaKind, Mid};
use bedrud_sdp::{CodecSpec, NegotiatedPayload, Offerer, OffererConfig, SendTrack};
use bedrud_sfu::{Command, DataChannel, DownTrackConfig, DownTrackId, DownTrackSettings, UpTrackId};
use livekit_protocol::leave_request::Action;
use livekit_protocol::{
    AudioTrackFeature, DisconnectReason, SubscriptionError, SubscriptionPermissionUpdate,
    SubscriptionResponse, TrackSubscribed, VideoQuality, signal_response,
};
use rand::Rng as _;
use std::time::{Duration, Instant};

/// A track that does not appear for this long is given up.
const LOOKUP: Duration = Duration::from_secs(60);
/// A subscription whose media could not be set up for this long has failed.
const BIND: Duration = Duration::from_secs(15);
/// Wishes one participant may have.
const MAX_SUBSCRIPTIONS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(super) wanted_at: Instant,
    /// Permission the subscriber was told.
    allowed: Option<bool>,
    pub(super) down: Option<Down>,
}

/// A subscription that has a place in the SDP.
#[derive(Debug)]
pub(crate) struct Down {
    send: SendTrack,
    since: Instant,
    accepted: Option<Accepted>,
    /// Codec it gets or waits for, once the client has answered.
    pub(super) codec: Option<Codec>,
    pub(super) bound: Option<Bound>,
    /// The client was told that nothing comes.
    failed: bool,
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
struct Accepted {
    mid: Mid,
    payloads: Vec<NegotiatedPayload>,
}

/// A subscription the shard forwards.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) id: DownTrackId,
    source: UpTrackId,
}

impl Down {
    fn new(since: Instant, send: SendTrack, may_pause: bool, quality: VideoQuality) -> Self {
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
        self.weigh_demand(cx, track);
        self.fill_places(cx, pid);
    }

    /// Subscribes a participant to everything, as `auto_subscribe` asks.
    pub(crate) fn subscribe_to_all(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let visible = |p: &&Participant| p.pid != pid && !p.hidden();
        let tracks: Vec<Sid> =
            self.participants.values().filter(visible).flat_map(|p| p.tracks.keys().cloned()).collect();
        for track in tracks {
            self.subscribe(cx, pid, &track);
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

    /// Codecs to send of a track.
    fn codecs_of(&self, cx: &Cx<'_>, owner: Pid, track: &str) -> Option<Vec<CodecSpec>> {
        let t = self.get(owner)?.tracks.get(track)?;
        Some(t.send_codecs(cx.codecs))
    }

    /// Sends a track on a place that was negotiated before.
    pub(crate) fn carry(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str, place: &Place) {
        let now = cx.now.mono;
        let Some(owner) = self.owner(track) else { return };
        if let Some(t) = self.get_mut(owner).and_then(|o| o.tracks.get_mut(track)) {
            t.subscribers.insert(pid);
        }
        let Some(p) = self.get_mut(pid) else { return };
        let down = Down::new(now, place.send.clone(), p.may_pause, VideoQuality::High);
        let subscription = Subscription { wanted_at: now, allowed: Some(true), down: Some(down) };
        p.subscriptions.insert(key(track), subscription);
        self.settle_initial(cx, pid, track);
        self.bind(cx, pid, track, place.mid, place.payloads.clone());
        self.weigh_demand(cx, track);
    }

    /// Gives a subscription its place in the SDP.
    fn attach(&mut self, cx: &mut Cx<'_>, pid: Pid, owner: Pid, track: &str) {
        if self.get(pid).is_some_and(|p| p.one_shot.is_some()) {
            self.mark_viewers(cx);
            return;
        }
        let Some(codecs) = self.codecs_of(cx, owner, track) else { return };
        let Some(publisher) = self.get(owner) else { return };
        let Some(t) = publisher.tracks.get(track) else { return };
        let stereo = t.info.stereo || t.info.audio_features.contains(&(AudioTrackFeature::TfStereo as i32));
        let (kind, participant_sid) = (t.kind, publisher.sid.to_string());
        let stream = Some(t.info.stream.clone()).filter(|s| self.syncs_streams() && !s.is_empty());
        if !self.ensure_subscriber(cx, pid) {
            return;
        }
        let Some(p) = self.participants.get_mut(&pid) else { return };
        let send = SendTrack {
            cname: participant_sid.clone(),
            participant_sid,
            track_sid: track.to_owned(),
            stream_name: stream.filter(|_| p.client.syncs_streams()),
            kind,
            codecs,
            ssrc: p.take_ssrc(cx),
            rtx_ssrc: (kind == MediaKind::Video).then(|| p.take_ssrc(cx)),
            stereo: stereo && kind == MediaKind::Audio,
        };
        if let Some(s) = &mut p.subscriber {
            if let Err(error) = s.offerer.add_track(send.clone()) {
                tracing::warn!(participant = %p.sid, %error, "no room for a subscription");
                p.give_ssrcs(&send);
                return;
            }
        } else {
            p.publisher.answerer.add_track(send.clone());
        }
        let may_pause = p.may_pause;
        let first = if p.adaptive_stream { VideoQuality::Low } else { VideoQuality::High };
        if let Some(s) = p.subscriptions.get_mut(track) {
            s.down = Some(Down::new(cx.now.mono, send, may_pause, first));
        }
        self.settle_initial(cx, pid, track);
        cx.arm_timer(self.key, Some(pid), Timer::Bind, BIND);
        self.schedule_negotiation(cx, pid);
        self.weigh_demand(cx, track);
    }

    /// Dual-connection clients need a connection for what they receive. False when there is none to be had.
    pub(crate) fn ensure_subscriber(&mut self, cx: &mut Cx<'_>, pid: Pid) -> bool {
        let (room, shard, sync) = (self.key, self.shard, self.syncs_streams());
        let Some(p) = self.get_mut(pid) else { return false };
        if p.single_pc || p.subscriber.is_some() {
            return true;
        }
        let Some(link) = super::Link::open(cx, room, pid, shard, p.tcp_only) else {
            self.remove(cx, pid, DisconnectReason::JoinFailure, Farewell::Leave(Action::Disconnect));
            return false;
        };
        if p.subscriber_primary {
            for channel in DataChannel::ALL {
                cx.command(shard, Command::OpenDataChannel { id: link.id, channel });
            }
        }
        let mut quirks = p.client.quirks();
        // Streams that belong together must not change their name within a section.
        quirks.reuse_sections &= !(sync && p.client.syncs_streams());
        let offerer = Offerer::new(OffererConfig {
            codecs: cx.codecs.clone(),
            quirks,
            session_id: cx.rng.random::<u64>() >> 2,
            first_offer_id: cx.rng.random_range(2..=257),
        });
        p.subscriber = Some(Subscriber { link, offerer, offered_at: None, restart_ice: false });
        true
    }

    /// Takes a subscription out of the SDP and stops forwarding. The wish stays.
    pub(super) fn detach(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let shard = self.shard;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.take()) else { return };
        if let Some(bound) = down.bound {
            cx.routes.downs.remove(&bound.id);
            cx.command(shard, Command::RemoveDownTrack { id: bound.id });
        }
        if let Some(s) = &mut p.subscriber {
            s.offerer.remove_track(track);
        } else {
            p.publisher.answerer.remove_track(track);
        }
        p.give_ssrcs(&down.send);
        self.schedule_negotiation(cx, pid);
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

    /// The publisher's codec changed: the place in the SDP stays, its codecs are offered anew.
    pub(super) fn refresh_codecs(&mut self, cx: &mut Cx<'_>, owner: Pid, track: &str) {
        let Some(codecs) = self.codecs_of(cx, owner, track) else { return };
        for pid in self.pids() {
            let Some(p) = self.get_mut(pid).filter(|p| p.one_shot.is_none()) else { continue };
            let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { continue };
            if down.send.codecs == codecs {
                continue;
            }
            down.send.codecs.clone_from(&codecs);
            let send = down.send.clone();
            if let Some(s) = &mut p.subscriber {
                // It has its section, so there is room.
                let _ = s.offerer.add_track(send);
            } else {
                p.publisher.answerer.add_track(send);
            }
            self.schedule_negotiation(cx, pid);
        }
    }

    /// The client accepted a track: start forwarding.
    pub(crate) fn bind(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        track: &str,
        mid: Mid,
        payloads: Vec<NegotiatedPayload>,
    ) {
        let shard = self.shard;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { return };
        let accepted = Accepted { mid, payloads };
        if down.accepted.as_ref() != Some(&accepted) {
            down.accepted = Some(accepted);
            if let Some(old) = down.bound.take() {
                cx.routes.downs.remove(&old.id);
                cx.command(shard, Command::RemoveDownTrack { id: old.id });
            }
        }
        self.route(cx, pid, track);
    }

    /// Connects a subscription the client has accepted with the codec it should get.
    pub(super) fn route(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let (room, shard) = (self.key, self.shard);
        let Some(t) = self.published(track) else { return };
        let down = self.get(pid).and_then(|p| p.subscriptions.get(track)?.down.as_ref());
        let Some(accepted) = down.and_then(|d| d.accepted.as_ref()) else { return };
        let Some(way) = t.choose(cx.codecs, &accepted.payloads) else {
            self.codec_unsupported(cx, pid, track);
            return;
        };
        let trailers = !t.info.packet_trailer_features.is_empty();
        let Some(p) = self.get_mut(pid) else { return };
        let strip_trailer = trailers && !p.client.reads_trailers();
        let Some(transport) = p.media_link().map(|l| l.id) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { return };
        let Some(accepted) = &down.accepted else { return };
        let same_codec = down.codec.replace(way.codec) == Some(way.codec);
        if down.bound.as_ref().map(|b| b.source) == way.source {
            if !same_codec {
                self.weigh_demand(cx, track);
            }
            return;
        }
        let first = down.bound.is_none();
        if let Some(old) = down.bound.take() {
            cx.routes.downs.remove(&old.id);
            cx.command(shard, Command::RemoveDownTrack { id: old.id });
        }
        if let Some(source) = way.source {
            let id = cx.ids.down_track();
            cx.routes.downs.insert(id, (room, pid, key(track)));
            let config = DownTrackConfig {
                id,
                transport,
                source,
                mid: accepted.mid,
                ssrc: down.send.ssrc,
                rtx_ssrc: down.send.rtx_ssrc,
                cname: down.send.cname.clone(),
                payload_types: super::track::payload_types(&accepted.payloads),
                settings: down.settings,
                strip_trailer,
            };
            down.bound = Some(Bound { id, source });
            cx.command(shard, Command::AddDownTrack(config));
            if first {
                self.notice_subscriber(cx, pid, track);
                self.send_current_state(cx, pid, track);
            }
        }
        self.weigh_demand(cx, track);
    }

    /// Tells a client of subscriptions that should have begun by now. They stay wanted.
    pub(crate) fn give_up_bindings(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let (room, now) = (self.key, cx.now.mono);
        let Some(p) = self.get_mut(pid) else { return };
        let active_at = p.active_at;
        let mut next: Option<Instant> = None;
        let mut failed = Vec::new();
        for (track, s) in &mut p.subscriptions {
            let Some(down) = s.down.as_mut().filter(|d| d.bound.is_none() && !d.failed) else { continue };
            // Before its connection is up nothing can begin.
            let due = active_at.unwrap_or(now).max(down.since) + BIND;
            if due > now {
                next = Some(next.map_or(due, |n| n.min(due)));
                continue;
            }
            down.failed = true;
            let codec = down.accepted.is_some();
            failed.push((track.to_string(), codec));
        }
        for (track_sid, codec) in failed {
            // It was accepted in a codec that the publisher was asked for and does not send.
            let err =
                if codec { SubscriptionError::SeCodecUnsupported } else { SubscriptionError::SeUnknown };
            let response = SubscriptionResponse { track_sid, err: err as i32 };
            p.send(cx, signal_response::Message::SubscriptionResponse(response));
        }
        if let Some(at) = next {
            cx.set_timer(room, Some(pid), Timer::Bind, at.saturating_duration_since(now));
        }
    }

    /// Whether a participant may receive one more track of this kind.
    fn has_place(&self, cx: &Cx<'_>, pid: Pid, kind: MediaKind) -> bool {
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

    /// The client has no codec for a track.
    pub(crate) fn codec_unsupported(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(p) = self.get(pid) else { return };
        if !p.subscriptions.contains_key(track) {
            return;
        }
        let err = SubscriptionError::SeCodecUnsupported as i32;
        let response = SubscriptionResponse { track_sid: track.to_owned(), err };
        p.send(cx, signal_response::Message::SubscriptionResponse(response));
        self.unsubscribe(cx, pid, track);
        self.refuse_for_viewer(cx, pid, track);
    }

    /// Tells the publisher once that somebody receives its track.
    pub(crate) fn notice_subscriber(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(p) = self.get_mut(pid) else { return };
        let bound =
            p.subscriptions.get(track).and_then(|s| s.down.as_ref()).is_some_and(|d| d.bound.is_some());
        let hidden = p.hidden();
        if hidden || !bound || !p.media_link().is_some_and(|l| l.connected) {
            return;
        }
        let Some(owner) = self.owner(track).and_then(|o| self.get_mut(o)) else { return };
        let knows = owner.client.knows_new_messages();
        let Some(t) = owner.tracks.get_mut(track) else { return };
        if t.borrowed && !t.noticed {
            *cx.demand_moved = true;
        }
        if !std::mem::replace(&mut t.noticed, true) && knows {
            let message = TrackSubscribed { track_sid: track.to_owned() };
            owner.send(cx, signal_response::Message::TrackSubscribed(message));
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
