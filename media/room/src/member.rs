//! What an embedder adds to the join of somebody it knows: what its room's owner has switched off, and the parts of
//! metadata that are its own.

use crate::io::JoinError;
use livekit_protocol::data_packet::Value;
use livekit_protocol::{DataPacket, ParticipantPermission, TrackSource, TrackType};
use serde_json::Map;

/// All sources that a track can have and a grant can name.
const SOURCES: [TrackSource; 4] =
    [TrackSource::Camera, TrackSource::Microphone, TrackSource::ScreenShare, TrackSource::ScreenShareAudio];

/// What members may not do, whatever their tokens allow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Sources that may not be published.
    pub sources: Vec<TrackSource>,
    /// Topics of data packets and data streams that are not passed on; an empty one stands for packets without. When
    /// there are any, chat messages of the protocol's own kind and encrypted packets, whose topic nobody can read here,
    /// are not passed on either.
    pub topics: Vec<String>,
    /// User packets that are not passed on, whatever their topic: JSON objects with one of these as `type`.
    pub types: Vec<String>,
}

impl Restrictions {
    /// Whether a data packet may not be passed on.
    pub(crate) fn forbid(&self, packet: &DataPacket) -> bool {
        if self.topics.is_empty() {
            return false;
        }
        let topic = match &packet.value {
            Some(Value::User(user)) if self.names_type_of(&user.payload) => return true,
            Some(Value::User(user)) => user.topic.as_deref().unwrap_or_default(),
            Some(Value::StreamHeader(header)) => &header.topic,
            Some(Value::ChatMessage(_) | Value::EncryptedPacket(_)) => return true,
            _ => return false,
        };
        self.topics.iter().any(|t| t == topic)
    }

    fn names_type_of(&self, payload: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Typed {
            r#type: String,
        }
        if self.types.is_empty() {
            return false;
        }
        let typed = serde_json::from_slice::<Typed>(payload);
        typed.is_ok_and(|object| self.types.contains(&object.r#type))
    }

    /// Takes away from a permission what `self` forbids, and gives back what `before` forbade and `self` does not.
    pub(crate) fn apply(&self, before: &Self, permission: &mut ParticipantPermission) {
        let sources = &mut permission.can_publish_sources;
        if sources.is_empty() {
            if self.sources.is_empty() {
                return;
            }
            sources.extend(SOURCES.map(|s| s as i32));
        }
        let regained = before.sources.iter().filter(|s| !self.sources.contains(s));
        let regained: Vec<i32> = regained.map(|s| *s as i32).filter(|s| !sources.contains(s)).collect();
        sources.extend(regained);
        sources.retain(|s| !self.sources.iter().any(|f| *f as i32 == *s));
        sources.sort_unstable();
        if SOURCES.iter().all(|s| sources.contains(&(*s as i32))) {
            sources.clear();
        } else if sources.is_empty() {
            // An empty list would allow all.
            sources.push(TrackSource::Unknown as i32);
        }
    }
}

/// Somebody the embedder knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Member {
    /// What it may not do.
    pub restrictions: Restrictions,
    /// Keys of the metadata object that are the embedder's, with their values; null stands for none. Whatever the
    /// client writes there is replaced.
    pub metadata: Map<String, serde_json::Value>,
}

/// Metadata of a member must be a JSON object, or readers of different tolerance would see different owners of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("metadata must be a JSON object")]
pub(crate) struct NotAnObject;

impl From<NotAnObject> for JoinError {
    fn from(error: NotAnObject) -> Self {
        Self::new(400, error.to_string())
    }
}

impl Member {
    /// The metadata a client wrote, with the embedder's keys as they are. Text without any of them stays as it is.
    pub(crate) fn impose(&self, text: &str) -> Result<String, NotAnObject> {
        let mut object = match text {
            "" => Map::new(),
            text => serde_json::from_str::<Map<String, serde_json::Value>>(text).map_err(|_| NotAnObject)?,
        };
        for (key, value) in &self.metadata {
            if value.is_null() {
                object.remove(key);
            } else {
                object.insert(key.clone(), value.clone());
            }
        }
        if object.is_empty() && text.is_empty() {
            return Ok(String::new());
        }
        Ok(serde_json::Value::Object(object).to_string())
    }

