//! WHIP and WHEP: joins without a signalling socket.

use super::Hub;
use crate::accounts::price;
use crate::ids::{Pid, RoomKey};
use crate::io::{JoinError, Now};
use crate::join_params::JoinParams;
use crate::one_shot::{OneShotReply, OneShotRequest, OneShotResult, OneShotRole, OneShotSession};
use crate::room::Room;
use crate::session::PreparedOffer;

impl Hub {
    pub(super) fn one_shot(&mut self, now: Now, request: OneShotRequest) -> OneShotResult {
        match request {
            OneShotRequest::Open { params, role, offer } => self.open_one_shot(now, *params, role, &offer),
            OneShotRequest::Patch { session, if_match, fragment } => {
                let (key, pid) = self.one_shot_session(&session)?;
                let claims = self.rooms.get(&key).and_then(|r| r.get(pid)).map(|p| &p.claims);
                let account = self.open_account(now, claims.ok_or_else(unknown)?)?;
                let before = self.core.work;
                let room = self.rooms.get_mut(&key).ok_or_else(unknown)?;
                let mut cx = self.core.at(now);
                cx.spend(price::MESSAGE + price::description(fragment.len()));
                let result = room.patch_one_shot(&mut cx, pid, &if_match, &fragment);
                cx.charge(&account, before);
                result
            }
            OneShotRequest::Close { session } => {
                match self.one_shot_session(&session) {
                    Ok(at) => self.with(now, at, Room::close_one_shot),
                    Err(_) if self.core.closed_sessions.take(&session) => {}
                    Err(error) => return Err(error),
                }
                Ok(OneShotReply::Closed)
            }
        }
    }

    fn open_one_shot(
        &mut self,
        now: Now,
        mut params: JoinParams,
        role: OneShotRole,
        offer: &str,
    ) -> OneShotResult {
        params.reconnect = None;
        let wishes = self.check(now, &mut params)?;
        let permission = params.claims.permission();
        let allowed = match role {
            OneShotRole::Publish => permission.can_publish,
            OneShotRole::Play(_) => permission.can_subscribe,
        };
        if !allowed {
            return Err(JoinError::new(401, "permissions denied"));
        }
        let account = self.open_account(now, &params.claims)?;
        let before = self.core.work;
        let mut cx = self.core.at(now);
        cx.spend(price::JOIN + price::description(offer.len()));
        cx.charge(&account, before);
        let before = self.core.work;
        // Before the room exists: a bad offer leaves nothing behind.
        let prepared = PreparedOffer::read(&mut self.core.at(now), &params, &role, offer)?;
        let Some(key) = self.make_way(now, &params, &wishes) else {
            return Err(JoinError::new(503, "room has exceeded its max participants"));
        };
        let Some(room) = self.rooms.get_mut(&key) else { return Err(unknown()) };
        let opened = room.open_one_shot(&mut self.core.at(now), &params, role, prepared);
        self.core.at(now).charge(&account, before);
        self.sweep(key);
        opened.map(|o| OneShotReply::Opened(Box::new(o)))
    }

    fn one_shot_session(&self, session: &OneShotSession) -> Result<(RoomKey, Pid), JoinError> {
        let key = self.room_of(&session.room_id, &session.room).ok_or_else(unknown)?;
        let participant = self.rooms.get(&key).and_then(|room| room.by_identity(&session.identity));
        let found = participant.filter(|p| *p.sid == *session.sid && p.one_shot.is_some());
        found.map(|p| (key, p.pid)).ok_or_else(unknown)
    }
}

fn unknown() -> JoinError {
    JoinError::new(404, "session does not exist")
}
