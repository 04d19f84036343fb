//! Writing everything that wants to leave, subscriber by subscriber.

use super::Shard;
use crate::arena::Arena;
use crate::batch::SendBatch;
use crate::downtrack::filler::write_fill;
use crate::downtrack::write::{Outlet, Stamps, write_packet};
use crate::downtrack::{DownTrack, Filled, Queued};
use crate::ids::TransportId;
use crate::path::Path;
use crate::peer::{Ending, Peer};
use crate::stats::{DropReason, ShardStats};
use crate::upstream::UpTrack;
use bedrud_rtp::Extension;
use std::time::Instant;

/// Bytes of UDP and IP around a datagram, for rates on the wire.
const WIRE_OVERHEAD: usize = 28;

impl Shard {
    pub(super) fn write_batch(&mut self, now: Instant, batch: &mut SendBatch) {
        self.flush_data(now);
        for (path, bytes) in self.orphans.drain(..) {
            batch.push(path, &bytes, false);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.flush_peer(now, id, batch);
        }
        self.dirty = dirty;
    }

    fn flush_peer(&mut self, now: Instant, id: TransportId, batch: &mut SendBatch) {
        let now_us = self.micros(now);
        self.serving = Some(id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.dirty = false;
        for (path, bytes) in peer.outbox.drain(..) {
            batch.push(path, &bytes, false);
        }
        let Some(path) = peer.path.filter(|_| peer.srtp.is_some()) else {
            self.stats.drops.add_many(DropReason::Congested, peer.queue.len() as u64);
            peer.queue.clear();
            peer.fills.clear();
            peer.rtcp.clear();
            return;
        };
        flush_rtcp(peer, path, batch, &mut self.stats);
        #[cfg(any(test, feature = "test-util"))]
        if self.fault == Some((crate::test_util::Fault::Flush, id)) {
            batch.arena().extend_from_slice(b"half a datagram");
        }
        #[cfg(any(test, feature = "test-util"))]
        crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Flush);
        for filled in std::mem::take(&mut peer.fills) {
            if let Some(down) = self.downs.get_mut(filled.down) {
                flush_fill(peer, path, now_us, down, &filled, batch, &mut self.stats);
            }
        }
        let mut endings = std::mem::take(&mut peer.endings);
        for Ending { down, filled, .. } in &mut endings {
            if let Some(filled) = filled.take() {
                flush_fill(peer, path, now_us, down, &filled, batch, &mut self.stats);
            }
        }
        peer.endings = endings;
        let mut queue = std::mem::take(&mut peer.queue);
        for queued in queue.drain(..) {
            flush_media(peer, path, now_us, &self.ups, &mut self.downs, &queued, batch, &mut self.stats);
        }
        peer.queue = queue;
    }
}

fn flush_rtcp(peer: &mut Peer, path: Path, batch: &mut SendBatch, stats: &mut ShardStats) {
    if peer.rtcp.is_empty() {
        return;
    }
    if let Some(srtp) = peer.srtp.as_mut() {
        for compound in peer.rtcp.compounds() {
            let start = batch.arena().len();
            batch.arena().extend_from_slice(compound);
            if srtp.sender.seal_rtcp(batch.arena(), start).is_ok() {
                batch.commit(path, start, false);
                stats.rtcp_out += 1;
            } else {
                batch.abandon(start);
            }
        }
    }
    peer.rtcp.clear();
}

#[allow(clippy::too_many_arguments, reason = "parts of the shard, borrowed one by one")]
fn flush_media(
    peer: &mut Peer,
    path: Path,
    now_us: i64,
    ups: &Arena<UpTrack>,
    downs: &mut Arena<DownTrack>,
    queued: &Queued,
    batch: &mut SendBatch,
    stats: &mut ShardStats,
) {
    let Some(down) = downs.get_mut(queued.down) else { return };
    let Some(up) = ups.get(down.source) else { return };
    let deltas = &queued.out.deltas;
    let slot = up
        .stream(deltas.layer)
        .filter(|s| s.generation == deltas.generation)
        .and_then(|s| s.ring.get(queued.in_seq));
    let Some(slot) = slot else { return stats.drops.add(DropReason::Late) };
    let Some(pt) = up.payload_types.iter().find(|p| p.pt == slot.pt) else { return };
    let Some(to) = down.pt_out(pt) else { return };
    let Some(srtp) = peer.srtp.as_ref() else { return };
    let numbered = peer.extensions.id(Extension::TransportCc).is_some() && down.rtx_pt(to).is_some();
    let stamps = stamps(peer, now_us, numbered);
    let outlet = Outlet { srtp: &srtp.sender, map: &peer.extensions, stamps };
    let start = batch.arena().len();
    let Some(payload) = write_packet(batch.arena(), &outlet, down, to, slot, queued) else {
        batch.abandon(start);
        return;
    };
    commit(peer, path, now_us, batch, start, down.video, numbered);
    stats.rtp_out += 1;
    stats.rtp_bytes_out += payload as u64;
    if queued.again {
        stats.rtx_out += 1;
        stats.rtx_bytes_out += payload as u64;
    } else {
        down.sent_packets += 1;
        down.sent_bytes += payload as u64;
    }
}

/// Writes a packet of our own. It is never sent again, so it is numbered whenever that is negotiated.
fn flush_fill(
    peer: &mut Peer,
    path: Path,
    now_us: i64,
    down: &mut DownTrack,
    filled: &Filled,
    batch: &mut SendBatch,
    stats: &mut ShardStats,
) {
    let Some(srtp) = peer.srtp.as_ref() else { return };
    let numbered = peer.extensions.id(Extension::TransportCc).is_some();
    let outlet = Outlet { srtp: &srtp.sender, map: &peer.extensions, stamps: stamps(peer, now_us, numbered) };
    let start = batch.arena().len();
    let Some(payload) = write_fill(batch.arena(), &outlet, down, filled) else {
        batch.abandon(start);
        return;
    };
    commit(peer, path, now_us, batch, start, down.video, numbered);
    stats.rtp_out += 1;
    stats.rtp_bytes_out += payload as u64;
    stats.fills_out += 1;
    down.sent_packets += 1;
    down.sent_bytes += payload as u64;
}

fn stamps(peer: &Peer, now_us: i64, numbered: bool) -> Stamps {
    Stamps {
        transport_cc: numbered.then(|| peer.egress.history.next_seq()),
        abs_send_time: Some(abs_send_time(now_us)),
    }
}

/// The packet from `start` on leaves.
fn commit(
    peer: &mut Peer,
    path: Path,
    now_us: i64,
    batch: &mut SendBatch,
    start: usize,
    video: bool,
    numbered: bool,
) {
    let wire = batch.arena().len() - start + WIRE_OVERHEAD;
    batch.commit(path, start, video);
    if numbered {
        peer.egress.history.record(now_us, wire);
    }
    peer.egress.on_sent(wire);
}

/// 24-bit 6.18 fixed-point seconds.
fn abs_send_time(now_us: i64) -> u32 {
    let units = (i128::from(now_us) << 18) / 1_000_000;
    (units as u32) & 0xff_ffff
}
