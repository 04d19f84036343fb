//! Spatial layers inside one stream (SVC): which are sent, and what a subscriber of each costs.

use super::stream::smoothed_rate;
use crate::egress::allocate::MAX_LAYERS;
use bedrud_rtp::sniff::{DependencyDescriptor, DependencyStructure, Descriptor, Indication, PayloadInfo};
use std::time::{Duration, Instant};

/// Layers of a stream, as a mask or by index.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpatialLayers {
    layers: [Layer; MAX_LAYERS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Layer {
    /// Last packet of the layer, or when the sender said that it sends it. `None` while it is not sent.
    last: Option<Instant>,
    /// Bytes for a subscriber of this layer since the last measurement.
    bytes: u64,
    /// Bits per second for a subscriber of this layer.
    rate: u64,
}

/// What a packet tells about the layers of its stream.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// Its own layer.
    spatial: u8,
    /// Subscribers of which layers get it, a bit each.
    serves: u8,
    /// Layers the sender says it sends.
    sent: Option<u8>,
}

impl Told {
    fn new(
        info: &PayloadInfo,
        dependency: Option<(&DependencyDescriptor, &DependencyStructure)>,
    ) -> Option<Self> {
        if let Some((dd, structure)) = dependency {
            let spatial = dd.layer?.spatial;
            return Some(Self {
                spatial,
                serves: serves(dd, structure),
                sent: dd.active_targets.map(|active| sent(active, structure)),
            });
        }
        let Descriptor::Vp9(d) = &info.descriptor else { return None };
        d.layer?;
        let below = |n: u8| ((1u32 << n.min(MAX_LAYERS as u8)) - 1) as u8;
        Some(Self { spatial: info.spatial, serves: !below(info.spatial), sent: d.spatial_layers.map(below) })
    }
}

/// Spatial layers at whose full frame rate the frame is needed.
fn serves(dd: &DependencyDescriptor, structure: &DependencyStructure) -> u8 {
    let mut best = [None; MAX_LAYERS];
    for (i, target) in (0u8..).zip(structure.targets()) {
        if let Some(slot) = best.get_mut(usize::from(target.layer.spatial))
            && slot.is_none_or(|(temporal, _)| target.layer.temporal > temporal)
        {
            *slot = Some((target.layer.temporal, i));
        }
    }
    let needed = |i: u8| dd.indication(i).is_some_and(|what| what != Indication::NotPresent);
    (0..)
        .zip(best)
        .fold(0, |mask, (s, target): (u8, _)| mask | u8::from(target.is_some_and(|(_, i)| needed(i))) << s)
}

/// Spatial layers of active decode targets.
fn sent(active: u32, structure: &DependencyStructure) -> u8 {
    let targets = (0u32..).zip(structure.targets()).filter(|(i, _)| active >> i & 1 != 0);
    targets.fold(0, |mask, (_, t)| mask | 1 << t.layer.spatial.min(7))
}

impl SpatialLayers {
    /// Notes a packet of `bytes`. Makes the table with the first packet that has layers. True when other layers are
    /// sent now than before.
    pub(crate) fn on_packet(
        table: &mut Option<Box<Self>>,
        now: Instant,
        info: &PayloadInfo,
        dependency: Option<(&DependencyDescriptor, &DependencyStructure)>,
        bytes: usize,
    ) -> bool {
        let Some(told) = Told::new(info, dependency) else { return false };
        let table = table.get_or_insert_default();
        let mut changed = false;
        for (s, layer) in (0u8..).zip(&mut table.layers) {
            if told.serves >> s & 1 != 0 {
                layer.bytes += bytes as u64;
            }
            let was = layer.last.is_some();
            if let Some(sent) = told.sent {
                layer.last = (sent >> s & 1 != 0).then_some(now);
            }
            if s == told.spatial {
                layer.last = Some(now);
            }
            changed |= was != layer.last.is_some();
        }
        changed
    }

    /// Forgets layers of which nothing came for `timeout` up to `newest`, the time of the stream's last packet; true when
    /// there are such. A stream that is silent as a whole (a still screen) loses no layer.
    pub(crate) fn expire(&mut self, newest: Instant, timeout: Duration) -> bool {
        let mut changed = false;
        for layer in &mut self.layers {
            if layer.last.is_some_and(|t| newest.saturating_duration_since(t) >= timeout) {
                layer.last = None;
                changed = true;
            }
        }
        changed
    }

    /// Ends a measurement window.
    pub(crate) fn measure(&mut self, window: Duration) {
        for layer in &mut self.layers {
            layer.rate = smoothed_rate(layer.rate, std::mem::take(&mut layer.bytes), window);
        }
    }

    /// Highest layer sent at or below `max`, else the lowest there is.
    pub(crate) fn best(&self, max: u8) -> Option<u8> {
        let sent = || (0u8..).zip(&self.layers).filter(|(_, l)| l.last.is_some()).map(|(s, _)| s);
        sent().filter(|s| *s <= max).max().or_else(|| sent().min())
    }

    /// Bits per second for a subscriber of each layer; 0 for layers that are not sent.
    pub(crate) fn rates(&self) -> [u64; MAX_LAYERS] {
        self.layers.map(|l| if l.last.is_some() { l.rate } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_rtp::Codec;
    use bedrud_rtp::sniff::sniff;

    /// A VP9 packet of a layer; with `layers` a structure.
    fn vp9(spatial: u8, layers: Option<u8>) -> PayloadInfo {
        let mut payload = vec![0xa8, 5, spatial << 1, 0];
        if let Some(n) = layers {
            payload[0] |= 2;
            payload.push((n - 1) << 5);
        }
        sniff(Codec::Vp9, &payload, None)
    }

    #[test]
    fn announced_layers_count_until_they_stay_away() {
        let t = crate::test_clock();
        let at = |ms| t + Duration::from_millis(ms);
        let mut table = None;
        assert!(SpatialLayers::on_packet(&mut table, t, &vp9(0, Some(3)), None, 100));
        assert_eq!(table.as_ref().unwrap().best(9), Some(2));
        for ms in [500, 1000] {
            for s in 0..2 {
                assert!(!SpatialLayers::on_packet(&mut table, at(ms), &vp9(s, None), None, 100));
            }
        }
        let layers = table.as_mut().unwrap();
        assert!(layers.expire(at(1500), Duration::from_millis(1500)));
        assert_eq!((layers.best(2), layers.best(0)), (Some(1), Some(0)));
        assert!(!layers.expire(at(1600), Duration::from_millis(1500)));
        assert!(SpatialLayers::on_packet(&mut table, at(1700), &vp9(2, None), None, 100));
        assert!(SpatialLayers::on_packet(&mut table, at(1800), &vp9(0, Some(1)), None, 100));
        assert_eq!(table.unwrap().best(2), Some(0));
    }

    #[test]
    fn a_layer_costs_what_it_needs() {
        let t = crate::test_clock();
        let mut table = None;
        for s in 0..3 {
            SpatialLayers::on_packet(&mut table, t, &vp9(s, None), None, 100 << s);
        }
        let layers = table.as_mut().unwrap();
        layers.measure(Duration::from_secs(8));
        assert_eq!(layers.rates(), [100, 300, 700, 0]);
    }

    #[test]
    fn payloads_without_layers_make_no_table() {
        let mut table = None;
        let info = sniff(Codec::Vp8, &[0x10, 0, 0], None);
        assert!(!SpatialLayers::on_packet(&mut table, crate::test_clock(), &info, None, 100));
        assert!(table.is_none());
    }
}
