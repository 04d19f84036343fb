//! `livekit.RoomService`.

use super::codec::Encoding;
use super::error::{Code, TwirpError};
use super::{fields, grants, no_route};
use crate::auth::media_token::Claims;
use crate::domain::revocations;
use crate::livekit::LiveKit;
use crate::server::patience::Patience;
use axum::response::Response;
use bedrud_media::{Revocation, ServiceRequest, ServiceResponse, rpc_timeout};
use livekit_protocol as proto;

/// Decodes, checks the grant, asks the media server, encodes.
pub(super) async fn call(
    livekit: &LiveKit,
    method: &str,
    encoding: Encoding,
    claims: Option<&Claims>,
    body: &[u8],
    patience: &Patience,
) -> Result<Response, TwirpError> {
    let request = request(method, encoding, claims, body)?;
    if let ServiceRequest::PerformRpc(r) = &request {
        patience.extend(rpc_timeout(r));
    }
    let response = livekit.sfu().service(request).await?;
    if let ServiceResponse::Removed(Some(entry)) = &response {
        keep(livekit, entry).await?;
    }
    answer(method, encoding, response)
}

/// Nothing acknowledged is lost: with a database the answer waits for the row. When the caller does not wait for the
/// answer, or storing fails, whoever follows the media server's events stores it all the same.
async fn keep(livekit: &LiveKit, entry: &Revocation) -> Result<(), TwirpError> {
    let Some(platform) = &livekit.0.platform else { return Ok(()) };
    revocations::store(platform, entry).await.map_err(|error| {
        tracing::warn!(%error, "a revocation is not stored yet");
        let text = "the participant was removed, but that its tokens are revoked could not be stored yet";
        TwirpError::new(Code::Unavailable, text)
    })
}

/// Reads the call and checks that the token allows it.
fn request(
    method: &str,
    encoding: Encoding,
    claims: Option<&Claims>,
    body: &[u8],
) -> Result<ServiceRequest, TwirpError> {
    Ok(match method {
        "CreateRoom" => {
            let request: proto::CreateRoomRequest = encoding.decode(body)?;
            grants::create(claims)?;
            if request.egress.is_some() {
                return Err(TwirpError::new(Code::Internal, "egress not connected (redis required)"));
            }
            ServiceRequest::CreateRoom(Box::new(request))
        }
        "ListRooms" => {
            let request = encoding.decode(body)?;
            grants::list(claims)?;
            ServiceRequest::ListRooms(request)
        }
        "DeleteRoom" => {
            let request = encoding.decode(body)?;
            grants::create(claims)?;
            ServiceRequest::DeleteRoom(request)
        }
        "ListParticipants" => {
            let request: proto::ListParticipantsRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::ListParticipants(request)
        }
        "GetParticipant" => {
            let request: proto::RoomParticipantIdentity = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::GetParticipant(request)
        }
        "RemoveParticipant" => {
            let request: proto::RoomParticipantIdentity = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::RemoveParticipant(request)
        }
        "MutePublishedTrack" => {
            let request: proto::MuteRoomTrackRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::MutePublishedTrack(request)
        }
        "UpdateParticipant" => {
            let request: proto::UpdateParticipantRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::UpdateParticipant(Box::new(request))
        }
        "UpdateSubscriptions" => {
            let request: proto::UpdateSubscriptionsRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::UpdateSubscriptions(request)
        }
        "SendData" => {
            let request: proto::SendDataRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::SendData(request)
        }
        "UpdateRoomMetadata" => {
            let request: proto::UpdateRoomMetadataRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            ServiceRequest::UpdateRoomMetadata(request)
        }
        "ForwardParticipant" => {
            let request: proto::ForwardParticipantRequest = encoding.decode(body)?;
            grants::transfer(claims, &request.room, &request.destination_room)?;
            ServiceRequest::ForwardParticipant(request)
        }
        "MoveParticipant" => {
            let request: proto::MoveParticipantRequest = encoding.decode(body)?;
            grants::transfer(claims, &request.room, &request.destination_room)?;
            ServiceRequest::MoveParticipant(request)
        }
        "PerformRpc" => {
            let request: proto::PerformRpcRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            if request.destination_identity.is_empty() {
                return Err(TwirpError::new(Code::InvalidArgument, "destination identity is required"));
            }
            ServiceRequest::PerformRpc(request)
        }
        _ => return Err(no_route("livekit.RoomService", method)),
    })
}

