//! Tracks come and go.

use super::track::{Dynacast, Feed, describe_media, key, payload_types, timed_version, up_layers};
use super::updates::Audience;
use super::{Farewell, Participant, Pending, Room, Unmatched};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::io::RoomEvent;
use crate::room::track::Published;
use crate::timers::Timer;
use bedrud_rtp::{Codec, MediaKind, Mid, Ssrc};
use bedrud_sfu::{Command, UpTrackConfig, UpTrackId};
use livekit_protocol::leave_request::Action;
use livekit_protocol::{
    DisconnectReason, MuteTrackRequest, TrackInfo, TrackUnpublishedResponse, signal_response,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An unwatched track is told to pause at the latest after this.
pub(super) const FIRST_DYNACAST: Duration = Duration::from_secs(10);

/// A pending track and the media section that turned out to carry it.
pub(crate) struct Match {
    pub(crate) pending: Pending,
    pub(crate) mid: Mid,
    pub(crate) section: Unmatched,
}

impl Room {
    /// Makes a track available: its media section has been negotiated.
    pub(crate) fn publish(&mut self, cx: &mut Cx<'_>, pid: Pid, found: Match) {
        let (room, shard) = (self.key, self.shard);
        let Match { pending, mid, section } = found;
        let Some(p) = self.get_mut(pid) else { return };
        let (Some(link), Some(first)) = (&p.publisher.link, section.payloads.first()) else {
            p.pending.push(pending);
            return;
        };
        if pending.adds.is_some() {
            self.publish_backup(cx, pid, Match { pending, mid, section });
            return;
        }
        let Pending { cid, mut info, .. } = pending;
        let wanted = info.codecs.first().and_then(|c| Codec::from_name(&c.mime_type));
        let codec = section.payloads.iter().find(|pl| Some(pl.codec) == wanted).unwrap_or(first).spec();
        describe_media(&mut info, 0, mid, &section.stream, codec.codec, &cid);
        info.version = timed_version(cx.now.unix_ms, 0);
        let sid = key(&info.sid);
        let id = cx.ids.up_track();
        let config = UpTrackConfig {
            id,
            transport: link.id,
            kind: section.kind,
            mid,
            payload_types: payload_types(&section.payloads),
            layers: up_layers(&section.stream),
        };
        cx.routes.ups.insert(id, (room, pid, sid.clone()));
        cx.command(shard, Command::SetUpTrack(config.clone()));
        if info.muted {
            cx.command(shard, Command::MuteUpTrack { id, muted: true });
        }
        let track = Published {
            cid,
            info: info.clone(),
            kind: section.kind,
            primary: Feed { config, codec, heard: false },
            backups: Vec::new(),
            regressed: false,
            subscribers: BTreeSet::new(),
            reported: false,
            noticed: false,
            metered: false,
            dynacast: Dynacast::default(),
            borrowed: false,
            elsewhere: BTreeMap::new(),
            loudness: 0.0,
            score: None,
        };
        p.tracks.insert(sid.clone(), track);
        p.is_publisher = true;
        p.touch();
        self.owners.insert(sid.clone(), pid);
        if section.kind == MediaKind::Video {
            cx.set_timer(room, Some(pid), Timer::Dynacast(id.0), FIRST_DYNACAST);
        }
        self.announce(cx, pid, Audience::Others, true);
        self.mark_counters(cx);
        self.report_tracks(cx, pid);
        self.offer_track(cx, pid, &sid);
    }

    /// Tells the platform of tracks as soon as their participant has joined and their connection is up: what is only
    /// negotiated may never flow.
    pub(crate) fn report_tracks(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid).filter(|p| p.is_active()) else { return };
        if !p.publisher.link.as_ref().is_some_and(|l| l.connected) {
            return;
        }
        let mut fresh = Vec::new();
        for t in p.tracks.values_mut().filter(|t| !t.reported) {
            t.reported = true;
            fresh.push(t.info.clone());
        }
        let Some(p) = self.get(pid).filter(|_| !fresh.is_empty()) else { return };
        let (room, participant) = (self.info(), p.info(&cx.config.region));
        for track in fresh {
            let (room, participant) = (room.clone(), participant.clone());
            cx.event(RoomEvent::TrackPublished { room, participant, track });
        }
    }

    /// Renegotiation may have changed payload types or SSRCs of a section that goes on.
    pub(crate) fn update_section(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        (track, mid): (&str, Mid),
        section: &Unmatched,
    ) {
        let shard = self.shard;
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        let mut feeds = std::iter::once(&mut t.primary).chain(&mut t.backups);
        let Some(feed) = feeds.find(|f| f.config.mid == mid) else { return };
        if section.payloads.is_empty() {
            return;
        }
        let config = UpTrackConfig {
            payload_types: payload_types(&section.payloads),
            layers: up_layers(&section.stream),
            ..feed.config.clone()
        };
        if config != feed.config {
            feed.config = config.clone();
            cx.command(shard, Command::SetUpTrack(config));
        }
    }

    /// A track ended: tell the others, and let a queued one of the same client id follow.
    pub(crate) fn unpublish(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(cid) = self.drop_track(cx, pid, track) else { return };
        if let Some(p) = self.get_mut(pid) {
            p.touch();
        }
        self.announce(cx, pid, Audience::Others, true);
        self.promote_queued(cx, pid, &cid);
    }

    /// As [`Room::unpublish`], by the server's decision: the publisher is told too.
    pub(crate) fn revoke(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(p) = self.get(pid) else { return };
        let track_sid = track.to_owned();
        let message = if p.client.protocol >= 7 {
            signal_response::Message::TrackUnpublished(TrackUnpublishedResponse { track_sid })
        } else {
            signal_response::Message::Mute(MuteTrackRequest { sid: track_sid, muted: true })
        };
        p.send(cx, message);
        self.unpublish(cx, pid, track);
    }

    /// Ends a track and all subscriptions to it, without announcing it. Returns its client id.
    pub(super) fn drop_track(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) -> Option<String> {
        self.hush(cx, pid, track);
        let t = self.get_mut(pid)?.tracks.remove(track)?;
        self.owners.remove(track);
        for subscriber in &t.subscribers {
            self.detach(cx, *subscriber, track);
            if let Some(s) = self.get_mut(*subscriber) {
                s.subscriptions.remove(track);
                s.settings.remove(track);
            }
            self.fill_places(cx, *subscriber);
        }
        cx.cancel_timer(self.key, Some(pid), Timer::Dynacast(t.primary.config.id.0));
        for feed in t.feeds().filter(|_| !t.borrowed) {
            cx.routes.ups.remove(&feed.config.id);
            cx.command(self.shard, Command::RemoveUpTrack { id: feed.config.id });
        }
        if let Some(p) = self.get_mut(pid) {
            p.pending.retain(|n| n.adds.is_none() || n.info.sid != track);
        }
        if let Some(p) = self.get(pid).filter(|_| t.reported) {
            let participant = p.info(&cx.config.region);
            cx.event(RoomEvent::TrackUnpublished { room: self.info(), participant, track: t.info });
        }
        self.mark_viewers(cx);
        Some(t.cid)
    }

    /// The first packet of a layer told its SSRC and codec.
    pub(crate) fn on_layer_started(
        &mut self,
        cx: &mut Cx<'_>,
        (pid, track): (Pid, &Sid),
        id: UpTrackId,
        (spatial, ssrc): (u8, Ssrc),
        codec: Codec,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(t) = p.tracks.get_mut(track) else { return };
        if t.primary.config.id != id {
            self.on_backup_started(cx, (pid, track), id, (spatial, ssrc), codec);
            return;
        }
        let layer = |l: &&mut livekit_protocol::VideoLayer| l.spatial_layer == i32::from(spatial);
        if let Some(l) = t.info.layers.iter_mut().find(layer) {
            l.ssrc = ssrc;
        }
        if let Some(l) = t.info.codecs.first_mut().and_then(|c| c.layers.iter_mut().find(layer)) {
            l.ssrc = ssrc;
        }
        let heard_before = std::mem::replace(&mut t.primary.heard, true);
        let negotiated = t.primary.config.payload_types.iter().find(|pt| pt.codec == codec);
        let Some(variant) = negotiated.map(|pt| pt.variant).filter(|_| codec != t.primary.codec.codec) else {
            return;
        };
        // RED and plain Opus alternate within one stream, and subscribers are offered both.
        let redundant = |c| matches!(c, Codec::Red | Codec::Opus);
        let same_stream = redundant(codec) && t.primary.codec.codec == Codec::Red;
        if same_stream && heard_before {
            return;
        }
        codec.mime_type().clone_into(&mut t.info.mime_type);
        if let Some(first) = t.info.codecs.first_mut() {
            codec.mime_type().clone_into(&mut first.mime_type);
        }
        if !same_stream {
            t.primary.codec = bedrud_sdp::CodecSpec { codec, variant };
        }
        t.info.version = timed_version(cx.now.unix_ms, 1);
        p.touch();
        self.announce(cx, pid, Audience::Others, true);
        self.refresh_codecs(cx, pid, track);
    }

    /// Mutes or unmutes a track, pending or published. Returns its description, `None` when it is unknown.
    pub(crate) fn set_muted(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        track: &str,
        muted: bool,
    ) -> Option<TrackInfo> {
        let shard = self.shard;
        let p = self.get_mut(pid)?;
        if let Some(pending) = p.pending.iter_mut().find(|t| t.adds.is_none() && t.info.sid == track) {
            pending.info.muted = muted;
            return Some(pending.info.clone());
        }
        let t = p.tracks.get_mut(track)?;
        if t.info.muted != muted {
            t.info.muted = muted;
            t.info.version = timed_version(cx.now.unix_ms, 0);
            t.loudness = 0.0;
            t.score = None;
            for feed in t.feeds() {
                cx.command(shard, Command::MuteUpTrack { id: feed.config.id, muted });
            }
            p.touch();
            self.announce(cx, pid, Audience::Everyone, true);
            self.mark_viewers(cx);
        }
        self.get(pid)?.tracks.get(track).map(|t| t.info.clone())
    }

    /// Ends the tracks whose source is no longer allowed.
    pub(crate) fn revoke_forbidden(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        let mut pending = std::mem::take(&mut p.pending);
        pending.retain(|t| p.may_publish(t.info.source));
        p.pending = pending;
        let mut queued = std::mem::take(&mut p.queued);
        queued.retain(|t| p.may_publish(t.source));
        p.queued = queued;
        let forbidden = |p: &Participant| -> Vec<Sid> {
            let tracks = p.tracks.iter().filter(|(_, t)| !p.may_publish(t.info.source));
            tracks.map(|(sid, _)| sid.clone()).collect()
        };
        let tracks = forbidden(p);
        if !p.permission.can_publish {
            p.is_publisher = false;
        }
        for track in tracks {
            self.revoke(cx, pid, &track);
        }
    }

    /// Something about the negotiation with this participant is beyond repair: it must start over.
    pub(crate) fn negotiation_failed(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::StateMismatch, Farewell::Leave(Action::Reconnect));
    }

    /// Published track behind a shard's id.
    pub(crate) fn track_by_id(&self, pid: Pid, id: UpTrackId) -> Option<&Published> {
        self.get(pid)?.tracks.values().find(|t| t.feeds().any(|f| f.config.id == id))
    }
}
