//! The state machine of one peer connection.

use crate::channels::{Channels, Written};
use crate::context::{TransportContext, canonical_address};
use crate::dtls::TeeSlot;
use crate::error::TransportError;
use crate::keying::{SrtpKeying, profile_from_dtls};
use crate::output::{CloseReason, TransportOutput, TransportStats};
use crate::paths::{Check, Paths, PeerAddress};
use crate::types::{DataChannel, IceCredentials, Proto, RemoteTransport};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use str0m::crypto::Fingerprint;
use str0m::ice::{StunMessage, TransId};
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Event, IceConnectionState, IceCreds, Input, Output, Rtc};

/// Turns of the `Rtc` at one instant; it asks for an immediate second turn now and then.
const MAX_TURNS: usize = 8;
/// Deadlines further away than this are none.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// Role tie-breaker and priority of the checks we make up: any value, they never leave the process.
const SELF_TIE_BREAKER: u64 = 1;
const SELF_PRIORITY: u32 = 1_853_817_087;

const fn protocol(proto: Proto) -> Protocol {
    match proto {
        Proto::Udp => Protocol::Udp,
        Proto::Tcp => Protocol::Tcp,
    }
}

/// One peer connection without its media: ICE-lite, DTLS server, SCTP.
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
    outputs: VecDeque<TransportOutput>,
    rtc_deadline: Option<Instant>,
    connect_deadline: Option<Instant>,
    disconnect_deadline: Option<Instant>,
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
            outputs: VecDeque::new(),
            rtc_deadline: Some(now),
            connect_deadline: None,
            disconnect_deadline: None,
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
        TransportStats { queued_bytes: self.channels.queued_bytes(), ..self.stats }
    }

    /// Sets or replaces the peer's side and starts DTLS as its server. A changed ufrag is an ICE restart; keys and
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
            api.start_dtls(false).map_err(|e| TransportError::Config(e.to_string()))?;
            self.remote_fingerprint = Some(canonical);
            self.connect_deadline = Some(now + self.context.config().connect_timeout);
        }
        if remote.sctp {
            self.rtc.direct_api().start_sctp(false);
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
    }

    /// When [`Transport::handle_timeout`] is due.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        [self.rtc_deadline, self.connect_deadline, self.disconnect_deadline].into_iter().flatten().min()
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

    /// Sends a message. A reliable one waits when SCTP is full or its channel is not open yet, and ends the transport
    /// when too much waits on an open channel; a lossy one is dropped.
    pub fn send(&mut self, now: Instant, channel: DataChannel, bytes: Bytes) {
        if self.closed {
            return;
        }
        let config = *self.context.config();
        let written = if channel == DataChannel::Reliable {
            self.channels.send_reliable(&mut self.rtc, channel, bytes, config.reliable_queue_bytes)
        } else {
            self.channels.send_lossy(&mut self.rtc, channel, &bytes, config.lossy_buffer_bytes)
        };
        match written {
            Written::Accepted => self.turn(now, Some(Input::Timeout(now))),
            Written::Dropped if channel == DataChannel::Reliable => self.stats.reliable_dropped += 1,
            Written::Dropped => self.stats.lossy_dropped += 1,
            Written::Overflow => self.close_with(now, CloseReason::SlowConsumer),
        }
    }

    /// Forgets a source whose ICE/TCP connection is gone. If it was the destination there is none until the next
    /// check.
    pub fn forget_address(&mut self, proto: Proto, address: SocketAddr) {
        self.paths.forget((proto, address));
    }

    /// Ends the transport: DTLS close_notify is left in [`Transport::poll_output`], no event follows.
    pub fn close(&mut self, now: Instant) {
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

    fn handle_check(&mut self, now: Instant, source: PeerAddress, datagram: &[u8]) {
        let Ok(message) = StunMessage::parse(datagram) else {
            self.stats.malformed += 1;
            return;
        };
        let Some(id) = datagram.get(8..20).and_then(|b| b.try_into().ok()) else { return };
        // An ICE-lite agent sends no checks, so only requests mean anything, and it is always controlled: a request
        // that claims our role must not make the agent switch.
        if !message.is_binding_request() || message.ice_controlled().is_some() {
            self.stats.malformed += 1;
            return;
        }
        if (self.tcp_only && source.0 == Proto::Udp) || !self.paths.admits(source, now) {
            self.stats.unauthenticated += 1;
            return;
        }
        let username =
            if self.paths.destination().is_none() { message.username().map(str::to_owned) } else { None };
        let use_candidate = message.use_candidate();
        self.paths.await_answer(Check { id, source, use_candidate, username, self_made: false });
        self.receive(now, source, datagram);
        // Before the remote description the agent keeps a check and answers it later.
        if self.remote_ufrag.is_some() && self.paths.unanswered(&id) {
            self.stats.unauthenticated += 1;
        }
    }

    /// Hands a datagram to the `Rtc`.
    fn receive(&mut self, now: Instant, source: PeerAddress, datagram: &[u8]) {
        match Receive::new(protocol(source.0), source.1, canonical_address(source.1.is_ipv4()), datagram) {
            Ok(receive) => self.turn(now, Some(Input::Receive(now, receive))),
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// Runs `f`, which may reach code of str0m and its libraries with the peer's bytes. Their panic costs this
    /// transport only.
    fn guarded<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| f(&mut *self))) {
            Ok(result) => Some(result),
            Err(_) => {
                tracing::error!(ufrag = %self.local.ufrag, "transport library panicked");
                if !std::mem::replace(&mut self.closed, true) {
                    self.outputs.push_back(TransportOutput::Closed { reason: CloseReason::ProtocolError });
                }
                None
            }
        }
    }

    /// One input, then everything it causes.
    fn turn(&mut self, now: Instant, input: Option<Input<'_>>) {
        let ended = self.guarded(|t| t.run(now, input)).flatten();
        if let Some(reason) = ended
            && !self.closed
        {
            self.closed = true;
            self.outputs.push_back(TransportOutput::Closed { reason });
        }
    }

    fn run(&mut self, now: Instant, input: Option<Input<'_>>) -> Option<CloseReason> {
        let mut ended = None;
        if let Some(input) = input {
            let refused = self.rtc.handle_input(input).is_err();
            // A refused record is not fatal: anyone on the path can inject one. A dead `Rtc` is.
            if refused {
                self.stats.dtls_errors += 1;
            }
        }
        for _ in 0..MAX_TURNS {
            let deadline = self.drain(now, &mut ended);
            if !self.rtc.is_alive() {
                let by_peer = self.tee.with(|t| t.peer_closed);
                let reason = if by_peer { CloseReason::ClosedByPeer } else { CloseReason::ProtocolError };
                return Some(ended.unwrap_or(reason));
            }
            if ended.is_some() {
                return ended;
            }
            let (written, dropped) = self.channels.flush(&mut self.rtc);
            self.stats.reliable_dropped += dropped;
            let again = written || deadline.is_some_and(|t| t <= now) || self.nominate(now);
            self.rtc_deadline = deadline.map(|t| t.max(now + Duration::from_millis(1)));
            if !again {
                break;
            }
            if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                self.stats.dtls_errors += 1;
            }
        }
        ended
    }

    /// Polls the `Rtc` dry; returns its deadline.
    fn drain(&mut self, now: Instant, ended: &mut Option<CloseReason>) -> Option<Instant> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(t)) => {
                    self.report_connected();
                    return (t <= now + FAR).then_some(t);
                }
                Ok(Output::Transmit(t)) => self.transmit(now, t),
                Ok(Output::Event(event)) => {
                    if let Some(reason) = self.on_event(now, event) {
                        ended.get_or_insert(reason);
                    }
                }
                Err(error) => {
                    tracing::debug!(ufrag = %self.local.ufrag, %error, "transport failed");
                    self.rtc.disconnect();
                    ended.get_or_insert(CloseReason::ProtocolError);
                    return None;
                }
            }
        }
    }

    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let proto = if transmit.proto == Protocol::Tcp { Proto::Tcp } else { Proto::Udp };
        let is_stun = transmit.contents.first().is_some_and(|b| *b < 4);
        let (proto, destination) = if is_stun {
            if transmit.contents.starts_with(&[0x01, 0x01]) && !self.answered(now, &transmit.contents) {
                return;
            }
            (proto, transmit.destination)
        } else {
            // After an ICE restart the agent names the old address for up to 15 s: the newest nomination counts.
            match self.paths.destination() {
                Some(destination) => destination,
                None => return,
            }
        };
        self.outputs.push_back(TransportOutput::Send { proto, destination, bytes: transmit.contents.into() });
    }

    /// The agent answered a check, which proves that its sender knows our password. Returns whether the answer
    /// should be sent.
    fn answered(&mut self, now: Instant, reply: &[u8]) -> bool {
        let id = reply.get(8..20).and_then(|b| b.try_into().ok());
        let Some(check) = id.and_then(|id| self.paths.answered(&id)) else { return true };
        if check.self_made {
            return false;
        }
        let (proto, address) = check.source;
        let (new, displaced) = self.paths.learn(check.source, now);
        if let Some((proto, address)) = displaced {
            self.outputs.push_back(TransportOutput::AddressForgotten { proto, address });
        }
        if new {
            self.outputs.push_back(TransportOutput::AddressLearned { proto, address });
        }
        if self.disconnect_deadline.take().is_some() {
            self.outputs.push_back(TransportOutput::IceReconnected);
        }
        if check.use_candidate {
            self.send_to(check.source);
        } else if self.paths.destination().is_none() {
            // Browsers nominate with their second check, 50 ms later, and DTLS waits for it. The client may ask for
            // this at any time, so asking in its name grants nothing.
            self.send_to(check.source);
            if let Some(username) = check.username {
                self.nomination = Some((check.source, username));
            }
        }
        true
    }

    /// Feeds the check we make up for the client. Returns whether there was one.
    fn nominate(&mut self, now: Instant) -> bool {
        let Some((from, username)) = self.nomination.take() else { return false };
        let mut buf = [0u8; 1024];
        let request = StunMessage::binding_request(
            &username,
            TransId::new(),
            true,
            SELF_TIE_BREAKER,
            SELF_PRIORITY,
            true,
        );
        let context = self.context.clone();
        let encoded =
            request.to_bytes(Some(self.local.pwd.as_bytes()), &mut buf, |k, p| context.hmac_sha1(k, p));
        let Some(bytes) = encoded.ok().and_then(|n| buf.get(..n)) else { return false };
        let Some(id) = bytes.get(8..20).and_then(|b| b.try_into().ok()) else { return false };
        let check = Check { id, source: from, use_candidate: true, username: None, self_made: true };
        self.paths.await_answer(check);
        match Receive::new(protocol(from.0), from.1, canonical_address(from.1.is_ipv4()), bytes) {
            Ok(receive) => self.rtc.handle_input(Input::Receive(now, receive)).is_ok(),
            Err(_) => false,
        }
    }

    fn send_to(&mut self, path: PeerAddress) {
        if self.paths.send_to(path) && self.connected {
            tracing::debug!(ufrag = %self.local.ufrag, "path changed");
            self.outputs.push_back(TransportOutput::PathChanged { proto: path.0, remote: path.1 });
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) -> Option<CloseReason> {
        match event {
            Event::Connected => self.dtls_connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected)
                if self.disconnect_deadline.is_none() =>
            {
                self.disconnect_deadline = Some(now + self.context.config().disconnected_timeout);
                self.outputs.push_back(TransportOutput::IceDisconnected);
            }
            Event::ChannelOpen(id, label) => {
                let opened = self.channels.opened(&mut self.rtc, id, &label);
                self.outputs.extend(opened.map(TransportOutput::ChannelOpen));
            }
            Event::ChannelClose(id) => {
                self.outputs.extend(self.channels.closed(id).map(TransportOutput::ChannelClosed));
            }
            Event::ChannelData(data) => {
                if let Some(channel) = self.channels.label_of(data.id) {
                    self.outputs.push_back(TransportOutput::Data { channel, bytes: Bytes::from(data.data) });
                }
            }
            Event::Closed => {
                let by_peer = self.tee.with(|t| t.peer_closed);
                return Some(if by_peer { CloseReason::ClosedByPeer } else { CloseReason::TimedOut });
            }
            _ => {}
        }
        None
    }

    fn report_connected(&mut self) {
        if self.connected || !self.dtls_connected {
            return;
        }
        let Some((proto, remote)) = self.paths.destination() else { return };
        let Some((material, profile, is_client)) = self.tee.with(|t| t.keying.take()) else { return };
        let Some(profile) = profile_from_dtls(profile) else { return };
        self.connected = true;
        self.connect_deadline = None;
        let keying = SrtpKeying { profile, material, is_client };
        self.outputs.push_back(TransportOutput::Connected { keying, proto, remote });
    }
}
