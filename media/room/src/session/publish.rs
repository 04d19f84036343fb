//! `add_track` and later changes to a track's description.

use crate::config::HubConfig;
use crate::context::Cx;
use crate::enums::{known, known_encryption, known_layers, only_known};
use crate::ids::{Pid, track_sid};
use crate::member::fits;
use crate::room::{Audience, Match, Participant, Pending, Room, kind_of, timed_version};
use bedrud_rtp::Codec;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::{
    AddTrackRequest, AudioTrackFeature, BackupCodecPolicy, PacketTrailerFeature, SimulcastCodecInfo,
    TrackInfo, TrackPublishedResponse, TrackSource, TrackType, UpdateLocalAudioTrack, UpdateLocalVideoTrack,
    VideoLayer, signal_response, video_layer,
};
use prost::Message as _;
use rand::rngs::StdRng;

/// Largest `add_track`, bytes: it is kept, and shown to everyone.
const MAX_REQUEST: usize = 16 * 1024;

impl Room {
    pub(crate) fn on_add_track(&mut self, cx: &mut Cx<'_>, pid: Pid, request: AddTrackRequest) {
        let Some(p) = self.get_mut(pid) else { return };
        if let Some((reason, text)) = refuse(p, cx.config, &request) {
            self.respond(cx, pid, reason, text, Request::AddTrack(request));
            return;
        }
        if !request.sid.is_empty() {
            self.add_codec(cx, pid, request);
            return;
        }
        // Layers are listed again with every codec.
        if !self.has_space(&cx.config.limits, pid, request.encoded_len().saturating_mul(2)) {
            let text = "the room has no space for more descriptions";
            self.respond(cx, pid, Reason::LimitExceeded, text, Request::AddTrack(request));
            return;
        }
        let Some(p) = self.get_mut(pid) else { return };
        let held = p.tracks.values().find(|t| t.has_cid(&request.cid)).map(|t| t.info.clone());
        if let Some(track) = held.clone().filter(|_| !p.client.knows_new_messages()) {
            // It could not be told that this one waits.
            let response = TrackPublishedResponse { cid: request.cid, track: Some(track) };
            p.send(cx, signal_response::Message::TrackPublished(response));
            return;
        }
        if held.is_some() || p.pending.iter().any(|t| t.cid == request.cid) {
            p.queued.push_back(request.clone());
            self.respond(cx, pid, Reason::Queued, "", Request::AddTrack(request));
            return;
        }
        self.accept_track(cx, pid, &request);
    }

    /// Confirms a track; its media may already be there.
    fn accept_track(&mut self, cx: &mut Cx<'_>, pid: Pid, request: &AddTrackRequest) {
        let Some(p) = self.get(pid) else { return };
        let info = describe(&p.client.publish_codecs(cx.codecs), cx.rng, request);
        self.await_media(cx, pid, Pending { cid: request.cid.clone(), info, adds: None });
    }

    /// Confirms what was added; its media section is found now or with a later offer.
    pub(super) fn await_media(&mut self, cx: &mut Cx<'_>, pid: Pid, pending: Pending) {
        let Some(p) = self.get_mut(pid) else { return };
        let (cid, track) = (pending.cid.clone(), Some(pending.info.clone()));
        let response = TrackPublishedResponse { cid, track };
        p.send(cx, signal_response::Message::TrackPublished(response));
        let mut waiting = p.unmatched.iter().filter(|(_, u)| u.kind == pending.kind());
        let named =
            waiting.clone().find(|(_, u)| u.stream.track_id.as_ref().is_some_and(|id| pending.has_cid(id)));
        let Some(mid) = named.or_else(|| waiting.next()).map(|(mid, _)| *mid) else {
            p.pending.push(pending);
            self.recount(pid);
            return;
        };
        if let Some(section) = p.unmatched.remove(&mid) {
            self.publish(cx, pid, Match { pending, mid, section });
        }
    }

