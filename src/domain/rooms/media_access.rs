//! The token a client shows to the media server.

use std::time::Duration;

use crate::{
    auth::media_token::{self, ApiKeys, Claims, MediaTokenError, VideoGrant},
    db::{Moment, rooms::Room, users::User},
    domain::{Platform, access},
};

/// Life of a media token.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// A token that lets `user` into `room`. Clients set their own name and metadata, so that right is part of it.
pub(super) fn token(
    platform: &Platform,
    room: &Room,
    user: &User,
    now: Moment,
) -> Result<String, MediaTokenError> {
    let by_link = user.provider == access::GUEST_PROVIDER && user.id.starts_with("guest-");
    let metadata =
        if by_link { String::new() } else { serde_json::json!({ "accesses": user.accesses.0 }).to_string() };
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
            ..VideoGrant::default()
        }),
        ..Claims::default()
    };
    let livekit = &platform.settings.livekit;
    media_token::sign(
        &claims,
        &livekit.api_key,
        &ApiKeys::one(livekit.api_key.clone(), livekit.api_secret.clone()),
    )
}
