//! The state machine of one peer connection.

mod checks;
mod data;
mod turn;

use crate::channels::Channels;
use crate::context::TransportContext;
use crate::dtls::TeeSlot;
use crate::error::TransportError;
use crate::inbound::Inbound;
use crate::output::{CloseReason, TransportOutput, TransportStats};
use crate::paths::{Paths, PeerAddress};
use crate::types::{DataChannel, IceCredentials, Proto, RemoteTransport};
use data::Congestion;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use str0m::crypto::Fingerprint;
use str0m::{IceCreds, Input, Rtc};

/// One peer connection without its media: ICE-lite, DTLS in either role, SCTP.
pub struct Transport {
    context: TransportContext,
    rtc: Box<Rtc>,
    tee: TeeSlot,
    local: IceCredentials,
    remote_fingerprint: Option<String>,
    remote_ufrag: Option<String>,
    paths: Paths,
    /// A path to nominate in the client's name, with the USERNAME of its check.
    nomination: Option<(PeerAddress, String)>,
    channels: Channels,
    inbound: Inbound,
    /// Set while more waits for the peer than it takes.
    congestion: Option<Congestion>,
    /// Messages were written that no turn has carried out.
    unsent: bool,
    /// A turn is on its way to tell the peer of a window that opens.
    telling: bool,
    outputs: VecDeque<TransportOutput>,
    rtc_deadline: Option<Instant>,
    connect_deadline: Option<Instant>,
    disconnect_deadline: Option<Instant>,
    /// The rate lets another waiting message through.
    release_deadline: Option<Instant>,
    dtls_client: bool,
    dtls_connected: bool,
    connected: bool,
    tcp_only: bool,
    closed: bool,
    stats: TransportStats,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("ufrag", &self.local.ufrag)
            .field("connected", &self.connected)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport that waits for its client under the given credentials.
    ///
    /// # Errors
    /// [`TransportError::Config`] when str0m refuses the canonical local candidates.
    pub fn new(
        context: &TransportContext,
        local: IceCredentials,
        now: Instant,
    ) -> Result<Self, TransportError> {
        let (rtc, tee) = context.build_rtc(&local, now)?;
        Ok(Self {
            context: context.clone(),
            rtc,
            tee,
            local,
            remote_fingerprint: None,
            remote_ufrag: None,
            paths: Paths::default(),
            nomination: None,
            channels: Channels::default(),
            inbound: Inbound::new(context.config()),
            congestion: None,
            unsent: false,
            telling: false,
            outputs: VecDeque::new(),
            rtc_deadline: Some(now),
            connect_deadline: None,
            disconnect_deadline: None,
            release_deadline: None,
            dtls_client: false,
            dtls_connected: false,
            connected: false,
            tcp_only: false,
            closed: false,
            stats: TransportStats::default(),
        })
    }

    /// Our credentials now in force.
    #[must_use]
    pub fn local_ice(&self) -> &IceCredentials {
        &self.local
    }

    /// Where media goes: the source of the newest authenticated check that nominated its path.
    #[must_use]
    pub fn destination(&self) -> Option<(Proto, SocketAddr)> {
        self.paths.destination()
    }

