//! Everything that is due.

use super::{Shard, TICK};
use crate::arena::Key;
use crate::event::{CloseReason, Event};
use crate::ids::TransportId;
use bedrud_rtp::rtcp::{SenderInfo, write_nack, write_receiver_report, write_sdes, write_sender_report};
use std::time::{Duration, Instant};

/// Timers run in one call; the rest waits for the next, so that a flood of deadlines cannot hold up packets.
const MAX_DUE: usize = 4096;
/// Without media for this long the regular step pauses.
const QUIET: Duration = Duration::from_secs(6);
/// Without media for this long the packet rings are given back.
const RELEASE: Duration = Duration::from_secs(60);
/// Report blocks of one receiver report.
const MAX_BLOCKS: usize = 31;

impl Shard {
    pub(super) fn on_timeout(&mut self, now: Instant) {
        for _ in 0..MAX_DUE {
            let Some((at, id)) = self.timers.pop_due(now) else { break };
            let Some(peer) = self.peers.get_mut(id) else { continue };
            if peer.armed != Some(at) {
                // An earlier entry took its place; what was due has been done.
                continue;
            }
            peer.armed = None;
            self.serving = Some(id);
            #[cfg(any(test, feature = "test-util"))]
            crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Timer);
            self.run_peer(now, id);
            self.rearm(id);
        }
        self.serving = None;
        self.run_reports(now);
    }

    fn run_peer(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.connect_by.is_some_and(|t| t <= now) {
            peer.transport.close(now);
            self.after_transport(now, id, None);
            self.remove_peer(now, id);
            self.emit(Event::Closed { id, reason: CloseReason::TimedOut });
            return;
        }
        if !peer.relay && peer.transport.poll_deadline().is_some_and(|t| t <= now) {
            peer.transport.handle_timeout(now);
            self.after_transport(now, id, None);
        }
        self.run_nacks(now, id);
        self.run_key_frame_requests(now, id);
        self.run_twcc(now, id);
        self.run_fillers(now, id);
        if self.peers.get(id).is_some_and(|p| p.tick_due.is_some_and(|t| t <= now)) {
            self.tick(now, id);
        }
    }

    fn run_nacks(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.nack_due.is_none_or(|d| d > now) {
            return;
        }
        let (rtt, sender) = (peer.rtt, peer.feedback_ssrc);
        let mut next: Option<Instant> = None;
        let mut asked = false;
        for up in &peer.ups {
            let Some(up) = self.ups.get_mut(*up) else { continue };
            for stream in up.layers.iter_mut().filter_map(|l| l.stream.as_deref_mut()) {
                let lost = &mut self.scratch.lost;
                lost.clear();
                stream.poll_nacks(now, rtt, lost);
                if !lost.is_empty() {
                    asked = true;
                    self.stats.nacks_out += lost.len() as u64;
                    let ssrc = stream.ssrc;
                    peer.rtcp.add(sender, false, |buf| write_nack(buf, sender, ssrc, lost));
                }
                if let Some(due) = stream.nack_due(rtt) {
                    next = Some(next.map_or(due, |n| n.min(due)));
                }
            }
        }
        // A due time that has passed again would spin: the next look is a moment later.
        peer.nack_due = next.map(|n| n.max(now + Duration::from_millis(1)));
        if asked {
            self.mark_dirty(id);
        }
    }

    fn run_twcc(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.twcc_due.is_none_or(|d| d > now) {
            return;
        }
        peer.twcc_due = None;
        // Any stream of the connection will do; before one is identified, ours.
        let media = peer.ssrcs.keys().next().copied().unwrap_or(peer.feedback_ssrc);
        let sender = peer.feedback_ssrc;
        let twcc = &mut peer.twcc;
        if twcc.pending() > 0 {
            peer.rtcp.add(sender, false, |buf| {
                twcc.build(sender, media, buf);
            });
            self.mark_dirty(id);
        }
    }

    /// The regular step of a transport with media.
    fn tick(&mut self, now: Instant, id: TransportId) {
        self.check_layers(now, id);
        self.judge_consent(now, id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let quiet = peer.last_media.is_none_or(|t| now.saturating_duration_since(t) >= QUIET);
        peer.tick_due = match (quiet, peer.last_media) {
            (false, _) => Some(now + TICK),
            (true, Some(last)) if now.saturating_duration_since(last) < RELEASE => Some(last + RELEASE),
            (true, _) => None,
        };
        if peer.tick_due.is_none() {
            self.release_rings(id);
        }
        self.receiver_report(now, id);
        self.sender_reports(now, id);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.egress.tick(now);
        }
        self.allocate(now, id);
    }

    /// Measures layers and notices those that fell silent.
    fn check_layers(&mut self, now: Instant, id: TransportId) {
        let timeout = self.config.layer_timeout;
        let Some(peer) = self.peers.get(id) else { return };
        let mut stopped: Vec<(Key, u8)> = Vec::new();
        let mut changed: Vec<Key> = Vec::new();
        for key in &peer.ups {
            let Some(up) = self.ups.get_mut(*key) else { continue };
            // Audio pauses with silence (DTX); only video has layers to lose.
            let video = up.is_video();
            for layer in &mut up.layers {
                let Some(stream) = layer.stream.as_deref_mut() else { continue };
                stream.measure(now);
                if video && stream.live && now.saturating_duration_since(stream.last_packet) >= timeout {
                    stream.live = false;
                    stopped.push((*key, layer.config.spatial));
                }
                let newest = stream.last_packet;
                if stream.spatial.as_mut().is_some_and(|s| s.expire(newest, timeout)) {
                    changed.push(*key);
                }
            }
        }
        for (key, spatial) in stopped {
            if let Some(track) = self.ups.get(key).map(|u| u.id) {
                self.emit(Event::UpLayerActivity { track, spatial, live: false });
            }
            self.retarget(now, key);
        }
        for key in changed {
            self.retarget(now, key);
        }
    }

    fn release_rings(&mut self, id: TransportId) {
        let Some(peer) = self.peers.get(id) else { return };
        for key in &peer.ups {
            let Some(up) = self.ups.get_mut(*key) else { continue };
            for stream in up.layers.iter_mut().filter_map(|l| l.stream.as_deref_mut()) {
                stream.ring.release();
            }
        }
    }

    fn receiver_report(&mut self, now: Instant, id: TransportId) {
        let interval = self.config.report_interval;
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.ups.is_empty()
            || peer.last_report.is_some_and(|t| now.saturating_duration_since(t) < interval)
        {
            return;
        }
        let blocks = &mut self.scratch.blocks;
        blocks.clear();
        for up in &peer.ups {
            let Some(up) = self.ups.get_mut(*up) else { continue };
            for stream in up.layers.iter_mut().filter_map(|l| l.stream.as_deref_mut()) {
                // A silent layer has nothing to report.
                if now.saturating_duration_since(stream.last_packet) < 2 * interval {
                    blocks.extend(stream.report(now));
                }
            }
        }
        if blocks.is_empty() {
            return;
        }
        peer.last_report = Some(now);
        let sender = peer.feedback_ssrc;
        for chunk in blocks.chunks(MAX_BLOCKS) {
            peer.rtcp.add(sender, true, |buf| write_receiver_report(buf, sender, chunk));
        }
        self.mark_dirty(id);
    }

    fn sender_reports(&mut self, now: Instant, id: TransportId) {
        let interval = self.config.sender_report_interval;
        let Some(peer) = self.peers.get_mut(id) else { return };
        let mut any = false;
        for key in &peer.downs {
            let Some(down) = self.downs.get_mut(*key) else { continue };
            if down.sent_packets == 0 || !down.reports.is_due(now, interval) {
                continue;
            }
            let Some(deltas) = down.forwarder.deltas().filter(|_| down.forwarder.current_layer().is_some())
            else {
                continue;
            };
            let up = self.ups.get(down.source);
            let stream = up.and_then(|u| u.stream(deltas.layer));
            // Without the publisher's clock there is nothing true to say yet.
            let Some(source) =
                stream.filter(|s| s.generation == deltas.generation).and_then(|s| s.sender_report)
            else {
                continue;
            };
            let sent = (down.sent_packets, down.sent_bytes);
            let offset = up.map_or(0, |u| u.clock_offset);
            let (report, at) = source;
            let source = (SenderInfo { ntp: report.ntp.wrapping_add_signed(offset), ..report }, at);
            let info = down.reports.make(now, source, deltas.timestamp, down.clock_rate, sent);
            let (ssrc, cname) = (down.ssrc, down.cname.as_str());
            peer.rtcp.add(ssrc, true, |buf| {
                write_sender_report(buf, ssrc, &info, &[]);
                write_sdes(buf, [(ssrc, cname)]);
            });
            any = true;
        }
        if any {
            self.mark_dirty(id);
        }
    }
}
