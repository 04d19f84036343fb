//! Data messages to clients.

use super::Shard;
use crate::ids::TransportId;
use crate::stats::DropReason;
use bedrud_transport::DataChannel;
use bytes::Bytes;
use std::time::Instant;

impl Shard {
    pub(super) fn send_data(
        &mut self,
        now: Instant,
        to: &[TransportId],
        channel: DataChannel,
        payload: &Bytes,
    ) {
        // One by one: what fails for one of them must not keep the message from the others.
        for id in to {
            self.guarded(now, |shard| shard.queue_data(now, *id, channel, payload.clone()));
        }
    }

    pub(super) fn send_data_track(&mut self, now: Instant, to: &[(TransportId, u16)], packet: &Bytes) {
        for (id, handle) in to {
            let mut own = packet.to_vec();
            if let Some(place) = own.get_mut(2..4) {
                place.copy_from_slice(&handle.to_be_bytes());
                self.guarded(now, |shard| shard.queue_data(now, *id, DataChannel::DataTrack, own.into()));
            }
        }
    }

    fn queue_data(&mut self, now: Instant, id: TransportId, channel: DataChannel, payload: Bytes) {
        self.serving = Some(id);
        let Some(peer) = self.peers.get_mut(id) else { return self.drop_packet(DropReason::StaleCommand) };
        #[cfg(any(test, feature = "test-util"))]
        crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Message);
        peer.transport.queue(now, channel, payload);
        if !std::mem::replace(&mut peer.unsent, true) {
            self.unsent.push(id);
        }
    }

    /// Carries out what was queued since the last flush: one turn for each client, however many messages it gets.
    pub(super) fn flush_data(&mut self, now: Instant) {
        let mut unsent = std::mem::take(&mut self.unsent);
        for id in unsent.drain(..) {
            self.serving = Some(id);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.unsent = false;
                #[cfg(any(test, feature = "test-util"))]
                crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::MessageFlush);
                peer.transport.flush_data(now);
                self.after_transport(now, id, None);
            }
        }
        self.unsent = unsent;
    }
}