    /// ICE and DTLS have been up once and the transport has not ended.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    /// Whether the transport has ended, by itself or by [`Transport::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> TransportStats {
        let (queued_bytes, waiting_bytes) = (self.channels.queued_bytes(), self.inbound.waiting_bytes());
        let sctp = self.tee.with(|t| t.sctp.stats());
        TransportStats { queued_bytes, waiting_bytes, sctp, ..self.stats }
    }

    /// Sets or replaces the peer's side and starts DTLS in the role that it leaves to us. A changed ufrag is an ICE restart; keys and
    /// channels survive it.
    ///
    /// # Errors
    /// [`TransportError::Fingerprint`] and [`TransportError::FingerprintChanged`] leave the transport as it was.
    pub fn set_remote(&mut self, remote: &RemoteTransport, now: Instant) -> Result<(), TransportError> {
        if self.closed {
            return Err(TransportError::Closed);
        }
        let mut fingerprint: Fingerprint = remote.fingerprint.parse().map_err(TransportError::Fingerprint)?;
        fingerprint.hash_func.make_ascii_lowercase();
        let digest_len = match fingerprint.hash_func.as_str() {
            "sha-256" => 32,
            "sha-1" => 20,
            other => return Err(TransportError::Fingerprint(format!("unsupported hash {other}"))),
        };
        if fingerprint.bytes.len() != digest_len {
            return Err(TransportError::Fingerprint("wrong length".to_owned()));
        }
        let canonical = fingerprint.to_string();
        if self.remote_fingerprint.as_ref().is_some_and(|f| *f != canonical) {
            return Err(TransportError::FingerprintChanged);
        }
        let mut api = self.rtc.direct_api();
        if self.remote_ufrag.as_ref() != Some(&remote.ice.ufrag) {
            api.set_remote_ice_credentials(IceCreds {
                ufrag: remote.ice.ufrag.clone(),
                pass: remote.ice.pwd.clone(),
            });
            self.remote_ufrag = Some(remote.ice.ufrag.clone());
        }
        if self.remote_fingerprint.is_none() {
            api.set_remote_fingerprint(fingerprint);
            api.start_dtls(remote.dtls_server).map_err(|e| TransportError::Config(e.to_string()))?;
            self.remote_fingerprint = Some(canonical);
            self.dtls_client = remote.dtls_server;
            self.connect_deadline = Some(now + self.context.config().connect_timeout);
        }
        if remote.sctp {
            // The DTLS role decides the parity of stream ids (RFC 8832, section 6).
            self.rtc.direct_api().start_sctp(self.dtls_client);
        }
        self.turn(now, Some(Input::Timeout(now)));
        Ok(())
    }

    /// Replaces our credentials: the local half of an ICE restart. Only the new ufrag is answered from now on.
    pub fn set_local_ice(&mut self, local: IceCredentials, now: Instant) {
        if self.closed {
            return;
        }
        self.rtc
            .direct_api()
            .set_local_ice_credentials(IceCreds { ufrag: local.ufrag.clone(), pass: local.pwd.clone() });
        self.local = local;
        self.turn(now, Some(Input::Timeout(now)));
    }

    /// Whether only ICE/TCP checks are answered.
    pub fn set_tcp_only(&mut self, tcp_only: bool) {
        self.tcp_only = tcp_only;
    }

    /// Takes one STUN or DTLS datagram. Anything else is counted and dropped, as is DTLS from a source that no
    /// authenticated check came from.
    pub fn handle_datagram(&mut self, now: Instant, proto: Proto, source: SocketAddr, datagram: &[u8]) {
        if self.closed {
            return;
        }
        match datagram.first() {
            Some(0..=3) => self.handle_check(now, (proto, source), datagram),
            Some(20..=63) if self.paths.knows((proto, source)) => {
                self.receive(now, (proto, source), datagram);
            }
            Some(20..=63) => self.stats.foreign += 1,
            _ => self.stats.malformed += 1,
        }
    }

    /// Time has reached [`Transport::poll_deadline`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.connect_deadline.is_some_and(|t| t <= now)
            || self.disconnect_deadline.is_some_and(|t| t <= now)
        {
            self.close_with(now, CloseReason::TimedOut);
            return;
        }
        if self.rtc_deadline.is_some_and(|t| t <= now) {
            self.turn(now, Some(Input::Timeout(now)));
        }
        self.run_data(now);
    }

    /// When [`Transport::handle_timeout`] is due.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let data = self.congestion.as_ref().map(|c| c.judge_at);
        [self.rtc_deadline, self.connect_deadline, self.disconnect_deadline, data, self.release_deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// Next output; call until `None` after every other call.
    pub fn poll_output(&mut self) -> Option<TransportOutput> {
        self.outputs.pop_front()
    }

    /// Opens a channel from our side. May precede the handshake; again is a no-op.
    pub fn open_channel(&mut self, now: Instant, channel: DataChannel) {
        if self.closed {
            return;
        }
        self.channels.open(&mut self.rtc, channel);
        self.turn(now, Some(Input::Timeout(now)));
    }

    /// Forgets a source whose ICE/TCP connection is gone. If it was the destination there is none until the next
    /// check.
    pub fn forget_address(&mut self, proto: Proto, address: SocketAddr) {
        self.paths.forget((proto, address));
    }

    /// Ends the transport: DTLS close_notify is left in [`Transport::poll_output`], no event follows.
    pub fn close(&mut self, now: Instant) {
        self.flush_data(now);
        if self.closed {
            return;
        }
        // First, so that what the last turn brings is no news.
        self.closed = true;
        if self.guarded(|t| t.rtc.close().is_ok()) == Some(true) {
            self.turn(now, None);
        }
        self.rtc.disconnect();
    }

    fn close_with(&mut self, now: Instant, reason: CloseReason) {
        if self.closed {
            return;
        }
        self.close(now);
        self.outputs.push_back(TransportOutput::Closed { reason });
    }
}
