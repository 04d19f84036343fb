//! The token a client shows to the media server.

use std::time::Duration;

use crate::{
    auth::media_token::{self, ApiKeys, Claims, MediaTokenError, VideoGrant},
    db::{Moment, rooms::Room, users::User},
    domain::{Platform, rooms::rights},
};

/// Life of a media token.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// A token that lets `user` into this very room, for as long as the session lasts that asks for it. Clients set their own
/// name and metadata, so that right is part of it.
pub(super) fn token(
    platform: &Platform,
    room: &Room,
    (user, session): (&User, &str),
    now: Moment,
) -> Result<String, MediaTokenError> {
    let metadata = if rights::is_guest_by_link(user) {
        String::new()
    } else {
        serde_json::json!({ "accesses": user.accesses.0 }).to_string()
    };
    let claims = Claims {
        sub: user.id.clone(),
        // Two tokens of one second differ: the one may be revoked, the other not.
        jti: Some(platform.entropy.uuid()),
        iat: Some(now.secs()),
        nbf: Some(now.secs()),
        exp: Some(now.plus(LIFETIME).secs()),
        name: user.name.clone(),
        metadata,
        video: Some(VideoGrant {
            room_join: true,
            room: room.name.clone(),
            can_update_own_metadata: Some(true),
            can_publish_sources: rights::token_sources(room),
            ..VideoGrant::default()
        }),
        room_id: room.id.clone(),
        session_id: session.to_owned(),
        ..Claims::default()
    };
    let livekit = &platform.settings.livekit;
    media_token::sign(
        &claims,
        &livekit.api_key,
        &ApiKeys::one(livekit.api_key.clone(), livekit.api_secret.clone()),
    )
}