    /// A track ended: a queued one with the same client id takes its place.
    pub(crate) fn promote_queued(&mut self, cx: &mut Cx<'_>, pid: Pid, cid: &str) {
        let Some(p) = self.get_mut(pid) else { return };
        let next = p.queued.iter().position(|r| r.cid == cid).and_then(|i| p.queued.remove(i));
        if let Some(request) = next {
            self.accept_track(cx, pid, &request);
        }
    }

    pub(super) fn on_update_audio_track(&mut self, cx: &mut Cx<'_>, pid: Pid, update: UpdateLocalAudioTrack) {
        let features = update.features.clone();
        let change = |info: &mut TrackInfo| {
            info.stereo = features.contains(&(AudioTrackFeature::TfStereo as i32));
            info.disable_dtx = features.contains(&(AudioTrackFeature::TfNoDtx as i32));
            info.audio_features = only_known::<AudioTrackFeature>(&features);
        };
        if !self.change_track(cx, pid, &update.track_sid, change) {
            self.respond(cx, pid, Reason::NotFound, "track not found", Request::UpdateAudioTrack(update));
        }
    }

    pub(super) fn on_update_video_track(&mut self, cx: &mut Cx<'_>, pid: Pid, update: UpdateLocalVideoTrack) {
        let change = |info: &mut TrackInfo| {
            info.width = update.width;
            info.height = update.height;
        };
        if !self.change_track(cx, pid, &update.track_sid, change) {
            self.respond(cx, pid, Reason::NotFound, "track not found", Request::UpdateVideoTrack(update));
        }
    }

    /// Changes a track's description and tells everyone. False when the track is unknown.
    fn change_track(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        track: &str,
        change: impl FnOnce(&mut TrackInfo),
    ) -> bool {
        let Some(p) = self.get_mut(pid) else { return true };
        if let Some(pending) = p.pending.iter_mut().find(|t| t.adds.is_none() && t.info.sid == track) {
            change(&mut pending.info);
            return true;
        }
        let Some(t) = p.tracks.get_mut(track) else { return false };
        change(&mut t.info);
        t.info.version = timed_version(cx.now.unix_ms, 0);
        p.touch();
        self.announce(cx, pid, Audience::Everyone, true);
        true
    }
}

fn refuse(p: &Participant, config: &HubConfig, r: &AddTrackRequest) -> Option<(Reason, &'static str)> {
    let limits = &config.limits;
    let limited = !p.permission.can_publish_sources.is_empty();
    if !p.may_publish(r.source) || limited && !fits(r.source, r.r#type) {
        return Some((Reason::NotAllowed, "does not have permission to publish this source"));
    }
    let kinds = [TrackType::Audio as i32, TrackType::Video as i32];
    if !kinds.contains(&r.r#type) {
        return Some((Reason::UnsupportedType, "only audio and video tracks can be added"));
    }
    if !r.sid.is_empty() && !p.tracks.contains_key(&*r.sid) {
        return Some((Reason::NotFound, "track not found"));
    }
    let too_long = r.cid.is_empty() || r.cid.len() > 256 || r.name.len() > 256 || r.stream.len() > 256;
    if too_long || r.layers.len() > 8 || r.simulcast_codecs.len() > 8 || r.encoded_len() > MAX_REQUEST {
        return Some((Reason::LimitExceeded, "a field of the request is too long"));
    }
    let queued = p.queued.iter().filter(|q| q.cid == r.cid).count();
    if p.pending.len() >= limits.pending_tracks
        || p.queued.len() >= limits.pending_tracks
        || queued >= limits.queued_per_cid
        || p.tracks.len() >= limits.published_tracks
    {
        return Some((Reason::LimitExceeded, "too many tracks"));
    }
    None
}

