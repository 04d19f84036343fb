//! A client whose socket broke comes back to its session.

use crate::context::Cx;
use crate::ids::Pid;
use crate::io::ConnId;
use crate::join_params::JoinParams;
use crate::room::{ResumeScript, Room, update};
use crate::timers::Timer;
use livekit_protocol::{ReconnectResponse, SyncState, UpdateSubscription, signal_response};
use std::time::Duration;

/// A resumed client whose path was dead has this long to restart it.
const REVIVE: Duration = Duration::from_secs(20);

impl Room {
    /// Attaches a new socket to a session. False when the session cannot be resumed; nothing was sent then.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>, pid: Pid, conn: ConnId, params: JoinParams) -> bool {
        let room = self.key;
        let now = cx.now.mono;
        let Some(p) = self.get_mut(pid) else { return false };
        if p.is_forwarded()
            || p.one_shot.is_some()
            || p.single_pc != params.single_pc
            || p.links().any(|l| l.closed)
        {
            return false;
        }
        p.remember_token(&params.token);
        if let Some(old) = p.conn.replace(conn) {
            cx.close_signal(old, true);
        }
        cx.routes.conns.insert(conn, (room, pid));
        let Some(p) = self.get_mut(pid) else { return false };
        let script = p.resume_script;
        if let Some((until, left)) = script.close_before.filter(|(until, _)| now <= *until) {
            p.resume_script.close_before = (left > 1).then(|| (until, left - 1));
            p.conn = None;
            cx.close_signal(conn, false);
            return true;
        }
        p.resume_script = ResumeScript::default();
        let since = std::mem::replace(&mut p.heard_at, now);
        let silent = p.primary().is_none_or(|l| !l.is_up());
        // What follows a silent path is this: it gets its time to restart.
        cx.cancel_timer(room, Some(pid), Timer::Failed);
        cx.cancel_timer(room, Some(pid), Timer::Resume);
        if silent && p.is_active() {
            cx.set_timer(room, Some(pid), Timer::Resume, REVIVE);
        }
        self.greet_again(cx, pid, since);
        if script.close_after.is_some_and(|until| now <= until) {
            if let Some(p) = self.get_mut(pid) {
                p.conn = None;
            }
            cx.close_signal(conn, false);
            return true;
        }
        self.refresh_token(cx, pid);
        self.repeat_offer(cx, pid);
        self.repeat_demand(cx, pid);
        self.send_data_handles(cx, pid);
        if let Some(offer) = params.publisher_offer {
            self.on_offer(cx, pid, &offer);
        }
        if let Some(state) = params.sync_state {
            self.on_sync_state(cx, pid, state);
        }
        true
    }

    fn greet_again(&self, cx: &mut Cx<'_>, pid: Pid, since: std::time::Instant) {
        let Some(p) = self.get(pid) else { return };
        if p.client.knows_reconnect() {
            let reconnect = ReconnectResponse {
                ice_servers: cx.config.ice_servers.clone(),
                client_configuration: p.client.device().configuration(),
                server_info: Some(cx.server_info()),
                last_message_seq: p.data.last_seq,
            };
            p.send(cx, signal_response::Message::Reconnect(reconnect));
        }
        let missed = self.departures_since(since);
        if p.client.protocol >= 9 && !missed.is_empty() {
            p.send(cx, update(missed));
        }
        for batch in self.snapshot(cx, pid) {
            p.send(cx, update(batch));
        }
        let room = livekit_protocol::RoomUpdate { room: Some(self.info()) };
        p.send(cx, signal_response::Message::RoomUpdate(room));
    }

    /// What the client believes about itself. A track unknown here means that it must start over.
    pub(super) fn on_sync_state(&mut self, cx: &mut Cx<'_>, pid: Pid, state: SyncState) {
        let Some(p) = self.get_mut(pid) else { return };
        let known = |sid: &str| p.tracks.contains_key(sid) || p.pending.iter().any(|t| t.info.sid == sid);
        let tracks = state.publish_tracks.iter().all(|t| t.track.as_ref().is_some_and(|t| known(&t.sid)));
        let mut data = state.publish_data_tracks.iter();
        let data_tracks = data.all(|t| t.info.as_ref().is_some_and(|t| p.data_tracks.has_sid(&t.sid)));
        if !tracks || !data_tracks {
            tracing::info!(participant = %p.sid, "client publishes a track that is unknown here");
            self.negotiation_failed(cx, pid);
            return;
        }
        for sid in state.track_sids_disabled.iter().take(1024) {
            if let Some(settings) = p.settings.get_mut(sid.as_str()) {
                settings.disabled = true;
            } else if sid.len() <= 64 && p.subscriptions.contains_key(sid.as_str()) {
                let settings = livekit_protocol::UpdateTrackSettings { disabled: true, ..Default::default() };
                p.settings.insert(sid.as_str().into(), settings);
            }
        }
        self.apply_settings(cx, pid);
        if let Some(UpdateSubscription { track_sids, subscribe, participant_tracks }) = state.subscription {
            self.on_subscription(cx, pid, UpdateSubscription { track_sids, subscribe, participant_tracks });
        }
        if let Some(update) = state.data_subscription {
            self.update_data_subscription(cx, pid, update);
        }
    }
}
