//! What publishers send: tracks, their layers, and the streams behind the layers.

pub(crate) mod clock;
pub(crate) mod frame;
pub(crate) mod key_frame;
pub(crate) mod level;
pub(crate) mod ring;
pub(crate) mod spatial;
pub(crate) mod stream;

use crate::arena::Key;
use crate::command::{PayloadType, UpLayer, UpTrackConfig};
use crate::config::ShardConfig;
use crate::egress::allocate::MAX_LAYERS;
use crate::ids::{TransportId, UpTrackId};
use bedrud_rtp::{MediaKind, Mid, Pt, Rid, Ssrc};
use key_frame::KeyFrameRequests;
use level::AudioMeter;
use spatial::SpatialLayers;
use std::time::{Duration, Instant};
use stream::Stream;

/// Streams a layer may begin within [`START_WINDOW`].
const MAX_STARTS: u32 = 4;
const START_WINDOW: Duration = Duration::from_secs(2);

/// One simulcast layer (the only layer of a track that is not simulcast).
#[derive(Debug)]
pub(crate) struct Layer {
    /// As negotiated.
    pub(crate) config: UpLayer,
    /// SSRC in use, declared or learned.
    pub(crate) ssrc: Option<Ssrc>,
    /// RTX SSRC in use, declared or learned.
    pub(crate) rtx_ssrc: Option<Ssrc>,
    /// State since the first packet.
    pub(crate) stream: Option<Box<Stream>>,
    /// Number of streams the layer has had.
    pub(crate) generation: u32,
    /// Streams begun in the present window.
    starts: (Option<Instant>, u32),
}

impl Layer {
    fn new(config: UpLayer) -> Self {
        Self {
            config,
            ssrc: config.ssrc,
            rtx_ssrc: config.rtx_ssrc,
            stream: None,
            generation: 0,
            starts: (None, 0),
        }
    }

    /// Whether a new stream may begin now. A publisher may change its SSRC or start over, but not with every packet:
    /// each start takes memory and an event.
    pub(crate) fn may_start(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.starts;
        if since.is_none_or(|t| now.saturating_duration_since(t) >= START_WINDOW) {
            *since = Some(now);
            *count = 0;
        }
        *count += 1;
        *count <= MAX_STARTS
    }

    /// Packets arrive.
    pub(crate) fn is_live(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.live)
    }
}

/// What of a track a subscriber should get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Simulcast layer.
    pub(crate) layer: u8,
    /// Highest spatial layer within its stream; `u8::MAX` is no limit.
    pub(crate) spatial: u8,
}

/// What a payload type of a published track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PtUse {
    /// Media.
    Media(PayloadType),
    /// Retransmissions of this payload type.
    Rtx(PayloadType),
}

/// A published m-line.
#[derive(Debug)]
pub(crate) struct UpTrack {
    pub(crate) id: UpTrackId,
    pub(crate) transport: TransportId,
    pub(crate) kind: MediaKind,
    pub(crate) mid: Mid,
    pub(crate) payload_types: Vec<PayloadType>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) muted: bool,
    pub(crate) downs: Vec<Key>,
    pub(crate) key_frames: KeyFrameRequests,
    pub(crate) meter: AudioMeter,
    /// The track is in the shard's list of audible tracks.
    pub(crate) metered: bool,
    /// Key frame requests since the last statistics event.
    pub(crate) stats_plis: u32,
    /// From the publisher's NTP clock to the shard's.
    pub(crate) clock_offset: i64,
}

impl UpTrack {
    pub(crate) fn new(config: UpTrackConfig, shard: &ShardConfig) -> Self {
        Self {
            id: config.id,
            transport: config.transport,
            kind: config.kind,
            mid: config.mid,
            payload_types: config.payload_types,
            layers: config.layers.into_iter().map(Layer::new).collect(),
            muted: false,
            downs: Vec::new(),
            key_frames: KeyFrameRequests::new(shard.key_frame_interval, shard.key_frame_retry),
            meter: AudioMeter::default(),
            metered: false,
            stats_plis: 0,
            clock_offset: 0,
        }
    }

    pub(crate) fn is_video(&self) -> bool {
        self.kind == MediaKind::Video
    }

    /// Takes over new payload types and layers. A layer keeps its stream while its SSRC stays the same.
    pub(crate) fn update(&mut self, config: UpTrackConfig) {
        self.mid = config.mid;
        self.payload_types = config.payload_types;
        let mut old: Vec<Layer> = std::mem::take(&mut self.layers);
        for layer in config.layers {
            let same = |l: &Layer| match (layer.rid, layer.ssrc) {
                (Some(rid), _) => l.config.rid == Some(rid),
                (None, ssrc) => {
                    l.config.rid.is_none()
                        && l.config.spatial == layer.spatial
                        && (ssrc.is_none() || l.ssrc == ssrc)
                }
            };
            let kept = old.iter().position(same).map(|at| old.swap_remove(at));
            self.layers.push(match kept {
                Some(mut l) => {
                    l.config = layer;
                    l.ssrc = layer.ssrc.or(l.ssrc);
                    l.rtx_ssrc = layer.rtx_ssrc.or(l.rtx_ssrc);
                    l
                }
                None => {
                    // A new SSRC in an old place: the next stream must not be taken for the old one.
                    let generation =
                        old.iter().find(|l| l.config.spatial == layer.spatial).map_or(0, |l| l.generation);
                    Layer { generation, ..Layer::new(layer) }
                }
            });
        }
    }

