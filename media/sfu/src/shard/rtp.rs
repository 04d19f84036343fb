//! RTP from publishers, and its way into the queues of subscribers.

use super::{Shard, wake_peer};
use crate::command::PayloadType;
use crate::downtrack::forwarder::Incoming;
use crate::downtrack::selector::Dependency;
use crate::event::Event;
use crate::ids::TransportId;
use crate::peer::SsrcUse;
use crate::stats::DropReason;
use crate::upstream::PtUse;
use crate::upstream::stream::{Accepted, Arrival, Stream};
use bedrud_rtp::receive::extend_seq;
use bedrud_rtp::sniff::DependencyDescriptor;
use bedrud_rtp::{Codec, Extension, HeaderExtensions, Mid, Pt, Rid, RtpHeader, Ssrc};
use std::time::Instant;

/// An opened packet, before it is known whose it is.
struct Opened<'a> {
    header: RtpHeader,
    ext_seq: u64,
    extensions: HeaderExtensions,
    packet: &'a [u8],
    payload: &'a [u8],
    capture_time: &'a [u8],
}

impl Shard {
    pub(super) fn on_rtp(&mut self, now: Instant, id: TransportId, datagram: &mut [u8]) {
        let at_us = self.micros(now);
        let twcc_interval = self.config.twcc_interval;
        let Some(peer) = self.peers.get_mut(id) else { return self.drop_packet(DropReason::UnknownAddress) };
        let Some(srtp) = peer.srtp.as_mut() else { return self.drop_packet(DropReason::NoKeys) };
        let Ok(opened) = srtp.receiver.open_rtp(datagram) else {
            return self.drop_packet(DropReason::Unauthenticated);
        };
        let Some(packet) = datagram.get(..opened.len) else { return };
        let header = opened.header;
        let extensions = HeaderExtensions::read(&header, packet, &peer.extensions);
        // Whatever the packet turns out to be, it crossed the path: congestion control counts it.
        if let Some(seq) = extensions.transport_cc {
            peer.twcc.record(seq, at_us);
            if peer.twcc_due.is_none() {
                let due = now + twcc_interval;
                peer.twcc_due = Some(due);
                self.timers.arm(id, &mut peer.armed, Some(due));
            }
        }
        let Ok(payload) = header.payload(packet) else { return self.drop_packet(DropReason::Malformed) };
        let capture_id =
            peer.extensions.id(Extension::AbsCaptureTime).filter(|_| extensions.abs_capture_time.is_some());
        let capture_time = capture_id
            .and_then(|id| header.extensions(packet).find(|e| e.id == id))
            .map_or(&[][..], |e| e.value);
        let opened = Opened { header, ext_seq: opened.ext_seq, extensions, packet, payload, capture_time };
        let known = peer.ssrcs.get(&header.ssrc).copied();
        let Some(usage) = known.or_else(|| self.identify(id, &opened)) else {
            return self.drop_packet(DropReason::UnknownSsrc);
        };
        if let Some(peer) = self.peers.get_mut(id) {
            wake_peer(&mut self.timers, now, peer);
        }
        self.stats.rtp_in += 1;
        self.stats.rtp_bytes_in += payload.len() as u64;
        let pt_use = self.ups.get(usage.up).and_then(|u| u.pt_use(header.pt));
        match pt_use {
            Some(PtUse::Media(pt)) if !usage.rtx => self.on_media(now, usage, &pt, &opened),
            Some(PtUse::Rtx(pt)) => self.on_repair(now, usage, &pt, &opened),
            _ => self.drop_packet(DropReason::UnknownPayloadType),
        }
    }

    /// Finds the layer of a new SSRC by its MID and RID extensions (RFC 8852), or by a payload type that only one track
    /// without a known stream uses (RFC 8843 section 9.2).
    fn identify(&mut self, id: TransportId, packet: &Opened<'_>) -> Option<SsrcUse> {
        let ssrc = packet.header.ssrc;
        let found = self.find_layer(id, packet.header.pt, &packet.extensions);
        let peer = self.peers.get_mut(id)?;
        let Some(found) = found else {
            if !peer.unknown.contains(&ssrc) {
                if peer.unknown.len() >= self.config.max_unknown_ssrcs {
                    peer.unknown.remove(0);
                }
                peer.unknown.push(ssrc);
                tracing::debug!(?id, ssrc, pt = packet.header.pt, "SSRC of no track");
            }
            return None;
        };
        peer.unknown.retain(|s| *s != ssrc);
        let layer = self.ups.get_mut(found.up)?.layers.get_mut(found.layer)?;
        let slot = if found.rtx { &mut layer.rtx_ssrc } else { &mut layer.ssrc };
        if let Some(old) = slot.replace(ssrc) {
            peer.ssrcs.remove(&old);
        }
        peer.ssrcs.insert(ssrc, found);
        Some(found)
    }

