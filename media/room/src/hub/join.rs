//! Joins and resumes of clients with a signalling socket.

use super::Hub;
use crate::accounts::{AccountKey, account_key, price};
use crate::grants::Claims;
use crate::ids::RoomKey;
use crate::io::{ConnId, JoinError, Now, Output};
use crate::join_params::JoinParams;
use crate::room::{Farewell, configuration};
use crate::session::refusal;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{DisconnectReason, RoomConfiguration};

impl Hub {
    /// Everything that can refuse a join before anything is changed. Returns what it wishes of the room.
    pub(super) fn check(&self, now: Now, params: &mut JoinParams) -> Result<RoomConfiguration, JoinError> {
        let shown = params.claims.identity().to_owned();
        params.settle(&self.core.config.limits)?;
        let name = params.claims.video.as_ref().map(|v| v.room.as_str()).unwrap_or_default();
        let known = self.room_of(&params.claims.room_id, name);
        // A secondary connection has an identity of its own, but the same token. A room may have had no id at the time.
        let revoked = [shown.as_str(), params.claims.identity()].into_iter().any(|identity| {
            [params.claims.room_address(), name].into_iter().any(|room| {
                self.core.revoked.refuse(room, identity, &params.claims, &params.token, now.unix_secs())
            })
        });
        if revoked {
            return Err(JoinError::new(401, "token has been revoked"));
        }
        if self.closing {
            return Err(JoinError::new(503, "server is shutting down"));
        }
        if params.reconnect.is_none() && self.is_at_its_limit(now) {
            return Err(JoinError::new(503, "node has exceeded its configured limit"));
        }
        let grant = params.claims.video.clone().unwrap_or_default();
        if params.reconnect.is_none() && self.refuses_new_room(known) {
            return Err(JoinError::new(503, "server is shutting down"));
        }
        let may_create = self.core.config.auto_create || grant.room_create;
        if !may_create && params.reconnect.is_none() && known.is_none() {
            return Err(JoinError::new(404, "requested room does not exist"));
        }
        if params.reconnect.is_some() {
            return Ok(RoomConfiguration::default());
        }
        let Claims { room_config, room_preset, .. } = &params.claims;
        configuration::of_token(room_config.as_ref(), room_preset, &self.core.config)
            .map_err(|e| JoinError::new(400, e.to_string()))
    }

    fn is_at_its_limit(&self, now: Now) -> bool {
        let limits = &self.core.config.limits;
        let reached = |n: usize, max: usize| max != 0 && n >= max;
        reached(self.core.participants, limits.participants)
            || reached(self.core.routes.ups.len() + self.core.routes.downs.len(), limits.tracks)
            || limits.bytes_per_second != 0
                && self.tally.bytes_per_second(now.mono) >= limits.bytes_per_second
    }

    /// No room may open any more; those that are open go on.
    pub(crate) fn refuses_new_room(&self, known: Option<RoomKey>) -> bool {
        self.closing || self.draining && known.is_none()
    }

    pub(super) fn on_join(&mut self, now: Now, conn: ConnId, mut params: JoinParams) {
        let wishes = match self.check(now, &mut params) {
            Ok(wishes) => wishes,
            Err(error) => {
                self.core.out.push_back(Output::Refuse { conn, error });
                return;
            }
        };
        let protocol = params.client_info.protocol;
        let account = match self.open_account(now, &params.claims) {
            Ok(account) => account,
            Err(error) => {
                self.core.out.push_back(Output::Refuse { conn, error });
                return;
            }
        };
        let before = self.core.work;
        self.core.at(now).spend(price::JOIN);
        self.enter(now, conn, protocol, (params, wishes));
        self.core.at(now).charge(&account, before);
    }

    /// The account of an identity, unless it has used up its share of the control plane: coming and going is work, too.
    pub(super) fn open_account(&self, now: Now, claims: &Claims) -> Result<AccountKey, JoinError> {
        let account = account_key(claims);
        if self.core.ledger.is_spent(&account, now.mono, &self.core.config.limits) {
            return Err(JoinError::new(429, "too many requests of this participant, try again later"));
        }
        Ok(account)
    }

    fn enter(
        &mut self,
        now: Now,
        conn: ConnId,
        protocol: i32,
        (params, wishes): (JoinParams, RoomConfiguration),
    ) {
        if params.reconnect.is_some() {
            if !self.resume(now, conn, params) {
                let bye = refusal(conn, protocol, DisconnectReason::StateMismatch, Action::Reconnect);
                self.core.out.extend(bye);
            }
            return;
        }
        let Some(key) = self.make_way(now, &params, &wishes) else {
            let full = refusal(conn, protocol, DisconnectReason::JoinFailure, Action::Disconnect);
            self.core.out.extend(full);
            return;
        };
        if let Some(room) = self.rooms.get_mut(&key) {
            room.join(&mut self.core.at(now), conn, params);
        }
        self.sweep(key);
    }

    /// Opens the room of a join and removes an older session of the same identity; `None` when the room is full.
    pub(super) fn make_way(
        &mut self,
        now: Now,
        params: &JoinParams,
        wishes: &RoomConfiguration,
    ) -> Option<RoomKey> {
        let name = params.claims.video.as_ref().map(|v| v.room.clone()).unwrap_or_default();
        let key = self.open_room(now, &params.claims.room_id, &name, wishes);
        let room = self.rooms.get_mut(&key)?;
        let grant = params.claims.permission();
        let kind = params.claims.participant_kind();
        let dependent = grant.agent
            || grant.recorder
            || matches!(
                kind,
                livekit_protocol::participant_info::Kind::Agent
                    | livekit_protocol::participant_info::Kind::Egress
            );
        let mut cx = self.core.at(now);
        if room.is_full(params.claims.identity(), dependent) {
            return None;
        }
        if let Some(old) = room.by_identity(params.claims.identity()).map(|p| p.pid) {
            room.remove(
                &mut cx,
                old,
                DisconnectReason::DuplicateIdentity,
                Farewell::Leave(Action::Disconnect),
            );
        }
        Some(key)
    }

    fn resume(&mut self, now: Now, conn: ConnId, params: JoinParams) -> bool {
        let name = params.claims.video.as_ref().map(|v| v.room.as_str()).unwrap_or_default();
        let Some(key) = self.room_of(&params.claims.room_id, name) else { return false };
        let Some(room) = self.rooms.get_mut(&key) else { return false };
        let wanted = params.reconnect.as_ref().map(|r| r.sid.as_str()).unwrap_or_default();
        let Some(p) = room.by_identity(params.claims.identity()) else { return false };
        let known = *p.sid == *wanted || p.earlier_sid.as_deref() == Some(wanted);
        if !wanted.is_empty() && !known {
            return false;
        }
        let pid = p.pid;
        let resumed = room.resume(&mut self.core.at(now), pid, conn, params);
        self.sweep(key);
        resumed
    }
}
