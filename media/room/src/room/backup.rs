//! The same track in further codecs, for subscribers that cannot decode the one the publisher prefers.

use super::track::{Feed, describe_media, payload_types, timed_version};
use super::updates::Audience;
use super::{Match, Room, up_layers};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use bedrud_rtp::{Codec, Mid, Ssrc};
use bedrud_sfu::{Command, UpTrackConfig, UpTrackId};
use livekit_protocol::BackupCodecPolicy;

impl Room {
    /// A media section carries a further codec: those who wait for it get it.
    pub(super) fn publish_backup(&mut self, cx: &mut Cx<'_>, pid: Pid, found: Match) {
        let (room, shard) = (self.key, self.shard);
        let Match { pending, mid, section } = found;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(transport) = p.publisher.link.as_ref().map(|l| l.id) else { return };
        let Some(t) = p.tracks.get_mut(&*pending.info.sid) else { return };
        let wanted = pending.adds;
        let payload = section.payloads.iter().find(|pl| Some(pl.codec) == wanted);
        let Some(codec) = payload.or(section.payloads.first()).map(bedrud_sdp::NegotiatedPayload::spec)
        else {
            return;
        };
        let mime = codec.codec.mime_type();
        let index = t.info.codecs.iter().position(|c| c.mime_type == mime);
        let Some(index) = index.filter(|_| !t.arrives_in(codec.codec)) else {
            tracing::info!(track = %t.sid(), codec = mime, "a further codec came in one that was not announced");
            return;
        };
        describe_media(&mut t.info, index, mid, &section.stream, codec.codec, &pending.cid);
        t.info.version = timed_version(cx.now.unix_ms, 0);
        let id = cx.ids.up_track();
        let config = UpTrackConfig {
            id,
            transport,
            kind: section.kind,
            mid,
            payload_types: payload_types(&section.payloads),
            layers: up_layers(&section.stream),
        };
        let track = super::key(t.sid());
        cx.routes.ups.insert(id, (room, pid, track.clone()));
        cx.command(shard, Command::SetUpTrack(config.clone()));
        if t.info.muted {
            cx.command(shard, Command::MuteUpTrack { id, muted: true });
        }
        t.backups.push(Feed { config, codec, heard: false });
        p.touch();
        self.announce(cx, pid, Audience::Others, true);
        self.route_all(cx, &track);
    }

    /// The publisher no longer sends a further codec of a track that goes on.
    pub(crate) fn drop_backup(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &Sid, mid: Mid) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(t) = p.tracks.get_mut(track) else { return };
        let Some(index) = t.backups.iter().position(|f| f.config.mid == mid) else { return };
        let feed = t.backups.remove(index);
        let id = feed.config.id;
        t.regressed &= !t.backups.is_empty();
        if let Some(entry) = t.info.codecs.iter_mut().find(|c| c.mid == mid.to_string()) {
            entry.mid.clear();
            entry.cid.clear();
            entry.sdp_cid.clear();
        }
        t.info.version = timed_version(cx.now.unix_ms, 0);
        p.touch();
        cx.routes.ups.remove(&id);
        self.route_all(cx, track);
        cx.command(self.shard, Command::RemoveUpTrack { id });
        self.announce(cx, pid, Audience::Others, true);
    }

    /// The first packet of a layer of a further codec. Unless the publisher wants both for good, it now replaces the
    /// preferred one for everybody.
    pub(super) fn on_backup_started(
        &mut self,
        cx: &mut Cx<'_>,
        (pid, track): (Pid, &Sid),
        id: UpTrackId,
        (spatial, ssrc): (u8, Ssrc),
        codec: Codec,
    ) {
        let threshold = cx.config.codec_regression_threshold;
        let small = threshold == 0 || self.participants.len() < threshold;
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        let Some(feed) = t.feed_mut(id) else { return };
        let negotiated = feed.config.payload_types.iter().find(|pt| pt.codec == codec);
        if let Some(variant) = negotiated.map(|pt| pt.variant) {
            feed.codec = bedrud_sdp::CodecSpec { codec, variant };
        }
        let heard_before = std::mem::replace(&mut feed.heard, true);
        if let Some(entry) = t.info.codecs.iter_mut().find(|c| c.mime_type == codec.mime_type())
            && let Some(layer) = entry.layers.iter_mut().find(|l| l.spatial_layer == i32::from(spatial))
        {
            layer.ssrc = ssrc;
        }
        if heard_before {
            return;
        }
        let regress = match BackupCodecPolicy::try_from(t.info.backup_codec_policy) {
            Ok(BackupCodecPolicy::Regression) => true,
            Ok(BackupCodecPolicy::Simulcast) => false,
            Ok(BackupCodecPolicy::PreferRegression) | Err(_) => small,
        };
        let first = t.backups.first().is_some_and(|f| f.config.id == id);
        if !regress || !first || t.regressed {
            return;
        }
        t.regressed = true;
        let primary = t.primary.config.id;
        if let Some(p) = self.get_mut(pid) {
            // For the rooms it is forwarded to.
            p.touch();
        }
        self.route_all(cx, track);
        // The encoder nobody watches any more stops at once.
        self.tell_demand(cx, pid, primary);
    }

    /// Chooses the codec anew for every subscriber of a track.
    pub(super) fn route_all(&mut self, cx: &mut Cx<'_>, track: &Sid) {
        let subscribers: Vec<Pid> =
            self.published(track).map(|t| t.subscribers.iter().copied().collect()).unwrap_or_default();
        for pid in subscribers {
            self.route(cx, pid, track);
        }
    }
}