    fn find_layer(&self, id: TransportId, pt: Pt, extensions: &HeaderExtensions) -> Option<SsrcUse> {
        let peer = self.peers.get(id)?;
        let mid: Option<Mid> = extensions.mid;
        let mut found = None;
        for key in &peer.ups {
            let Some(up) = self.ups.get(*key) else { continue };
            if mid.is_some_and(|m| m != up.mid) {
                continue;
            }
            let Some(pt_use) = up.pt_use(pt) else { continue };
            let rtx = matches!(pt_use, PtUse::Rtx(_));
            let rid: Option<Rid> =
                if rtx { extensions.repaired_rid.or(extensions.rid) } else { extensions.rid };
            let Some(layer) = up.layer_by_rid(rid) else { continue };
            // Without a name the payload type must tell, and what is known already stays as it is.
            if mid.is_none() && rid.is_none() && up.knows(layer, rtx) {
                continue;
            }
            if found.replace(SsrcUse { up: *key, layer, rtx }).is_some() {
                return None;
            }
        }
        found
    }

    fn on_media(&mut self, now: Instant, usage: SsrcUse, pt: &PayloadType, packet: &Opened<'_>) {
        if !self.ensure_stream(now, usage, pt, packet) {
            return;
        }
        let arrival = arrival(packet, packet.ext_seq, packet.payload, false);
        self.take(now, usage, pt, &arrival);
    }

    /// RTX (RFC 4588): the original sequence number, then the payload. Without a payload it is a probe.
    fn on_repair(&mut self, now: Instant, usage: SsrcUse, pt: &PayloadType, packet: &Opened<'_>) {
        let Some((osn, payload)) = packet.payload.split_first_chunk::<2>() else {
            return self.drop_packet(DropReason::Padding);
        };
        if payload.is_empty() {
            return self.drop_packet(DropReason::Padding);
        }
        let stream = self
            .ups
            .get(usage.up)
            .and_then(|u| u.layers.get(usage.layer)?.stream.as_deref())
            .filter(|s| s.pt == pt.pt);
        let seq = stream.and_then(|s| extend_seq(s.highest()?, u16::from_be_bytes(*osn)));
        // Probes repeat old packets before and after their media; one that is ahead of the media is no repair.
        let Some(seq) = seq.filter(|s| stream.and_then(Stream::highest).is_some_and(|h| *s < h)) else {
            return self.drop_packet(DropReason::Late);
        };
        self.stats.rtx_in += 1;
        self.stats.rtx_bytes_in += packet.payload.len() as u64;
        let arrival = arrival(packet, seq, payload, true);
        self.take(now, usage, pt, &arrival);
    }

    /// Makes sure the layer has a stream for this SSRC and codec; tells the control plane what is new.
    fn ensure_stream(&mut self, now: Instant, usage: SsrcUse, pt: &PayloadType, packet: &Opened<'_>) -> bool {
        let ssrc: Ssrc = packet.header.ssrc;
        let ring = |video: bool| if video { self.config.video_ring } else { self.config.audio_ring };
        let Some(up) = self.ups.get_mut(usage.up) else { return false };
        let ring = ring(up.is_video());
        let (track, video) = (up.id, up.is_video());
        let Some(layer) = up.layers.get_mut(usage.layer) else { return false };
        let spatial = layer.config.spatial;
        let fresh = layer.stream.as_ref().is_none_or(|s| s.ssrc != ssrc || s.is_restart(packet.ext_seq));
        let mut started = fresh;
        let mut revived = false;
        if fresh && !layer.may_start(now) {
            self.stats.drops.add(DropReason::Limit);
            return false;
        }
        if fresh {
            layer.generation = layer.generation.wrapping_add(1);
            layer.stream = Some(Box::new(Stream::new(now, ssrc, layer.generation, pt, ring)));
        } else if let Some(stream) = layer.stream.as_mut() {
            if stream.pt != pt.pt {
                started |= stream.codec != pt.codec;
                stream.set_payload_type(pt);
            }
            revived = !std::mem::replace(&mut stream.live, true);
        }
        if started {
            self.emit(Event::UpLayerStarted { track, spatial, ssrc, codec: pt.codec });
        }
        if revived {
            self.emit(Event::UpLayerActivity { track, spatial, live: true });
        }
        if started || revived {
            self.retarget(now, usage.up);
            if video && !revived {
                self.want_key_frame(now, usage.up);
            }
        }
        true
    }