/// Writes the answer in the message of the method.
fn answer(method: &str, encoding: Encoding, response: ServiceResponse) -> Result<Response, TwirpError> {
    match response {
        ServiceResponse::Room(room) => encoding.encode(&room, fields::ROOM),
        ServiceResponse::Rooms(rooms) => encoding.encode(&proto::ListRoomsResponse { rooms }, fields::ROOMS),
        ServiceResponse::Participant(participant) => encoding.encode(&*participant, fields::PARTICIPANT),
        ServiceResponse::Participants(participants) => {
            encoding.encode(&proto::ListParticipantsResponse { participants }, fields::PARTICIPANTS)
        }
        ServiceResponse::Track(track) => {
            let track = track.map(|t| *t);
            encoding.encode(&proto::MuteRoomTrackResponse { track }, fields::MUTED)
        }
        // No method asks for these.
        ServiceResponse::Configuration(config) => encoding.encode(&*config, fields::EMPTY),
        ServiceResponse::Presence(_) => encoding.encode(&proto::DeleteRoomResponse {}, fields::EMPTY),
        ServiceResponse::RpcPayload(payload) => {
            encoding.encode(&proto::PerformRpcResponse { payload }, fields::RPC)
        }
        // All these messages are empty, so one stands for all of them.
        ServiceResponse::Done | ServiceResponse::Removed(_) => {
            tracing::trace!(method, "done");
            encoding.encode(&proto::DeleteRoomResponse {}, fields::EMPTY)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::media_token::VideoGrant;

    fn admin_of(room: &str) -> Claims {
        let video = VideoGrant { room_admin: true, room: room.into(), ..VideoGrant::default() };
        Claims { video: Some(video), ..Claims::default() }
    }

    #[test]
    fn json_takes_both_spellings_and_ignores_unknown_fields() {
        for body in [
            r#"{"room":"r","destinationIdentities":["a"],"kind":"LOSSY","data":"aGk="}"#,
            r#"{"room":"r","destination_identities":["a"],"kind":1,"data":"aGk=","future":{"x":1}}"#,
        ] {
            let claims = admin_of("r");
            let request = request("SendData", Encoding::Json, Some(&claims), body.as_bytes()).unwrap();
            let ServiceRequest::SendData(r) = request else { panic!("other call") };
            assert_eq!((r.destination_identities, r.kind, r.data), (vec!["a".to_owned()], 1, b"hi".to_vec()));
        }
    }

    #[test]
    fn refusals_have_the_codes_of_the_reference_server() {
        let claims = admin_of("r");
        let code = |method: &str, claims: Option<&Claims>, body: &str| {
            request(method, Encoding::Json, claims, body.as_bytes()).unwrap_err().code
        };
        assert_eq!(code("DeleteRoom", Some(&claims), r#"{"room":"r"}"#), Code::Unauthenticated);
        assert_eq!(code("GetParticipant", Some(&claims), r#"{"room":"other"}"#), Code::Unauthenticated);
        assert_eq!(code("ListRooms", None, "{}"), Code::Unauthenticated);
        assert_eq!(code("ListRooms", None, "{"), Code::Malformed);
        assert_eq!(code("Dance", Some(&claims), "{}"), Code::BadRoute);
        let mut mover = admin_of("r");
        if let Some(video) = &mut mover.video {
            video.destination_room = "s".into();
        }
        for method in ["MoveParticipant", "ForwardParticipant"] {
            let to = |room: &str| format!(r#"{{"room":"r","identity":"a","destinationRoom":"{room}"}}"#);
            assert_eq!(code(method, Some(&claims), &to("s")), Code::Unauthenticated);
            assert_eq!(code(method, Some(&mover), &to("t")), Code::Unauthenticated);
            assert!(request(method, Encoding::Json, Some(&mover), to("s").as_bytes()).is_ok());
        }
        assert_eq!(code("PerformRpc", Some(&claims), r#"{"room":"r"}"#), Code::InvalidArgument);
    }
}
