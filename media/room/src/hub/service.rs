//! RoomService of the server API: finding the room, and what concerns rooms as a whole.

use super::Hub;
use crate::io::{
    Now, Present, RoomEvent, RoomRequest, ServiceError, ServiceErrorCode, ServiceId, ServiceRequest,
    ServiceResponse, complaint,
};
use crate::room::{Room, configuration};
use crate::timers::Timer;
use livekit_protocol::CreateRoomRequest;

impl Hub {
    /// `None`: the answer comes later.
    pub(super) fn serve(
        &mut self,
        now: Now,
        id: ServiceId,
        request: ServiceRequest,
    ) -> Option<Result<ServiceResponse, ServiceError>> {
        match request {
            ServiceRequest::PerformRpc(r) => {
                let Some(room) = self.room_named(&r.room).and_then(|k| self.rooms.get_mut(&k)) else {
                    let text = "requested room does not exist";
                    return Some(Err(ServiceError::new(ServiceErrorCode::NotFound, text)));
                };
                room.perform_rpc(&mut self.core.at(now), id, r).map(Err)
            }
            ServiceRequest::ForwardParticipant(r) => Some(self.forward_participant(now, &r)),
            ServiceRequest::MoveParticipant(r) => Some(self.move_participant(now, &r)),
            ServiceRequest::OfRoom(id, request) => Some(self.serve_by_id(now, &id, request)),
            ServiceRequest::Presence => Some(Ok(ServiceResponse::Presence(self.presence()))),
            request => Some(self.serve_at_once(now, request)),
        }
    }

    fn serve_at_once(&mut self, now: Now, request: ServiceRequest) -> Result<ServiceResponse, ServiceError> {
        let name = match &request {
            ServiceRequest::CreateRoom(r) => return self.create_room(now, r),
            ServiceRequest::ListRooms(r) => {
                let mut rooms: Vec<_> = if r.names.is_empty() {
                    self.rooms.iter().map(|(_, room)| room.info()).collect()
                } else {
                    let keys = r.names.iter().filter_map(|name| self.room_named(name));
                    keys.filter_map(|key| self.rooms.get(&key)).map(Room::info).collect()
                };
                rooms.sort_by(|a, b| a.name.cmp(&b.name));
                rooms.dedup_by(|a, b| a.sid == b.sid);
                return Ok(ServiceResponse::Rooms(rooms));
            }
            ServiceRequest::DeleteRoom(r) => &r.room,
            ServiceRequest::ListParticipants(r) => &r.room,
            ServiceRequest::GetParticipant(r) | ServiceRequest::RemoveParticipant(r) => &r.room,
            ServiceRequest::MutePublishedTrack(r) => &r.room,
            ServiceRequest::UpdateParticipant(r) => &r.room,
            ServiceRequest::UpdateSubscriptions(r) => &r.room,
            ServiceRequest::SendData(r) => &r.room,
            ServiceRequest::UpdateRoomMetadata(r) => &r.room,
            ServiceRequest::GetConfiguration(name) => name,
            ServiceRequest::ForwardParticipant(r) => &r.room,
            ServiceRequest::MoveParticipant(r) => &r.room,
            ServiceRequest::PerformRpc(r) => &r.room,
            ServiceRequest::OfRoom(..) | ServiceRequest::Presence => {
                return Err(ServiceError::argument("not a request about a room of this name"));
            }
        };
        if let ServiceRequest::SendData(r) = &request
            && !matches!(r.nonce.len(), 0 | 16)
        {
            let text = format!("nonce should be 16-bytes or not present, got: {} bytes", r.nonce.len());
            return Err(ServiceError::new(ServiceErrorCode::InvalidArgument, text));
        }
        let key = self.room_named(name);
        let Some((key, room)) = key.and_then(|k| Some((k, self.rooms.get_mut(&k)?))) else {
            // As the reference server answers from its store.
            if matches!(request, ServiceRequest::ListParticipants(_)) {
                return Ok(ServiceResponse::Participants(Vec::new()));
            }
            let person = matches!(
                request,
                ServiceRequest::GetParticipant(_)
                    | ServiceRequest::RemoveParticipant(_)
                    | ServiceRequest::MutePublishedTrack(_)
                    | ServiceRequest::UpdateParticipant(_)
                    | ServiceRequest::UpdateSubscriptions(_)
            );
            let text = if person { "participant does not exist" } else { "requested room does not exist" };
            return Err(ServiceError::new(ServiceErrorCode::NotFound, text));
        };
        let result = room.serve(&mut self.core.at(now), request);
        self.sweep(key);
        result
    }

    fn serve_by_id(
        &mut self,
        now: Now,
        id: &str,
        request: RoomRequest,
    ) -> Result<ServiceResponse, ServiceError> {
        let key = self.ids.get(id).copied();
        let Some((key, room)) = key.and_then(|k| Some((k, self.rooms.get_mut(&k)?))) else {
            return Err(ServiceError::new(ServiceErrorCode::NotFound, "requested room does not exist"));
        };
        let result = room.serve_embedder(&mut self.core.at(now), request);
        self.sweep(key);
        result
    }

    /// Everybody who is really in a room, by rooms and in no order.
    fn presence(&self) -> Vec<Present> {
        self.rooms.iter().flat_map(|(_, room)| room.presence()).collect()
    }

    fn create_room(&mut self, now: Now, r: &CreateRoomRequest) -> Result<ServiceResponse, ServiceError> {
        let limits = &self.core.config.limits;
        let invalid = |text: &str| ServiceError::new(ServiceErrorCode::InvalidArgument, text);
        if r.name.is_empty() {
            return Err(invalid("no room name"));
        }
        if limits.room_name != 0 && r.name.len() > limits.room_name {
            return Err(invalid(complaint::ROOM_NAME));
        }
        if self.refuses_new_room(self.room_named(&r.name)) {
            return Err(ServiceError::new(ServiceErrorCode::Unavailable, "server is shutting down"));
        }
        let wishes = configuration::of_request(r, &self.core.config)?;
        let known = self.room_named(&r.name).is_some();
        let key = self.open_room(now, "", &r.name, &wishes);
        let Some(room) = self.rooms.get_mut(&key) else {
            return Err(ServiceError::new(ServiceErrorCode::Unavailable, "room closed"));
        };
        if known {
            let mut cx = self.core.at(now);
            if room.configure(&wishes) {
                let config = Box::new(room.configuration());
                cx.event(RoomEvent::RoomAgentsChanged { room: room.info(), config });
            }
            if !wishes.metadata.is_empty() {
                room.send_room_update(&mut cx);
            }
            // An empty room starts its time over, with the timeout it has now.
            cx.cancel_timer(key, None, Timer::Idle);
            room.watch_idleness(&mut cx);
        }
        Ok(ServiceResponse::Room(room.info()))
    }
}
