//! A participant joins.

use crate::accounts::price;
use crate::context::{Cx, wire_codecs};
use crate::ids::{Pid, sid};
use crate::io::{ConnId, Output};
use crate::join_params::JoinParams;
use crate::room::{Audience, Client, Participant, Publisher, Room, leave_for, update};
use crate::timers::Timer;
use bedrud_sdp::{Answerer, AnswererConfig};
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::{DisconnectReason, JoinResponse, signal_response};
use rand::Rng as _;
use std::sync::Arc;
use std::time::Duration;

/// Enough for a client to set its offer after it has read our `join`.
const EARLY_OFFER_WAIT: Duration = Duration::from_millis(50);

/// First and last messages of a connection that is upgraded only to be told why not.
pub(crate) fn refusal(conn: ConnId, protocol: i32, reason: DisconnectReason, action: Action) -> [Output; 2] {
    let leave = leave_for(protocol, reason, action).unwrap_or_default();
    let response = Arc::new(signal_response::Message::Leave(leave).into());
    [Output::Signal { conn, response }, Output::CloseSignal { conn, clean: true }]
}

impl Room {
    /// Takes a new participant in and greets it. Limits and duplicates have been dealt with.
    pub(crate) fn join(&mut self, cx: &mut Cx<'_>, conn: ConnId, params: JoinParams) -> Pid {
        let sid = sid(cx.rng, "PA_");
        let tcp_only = self.wants_tcp(cx, params.claims.identity());
        let client = Client::new(params.client_info.clone());
        let answerer = Answerer::new(AnswererConfig {
            codecs: cx.codecs.clone(),
            quirks: client.quirks(),
            single_connection: params.single_pc,
            session_id: cx.rng.random::<u64>() >> 2,
        });
        let publisher = Publisher { link: None, answerer };
        let participant = Participant::new(cx, sid, Some(conn), &params, client, publisher, tcp_only);
        let pid = self.admit(cx, participant);
        self.greet(cx, pid);
        cx.set_timer(self.key, Some(pid), Timer::Join, cx.config.timeouts.join);
        self.announce(cx, pid, Audience::Others, false);
        self.refresh_token(cx, pid);
        self.start_media(cx, pid, params);
        pid
    }

    /// `join`: everything the client needs to know first.
    fn greet(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        let (others, more) = self.introduce(cx, pid, self.info.metadata.len() + p.profile_size());
        let seconds = |d: std::time::Duration| i32::try_from(d.as_secs()).unwrap_or(i32::MAX).max(1);
        let info = cx.server_info();
        let join = JoinResponse {
            room: Some(self.info()),
            participant: Some(p.info(&cx.config.region)),
            other_participants: others,
            server_version: info.version.clone(),
            server_region: info.region.clone(),
            server_info: Some(info),
            ice_servers: cx.config.ice_servers.clone(),
            subscriber_primary: p.subscriber_primary,
            ping_timeout: seconds(cx.config.timeouts.ping_timeout),
            ping_interval: seconds(cx.config.timeouts.ping_interval),
            sif_trailer: self.sif_trailer.clone(),
            client_configuration: p.client.device().configuration(),
            enabled_publish_codecs: wire_codecs(&p.client.publish_codecs(cx.codecs)),
            fast_publish: p.permission.can_publish && !p.tcp_only,
            ..JoinResponse::default()
        };
        p.send(cx, signal_response::Message::Join(join));
        for batch in more {
            p.send(cx, update(batch));
        }
        if let Some(p) = self.get_mut(pid) {
            p.state = State::Joined;
            p.touch();
        }
    }

    fn start_media(&mut self, cx: &mut Cx<'_>, pid: Pid, params: JoinParams) {
        let Some(p) = self.get(pid) else { return };
        // Media in the first offer; older clients expect none before they are active.
        let early = p.auto_subscribe && p.permission.can_subscribe && p.client.protocol >= 8;
        if p.subscriber_primary && !self.ensure_subscriber(cx, pid) {
            return;
        }
        if early {
            self.subscribe_to_all(cx, pid);
        }
        self.reconcile_data_tracks(cx);
        self.negotiate(cx, pid);
        for request in params.add_tracks {
            self.on_add_track(cx, pid, request);
        }
        let Some(offer) = params.publisher_offer else { return };
        match self.get_mut(pid) {
            Some(p) if p.client.is_late_with_its_offer() => {
                p.early_offer = Some(offer);
                cx.set_timer(self.key, Some(pid), Timer::EarlyOffer, EARLY_OFFER_WAIT);
            }
            _ => self.on_offer(cx, pid, &offer),
        }
    }

    pub(crate) fn take_early_offer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        if let Some(offer) = self.get_mut(pid).and_then(|p| p.early_offer.take()) {
            self.on_offer(cx, pid, &offer);
        }
    }

    /// The token that the client will use for reconnecting.
    pub(crate) fn refresh_token(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        if let Some(conn) = p.conn {
            let claims = Box::new(p.reconnect_claims());
            cx.spend(price::TOKEN);
            cx.out.push_back(Output::RefreshToken { conn, claims });
        }
        cx.set_timer(self.key, Some(pid), Timer::Token, cx.config.timeouts.token_refresh);
    }
}
