//! Tracks of a publisher, before and after their media exists.

use crate::ids::{Pid, RoomKey, Sid};
use bedrud_rtp::{Codec, MediaKind, Mid};
use bedrud_sdp::{CodecSpec, CodecTable, NegotiatedPayload, OfferedStream, PublishChoice};
use bedrud_sfu::{PayloadType, UpLayer, UpTrackConfig, UpTrackId};
use livekit_protocol::{
    AudioTrackFeature, TimedVersion, TrackInfo, TrackType, UpdateTrackSettings, VideoQuality,
};
use livekit_protocol::{encryption, video_layer};
use std::collections::{BTreeMap, BTreeSet};

/// A track announced by `add_track` whose media section has not been seen.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) cid: String,
    pub(crate) info: TrackInfo,
    /// Set when this is a further codec of the published track `info.sid`.
    pub(crate) adds: Option<Codec>,
}

/// A media section somebody sends on without having announced a track.
#[derive(Debug, Clone)]
pub(crate) struct Unmatched {
    pub(crate) kind: MediaKind,
    pub(crate) stream: OfferedStream,
    pub(crate) payloads: Vec<NegotiatedPayload>,
}

/// A track that can be subscribed to.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) cid: String,
    pub(crate) info: TrackInfo,
    pub(crate) kind: MediaKind,
    /// In the codec the publisher prefers.
    pub(crate) primary: Feed,
    /// The same in other codecs, for those who cannot take the first.
    pub(crate) backups: Vec<Feed>,
    /// Everyone who can gets the first backup instead of the preferred codec.
    pub(crate) regressed: bool,
    /// Participants with a subscription, carried or not.
    pub(crate) subscribers: BTreeSet<Pid>,
    /// The platform has been told of it.
    pub(crate) reported: bool,
    /// `track_subscribed` was sent.
    pub(crate) noticed: bool,
    /// Its audio levels are known.
    pub(crate) metered: bool,
    pub(crate) dynacast: Dynacast,
    /// Its stream belongs to a participant of another room.
    pub(crate) borrowed: bool,
    /// What is watched in rooms it is forwarded to.
    pub(crate) elsewhere: BTreeMap<RoomKey, Demand>,
    /// Smoothed loudness, linear 0..1.
    pub(crate) loudness: f32,
    /// Smoothed reception score, 0..=100.
    pub(crate) score: Option<f32>,
}

/// A track in one codec, as it arrives on one media section.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) config: UpTrackConfig,
    /// Codec in use: the first negotiated one until the first packet tells.
    pub(crate) codec: CodecSpec,
    /// Its first packet has arrived.
    pub(crate) heard: bool,
}

/// Highest quality wanted of each codec, the preferred one first; `None` for nothing at all.
pub(crate) type Demand = Vec<(Codec, Option<VideoQuality>)>;

/// What the publisher was told to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dynacast {
    /// `None` until the first message.
    pub(crate) told: Option<Demand>,
}

/// A codec in which a subscriber can have a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) codec: Codec,
    /// `None` while the publisher does not send it.
    pub(crate) source: Option<UpTrackId>,
}

impl Pending {
    pub(crate) fn kind(&self) -> MediaKind {
        kind_of(&self.info)
    }

    pub(crate) fn has_cid(&self, id: &str) -> bool {
        self.cid == id || self.adds.is_none() && self.info.codecs.iter().any(|c| c.cid == id)
    }

    /// How to answer the section this track comes on.
    pub(crate) fn choice(&self) -> PublishChoice {
        let has = |f: AudioTrackFeature| self.info.audio_features.contains(&(f as i32));
        PublishChoice {
            codec: self
                .adds
                .or_else(|| self.info.codecs.first().and_then(|c| Codec::from_name(&c.mime_type))),
            stereo: self.info.stereo || has(AudioTrackFeature::TfStereo),
            dtx: !(self.info.disable_dtx || has(AudioTrackFeature::TfNoDtx)),
            red: !self.info.disable_red,
        }
    }
}