    /// The server API wrote this metadata: its word on the embedder's keys counts from now on.
    pub(crate) fn adopt(&mut self, text: &str) {
        let Ok(mut object) = serde_json::from_str::<Map<String, serde_json::Value>>(text) else { return };
        for (key, value) in &mut self.metadata {
            *value = object.remove(key).unwrap_or_default();
        }
    }
}

/// Whether a source can be what it says. Where sources are limited a picture must not pass for a microphone.
pub(crate) fn fits(source: i32, kind: i32) -> bool {
    match TrackSource::try_from(source) {
        Ok(TrackSource::Camera | TrackSource::ScreenShare) => kind == TrackType::Video as i32,
        Ok(TrackSource::Microphone | TrackSource::ScreenShareAudio) => kind == TrackType::Audio as i32,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{ChatMessage, UserPacket, data_stream};
    use serde_json::json;

    fn owned(accesses: serde_json::Value) -> Member {
        let metadata = [("accesses".to_owned(), accesses), ("chatBlocked".to_owned(), json!(null))];
        Member { metadata: metadata.into_iter().collect(), ..Member::default() }
    }

    #[test]
    fn keys_of_the_embedder_stay_what_they_are() {
        let member = owned(json!(["user"]));
        let seen =
            |text: &str| serde_json::from_str::<serde_json::Value>(&member.impose(text).unwrap()).unwrap();
        assert_eq!(seen(""), json!({"accesses": ["user"]}));
        assert_eq!(
            seen(r#"{"avatarUrl":"/a","accesses":["superadmin"]}"#),
            json!({"accesses": ["user"], "avatarUrl": "/a"})
        );
        assert_eq!(
            seen(r#"{"accesses":[],"accesses":["admin"],"chatBlocked":false}"#),
            json!({"accesses": ["user"]})
        );
        for text in ["{accesses:['admin']}", "[1]", "hello", r#"{"a":1} x"#] {
            assert_eq!(member.impose(text), Err(NotAnObject), "{text}");
        }
        let guest = owned(json!(null));
        assert_eq!(guest.impose("").unwrap(), "");
        assert_eq!(guest.impose(r#"{"accesses":["superadmin"]}"#).unwrap(), "{}");
    }

    #[test]
    fn the_server_api_may_change_what_is_the_embedders() {
        let mut member = owned(json!(["user"]));
        member.adopt(r#"{"accesses":["user","moderator"],"chatBlocked":true}"#);
        let now: serde_json::Value = serde_json::from_str(&member.impose("{}").unwrap()).unwrap();
        assert_eq!(now, json!({"accesses": ["user", "moderator"], "chatBlocked": true}));
        member.adopt("no object");
        assert_eq!(member.metadata["chatBlocked"], json!(true));
    }

    #[test]
    fn sources_go_and_come_back() {
        let off =
            |sources: &[TrackSource]| Restrictions { sources: sources.to_vec(), ..Restrictions::default() };
        let mut permission = ParticipantPermission { can_publish: true, ..ParticipantPermission::default() };
        let (none, both) = (off(&[]), off(&[TrackSource::Camera, TrackSource::Microphone]));
        both.apply(&none, &mut permission);
        assert_eq!(permission.can_publish_sources, [3, 4]);
        off(&[TrackSource::Camera]).apply(&both, &mut permission);
        assert_eq!(permission.can_publish_sources, [2, 3, 4]);
        none.apply(&off(&[TrackSource::Camera]), &mut permission);
        assert!(permission.can_publish_sources.is_empty(), "all");
        off(&SOURCES).apply(&none, &mut permission);
        assert_eq!(permission.can_publish_sources, [TrackSource::Unknown as i32], "not all");
        // What somebody else took away does not come back.
        permission.can_publish_sources = vec![3];
        both.apply(&none, &mut permission);
        off(&[TrackSource::Camera]).apply(&both, &mut permission);
        assert_eq!(permission.can_publish_sources, [2, 3]);
    }

    #[test]
    fn topics_are_forbidden_in_packets_and_streams() {
        let chat = Restrictions { topics: vec![String::new(), "chat".into()], ..Restrictions::default() };
        let packet = |value| DataPacket { value: Some(value), ..DataPacket::default() };
        let user = |topic: Option<&str>| {
            packet(Value::User(UserPacket { topic: topic.map(str::to_owned), ..UserPacket::default() }))
        };
        let stream = |topic: &str| {
            packet(Value::StreamHeader(data_stream::Header { topic: topic.into(), ..Default::default() }))
        };
        let forbidden = [
            user(None),
            user(Some("chat")),
            stream("chat"),
            stream(""),
            packet(Value::ChatMessage(ChatMessage::default())),
        ];
        for packet in &forbidden {
            assert!(chat.forbid(packet), "{packet:?}");
            assert!(!Restrictions::default().forbid(packet));
        }
        for packet in [
            user(Some("stage")),
            stream("whiteboard"),
            packet(Value::StreamChunk(data_stream::Chunk::default())),
        ] {
            assert!(!chat.forbid(&packet), "{packet:?}");
        }
        // Some clients take a packet for chat by what is in it.
        let typed = Restrictions { types: vec!["chat".into()], ..chat };
        let says = |payload: &str| {
            let user = UserPacket { payload: payload.as_bytes().to_vec(), ..UserPacket::default() };
            packet(Value::User(UserPacket { topic: Some("stage".into()), ..user }))
        };
        assert!(typed.forbid(&says(r#"{"message":"hi","type":"chat"}"#)));
        for payload in [r#"{"type":"stage_set"}"#, r#"{"type":7}"#, "chat", ""] {
            assert!(!typed.forbid(&says(payload)), "{payload}");
        }
    }
}