/// The track as announced, before its media is known.
pub(super) fn describe(enabled: &[Codec], rng: &mut StdRng, r: &AddTrackRequest) -> TrackInfo {
    let kind = if r.r#type == TrackType::Video as i32 { TrackType::Video } else { TrackType::Audio };
    let source = TrackSource::try_from(r.source).unwrap_or_default();
    let layers = known_layers(&r.layers);
    let codecs = describe_codecs(enabled, kind, r, &layers);
    let svc = codecs
        .first()
        .is_some_and(|c| c.video_layer_mode == video_layer::Mode::MultipleSpatialLayersPerStream as i32);
    let mut audio_features = r.audio_features.clone();
    if r.stereo {
        audio_features.push(AudioTrackFeature::TfStereo as i32);
    }
    if r.disable_dtx {
        audio_features.push(AudioTrackFeature::TfNoDtx as i32);
    }
    let stream = match (r.stream.is_empty(), source) {
        (false, _) => r.stream.clone(),
        (true, TrackSource::Camera | TrackSource::Microphone) => "camera".to_owned(),
        (true, TrackSource::ScreenShare | TrackSource::ScreenShareAudio) => "screen".to_owned(),
        (true, TrackSource::Unknown) => "unknown".to_owned(),
    };
    let mut info = TrackInfo {
        sid: track_sid(rng, kind, source).to_string(),
        r#type: r.r#type,
        name: r.name.clone(),
        muted: r.muted,
        width: r.width,
        height: r.height,
        simulcast: !svc && layers.len() > 1,
        disable_dtx: r.disable_dtx,
        source: source as i32,
        mime_type: codecs.first().map(|c| c.mime_type.clone()).unwrap_or_default(),
        layers,
        codecs,
        stereo: r.stereo,
        disable_red: r.disable_red,
        encryption: known_encryption(r.encryption),
        stream,
        audio_features: only_known::<AudioTrackFeature>(&audio_features),
        backup_codec_policy: known::<BackupCodecPolicy>(r.backup_codec_policy),
        packet_trailer_features: only_known::<PacketTrailerFeature>(&r.packet_trailer_features),
        ..TrackInfo::default()
    };
    if kind_of(&info) == bedrud_rtp::MediaKind::Audio {
        info.backup_codec_policy = BackupCodecPolicy::Simulcast as i32;
    }
    info
}

fn describe_codecs(
    enabled: &[Codec],
    kind: TrackType,
    r: &AddTrackRequest,
    layers: &[VideoLayer],
) -> Vec<SimulcastCodecInfo> {
    use video_layer::Mode;
    let media =
        if kind == TrackType::Audio { bedrud_rtp::MediaKind::Audio } else { bedrud_rtp::MediaKind::Video };
    let fallback = enabled.iter().copied().find(|c| c.kind() == media && *c != Codec::Red);
    let mut out: Vec<SimulcastCodecInfo> = Vec::new();
    for wanted in &r.simulcast_codecs {
        let usable = Codec::from_name(&wanted.codec).filter(|c| c.kind() == media && enabled.contains(c));
        let Some(codec) = usable.or(fallback) else { continue };
        if out.iter().any(|c| c.mime_type == codec.mime_type()) {
            continue;
        }
        let mode = layer_mode(codec, wanted.video_layer_mode);
        let own = if wanted.layers.is_empty() { layers.to_vec() } else { known_layers(&wanted.layers) };
        out.push(SimulcastCodecInfo {
            mime_type: codec.mime_type().to_owned(),
            cid: if wanted.cid.is_empty() && out.is_empty() { r.cid.clone() } else { wanted.cid.clone() },
            layers: own,
            video_layer_mode: mode as i32,
            ..SimulcastCodecInfo::default()
        });
    }
    if out.is_empty() {
        out.push(SimulcastCodecInfo {
            cid: r.cid.clone(),
            layers: layers.to_vec(),
            video_layer_mode: Mode::OneSpatialLayerPerStream as i32,
            ..SimulcastCodecInfo::default()
        });
    }
    out
}

/// How the layers of a codec come, unless the client says.
pub(super) fn layer_mode(codec: Codec, said: i32) -> video_layer::Mode {
    use video_layer::Mode;
    let svc = matches!(codec, Codec::Vp9 | Codec::Av1);
    let default = if svc { Mode::MultipleSpatialLayersPerStream } else { Mode::OneSpatialLayerPerStream };
    Mode::try_from(said).ok().filter(|m| *m != Mode::Unused).unwrap_or(default)
}
