//! A shard without packets: it remembers what it was told and reports success.

use bedrud_room::{Input, ShardId};
use bedrud_sfu::{
    Command, DataChannel, DownTrackConfig, DownTrackId, Event, SelectedPath, TransportId, UpTrackConfig,
    UpTrackId,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Shard {
    pub transports: BTreeMap<TransportId, Transport>,
    pub ups: BTreeMap<UpTrackId, UpTrackConfig>,
    pub muted: BTreeSet<UpTrackId>,
    pub downs: BTreeMap<DownTrackId, DownTrackConfig>,
    /// Everything sent on data channels.
    pub sent: Vec<(TransportId, DataChannel, Bytes)>,
    /// Commands these took.
    pub data_commands: usize,
    /// Bytes senders may send again.
    pub granted: Vec<(TransportId, u64)>,
    /// False: clients never get through.
    pub reachable: bool,
    /// Commands about things that are gone.
    pub ignored: usize,
}

#[derive(Default, Clone)]
pub struct Transport {
    pub ufrags: Vec<String>,
    pub connected: bool,
    pub tcp_only: bool,
    pub cap: Option<u64>,
    /// The other end, of a relay.
    pub relay: Option<TransportId>,
}

impl Shard {
    pub fn new() -> Self {
        Self { reachable: true, ..Self::default() }
    }

    /// Obeys, and returns what the shard would report.
    pub fn obey(&mut self, command: Command) -> Vec<Event> {
        match command {
            Command::OpenTransport { id, local_ice } => {
                assert_eq!(TransportId::from_ufrag(local_ice.ufrag.as_bytes()), Some(id));
                let transport = Transport { ufrags: vec![local_ice.ufrag], ..Transport::default() };
                assert!(self.transports.insert(id, transport).is_none(), "transport ids are not reused");
            }
            Command::OpenRelay { id, peer, .. } => {
                let transport = Transport { relay: Some(peer), connected: true, ..Transport::default() };
                assert!(self.transports.insert(id, transport).is_none(), "transport ids are not reused");
            }
            Command::SetRemote { id, remote } => return self.set_remote(id, remote.sctp),
            Command::SetLocalIce { id, local_ice } => self.transport(id).ufrags.push(local_ice.ufrag),
            Command::SetTcpOnly { id, tcp_only } => self.transport(id).tcp_only = tcp_only,
            Command::SendData { to, channel, payload } => {
                self.data_commands += 1;
                self.sent.extend(to.into_iter().map(|id| (id, channel, payload.clone())));
            }
            Command::SendDataTrack { to, packet } => {
                self.data_commands += 1;
                for (id, handle) in to {
                    let mut packet = packet.to_vec();
                    packet[2..4].copy_from_slice(&handle.to_be_bytes());
                    self.sent.push((id, DataChannel::DataTrack, packet.into()));
                }
            }
            Command::GrantData { id, bytes } => self.granted.push((id, bytes)),
            Command::CloseTransport { id } => {
                self.transports.remove(&id);
                self.downs.retain(|_, d| d.transport != id);
                self.ups.retain(|_, u| u.transport != id);
            }
            Command::SetUpTrack(config) => {
                assert!(!config.layers.is_empty() && !config.payload_types.is_empty());
                if !self.transports.contains_key(&config.transport) {
                    self.ignored += 1;
                    return Vec::new();
                }
                self.ups.insert(config.id, config);
            }
            Command::RemoveUpTrack { id } => {
                self.ups.remove(&id);
                self.downs.retain(|_, d| d.source != id);
            }
            Command::MuteUpTrack { id, muted: true } => drop(self.muted.insert(id)),
            Command::MuteUpTrack { id, .. } => drop(self.muted.remove(&id)),
            Command::AddDownTrack(config) => {
                assert!(!config.payload_types.is_empty());
                // As a real shard: what is gone meanwhile is ignored.
                if !self.ups.contains_key(&config.source) || !self.transports.contains_key(&config.transport)
                {
                    self.ignored += 1;
                    return Vec::new();
                }
                assert_eq!(self.ups[&config.source].transport.shard, config.transport.shard);
                assert!(self.downs.insert(config.id, config).is_none());
            }
            Command::SetDownTrack { id, settings } => {
                if let Some(down) = self.downs.get_mut(&id) {
                    down.settings = settings;
                }
            }
            Command::RemoveDownTrack { id } => drop(self.downs.remove(&id)),
            Command::SetEgressCap { id, bits_per_second } => self.transport(id).cap = bits_per_second,
            Command::SetExtensions { .. }
            | Command::OpenDataChannel { .. }
            | Command::RequestKeyFrame { .. } => {}
        }
        Vec::new()
    }

    fn set_remote(&mut self, id: TransportId, sctp: bool) -> Vec<Event> {
        let reachable = self.reachable;
        let t = self.transport(id);
        if t.connected || !reachable {
            return Vec::new();
        }
        t.connected = true;
        let path = SelectedPath { tcp: t.tcp_only, remote: "192.0.2.7:5000".parse().unwrap() };
        let mut events = vec![Event::Connected { id, path }];
        if sctp {
            events.extend(DataChannel::ALL.map(|channel| Event::ChannelOpen { id, channel }));
        }
        events
    }

    /// Both ends of the only relay, that of the publisher first.
    pub fn relay(&self) -> (TransportId, TransportId) {
        let ends: Vec<_> = self.transports.iter().filter_map(|(id, t)| Some((*id, t.relay?))).collect();
        assert_eq!(ends.len(), 2);
        let near = ends.iter().find(|(id, _)| self.downs.values().any(|d| d.transport == *id)).unwrap();
        assert!(ends.contains(&(near.1, near.0)), "both know each other");
        *near
    }

    pub fn transport(&mut self, id: TransportId) -> &mut Transport {
        self.transports.get_mut(&id).expect("transport is open")
    }

    /// Transport a description of ours leads to.
    pub fn by_sdp(sdp: &str) -> TransportId {
        let ufrag = crate::sdp::attribute(sdp, "ice-ufrag").expect("ufrag");
        TransportId::from_ufrag(ufrag.as_bytes()).expect("our ufrag")
    }
}

pub fn report(event: Event) -> Input {
    Input::Shard { shard: ShardId(0), event }
}