impl Feed {
    /// The parameter sets in which it may arrive: that in use, and what else was negotiated of the same codec.
    fn specs(&self) -> Vec<CodecSpec> {
        let negotiated = self.config.payload_types.iter().filter(|p| p.codec == self.codec.codec);
        let negotiated = negotiated.map(|p| CodecSpec { codec: p.codec, variant: p.variant });
        std::iter::once(self.codec).chain(negotiated.filter(|s| *s != self.codec)).collect()
    }

    /// The payload types of a subscriber that gets this stream: those it accepted, and under which of them goes what the
    /// publisher may send in parameters that the subscriber has not named.
    pub(crate) fn payload_types_for(
        &self,
        table: &CodecTable,
        accepted: &[NegotiatedPayload],
    ) -> Vec<PayloadType> {
        let mut out = payload_types(accepted);
        for spec in self.specs() {
            let carriers = table.carriers(spec);
            let carrier = carriers.iter().find_map(|c| accepted.iter().find(|p| p.spec() == *c));
            if let Some(p) = carrier.filter(|_| !accepted.iter().any(|p| p.spec() == spec)) {
                out.extend(payload_types(&[NegotiatedPayload { variant: spec.variant, ..*p }]));
            }
        }
        out
    }
}

impl Published {
    pub(crate) fn sid(&self) -> &str {
        &self.info.sid
    }

    /// Whether a client means this track by an id, as it announced it or as its SDP names it.
    pub(crate) fn has_cid(&self, id: &str) -> bool {
        self.cid == id || self.info.codecs.iter().any(|c| c.cid == id || c.sdp_cid == id)
    }

