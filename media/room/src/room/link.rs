//! Peer connections of a participant as the control plane sees them.

use crate::context::Cx;
use crate::ids::{Pid, RoomKey, ice_credentials};
use bedrud_sdp::{Answerer, HostCandidate, LocalTransport, Offerer};
use bedrud_sfu::{Command, DataChannel, IceCredentials, TransportId};
use std::collections::BTreeSet;
use std::time::Instant;

/// A transport on a shard.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: TransportId,
    ice: IceCredentials,
    /// ICE and DTLS have been up once.
    pub(crate) connected: bool,
    /// The path is silent now.
    pub(crate) silent: bool,
    /// The shard has given it up.
    pub(crate) closed: bool,
    /// No UDP (a client asked for TCP).
    pub(crate) tcp_only: bool,
    channels: BTreeSet<DataChannel>,
}

impl Link {
    /// Opens a transport on the shard; `None` when the shard is full.
    pub(crate) fn open(cx: &mut Cx<'_>, room: RoomKey, pid: Pid, shard: u16, tcp_only: bool) -> Option<Self> {
        let id = cx.ids.transport(shard)?;
        cx.routes.transports.insert(id, (room, pid));
        let ice = ice_credentials(cx.rng, id);
        cx.command(shard, Command::OpenTransport { id, local_ice: ice.clone() });
        if tcp_only {
            cx.command(shard, Command::SetTcpOnly { id, tcp_only });
        }
        Some(Self {
            id,
            ice,
            connected: false,
            silent: false,
            closed: false,
            tcp_only,
            channels: BTreeSet::new(),
        })
    }

    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) {
        if !self.closed {
            cx.command(self.id.shard, Command::CloseTransport { id: self.id });
        }
        self.forget(cx);
    }

    /// The shard has closed it.
    pub(crate) fn forget(&mut self, cx: &mut Cx<'_>) {
        self.closed = true;
        self.channels.clear();
        if cx.routes.transports.remove(&self.id).is_some() {
            cx.ids.free_transport(self.id);
        }
    }

    /// Local half of an ICE restart.
    pub(crate) fn restart_ice(&mut self, cx: &mut Cx<'_>) {
        self.ice = ice_credentials(cx.rng, self.id);
        cx.command(self.id.shard, Command::SetLocalIce { id: self.id, local_ice: self.ice.clone() });
    }

    /// Our side, for SDP.
    pub(crate) fn local(&self, cx: &Cx<'_>) -> LocalTransport {
        let udp = cx.config.udp_candidates.iter().filter(|_| !self.tcp_only);
        let udp = udp.map(|a| HostCandidate { addr: *a, tcp: false });
        let tcp = cx.config.tcp_candidates.iter().map(|a| HostCandidate { addr: *a, tcp: true });
        LocalTransport {
            ice: bedrud_sdp::IceCredentials { ufrag: self.ice.ufrag.clone(), pwd: self.ice.pwd.clone() },
            fingerprint: cx.config.fingerprint.clone(),
            candidates: udp.chain(tcp).collect(),
            ice_lite: true,
        }
    }

    /// What the client said about its side.
    pub(crate) fn set_remote(&self, cx: &mut Cx<'_>, remote: bedrud_sdp::RemoteTransport) {
        let remote = bedrud_sfu::RemoteTransport {
            ice: IceCredentials { ufrag: remote.ice.ufrag, pwd: remote.ice.pwd },
            fingerprint: remote.fingerprint,
            sctp: remote.sctp,
            dtls_server: remote.dtls_server,
        };
        cx.command(self.id.shard, Command::SetRemote { id: self.id, remote });
    }

    /// Connected, not silent, not closed.
    pub(crate) fn is_up(&self) -> bool {
        self.connected && !self.silent && !self.closed
    }

    pub(crate) fn has_channel(&self, channel: DataChannel) -> bool {
        self.channels.contains(&channel)
    }

    pub(crate) fn set_channel(&mut self, channel: DataChannel, open: bool) {
        if open {
            self.channels.insert(channel);
        } else {
            self.channels.remove(&channel);
        }
    }
}

/// The connection on which the client offers.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Exists from the first offer on.
    pub(crate) link: Option<Link>,
    pub(crate) answerer: Answerer,
}

/// The connection on which we offer (dual-connection clients only).
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) link: Link,
    pub(crate) offerer: Offerer,
    /// When the last offer left.
    pub(crate) offered_at: Option<Instant>,
    /// Restart ICE with the next offer.
    pub(crate) restart_ice: bool,
}
