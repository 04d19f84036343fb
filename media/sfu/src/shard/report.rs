//! Audio levels, statistics, counters.

use super::Shard;
use crate::event::Event;
use crate::stats::ShardStats;
use std::time::Instant;

impl Shard {
    /// The statistics interval runs while there are tracks.
    pub(super) fn arm_stats(&mut self, now: Instant) {
        let due = now + self.config.stats_interval;
        self.stats_due.get_or_insert(due);
    }

    pub(super) fn run_reports(&mut self, now: Instant) {
        if self.audio_due.is_some_and(|t| t <= now) {
            self.report_levels(now);
        }
        if self.stats_due.is_some_and(|t| t <= now) {
            self.report_stats(now);
        }
    }

    fn report_levels(&mut self, now: Instant) {
        let mut levels = Vec::with_capacity(self.audible.len());
        let (ups, serving) = (&mut self.ups, &mut self.serving);
        self.audible.retain(|key| {
            let Some(up) = ups.get_mut(*key) else { return false };
            *serving = Some(up.transport);
            levels.extend(up.meter.take(up.id, &self.config));
            let idle = up.meter.is_idle();
            up.metered = !idle;
            !idle
        });
        self.serving = None;
        self.audio_due = (!self.audible.is_empty()).then_some(now + self.config.audio_interval);
        if !levels.is_empty() {
            self.emit(Event::AudioLevels(levels));
        }
    }

    fn report_stats(&mut self, now: Instant) {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for track in self.ups.iter_mut() {
            self.serving = Some(track.transport);
            #[cfg(any(test, feature = "test-util"))]
            crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Report);
            // Requests are per track: they are counted with its first layer.
            let mut plis = std::mem::take(&mut track.stats_plis);
            let rtt = self.peers.get(track.transport).and_then(|p| p.rtt);
            for layer in &mut track.layers {
                if let Some(stream) = layer.stream.as_deref_mut() {
                    let mut figures = stream.take_stats();
                    figures.plis = std::mem::take(&mut plis);
                    figures.rtt_ms = rtt.map(|r| r.as_secs_f32() * 1000.0);
                    up.push((track.id, layer.config.spatial, figures));
                }
            }
        }
        for track in self.downs.iter_mut() {
            self.serving = Some(track.transport);
            let rtt = self.peers.get(track.transport).and_then(|p| p.rtt);
            down.push((track.id, track.take_stats(rtt)));
        }
        self.serving = None;
        let any = self.ups.len() + self.downs.len() > 0;
        self.stats_due = any.then_some(now + self.config.stats_interval);
        if any {
            self.emit(Event::Stats { up, down });
        }
    }

    pub(super) fn snapshot(&self) -> ShardStats {
        let mut data = self.stats.data;
        for peer in self.peers.iter() {
            data.add(&peer.transport.stats().data);
        }
        ShardStats {
            data,
            transports: self.peers.len(),
            up_tracks: self.ups.len(),
            down_tracks: self.downs.len(),
            addresses: self.addresses.len(),
            ssrcs: self.peers.iter().map(|p| p.ssrcs.len() + p.down_ssrcs.len()).sum(),
            timers: self.timers.len(),
            ..self.stats
        }
    }
}