    /// Stores a packet and forwards it.
    fn take(&mut self, now: Instant, usage: SsrcUse, pt: &PayloadType, arrival: &Arrival<'_>) {
        let active_level = self.config.active_level;
        let Some(up) = self.ups.get_mut(usage.up) else { return };
        let muted = up.muted;
        let Some(layer) = up.layers.get_mut(usage.layer) else { return };
        let spatial = layer.config.spatial;
        let Some(stream) = layer.stream.as_deref_mut() else { return };
        let mut dependency = None;
        let Some(accepted) = stream.accept(now, arrival, &mut dependency) else {
            return self.drop_packet(DropReason::Late);
        };
        let generation = stream.generation;
        let (nack_due, given_up) = (stream.nack_due(None), stream.take_given_up());
        if let Some(level) = arrival.extensions.audio_level
            && !muted
            && !up.is_video()
        {
            up.meter.on_packet(level.level, active_level);
            if !up.metered {
                up.metered = true;
                self.audible.push(usage.up);
                let due = now + self.config.audio_interval;
                self.audio_due.get_or_insert(due);
            }
        }
        let transport = up.transport;
        if let Some(due) = nack_due
            && let Some(peer) = self.peers.get_mut(transport)
            && peer.nack_due.is_none_or(|d| due < d)
        {
            peer.nack_due = Some(due);
            self.timers.arm(transport, &mut peer.armed, Some(due));
        }
        if given_up {
            self.want_key_frame(now, usage.up);
        }
        if accepted.layers_changed {
            self.retarget(now, usage.up);
        }
        if !muted {
            let packet = incoming(spatial, generation, arrival, &accepted);
            self.forward(now, usage, pt, &packet, dependency.as_ref());
        }
    }

    /// Offers a packet to every subscriber of its track.
    fn forward(
        &mut self,
        now: Instant,
        usage: SsrcUse,
        pt: &PayloadType,
        packet: &Incoming<'_>,
        dependency: Option<&DependencyDescriptor>,
    ) {
        let up = usage.up;
        let Some(track) = self.ups.get_mut(up) else { return };
        let mut waiting = false;
        let with_layers;
        let mut packet = packet;
        // The layers of other codecs are told by their payload.
        if let Some(frame) = dependency.filter(|_| pt.codec == Codec::Av1)
            && let Some(stream) = track.layers.get(usage.layer).and_then(|l| l.stream.as_deref())
            && let Some(reader) = stream.dependency.as_deref()
            && let Some(structure) = reader.structure_at(frame.frame)
        {
            let (since, active) = (reader.structure_frame().unwrap_or(0), reader.active_targets());
            let dependency = Some(Dependency { frame, structure, since, active });
            with_layers = Incoming { dependency, ..*packet };
            packet = &with_layers;
        }
        for key in &track.downs {
            let Some(down) = self.downs.get_mut(*key) else { continue };
            if down.forwarder.target().is_none() {
                continue;
            }
            if down.pt_out(pt).is_none() {
                if !std::mem::replace(&mut down.unsupported, true) {
                    self.events.push(Event::DownTrackUnsupported { track: down.id, codec: pt.codec });
                }
                down.forwarder.hold();
                continue;
            }
            let queued = down.offer(now, *key, packet);
            waiting |= down.forwarder.began_to_wait();
            let Some(queued) = queued else { continue };
            if !std::mem::replace(&mut down.started, true) {
                self.events.push(Event::DownTrackStarted { track: down.id });
            }
            let Some(peer) = self.peers.get_mut(down.transport) else { continue };
            peer.queue.push(queued);
            #[cfg(any(test, feature = "test-util"))]
            crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Packet);
            wake_peer(&mut self.timers, now, peer);
            if !peer.dirty {
                peer.dirty = true;
                self.dirty.push(peer.id);
            }
        }
        if packet.frame.key && track.is_video() {
            track.key_frames.on_key_frame();
            self.settle_key_frames(up);
        }
        if waiting {
            self.want_key_frame(now, up);
        }
    }
}

fn arrival<'a>(packet: &'a Opened<'_>, seq: u64, payload: &'a [u8], repaired: bool) -> Arrival<'a> {
    Arrival {
        seq,
        timestamp: packet.header.timestamp,
        marker: packet.header.marker,
        payload,
        extensions: &packet.extensions,
        dependency_descriptor: packet.extensions.dependency_descriptor(packet.packet).unwrap_or(&[]),
        capture_time: packet.capture_time,
        repaired,
    }
}

fn incoming(layer: u8, generation: u32, arrival: &Arrival<'_>, accepted: &Accepted) -> Incoming<'static> {
    Incoming {
        layer,
        generation,
        seq: arrival.seq,
        timestamp: arrival.timestamp,
        frame: accepted.frame,
        dependency: None,
        empty: accepted.empty,
        capture_ntp: accepted.capture_ntp,
    }
}
