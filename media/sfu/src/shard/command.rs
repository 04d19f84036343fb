//! Requests of the control plane.

use super::Shard;
use crate::command::{Command, IceCredentials};
use crate::event::{CloseReason, Event};
use crate::ids::TransportId;
use crate::peer::Peer;
use crate::stats::DropReason;
use bedrud_transport::{RemoteTransport, Transport};
use rand::Rng;
use std::time::Instant;

impl Shard {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        self.serving = self.served_by(&command);
        #[cfg(any(test, feature = "test-util"))]
        crate::test_util::fail_at(self.fault, self.serving, crate::test_util::Fault::Command);
        match command {
            Command::OpenTransport { id, local_ice } => self.open_transport(now, id, local_ice),
            Command::OpenRelay { id, peer, key } => self.open_relay(now, id, peer, &key),
            Command::SetRemote { id, remote } => self.set_remote(now, id, &remote),
            Command::SetLocalIce { id, local_ice } => {
                self.with_transport(now, id, |now, t| t.set_local_ice(local_ice, now));
            }
            Command::SetExtensions { id, map } => self.set_extensions(id, map),
            Command::SetTcpOnly { id, tcp_only } => {
                self.with_transport(now, id, |_, t| t.set_tcp_only(tcp_only));
            }
            Command::OpenDataChannel { id, channel } => {
                self.with_transport(now, id, |now, t| t.open_channel(now, channel));
            }
            Command::SendData { to, channel, payload } => self.send_data(now, &to, channel, &payload),
            Command::SendDataTrack { to, packet } => self.send_data_track(now, &to, &packet),
            Command::GrantData { id, bytes } => self.with_transport(now, id, |now, t| t.grant(now, bytes)),
            Command::CloseTransport { id } => self.close_transport(now, id),
            Command::SetUpTrack(config) => self.set_up_track(now, config),
            Command::RemoveUpTrack { id } => match self.up_ids.get(&id) {
                Some(key) => self.remove_up(now, *key),
                None => self.drop_packet(DropReason::StaleCommand),
            },
            Command::MuteUpTrack { id, muted } => self.mute_up_track(now, id, muted),
            Command::AddDownTrack(config) => self.add_down_track(now, config),
            Command::SetDownTrack { id, settings } => self.set_down_track(now, id, settings),
            Command::RemoveDownTrack { id } => match self.down_ids.get(&id) {
                Some(key) => self.remove_down(now, *key),
                None => self.drop_packet(DropReason::StaleCommand),
            },
            Command::RequestKeyFrame { id } => match self.up_ids.get(&id) {
                Some(key) => self.want_key_frame(now, *key),
                None => self.drop_packet(DropReason::StaleCommand),
            },
            Command::SetEgressCap { id, bits_per_second } => match self.peers.get_mut(id) {
                Some(peer) => {
                    peer.egress.set_cap(bits_per_second);
                    self.allocate(now, id);
                }
                None => self.drop_packet(DropReason::StaleCommand),
            },
        }
    }

    /// The transport that a command is about.
    fn served_by(&self, command: &Command) -> Option<TransportId> {
        let up = |id| self.up_ids.get(id).and_then(|key| self.ups.get(*key)).map(|up| up.transport);
        let down = |id| self.down_ids.get(id).and_then(|key| self.downs.get(*key)).map(|d| d.transport);
        match command {
            Command::RemoveUpTrack { id }
            | Command::MuteUpTrack { id, .. }
            | Command::RequestKeyFrame { id } => up(id),
            Command::SetDownTrack { id, .. } | Command::RemoveDownTrack { id } => down(id),
            command => command.transport(),
        }
    }

    pub(super) fn open_transport(&mut self, now: Instant, id: TransportId, local_ice: IceCredentials) {
        if id.shard != self.config.shard {
            self.drop_packet(DropReason::StaleCommand);
            return;
        }
        if let Some(epoch) = self.peers.epoch(id.slot) {
            if epoch != id.epoch {
                // The control plane gave the slot to another transport without closing this one.
                self.drop_packet(DropReason::StaleCommand);
            }
            return;
        }
        if self.peers.len() >= self.config.max_transports || id.slot >> 20 != 0 {
            self.drop_packet(DropReason::Limit);
            self.emit(Event::Closed { id, reason: CloseReason::ProtocolError });
            return;
        }
        match Transport::new(&self.context, local_ice, now) {
            Ok(transport) => {
                let ssrc = self.rng.random_range(1..=u32::MAX);
                self.peers.insert(id, Peer::new(now, id, transport, ssrc, self.hash, &self.config));
                self.after_transport(now, id, None);
            }
            Err(error) => {
                tracing::error!(?id, %error, "cannot open a transport");
                self.emit(Event::Closed { id, reason: CloseReason::ProtocolError });
            }
        }
    }

    fn set_remote(&mut self, now: Instant, id: TransportId, remote: &RemoteTransport) {
        let Some(peer) = self.peers.get_mut(id) else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        peer.connect_by = None;
        if let Err(error) = peer.transport.set_remote(remote, now) {
            tracing::warn!(?id, %error, "remote description refused");
            peer.transport.close(now);
            self.after_transport(now, id, None);
            self.remove_peer(now, id);
            self.emit(Event::Closed { id, reason: CloseReason::ProtocolError });
            return;
        }
        self.after_transport(now, id, None);
    }

    pub(super) fn with_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        f: impl FnOnce(Instant, &mut Transport),
    ) {
        self.serving = Some(id);
        match self.peers.get_mut(id) {
            Some(peer) => {
                f(now, &mut peer.transport);
                self.after_transport(now, id, None);
            }
            None => self.drop_packet(DropReason::StaleCommand),
        }
    }

    fn close_transport(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(id) else {
            self.drop_packet(DropReason::StaleCommand);
            return;
        };
        peer.transport.close(now);
        self.after_transport(now, id, None);
        self.remove_peer(now, id);
    }
}