    /// Every codec in which it arrives.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = &Feed> {
        std::iter::once(&self.primary).chain(&self.backups)
    }

    pub(crate) fn feed_mut(&mut self, id: UpTrackId) -> Option<&mut Feed> {
        std::iter::once(&mut self.primary).chain(&mut self.backups).find(|f| f.config.id == id)
    }

    /// Whether a codec arrives, by itself or inside RED.
    pub(crate) fn arrives_in(&self, codec: Codec) -> bool {
        self.feeds().any(|f| f.codec.codec == codec || f.codec.codec == Codec::Red && codec == Codec::Opus)
    }

    /// Codecs announced besides the preferred one, arriving or not.
    pub(crate) fn backup_codecs(&self) -> impl Iterator<Item = Codec> {
        self.info.codecs.iter().skip(1).filter_map(|c| Codec::from_name(&c.mime_type))
    }

    /// Parameter sets of a backup codec that may be sent to a subscriber.
    fn backup_specs(&self, table: &CodecTable, codec: Codec) -> Vec<CodecSpec> {
        match self.backups.iter().find(|f| f.codec.codec == codec) {
            Some(feed) => table.subscribe_codecs(&feed.specs(), true),
            None => table.variants(codec),
        }
    }

    /// Codecs to offer to subscribers: those that may yet arrive too, so that nothing is renegotiated when they do.
    pub(crate) fn send_codecs(&self, table: &CodecTable) -> Vec<CodecSpec> {
        let mut all = self.primary.specs();
        all.extend(self.backup_codecs().flat_map(|c| table.variants(c)));
        table.subscribe_codecs(&all, self.encrypted())
    }

    /// The codec for a subscriber that accepts these payload types; `None` when there is none.
    pub(crate) fn choose(&self, table: &CodecTable, accepted: &[NegotiatedPayload]) -> Option<Way> {
        let first = Way { codec: self.primary.codec.codec, source: Some(self.primary.config.id) };
        if self.backup_codecs().next().is_none() {
            return Some(first);
        }
        let takes = |specs: &[CodecSpec]| accepted.iter().any(|p| specs.contains(&p.spec()));
        let first = takes(&table.subscribe_codecs(&self.primary.specs(), self.encrypted())).then_some(first);
        let mut backups = self.backup_codecs().filter(|c| takes(&self.backup_specs(table, *c)));
        let backup = backups.next().map(|codec| {
            let feed = self.backups.iter().find(|f| f.codec.codec == codec);
            Way { codec, source: feed.map(|f| f.config.id) }
        });
        if self.regressed { backup.or(first) } else { first.or(backup) }
    }

    /// How to answer the section of one of its codecs.
    pub(crate) fn choice(&self, mid: Mid) -> PublishChoice {
        let backup = self.backups.iter().find(|f| f.config.mid == mid).map(|f| f.codec.codec);
        Pending { cid: String::new(), info: self.info.clone(), adds: backup }.choice()
    }

    pub(crate) fn encrypted(&self) -> bool {
        self.info.encryption != encryption::Type::None as i32
    }

    /// Layers from smallest to largest.
    pub(crate) fn qualities(&self) -> Vec<VideoQuality> {
        let mut all: Vec<_> =
            self.info.layers.iter().filter_map(|l| VideoQuality::try_from(l.quality).ok()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|q| *q != VideoQuality::Off);
        all
    }

    /// Spatial layer that carries a quality, or the best one below it; `u8::MAX` is no limit.
    pub(crate) fn spatial(&self, quality: VideoQuality) -> u8 {
        let qualities = self.qualities();
        if qualities.is_empty() {
            return match quality {
                VideoQuality::Low | VideoQuality::Off => 0,
                VideoQuality::Medium => 1,
                VideoQuality::High => 2,
            };
        }
        // One stream may hold more layers (SVC) than its publisher described: the best described is then all of it.
        if self.primary.config.layers.len() == 1 && qualities.last().is_some_and(|top| quality >= *top) {
            return u8::MAX;
        }
        let below = qualities.iter().filter(|q| **q <= quality).count();
        u8::try_from(below.saturating_sub(1)).unwrap_or(0)
    }

    /// Quality of a spatial layer; the top layer counts as `High`, so that a request for it never lowers others.
    pub(crate) fn quality(&self, spatial: u8) -> VideoQuality {
        let qualities = self.qualities();
        if qualities.is_empty() {
            return match spatial {
                0 => VideoQuality::Low,
                1 => VideoQuality::Medium,
                _ => VideoQuality::High,
            };
        }
        let index = usize::from(spatial);
        if index + 1 >= qualities.len() {
            return VideoQuality::High;
        }
        qualities.get(index).copied().unwrap_or(VideoQuality::High)
    }

    /// Quality asked for by `track_setting`: by size when given, else by name.
    pub(crate) fn wanted(&self, settings: &UpdateTrackSettings) -> VideoQuality {
        if settings.width == 0 && settings.height == 0 {
            return match VideoQuality::try_from(settings.quality) {
                Ok(VideoQuality::Off) | Err(_) => VideoQuality::Low,
                Ok(q) => q,
            };
        }
        let mut layers: Vec<_> = self.info.layers.iter().collect();
        layers.sort_by_key(|l| l.quality);
        let by_height = layers.iter().any(|l| l.height != 0);
        let portrait = self.info.height > self.info.width;
        let asked = if portrait && !by_height { settings.width } else { settings.height };
        let asked = if asked == 0 { settings.height.max(settings.width) } else { asked };
        // A tile a little larger than a layer still gets that layer.
        let least = u64::from(asked) * 9 / 10;
        let heights: Vec<u32> = if by_height {
            layers.iter().map(|l| l.height).collect()
        } else {
            let original = if portrait { self.info.width } else { self.info.height };
            vec![180, 360, if original == 0 { u32::MAX } else { original }]
        };
        let index =
            heights.iter().position(|h| u64::from(*h) >= least).unwrap_or(heights.len().saturating_sub(1));
        self.quality(u8::try_from(index).unwrap_or(u8::MAX))
    }
}

pub(crate) fn kind_of(info: &TrackInfo) -> MediaKind {
    if info.r#type == TrackType::Video as i32 { MediaKind::Video } else { MediaKind::Audio }
}