    /// What a payload type means here.
    pub(crate) fn pt_use(&self, pt: Pt) -> Option<PtUse> {
        let media = self.payload_types.iter().find(|p| p.pt == pt).map(|p| PtUse::Media(*p));
        media.or_else(|| self.payload_types.iter().find(|p| p.rtx == Some(pt)).map(|p| PtUse::Rtx(*p)))
    }

    /// Layer with this rid; without a rid the only layer.
    pub(crate) fn layer_by_rid(&self, rid: Option<Rid>) -> Option<usize> {
        match rid {
            Some(rid) => self
                .layers
                .iter()
                .position(|l| l.config.rid == Some(rid))
                // A single encoding may carry a rid that SDP did not list.
                .or((self.layers.len() == 1 && self.layers.first()?.config.rid.is_none()).then_some(0)),
            None => (self.layers.len() == 1).then_some(0),
        }
    }

    /// Whether the SSRC of a layer, or of its repair stream, is known.
    pub(crate) fn knows(&self, layer: usize, rtx: bool) -> bool {
        let ssrc = |l: &Layer| if rtx { l.rtx_ssrc } else { l.ssrc };
        self.layers.get(layer).is_some_and(|l| ssrc(l).is_some())
    }

    /// Best live layer at or below `max`; above it only when nothing at or below lives. When nothing lives at all (a
    /// still screen, say), the layers that once did count.
    pub(crate) fn best_live(&self, max: u8) -> Option<u8> {
        let best = |usable: fn(&Layer) -> bool| {
            let all = || self.layers.iter().filter(move |l| usable(l)).map(|l| l.config.spatial);
            all().filter(|s| *s <= max).max().or_else(|| all().min())
        };
        best(Layer::is_live).or_else(|| best(|l| l.stream.is_some()))
    }

    /// As [`UpTrack::best_live`], with the layer inside the stream of a track that has only one.
    pub(crate) fn choose(&self, max: u8) -> Option<Choice> {
        let layer = self.best_live(max)?;
        let spatial = self.svc_layers().map_or(u8::MAX, |s| s.best(max).unwrap_or(max));
        Some(Choice { layer, spatial })
    }

    /// Layers inside the stream of a track that has only one stream.
    pub(crate) fn svc_layers(&self) -> Option<&SpatialLayers> {
        match self.layers.as_slice() {
            [only] => only.stream.as_ref()?.spatial.as_deref(),
            _ => None,
        }
    }

    /// Bits per second of each live layer; 0 is not live.
    pub(crate) fn rates(&self) -> [u64; MAX_LAYERS] {
        let mut rates = [0; MAX_LAYERS];
        for layer in self.layers.iter().filter(|l| l.is_live()) {
            if let Some(svc) = self.svc_layers() {
                return svc.rates();
            }
            if let (Some(slot), Some(stream)) =
                (rates.get_mut(usize::from(layer.config.spatial)), layer.stream.as_ref())
            {
                *slot = stream.bitrate();
            }
        }
        rates
    }

    /// The layer with this spatial index.
    pub(crate) fn layer(&self, spatial: u8) -> Option<&Layer> {
        self.layers.iter().find(|l| l.config.spatial == spatial)
    }

    /// The stream of a layer.
    pub(crate) fn stream(&self, spatial: u8) -> Option<&Stream> {
        self.layer(spatial)?.stream.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_rtp::Codec;

    fn pt(pt: Pt, rtx: Option<Pt>) -> PayloadType {
        PayloadType { pt, codec: Codec::Vp8, variant: 0, rtx, nack: true }
    }

    fn layer(spatial: u8, rid: &str) -> UpLayer {
        UpLayer { spatial, rid: Rid::new(rid), ssrc: None, rtx_ssrc: None }
    }

    fn track(layers: Vec<UpLayer>) -> UpTrackConfig {
        UpTrackConfig {
            id: UpTrackId(1),
            transport: TransportId { shard: 0, slot: 0, epoch: 0 },
            kind: MediaKind::Video,
            mid: Mid::new("0").unwrap(),
            payload_types: vec![pt(96, Some(97))],
            layers,
        }
    }

    #[test]
    fn updates_keep_learned_ssrcs_by_rid() {
        let config = ShardConfig::default();
        let mut t = UpTrack::new(track(vec![layer(0, "q"), layer(1, "h")]), &config);
        t.layers[1].ssrc = Some(77);
        t.update(track(vec![layer(0, "h"), layer(1, "f")]));
        assert_eq!(t.layers[0].ssrc, Some(77));
        assert_eq!(t.layers[1].ssrc, None);
        assert_eq!(t.layer_by_rid(Rid::new("f")), Some(1));
        assert_eq!(t.layer_by_rid(None), None);
    }

    #[test]
    fn payload_types_tell_media_from_repair() {
        let t = UpTrack::new(track(vec![layer(0, "q")]), &ShardConfig::default());
        assert!(matches!(t.pt_use(96), Some(PtUse::Media(_))));
        assert!(matches!(t.pt_use(97), Some(PtUse::Rtx(p)) if p.pt == 96));
        assert_eq!(t.pt_use(98), None);
    }
}
