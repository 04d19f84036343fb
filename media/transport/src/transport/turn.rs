//! Driving the `Rtc`: one input, then everything it causes.

use super::Transport;
use crate::keying::{SrtpKeying, profile_from_dtls};
use crate::output::{CloseReason, TransportOutput};
use crate::types::Proto;
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use str0m::net::{Protocol, Transmit};
use str0m::{Event, IceConnectionState, Input, Output};

/// Turns of the `Rtc` at one instant; it asks for an immediate second turn now and then.
const MAX_TURNS: usize = 8;
/// Deadlines further away than this are none.
const FAR: Duration = Duration::from_secs(24 * 3600);

impl Transport {
    /// Runs `f`, which may reach code of str0m and its libraries with the peer's bytes. Their panic costs this
    /// transport only.
    pub(super) fn guarded<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> Option<R> {
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
    pub(super) fn turn(&mut self, now: Instant, input: Option<Input<'_>>) {
        self.unsent = false;
        let ended = self.guarded(|t| t.run(now, input)).flatten();
        match ended.filter(|_| !self.closed) {
            Some(reason @ CloseReason::Sctp(violation)) => {
                let ufrag = &self.local.ufrag;
                let stats = self.tee.with(|t| t.sctp.stats());
                tracing::warn!(%ufrag, %violation, ?stats, "transport ended for what its client sent in SCTP");
                self.close_with(now, reason);
            }
            Some(reason) => {
                self.closed = true;
                self.outputs.push_back(TransportOutput::Closed { reason });
            }
            None => {}
        }
        self.watch_data(now);
    }

    fn run(&mut self, now: Instant, input: Option<Input<'_>>) -> Option<CloseReason> {
        let mut ended = None;
        self.tee.with(|t| t.now = Some(now));
        if let Some(input) = input {
            let refused = self.rtc.handle_input(input).is_err();
            // A refused record is not fatal: anyone on the path can inject one. A dead `Rtc` is.
            if refused {
                self.stats.dtls_errors += 1;
            }
        }
        for _ in 0..MAX_TURNS {
            let deadline = self.drain(now, &mut ended);
            // Before what follows from it: the end of the association looks like a goodbye.
            if let Some(violation) = self.tee.with(|t| t.sctp.violation()) {
                return Some(CloseReason::Sctp(violation));
            }
            if !self.rtc.is_alive() {
                let by_peer = self.tee.with(|t| t.peer_closed);
                let reason = if by_peer { CloseReason::ClosedByPeer } else { CloseReason::ProtocolError };
                return Some(ended.unwrap_or(reason));
            }
            if ended.is_some() {
                return ended;
            }
            let (written, dropped) = self.channels.flush(&mut self.rtc);
            self.stats.data.reliable_dropped += dropped;
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
                    return self.receive_data(now, channel, &Bytes::from(data.data));
                }
            }
            // `close_notify`, or the end of the SCTP association: libwebrtc aborts it before it says goodbye elsewhere.
            Event::Closed => return Some(CloseReason::ClosedByPeer),
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
