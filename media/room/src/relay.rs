//! A forwarded participant's streams on their way to the shard of the room that shows it.

use crate::context::Cx;
use crate::room::Participant;
use bedrud_rtp::MediaKind;
use bedrud_sfu::{
    Command, DownTrackConfig, DownTrackId, DownTrackSettings, RelayKey, TransportId, UpLayer, UpTrackConfig,
    UpTrackId,
};
use bytes::Bytes;
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet};

/// Both ends of a link between two shards, and the streams on it.
#[derive(Debug)]
pub(crate) struct Relay {
    /// At the shard of the publisher.
    near: TransportId,
    /// At the shard of the room that shows it.
    far: TransportId,
    /// By the publisher's stream.
    streams: BTreeMap<UpTrackId, Stream>,
    ssrcs: BTreeSet<u32>,
}

/// One stream on a relay.
#[derive(Debug)]
struct Stream {
    /// As published.
    source: UpTrackConfig,
    /// As it arrives at the far end.
    arrives: UpTrackConfig,
    /// What carries it: one subscription per layer.
    downs: Vec<DownTrackId>,
    muted: bool,
}

impl Relay {
    /// Links two shards. `None` when either is full.
    pub(crate) fn open(cx: &mut Cx<'_>, near: u16, far: u16) -> Option<Self> {
        let near = cx.ids.transport(near)?;
        let Some(far) = cx.ids.transport(far) else {
            cx.ids.free_transport(near);
            return None;
        };
        let key = RelayKey(std::array::from_fn(|_| cx.rng.random()));
        cx.command(near.shard, Command::OpenRelay { id: near, peer: far, key: key.clone() });
        cx.command(far.shard, Command::OpenRelay { id: far, peer: near, key });
        Some(Self { near, far, streams: BTreeMap::new(), ssrcs: BTreeSet::new() })
    }

    /// Carries what the participant publishes now, and no more than that.
    pub(crate) fn update(&mut self, cx: &mut Cx<'_>, source: &Participant) {
        let mut ended: BTreeSet<UpTrackId> = self.streams.keys().copied().collect();
        for track in source.tracks.values() {
            for feed in track.feeds() {
                ended.remove(&feed.config.id);
                self.carry(cx, &feed.config, track.info.muted);
            }
        }
        for id in ended {
            if let Some(stream) = self.streams.remove(&id) {
                self.stop(cx, &stream);
                cx.command(self.far.shard, Command::RemoveUpTrack { id: stream.arrives.id });
            }
        }
    }

    fn carry(&mut self, cx: &mut Cx<'_>, source: &UpTrackConfig, muted: bool) {
        let known = self.streams.get_mut(&source.id).filter(|s| s.source == *source);
        if let Some(stream) = known {
            if std::mem::replace(&mut stream.muted, muted) != muted {
                cx.command(self.far.shard, Command::MuteUpTrack { id: stream.arrives.id, muted });
            }
            return;
        }
        // Renegotiated: the far end keeps its id, so that whoever receives it goes on.
        let before = self.streams.remove(&source.id);
        if let Some(before) = &before {
            self.stop(cx, before);
        }
        let id = before.as_ref().map_or_else(|| cx.ids.up_track(), |b| b.arrives.id);
        let rtx = source.kind == MediaKind::Video && source.payload_types.iter().any(|p| p.rtx.is_some());
        let layers: Vec<UpLayer> = (source.layers.iter())
            .map(|layer| UpLayer {
                spatial: layer.spatial,
                rid: None,
                ssrc: Some(self.take_ssrc(cx)),
                rtx_ssrc: rtx.then(|| self.take_ssrc(cx)),
            })
            .collect();
        let downs = layers.iter().map(|layer| self.subscribe(cx, source, layer, layers.len())).collect();
        let arrives = UpTrackConfig { id, transport: self.far, layers, ..source.clone() };
        cx.command(self.far.shard, Command::SetUpTrack(arrives.clone()));
        if muted || before.is_some_and(|b| b.muted) {
            cx.command(self.far.shard, Command::MuteUpTrack { id, muted });
        }
        self.streams.insert(source.id, Stream { source: source.clone(), arrives, downs, muted });
    }

    /// Puts one layer on the link.
    fn subscribe(
        &self,
        cx: &mut Cx<'_>,
        source: &UpTrackConfig,
        layer: &UpLayer,
        layers: usize,
    ) -> DownTrackId {
        let id = cx.ids.down_track();
        // A stream that is alone may hold layers of its own (SVC), of which nothing is left out here.
        let max_spatial = if layers == 1 { u8::MAX } else { layer.spatial };
        let config = DownTrackConfig {
            id,
            transport: self.near,
            source: source.id,
            mid: source.mid,
            ssrc: layer.ssrc.unwrap_or_default(),
            rtx_ssrc: layer.rtx_ssrc,
            cname: "relay".to_owned(),
            payload_types: source.payload_types.clone(),
            settings: DownTrackSettings { paused: false, max_spatial, max_temporal: 3, may_pause: false },
            strip_trailer: false,
            frame_trailer: Bytes::new(),
            announce: false,
            playout_delay: None,
        };
        cx.command(self.near.shard, Command::AddDownTrack(config));
        id
    }

    fn stop(&mut self, cx: &mut Cx<'_>, stream: &Stream) {
        for id in &stream.downs {
            cx.command(self.near.shard, Command::RemoveDownTrack { id: *id });
        }
        for layer in &stream.arrives.layers {
            for ssrc in layer.ssrc.iter().chain(&layer.rtx_ssrc) {
                self.ssrcs.remove(ssrc);
            }
        }
    }

    fn take_ssrc(&mut self, cx: &mut Cx<'_>) -> u32 {
        loop {
            let ssrc = cx.rng.random_range(1..=u32::MAX);
            if self.ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }

    /// A stream as it arrives at the far end.
    pub(crate) fn arriving(&self, source: UpTrackId) -> Option<&UpTrackConfig> {
        self.streams.get(&source).map(|s| &s.arrives)
    }

    pub(crate) fn ends(&self) -> [TransportId; 2] {
        [self.near, self.far]
    }

    pub(crate) fn has_end(&self, id: TransportId) -> bool {
        self.near == id || self.far == id
    }

    /// Ends the link with everything on it.
    pub(crate) fn close(self, cx: &mut Cx<'_>) {
        for id in [self.near, self.far] {
            cx.command(id.shard, Command::CloseTransport { id });
            cx.ids.free_transport(id);
        }
    }
}
