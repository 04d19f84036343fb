//! What a room's switches mean to the media server.

use bedrud_media::{Member, Restrictions, protocol::TrackSource};
use serde_json::{Map, Value, json};

use crate::{
    db::{participants::Participant, rooms::Room, users::User},
    domain::access,
};

/// Topics that clients write chat on. Packets without a topic are chat, too: everything else that clients exchange has one.
const CHAT_TOPICS: [&str; 4] = ["", "chat", "lk.chat", "lk-chat-topic"];

/// `type` of what some clients take for chat on any topic.
const CHAT_TYPES: [&str; 3] = ["chat", "chat_chunk_meta", "chat_chunk"];

/// Sources of tracks, with their names in a token.
const SOURCES: [(TrackSource, &str); 4] = [
    (TrackSource::Camera, "camera"),
    (TrackSource::Microphone, "microphone"),
    (TrackSource::ScreenShare, "screen_share"),
    (TrackSource::ScreenShareAudio, "screen_share_audio"),
];

/// What nobody may do in a room.
#[must_use]
pub fn restrictions(room: &Room) -> Restrictions {
    let mut sources = Vec::new();
    if !room.settings_allow_video {
        sources.push(TrackSource::Camera);
    }
    if !room.settings_allow_audio {
        sources.push(TrackSource::Microphone);
    }
    if room.settings_allow_chat {
        return Restrictions { sources, ..Restrictions::default() };
    }
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Restrictions { sources, topics: owned(&CHAT_TOPICS), types: owned(&CHAT_TYPES) }
}

/// Sources as a token names those that are allowed; empty when all are.
pub(super) fn token_sources(room: &Room) -> Vec<String> {
    let forbidden = restrictions(room).sources;
    if forbidden.is_empty() {
        return Vec::new();
    }
    let allowed = SOURCES.iter().filter(|(source, _)| !forbidden.contains(source));
    allowed.map(|(_, name)| (*name).to_owned()).collect()
}

/// Guests by link have no roles, and no metadata of ours.
pub(super) fn is_guest_by_link(user: &User) -> bool {
    user.provider == access::GUEST_PROVIDER && user.id.starts_with("guest-")
}

/// Somebody we know, as the media server is told of them. Roles are those of the database now, whatever the token says.
pub(super) fn member(room: &Room, user: &User, row: Option<&Participant>) -> Member {
    let mut accesses = user.accesses.0.clone();
    if row.is_some_and(|row| row.is_moderator) && accesses.iter().all(|level| level != access::MODERATOR) {
        accesses.push(access::MODERATOR.to_owned());
    }
    let accesses = if is_guest_by_link(user) { Value::Null } else { json!(accesses) };
    let blocked = if row.is_some_and(|row| row.is_chat_blocked) { json!(true) } else { Value::Null };
    let metadata: Map<_, _> =
        [("accesses".to_owned(), accesses), ("chatBlocked".to_owned(), blocked)].into_iter().collect();
    Member { restrictions: restrictions(room), metadata }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        participants::tests::sample as row, rooms::tests::sample as room, users::tests::sample as user,
    };

    #[test]
    fn each_switch_takes_away_its_own_thing() {
        let open = room("r", "den", "a");
        assert_eq!((restrictions(&open), token_sources(&open)), (Restrictions::default(), vec![]));
        let dark = Room { settings_allow_video: false, ..open.clone() };
        assert_eq!(token_sources(&dark), ["microphone", "screen_share", "screen_share_audio"]);
        assert!(restrictions(&dark).topics.is_empty());
        let mute = Room { settings_allow_audio: false, settings_allow_chat: false, ..open };
        assert_eq!(token_sources(&mute), ["camera", "screen_share", "screen_share_audio"]);
        assert_eq!(restrictions(&mute).topics, CHAT_TOPICS);
    }

    #[test]
    fn roles_are_those_of_the_database() {
        let (den, ann) = (room("r", "den", "a"), user("a"));
        let moderator = Participant { is_moderator: true, is_chat_blocked: true, ..row("p", "r", "a") };
        let told = |user: &User, row: Option<&Participant>| Value::from(member(&den, user, row).metadata);
        assert_eq!(told(&ann, None), json!({"accesses": ["user"], "chatBlocked": null}));
        let seen = json!({"accesses": ["user", "moderator"], "chatBlocked": true});
        assert_eq!(told(&ann, Some(&moderator)), seen);
        let guest = User { id: "guest-abcdefgh".into(), provider: "guest".into(), ..ann };
        assert_eq!(told(&guest, None), json!({"accesses": null, "chatBlocked": null}));
    }
}
