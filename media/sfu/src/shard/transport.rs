//! What transports say: datagrams to send, addresses, keys, data, the end.

use super::Shard;
use crate::event::{CloseReason, Event, SelectedPath};
use crate::ids::TransportId;
use crate::path::{Path, Proto};
use crate::peer::Srtp;
use crate::stats::DropReason;
use bedrud_rtp::SrtpKeys;
use bedrud_transport::{SrtpKeying, TransportOutput};
use std::net::SocketAddr;
use std::time::Instant;

/// Entries of the timers per transport beyond which stale ones are swept out.
const TIMER_SLACK: usize = 8;

fn profile(from: bedrud_transport::SrtpProfile) -> bedrud_rtp::SrtpProfile {
    match from {
        bedrud_transport::SrtpProfile::AeadAes128Gcm => bedrud_rtp::SrtpProfile::AeadAes128Gcm,
        bedrud_transport::SrtpProfile::AeadAes256Gcm => bedrud_rtp::SrtpProfile::AeadAes256Gcm,
        bedrud_transport::SrtpProfile::Aes128CmSha1_80 => bedrud_rtp::SrtpProfile::Aes128CmSha1_80,
    }
}

impl Shard {
    /// Takes everything a transport has to say. `path` is where the datagram that caused it came from.
    pub(super) fn after_transport(&mut self, now: Instant, id: TransportId, path: Option<Path>) {
        loop {
            let Some(peer) = self.peers.get_mut(id) else { return };
            let Some(output) = peer.transport.poll_output() else { break };
            match output {
                TransportOutput::Send { proto, destination, bytes } => {
                    let to = self.path_to(id, proto, destination, path);
                    let Some(peer) = self.peers.get_mut(id) else { return };
                    if let Some(to) = to {
                        peer.outbox.push((to, bytes));
                    }
                    self.mark_dirty(id);
                }
                TransportOutput::AddressLearned { proto, address } => {
                    let learned = path
                        .filter(|p| p.proto == proto && p.remote == address)
                        .or_else(|| Some(Path { proto, remote: address, local: peer.last_local? }));
                    if let Some(learned) = learned {
                        peer.last_local = Some(learned.local);
                        peer.addresses.push((proto, address));
                        self.addresses.learn(learned, id);
                    }
                }
                TransportOutput::AddressForgotten { proto, address } => {
                    peer.addresses.retain(|a| *a != (proto, address));
                    self.addresses.forget(proto, address, id);
                }
                TransportOutput::Connected { keying, proto, remote } => {
                    self.on_connected(now, id, &keying, (proto, remote), path);
                }
                TransportOutput::PathChanged { proto, remote } => {
                    if let Some(to) = self.path_to(id, proto, remote, path) {
                        self.set_path(now, id, to);
                        self.emit(Event::PathChanged { id, path: selected(&to) });
                    }
                }
                TransportOutput::IceDisconnected => {
                    peer.checks_lost = true;
                    self.judge_consent(now, id);
                    self.emit(Event::Disconnected { id });
                }
                TransportOutput::IceReconnected => {
                    peer.checks_lost = false;
                    self.judge_consent(now, id);
                    self.emit(Event::Reconnected { id });
                }
                TransportOutput::ChannelOpen(channel) => self.emit(Event::ChannelOpen { id, channel }),
                TransportOutput::ChannelClosed(channel) => self.emit(Event::ChannelClosed { id, channel }),
                TransportOutput::Data { channel, bytes } => {
                    self.emit(Event::Data { id, channel, payload: bytes });
                }
                TransportOutput::Congested(congested) => self.emit(Event::DataCongested { id, congested }),
                TransportOutput::Closed { reason } => {
                    self.stats.slow_consumers += u64::from(reason == CloseReason::SlowConsumer);
                    self.remove_peer(now, id);
                    self.emit(Event::Closed { id, reason });
                    return;
                }
            }
        }
        self.rearm(id);
    }

    /// Stops media to a peer that is gone, and begins again when it is back.
    pub(super) fn judge_consent(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let silent = peer.is_silent(now);
        if std::mem::replace(&mut peer.silent, silent) != silent {
            self.retarget_downs(now, id);
        }
    }

    fn path_to(&self, id: TransportId, proto: Proto, remote: SocketAddr, path: Option<Path>) -> Option<Path> {
        let own = |p: &Path| p.proto == proto && p.remote == remote;
        path.filter(own).or_else(|| self.addresses.path(proto, remote)).or_else(|| {
            let local = self.peers.get(id)?.last_local?;
            Some(Path { proto, remote, local })
        })
    }

