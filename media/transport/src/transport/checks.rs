//! ICE checks: what enters the agent, what an answer proves, and the nomination made for the client.

use super::Transport;
use crate::context::canonical_address;
use crate::output::TransportOutput;
use crate::paths::{Check, PeerAddress};
use crate::types::Proto;
use std::time::Instant;
use str0m::Input;
use str0m::ice::{StunMessage, TransId};
use str0m::net::{Protocol, Receive};

/// Role tie-breaker and priority of the checks we make up: any value, they never leave the process.
const SELF_TIE_BREAKER: u64 = 1;
const SELF_PRIORITY: u32 = 1_853_817_087;

const fn protocol(proto: Proto) -> Protocol {
    match proto {
        Proto::Udp | Proto::Relay => Protocol::Udp,
        Proto::Tcp => Protocol::Tcp,
    }
}

impl Transport {
    pub(super) fn handle_check(&mut self, now: Instant, source: PeerAddress, datagram: &[u8]) {
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
    pub(super) fn receive(&mut self, now: Instant, source: PeerAddress, datagram: &[u8]) {
        match Receive::new(protocol(source.0), source.1, canonical_address(source.1.is_ipv4()), datagram) {
            Ok(receive) => self.turn(now, Some(Input::Receive(now, receive))),
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// The agent answered a check, which proves that its sender knows our password. Returns whether the answer
    /// should be sent.
    pub(super) fn answered(&mut self, now: Instant, reply: &[u8]) -> bool {
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
    pub(super) fn nominate(&mut self, now: Instant) -> bool {
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
}