/// Layers of a section, smallest first, whatever order the client lists them in.
pub(crate) fn up_layers(stream: &OfferedStream) -> Vec<UpLayer> {
    let mut rids: Vec<_> = stream.layers.iter().map(|l| l.rid).take(3).collect();
    // `h` is half with SDKs and OBS, and high where there is a low or a medium.
    let named = rids.iter().any(|r| matches!(r.as_str(), "l" | "m"));
    let rank = |rid: &str| match rid {
        "q" | "2" | "l" | "lo" | "low" => Some(0),
        "m" | "mid" | "med" | "medium" | "1" => Some(1),
        "h" if !named => Some(1),
        "h" | "hi" | "high" | "f" | "0" => Some(2),
        _ => None,
    };
    if rids.iter().all(|r| rank(r.as_str()).is_some()) {
        rids.sort_by_key(|r| rank(r.as_str()));
    }
    if !rids.is_empty() {
        let layer = |(i, rid)| UpLayer { spatial: i, rid: Some(rid), ssrc: None, rtx_ssrc: None };
        return (0u8..).zip(rids).map(layer).collect();
    }
    if stream.ssrcs.is_empty() {
        return vec![UpLayer { spatial: 0, rid: None, ssrc: None, rtx_ssrc: None }];
    }
    let layer = |(i, (ssrc, rtx)): (u8, &(u32, Option<u32>))| UpLayer {
        spatial: i,
        rid: None,
        ssrc: Some(*ssrc),
        rtx_ssrc: *rtx,
    };
    (0u8..).zip(stream.ssrcs.iter().take(3)).map(layer).collect()
}

pub(crate) fn payload_types(payloads: &[NegotiatedPayload]) -> Vec<PayloadType> {
    let one = |p: &NegotiatedPayload| PayloadType {
        pt: p.pt,
        codec: p.codec,
        variant: p.variant,
        rtx: p.rtx,
        nack: p.nack,
    };
    payloads.iter().map(one).collect()
}

/// Writes into the track's description what the media section of one of its codecs tells.
pub(crate) fn describe_media(
    info: &mut TrackInfo,
    index: usize,
    mid: Mid,
    stream: &OfferedStream,
    codec: Codec,
    cid: &str,
) {
    let mid = mid.to_string();
    let layers = up_layers(stream);
    let svc = info
        .codecs
        .get(index)
        .is_some_and(|c| c.video_layer_mode == video_layer::Mode::MultipleSpatialLayersPerStream as i32);
    let fill = |list: &mut Vec<livekit_protocol::VideoLayer>| {
        for (i, layer) in (0i32..).zip(list.iter_mut()) {
            layer.spatial_layer = i;
            let stream = if svc { layers.first() } else { layers.get(usize::try_from(i).unwrap_or(0)) };
            if let Some(up) = stream {
                layer.rid = up.rid.map(|r| r.to_string()).unwrap_or_default();
                layer.ssrc = up.ssrc.unwrap_or(0);
                layer.repair_ssrc = up.rtx_ssrc.unwrap_or(0);
            }
        }
    };
    if index == 0 {
        info.mid.clone_from(&mid);
        codec.mime_type().clone_into(&mut info.mime_type);
        fill(&mut info.layers);
    }
    if let Some(entry) = info.codecs.get_mut(index) {
        entry.mid = mid;
        codec.mime_type().clone_into(&mut entry.mime_type);
        fill(&mut entry.layers);
        if let Some(id) = &stream.track_id
            && id != cid
        {
            entry.sdp_cid.clone_from(id);
        }
    }
}

pub(crate) fn timed_version(unix_ms: u64, ticks: i32) -> Option<TimedVersion> {
    Some(TimedVersion { unix_micro: i64::try_from(unix_ms.saturating_mul(1000)).unwrap_or(i64::MAX), ticks })
}

/// The sid as a map key.
pub(crate) fn key(sid: &str) -> Sid {
    Sid::from(sid)
}
