//! RTCP from clients.

use super::Shard;
use crate::arena::Key;
use crate::downtrack::Queued;
use crate::downtrack::forwarder::Outgoing;
use crate::ids::TransportId;
use crate::stats::DropReason;
use bedrud_rtp::Ssrc;
use bedrud_rtp::receive::extend_seq;
use bedrud_rtp::rtcp::{Nack, ReportBlock, RtcpPacket, SenderInfo, TwccFeedback, compound};
use std::time::{Duration, Instant};

/// Round trip assumed while unknown.
pub(super) const DEFAULT_RTT: Duration = Duration::from_millis(70);
/// Share of a new round-trip sample in the smoothed value.
const RTT_GAIN: u32 = 4;
/// Sequence numbers served of one NACK packet.
const MAX_NACKED: usize = 512;

impl Shard {
    pub(super) fn on_rtcp(&mut self, now: Instant, id: TransportId, datagram: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(id) else { return self.drop_packet(DropReason::UnknownAddress) };
        let Some(srtp) = peer.srtp.as_mut() else { return self.drop_packet(DropReason::NoKeys) };
        let Ok(len) = srtp.receiver.open_rtcp(datagram) else {
            return self.drop_packet(DropReason::Unauthenticated);
        };
        self.stats.rtcp_in += 1;
        peer.last_rtcp = Some(now);
        if peer.silent {
            self.judge_consent(now, id);
        }
        for packet in compound(datagram.get(..len).unwrap_or(&[])) {
            match packet {
                Ok(packet) => self.on_rtcp_packet(now, id, &packet),
                Err(_) => self.drop_packet(DropReason::BadRtcp),
            }
        }
        self.rearm(id);
    }

    fn on_rtcp_packet(&mut self, now: Instant, id: TransportId, packet: &RtcpPacket<'_>) {
        match packet {
            RtcpPacket::SenderReport(sr) => {
                self.on_sender_report(now, id, sr.ssrc, &sr.info);
                for block in sr.blocks() {
                    self.on_report_block(now, id, &block);
                }
            }
            RtcpPacket::ReceiverReport(rr) => {
                for block in rr.blocks() {
                    self.on_report_block(now, id, &block);
                }
            }
            RtcpPacket::Nack(nack) => self.on_nack(now, id, nack),
            RtcpPacket::Pli(pli) => self.on_picture_loss(now, id, pli.media),
            RtcpPacket::Fir(fir) => {
                for (media, _) in fir.entries().take(32) {
                    self.on_picture_loss(now, id, media);
                }
            }
            RtcpPacket::Remb(remb) => {
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.egress.on_remb(now, remb.bitrate);
                    self.allocate(now, id);
                }
            }
            RtcpPacket::Twcc(feedback) => self.on_twcc(now, id, feedback),
            RtcpPacket::Sdes(_) | RtcpPacket::Bye(_) | RtcpPacket::Other { .. } => {}
        }
    }

    fn on_sender_report(&mut self, now: Instant, id: TransportId, ssrc: Ssrc, info: &SenderInfo) {
        let elapsed = now.saturating_duration_since(self.origin);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let usage = peer.ssrcs.get(&ssrc).copied().filter(|u| !u.rtx);
        if usage.is_some() && info.ntp != 0 {
            let offset = peer.clock.on_report(info.ntp, elapsed);
            for key in &peer.ups {
                if let Some(up) = self.ups.get_mut(*key) {
                    up.clock_offset = offset;
                }
            }
        }
        if let Some(usage) = usage
            && let Some(up) = self.ups.get_mut(usage.up)
            && let Some(stream) = up.layers.get_mut(usage.layer).and_then(|l| l.stream.as_deref_mut())
            && stream.ssrc == ssrc
        {
            stream.on_sender_report(now, info);
        }
    }

    fn on_report_block(&mut self, now: Instant, id: TransportId, block: &ReportBlock) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(key) = peer.down_ssrcs.get(&block.ssrc) else { return };
        let Some(down) = self.downs.get_mut(*key).filter(|d| d.ssrc == block.ssrc) else { return };
        let feedback = down.reports.on_block(now, block);
        peer.egress.on_loss(feedback.lost, feedback.expected);
        if let Some(rtt) = feedback.rtt {
            peer.rtt = Some(peer.rtt.map_or(rtt, |old| (old * (RTT_GAIN - 1) + rtt) / RTT_GAIN));
        }
    }

    fn on_picture_loss(&mut self, now: Instant, id: TransportId, media: Ssrc) {
        let key = self.peers.get(id).and_then(|p| p.down_ssrcs.get(&media).copied());
        let Some(down) = key.and_then(|k| self.downs.get_mut(k)) else { return };
        down.stats_plis += 1;
        self.stats.plis_in += 1;
        let source = down.source;
        // Paused: nobody would see it, and resuming asks by itself.
        if down.forwarder.target().is_some() {
            down.forwarder.want_refresh();
            self.want_key_frame(now, source);
        }
    }

    fn on_twcc(&mut self, now: Instant, id: TransportId, feedback: &TwccFeedback<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let acknowledged = peer.egress.history.on_feedback(feedback);
        let fell = peer.egress.recently_fell(now);
        peer.egress.on_acknowledged(now, &acknowledged);
        if !fell && peer.egress.recently_fell(now) {
            self.allocate(now, id);
        }
    }

    fn on_nack(&mut self, now: Instant, id: TransportId, nack: &Nack<'_>) {
        let Some(peer) = self.peers.get(id) else { return };
        let Some(key) = peer.down_ssrcs.get(&nack.media).copied() else { return };
        for seq in nack.lost().take(MAX_NACKED) {
            self.stats.nacks_in += 1;
            self.retransmit(now, id, key, seq);
        }
    }

    /// Queues one packet again, if it is still there and the limits allow.
    fn retransmit(&mut self, now: Instant, id: TransportId, key: Key, seq: u16) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let rtt = peer.rtt.unwrap_or(DEFAULT_RTT);
        let Some(down) = self.downs.get_mut(key) else { return };
        down.stats_nacks += 1;
        let Some((last, _)) = down.forwarder.last_sent() else { return };
        let Some(again) = down.history.request(now, rtt, seq) else { return };
        let Some(up) = self.ups.get(down.source) else { return };
        let stream = up.stream(again.deltas.layer).filter(|s| s.generation == again.deltas.generation);
        let Some(slot) = stream.and_then(|s| s.ring.get_low(again.in_seq)) else { return };
        let Some(pt) = up.payload_types.iter().find(|p| p.pt == slot.pt).copied() else { return };
        let Some(to) = down.pt_out(&pt) else { return };
        let Some(out_seq) = extend_seq(last, seq).filter(|s| *s <= last) else { return };
        if !down.spend_rtx(slot.payload().len()) {
            return;
        }
        let rtx = if down.rtx_pt(to).is_some() { Some(down.next_rtx()) } else { None };
        let out = Outgoing {
            seq: out_seq,
            timestamp: slot.timestamp.wrapping_add(again.deltas.timestamp),
            picture: again.picture,
            deltas: again.deltas,
            marker: again.marker,
            padding: again.padding,
        };
        peer.queue.push(Queued { down: key, in_seq: slot.seq, out, rtx, again: true });
        self.mark_dirty(id);
    }
}
