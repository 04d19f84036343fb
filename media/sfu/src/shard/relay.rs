//! Links to other shards of this process, so that a stream can be subscribed to away from its own shard.
//!
//! A relay is a connection like any other, with keys from the control plane and memory in place of a network: loss (a
//! full queue), key frame requests and sender reports take the ways they have anyway.

use super::Shard;
use crate::command::{IceCredentials, RelayKey};
use crate::event::{CloseReason, Event};
use crate::ids::TransportId;
use crate::path::Path;
use crate::peer::Srtp;
use bedrud_rtp::{Extension, ExtensionMap, SrtpKeys, SrtpProfile};
use std::time::Instant;

/// Header extensions that tell of the media. Those about a path end with it.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    map.set(Extension::AudioLevel, 1);
    map.set(Extension::AbsCaptureTime, 2);
    map.set(Extension::DependencyDescriptor, 3);
    map
}

impl Shard {
    pub(super) fn open_relay(&mut self, now: Instant, id: TransportId, peer: TransportId, key: &RelayKey) {
        let local_ice = IceCredentials { ufrag: id.ufrag(0), pwd: String::new() };
        self.open_transport(now, id, local_ice);
        let Some(p) = self.peers.get_mut(id).filter(|p| p.srtp.is_none()) else { return };
        p.relay = true;
        p.extensions = extensions();
        // One end takes the part of the DTLS client.
        let contexts = SrtpKeys::from_dtls(SrtpProfile::AeadAes128Gcm, &key.0, id < peer);
        let Ok((sender, receiver)) = contexts else {
            self.remove_peer(now, id);
            self.emit(Event::Closed { id, reason: CloseReason::ProtocolError });
            return;
        };
        self.install(now, id, Path::relay(id, peer), Srtp { sender, receiver });
    }
}
