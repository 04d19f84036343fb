//! What a token must allow for a call.

use super::error::TwirpError;
use crate::auth::media_token::{Claims, VideoGrant};

fn grant(claims: Option<&Claims>) -> Result<&VideoGrant, TwirpError> {
    claims.and_then(|c| c.video.as_ref()).ok_or_else(TwirpError::denied)
}

fn require(allowed: bool) -> Result<(), TwirpError> {
    if allowed { Ok(()) } else { Err(TwirpError::denied()) }
}

/// `roomCreate`: making and deleting rooms.
pub(super) fn create(claims: Option<&Claims>) -> Result<(), TwirpError> {
    require(grant(claims)?.room_create)
}

/// `roomList`.
pub(super) fn list(claims: Option<&Claims>) -> Result<(), TwirpError> {
    require(grant(claims)?.room_list)
}

/// `roomAdmin` of this very room.
pub(super) fn admin(claims: Option<&Claims>, room: &str) -> Result<(), TwirpError> {
    let grant = grant(claims)?;
    require(grant.room_admin && grant.room == room)
}

/// `roomAdmin` of the room and `destinationRoom`.
pub(super) fn transfer(claims: Option<&Claims>, room: &str, destination: &str) -> Result<(), TwirpError> {
    admin(claims, room)?;
    require(grant(claims)?.destination_room == destination)
}

/// Whether a call can be allowed at all, whatever its body says: nobody's body is read before.
pub(super) fn may_call(claims: Option<&Claims>, method: &str) -> Result<(), TwirpError> {
    match method {
        "CreateRoom" | "DeleteRoom" => create(claims),
        "ListRooms" => list(claims),
        "ListParticipants"
        | "GetParticipant"
        | "RemoveParticipant"
        | "MutePublishedTrack"
        | "UpdateParticipant"
        | "UpdateSubscriptions"
        | "SendData"
        | "UpdateRoomMetadata"
        | "ForwardParticipant"
        | "MoveParticipant"
        | "PerformRpc" => require(grant(claims)?.room_admin),
        _ => Err(super::no_route("livekit.RoomService", method)),
    }
}

/// As [`may_call`], for agents.
pub(super) fn may_dispatch(claims: Option<&Claims>) -> Result<(), TwirpError> {
    require(grant(claims)?.room_admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(video: VideoGrant) -> Claims {
        Claims { video: Some(video), ..Claims::default() }
    }

    #[test]
    fn each_call_needs_its_own_grant() {
        let all = claims(VideoGrant {
            room_create: true,
            room_list: true,
            room_admin: true,
            room: "r".into(),
            ..VideoGrant::default()
        });
        assert!(create(Some(&all)).is_ok() && list(Some(&all)).is_ok() && admin(Some(&all), "r").is_ok());
        assert!(admin(Some(&all), "other").is_err());
        let joiner = claims(VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() });
        for refused in [create(Some(&joiner)), list(Some(&joiner)), admin(Some(&joiner), "r"), create(None)] {
            assert_eq!(refused.unwrap_err(), TwirpError::denied());
        }
        assert!(list(Some(&Claims::default())).is_err());
    }
}
