//! From the client's answer to media that flows: which stream of a track goes to a subscriber.

use super::subscriptions::{Accepted, Bound, Down, Place, Subscription};
use super::{Room, key};
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::Timer;
use bedrud_rtp::{MediaKind, Mid};
use bedrud_sdp::NegotiatedPayload;
use bedrud_sfu::{Command, DownTrackConfig};
use bytes::Bytes;
use livekit_protocol::{
    SubscriptionError, SubscriptionResponse, TrackSubscribed, VideoQuality, encryption, signal_response,
};
use std::time::{Duration, Instant};

/// A subscription whose media could not be set up for this long has failed.
pub(super) const BIND: Duration = Duration::from_secs(15);

impl Room {
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
        let feed = way.source.and_then(|id| t.feeds().find(|f| f.config.id == id));
        let payload_types = feed.map(|f| f.payload_types_for(cx.codecs, &accepted.payloads));
        let trailers = !t.info.packet_trailer_features.is_empty();
        let encrypted = t.info.encryption != encryption::Type::None as i32;
        let frame_trailer = if encrypted { Bytes::copy_from_slice(&self.sif_trailer) } else { Bytes::new() };
        let playout_delay = self.playout_delay().filter(|_| t.kind == MediaKind::Video);
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
                payload_types: payload_types.unwrap_or_default(),
                settings: down.settings,
                strip_trailer,
                frame_trailer,
                announce: p.one_shot.is_some() || p.client.learns_streams_by_packet(),
                playout_delay,
            };
            down.bound = Some(Bound { id, source });
            cx.command(shard, Command::AddDownTrack(config));
            // It starts unpaused, whatever its predecessor was.
            self.on_congestion(cx, pid, &key(track), false);
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
}
