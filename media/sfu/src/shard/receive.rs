//! Datagrams: which protocol, which transport.

use super::Shard;
use crate::demux::local_ufrag;
use crate::ids::TransportId;
use crate::path::{Path, Proto};
use crate::stats::DropReason;
use bedrud_rtp::{PacketKind, classify};
use std::time::Instant;

impl Shard {
    pub(super) fn on_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        let kind = classify(datagram);
        if !matches!(kind, PacketKind::Stun) {
            self.serving = self.addresses.get(path.proto, path.remote);
        }
        match kind {
            PacketKind::Stun | PacketKind::Dtls if path.proto == Proto::Relay => {
                self.drop_packet(DropReason::Malformed);
            }
            PacketKind::Stun => self.on_stun(now, path, datagram),
            PacketKind::Dtls => match self.serving {
                // Nobody takes its messages: for now they are lost on the way, and SCTP sends them again.
                Some(id) if self.events.is_full_for(id) => self.drop_packet(DropReason::EventOverflow),
                Some(id) => self.feed_transport(now, id, path, datagram),
                None => self.drop_packet(DropReason::UnknownAddress),
            },
            PacketKind::Rtp => match self.serving {
                Some(id) => self.on_rtp(now, id, datagram),
                None => self.drop_packet(DropReason::UnknownAddress),
            },
            PacketKind::Rtcp => match self.serving {
                Some(id) => self.on_rtcp(now, id, datagram),
                None => self.drop_packet(DropReason::UnknownAddress),
            },
            PacketKind::TurnChannel => self.drop_packet(DropReason::Turn),
            PacketKind::Unknown => self.drop_packet(DropReason::Malformed),
        }
    }

    /// A check names its transport. Without a name (an indication, say) the address decides.
    fn on_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let named = local_ufrag(datagram).map(|ufrag| {
            TransportId::from_ufrag(ufrag)
                .filter(|id| id.shard == self.config.shard && self.peers.get(*id).is_some())
        });
        let id = match named {
            Some(id) => id,
            None => self.addresses.get(path.proto, path.remote),
        };
        self.serving = id;
        match id {
            Some(id) => self.feed_transport(now, id, path, datagram),
            None => self.drop_packet(DropReason::UnknownUfrag),
        }
    }

    fn feed_transport(&mut self, now: Instant, id: TransportId, path: Path, datagram: &[u8]) {
        let Some(peer) = self.peers.get_mut(id) else {
            self.drop_packet(DropReason::UnknownAddress);
            return;
        };
        // A check that precedes the remote description is answered later, without a datagram to learn our side from.
        peer.last_local.get_or_insert(path.local);
        peer.transport.handle_datagram(now, path.proto, path.remote, datagram);
        self.after_transport(now, id, Some(path));
    }
}
