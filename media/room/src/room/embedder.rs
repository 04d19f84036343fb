//! What an embedder that knows rooms by its own ids asks of one.

use super::{Farewell, Room};
use crate::context::Cx;
use crate::ids::Pid;
use crate::io::{Present, RoomRequest, ServiceError, ServiceErrorCode, ServiceResponse};
use crate::member::Restrictions;
use livekit_protocol::DisconnectReason;
use livekit_protocol::leave_request::Action;

impl Room {
    pub(crate) fn serve_embedder(
        &mut self,
        cx: &mut Cx<'_>,
        request: RoomRequest,
    ) -> Result<ServiceResponse, ServiceError> {
        match request {
            RoomRequest::Delete => self.close(cx, DisconnectReason::RoomDeleted),
            RoomRequest::SendData(request) => self.send_data(cx, request)?,
            RoomRequest::Remove { sid } => {
                let known = self.participants.values().find(|p| *p.sid == *sid && !p.is_forwarded());
                let Some(pid) = known.map(|p| p.pid) else {
                    let text = "participant does not exist";
                    return Err(ServiceError::new(ServiceErrorCode::NotFound, text));
                };
                let farewell = Farewell::Leave(Action::Disconnect);
                self.remove(cx, pid, DisconnectReason::ParticipantRemoved, farewell);
            }
            RoomRequest::Restrict(restrictions) => {
                for pid in self.pids() {
                    self.restrict(cx, pid, &restrictions);
                }
            }
        }
        Ok(ServiceResponse::Done)
    }

    /// Changes what a member may not do. Nothing happens to others.
    pub(crate) fn restrict(&mut self, cx: &mut Cx<'_>, pid: Pid, restrictions: &Restrictions) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(member) = p.member.as_mut() else { return };
        let before = std::mem::replace(&mut member.restrictions, restrictions.clone());
        let mut permission = p.permission.clone();
        restrictions.apply(&before, &mut permission);
        self.set_permission(cx, pid, permission);
    }

    /// Who is really here, not only shown.
    pub(crate) fn presence(&self) -> impl Iterator<Item = Present> {
        self.participants.values().filter(|p| !p.is_forwarded()).map(|p| Present {
            room_id: self.id.clone(),
            room: self.info.name.clone(),
            identity: p.identity().to_owned(),
            sid: p.sid.to_string(),
            session_id: p.claims.session_id.clone(),
            active: p.is_active(),
        })
    }
}