    fn on_connected(
        &mut self,
        now: Instant,
        id: TransportId,
        keying: &SrtpKeying,
        (proto, remote): (Proto, SocketAddr),
        path: Option<Path>,
    ) {
        let to = self.path_to(id, proto, remote, path);
        let contexts = SrtpKeys::from_dtls(profile(keying.profile), &keying.material, keying.is_client);
        let (Some(to), Ok((sender, receiver))) = (to, contexts) else {
            tracing::error!(?id, "no SRTP contexts from the exported keys");
            self.remove_peer(now, id);
            self.emit(Event::Closed { id, reason: CloseReason::ProtocolError });
            return;
        };
        if let Some(peer) = self.peers.get_mut(id) {
            peer.srtp = Some(Srtp { sender, receiver });
            peer.connect_by = None;
        }
        self.set_path(now, id, to);
        self.emit(Event::Connected { id, path: selected(&to) });
        self.retarget_downs(now, id);
    }

    fn set_path(&mut self, now: Instant, id: TransportId, to: Path) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let moved = peer.path.replace(to).is_some_and(|old| old != to);
        peer.last_local = Some(to.local);
        if moved && std::mem::take(&mut peer.tcp_congested) {
            self.retarget_downs(now, id);
        }
    }

    pub(super) fn on_path_closed(&mut self, path: Path) {
        let Some(id) = self.addresses.get(path.proto, path.remote) else { return };
        self.serving = Some(id);
        self.addresses.forget(path.proto, path.remote, id);
        let now = self.now;
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.transport.forget_address(path.proto, path.remote);
        peer.addresses.retain(|a| *a != (path.proto, path.remote));
        if peer.path.is_some_and(|p| p.proto == path.proto && p.remote == path.remote) {
            peer.path = None;
            peer.tcp_congested = false;
            self.retarget_downs(now, id);
        }
    }

    pub(super) fn on_tcp_congested(&mut self, path: Path, congested: bool) {
        let Some(id) = self.addresses.get(path.proto, path.remote) else { return };
        self.serving = Some(id);
        let now = self.now;
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.path.is_some_and(|p| p.proto == path.proto && p.remote == path.remote)
            && std::mem::replace(&mut peer.tcp_congested, congested) != congested
        {
            self.retarget_downs(now, id);
        }
    }

    /// Keeps the last datagrams of a transport that ends.
    fn drain_sends(&mut self, id: TransportId) {
        while let Some(output) = self.peers.get_mut(id).and_then(|p| p.transport.poll_output()) {
            if let TransportOutput::Send { proto, destination, bytes } = output
                && let Some(to) = self.path_to(id, proto, destination, None)
            {
                self.orphans.push((to, bytes));
            }
        }
    }

    /// Removes a transport and everything that hangs on it.
    pub(super) fn remove_peer(&mut self, now: Instant, id: TransportId) {
        self.drain_sends(id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let (ups, downs) = (std::mem::take(&mut peer.ups), std::mem::take(&mut peer.downs));
        for key in ups {
            self.remove_up(now, key);
        }
        for key in downs {
            self.remove_down(now, key);
        }
        let Some(peer) = self.peers.remove(id) else { return };
        let said = peer.transport.stats();
        self.stats.drops.add_many(DropReason::Unauthenticated, said.unauthenticated);
        self.stats.data.add(&said.data);
        for (proto, address) in peer.addresses {
            self.addresses.forget(proto, address, id);
        }
        self.orphans.extend(peer.outbox);
        self.dirty.retain(|d| *d != id);
        self.addresses.shrink();
        if self.peers.len() == 0 || self.timers.len() > 64 + TIMER_SLACK * self.peers.len() {
            let peers = &self.peers;
            self.timers.retain(|id| peers.get(id).is_some());
        }
    }
}

fn selected(path: &Path) -> SelectedPath {
    SelectedPath { tcp: path.is_tcp(), remote: path.remote }
}

impl Shard {
    /// Connects an open transport without a handshake.
    pub(crate) fn install(&mut self, now: Instant, id: TransportId, path: Path, srtp: Srtp) -> bool {
        let Some(peer) = self.peers.get_mut(id) else { return false };
        peer.srtp = Some(srtp);
        peer.connect_by = None;
        peer.addresses.push((path.proto, path.remote));
        self.addresses.learn(path, id);
        self.set_path(now, id, path);
        self.emit(Event::Connected { id, path: selected(&path) });
        self.retarget_downs(now, id);
        true
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Shard {
    pub(crate) fn table_capacity(&self) -> usize {
        self.peers.places()
            + self.ups.capacity()
            + self.downs.capacity()
            + self.addresses.capacity()
            + self.up_ids.capacity()
            + self.down_ids.capacity()
            + self.timers.capacity()
            + self.dirty.capacity()
            + self.audible.capacity()
            + self.orphans.capacity()
    }

    pub(crate) fn set_fault(&mut self, fault: crate::test_util::Fault, id: TransportId) {
        self.fault = Some((fault, id));
    }

    pub(crate) fn fix_start_values(&mut self, values: crate::downtrack::forwarder::StartValues) {
        self.start_values = Some(values);
    }
}
