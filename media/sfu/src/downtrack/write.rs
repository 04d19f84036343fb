//! Producing the bytes of a forwarded or retransmitted packet.

use super::forwarder::Outgoing;
use super::payload::{PtOut, red_primary};
use super::trailer::without_trailer;
use super::{DownTrack, Queued};
use crate::upstream::ring::Slot;
use bedrud_rtp::sniff::{Descriptor, RewrittenDescriptor, Vp8Patch, Vp9Patch};
use bedrud_rtp::{ExtensionMap, OutExtensions, OutHeader, SrtpSender};

/// Bytes of a padding packet's payload.
const PADDING: u8 = 4;

/// Stamps that differ from packet to packet of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamps {
    /// Transport-wide sequence number, if negotiated.
    pub(crate) transport_cc: Option<u16>,
    /// Absolute send time, if negotiated.
    pub(crate) abs_send_time: Option<u32>,
}

/// What a connection contributes to a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlet<'a> {
    /// Keys.
    pub(crate) srtp: &'a SrtpSender,
    /// Extension ids.
    pub(crate) map: &'a ExtensionMap,
    /// Stamps of this packet.
    pub(crate) stamps: Stamps,
}

/// Appends one sealed packet to `arena`. Returns its payload length; `None` leaves the arena as it was.
pub(crate) fn write_packet(
    arena: &mut Vec<u8>,
    outlet: &Outlet<'_>,
    down: &DownTrack,
    to: PtOut,
    slot: &Slot,
    queued: &Queued,
) -> Option<usize> {
    let start = arena.len();
    let out = &queued.out;
    let rtx = queued.rtx.and_then(|seq| Some((seq, down.rtx_pt(to)?)));
    let (pt, opus_of_red) = match to {
        PtOut::Same { pt, .. } => (pt, false),
        PtOut::RedPrimary { pt } => (pt, true),
    };
    let (seq, ssrc, pt) = match rtx {
        Some((seq, (ssrc, pt))) => (seq, ssrc, pt),
        None => (out.seq, down.ssrc, pt),
    };
    // Without an RTX stream a retransmission repeats the number, so it must repeat every byte: no stamps.
    let stamps = match down.rtx_pt(to) {
        Some(_) => outlet.stamps,
        None => Stamps { transport_cc: None, abs_send_time: None },
    };
    let rewritten;
    let dependency_descriptor = match slot.dependency_descriptor().filter(|_| !out.padding) {
        Some(bytes) if out.deltas.rewrites_dependency() => {
            rewritten = slot.frame.number.and_then(|number| {
                let number = number.wrapping_add(out.deltas.frame_number);
                let layout = slot.layout.and_then(|l| l.rewrite(bytes, number, out.deltas.active_targets));
                layout.or_else(|| RewrittenDescriptor::renumber(bytes, number))
            });
            rewritten.as_ref().map(RewrittenDescriptor::as_bytes)
        }
        bytes => bytes,
    };
    let introduces = down.introduces(out.seq);
    let extensions = OutExtensions {
        mid: introduces.then_some(down.mid),
        audio_level: slot.audio_level,
        transport_cc: stamps.transport_cc,
        abs_send_time: stamps.abs_send_time,
        abs_capture_time: slot.capture_time(),
        dependency_descriptor,
        playout_delay: down.playout_delay.filter(|_| introduces && rtx.is_none()),
        ..OutExtensions::default()
    };
    let header = OutHeader {
        marker: (slot.marker || out.marker) && !out.padding,
        pt,
        seq: seq as u16,
        timestamp: out.timestamp,
        ssrc,
        padding: out.padding,
        extensions,
    };
    let written = header.write(arena, outlet.map);
    let body = arena.len();
    if out.padding {
        if rtx.is_some() {
            arena.extend_from_slice(&(out.seq as u16).to_be_bytes());
        }
        arena.extend_from_slice(&[0; PADDING as usize - 1]);
        arena.push(PADDING);
    } else {
        let mut payload = slot.payload();
        if opus_of_red {
            let Some(primary) = red_primary(payload).filter(|p| !p.is_empty()) else {
                arena.truncate(start);
                return None;
            };
            payload = primary;
        }
        if down.strip_trailer {
            payload = without_trailer(payload, slot.marker || out.marker);
        }
        if rtx.is_some() {
            arena.extend_from_slice(&(out.seq as u16).to_be_bytes());
        }
        let at = arena.len();
        arena.extend_from_slice(payload);
        if let Some(copy) = arena.get_mut(at..) {
            patch_payload(copy, slot, out);
        }
    }
    let len = arena.len() - body;
    // On error the arena is truncated: nothing unprotected can leave.
    outlet.srtp.seal_rtp(arena, start, written.header_len, seq).ok()?;
    Some(len)
}

/// Moves the numbers of the payload descriptor.
fn patch_payload(payload: &mut [u8], slot: &Slot, out: &Outgoing) {
    let picture_id = slot.frame.picture.unwrap_or(0).wrapping_add(out.picture);
    let tl0_pic_idx = slot.frame.tl0.unwrap_or(0).wrapping_add(out.deltas.tl0);
    match &slot.descriptor {
        Descriptor::Vp8(vp8) => {
            let key_idx = slot.frame.key_index.unwrap_or(0).wrapping_add(out.deltas.key_index);
            vp8.patch(payload, &Vp8Patch { picture_id, tl0_pic_idx, key_idx });
        }
        Descriptor::Vp9(vp9) => vp9.patch(payload, &Vp9Patch { picture_id, tl0_pic_idx }),
        Descriptor::None => {}
    }
}
