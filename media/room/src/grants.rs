//! What an access token says. Signing and verification belong to the platform; here is only the meaning.

use livekit_protocol::{ParticipantPermission, RoomConfiguration, TrackSource, participant_info};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;

/// Claims of a LiveKit access token, in the JSON form of the SDKs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// API key that signed the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Participant identity. See [`Claims::identity`].
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub sub: String,
    /// Identity of tokens that have no `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Expiry, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Not valid before, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Issued at, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Display name.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Participant metadata.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// Participant attributes.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "HashMap::is_empty")]
    pub attributes: HashMap<String, String>,
    /// `standard` (also when empty), `ingress`, `egress`, `sip`, `agent`, `connector` or `bridge`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Refinements of the kind, e.g. `cloud_agent`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<String>,
    /// What the holder may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrant>,
    /// Settings of the room when this participant creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_config: Option<RoomConfiguration>,
    /// Named settings from the server's configuration.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub room_preset: String,
    /// Id that the embedder knows the room by; empty when it has none of its own. Rooms with different ids are different
    /// rooms, whatever their names are.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub room_id: String,
    /// Sign-in that the token belongs to and ends with; empty when there is none.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// Hash of a webhook body (server to server only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The `video` claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoGrant {
    /// May create and delete rooms.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// May list rooms.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// May record.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub room_record: bool,
    /// May moderate [`VideoGrant::room`].
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// May connect to [`VideoGrant::room`].
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub room_join: bool,
    /// Room name.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// May publish tracks; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May subscribe; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May send data; as `canPublish` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// Allowed sources (`camera`, `microphone`, `screen_share`, `screen_share_audio`); empty means all.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<String>,
    /// May change its own name, metadata and attributes; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// May manage ingress.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub ingress_admin: bool,
    /// Never shown to others.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Counts as recording.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub recorder: bool,
    /// Counts as agent.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub agent: bool,
    /// May receive others' metrics; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// May manage agent sessions; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
    /// Target allowed for forwarding and moving participants.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub destination_room: String,
}

impl Claims {
    /// Participant identity: `sub`, or `jti` when that is empty.
    #[must_use]
    pub fn identity(&self) -> &str {
        if self.sub.is_empty() { self.jti.as_deref().unwrap_or_default() } else { &self.sub }
    }

    /// Wire form of [`Claims::kind`]; unknown names count as standard.
    #[must_use]
    pub fn participant_kind(&self) -> participant_info::Kind {
        use participant_info::Kind;
        match self.kind.to_ascii_lowercase().as_str() {
            "ingress" => Kind::Ingress,
            "egress" => Kind::Egress,
            "sip" => Kind::Sip,
            "agent" => Kind::Agent,
            "connector" => Kind::Connector,
            "bridge" => Kind::Bridge,
            _ => Kind::Standard,
        }
    }

    /// Wire form of [`Claims::kind_details`]; unknown names are left out.
    #[must_use]
    pub fn participant_kind_details(&self) -> Vec<i32> {
        let known = |name: &String| {
            participant_info::KindDetail::from_str_name(&name.to_ascii_uppercase()).map(|d| d as i32)
        };
        self.kind_details.iter().filter_map(known).collect()
    }

    /// What the room is known by wherever it may not be mistaken for another one: its id, else its name.
    #[must_use]
    pub(crate) fn room_address(&self) -> &str {
        let name = self.video.as_ref().map(|v| v.room.as_str()).unwrap_or_default();
        if self.room_id.is_empty() { name } else { &self.room_id }
    }

    /// Wire form of the grant; everything is refused without a `video` claim.
    #[must_use]
    pub fn permission(&self) -> ParticipantPermission {
        self.video.as_ref().map(VideoGrant::permission).unwrap_or_default()
    }
}

impl VideoGrant {
    /// Wire form, defaults resolved.
    #[must_use]
    pub fn permission(&self) -> ParticipantPermission {
        let can_publish = self.can_publish.unwrap_or(true);
        ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: self
                .can_publish_sources
                .iter()
                .map(|s| source_from_name(s) as i32)
                .collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_own_metadata.unwrap_or(false),
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: self.can_manage_agent_session.unwrap_or(false),
        }
    }

    /// Takes over a permission set at run time, so that refreshed tokens carry it.
    pub fn set_permission(&mut self, p: &ParticipantPermission) {
        self.can_publish = Some(p.can_publish);
        self.can_subscribe = Some(p.can_subscribe);
        self.can_publish_data = Some(p.can_publish_data);
        self.set_sources(&p.can_publish_sources);
        self.can_update_own_metadata = Some(p.can_update_metadata);
        self.hidden = p.hidden;
        self.recorder = p.recorder;
        self.agent = p.agent;
        self.can_subscribe_metrics = Some(p.can_subscribe_metrics);
        self.can_manage_agent_session = Some(p.can_manage_agent_session);
    }

    pub(crate) fn set_sources(&mut self, sources: &[i32]) {
        self.can_publish_sources = sources.iter().map(|s| source_name(*s).to_owned()).collect();
    }
}

fn source_from_name(name: &str) -> TrackSource {
    TrackSource::from_str_name(&name.to_ascii_uppercase()).unwrap_or(TrackSource::Unknown)
}

fn source_name(source: i32) -> &'static str {
    match TrackSource::try_from(source) {
        Ok(TrackSource::Camera) => "camera",
        Ok(TrackSource::Microphone) => "microphone",
        Ok(TrackSource::ScreenShare) => "screen_share",
        Ok(TrackSource::ScreenShareAudio) => "screen_share_audio",
        _ => "unknown",
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The SDKs' token builders write null for unset fields in places.
fn null_is_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// RFC 7519 allows fractions in a NumericDate.
fn numeric_date<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Date {
        Whole(i64),
        Fraction(f64),
    }
    Ok(Option::<Date>::deserialize(d)?.map(|date| match date {
        Date::Whole(s) => s,
        #[allow(clippy::cast_possible_truncation, reason = "float casts saturate")]
        Date::Fraction(s) => s as i64,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_rights_have_livekit_defaults() {
        let claims: Claims =
            serde_json::from_str(r#"{"sub":"a","video":{"roomJoin":true,"room":"r"}}"#).expect("parses");
        let p = claims.permission();
        assert!(p.can_publish && p.can_subscribe && p.can_publish_data);
        assert!(!p.can_update_metadata && !p.hidden && !p.recorder && !p.agent && !p.can_subscribe_metrics);
        assert!(p.can_publish_sources.is_empty());
    }

    #[test]
    fn data_right_follows_publish_right_unless_given() {
        let grant = |json: &str| serde_json::from_str::<VideoGrant>(json).expect("parses").permission();
        assert!(!grant(r#"{"canPublish":false}"#).can_publish_data);
        assert!(grant(r#"{"canPublish":false,"canPublishData":true}"#).can_publish_data);
        assert!(!grant(r#"{"canPublishData":false}"#).can_publish_data);
    }

    #[test]
    fn no_video_claim_allows_nothing() {
        assert_eq!(Claims::default().permission(), ParticipantPermission::default());
    }

    #[test]
    fn sources_and_kinds_use_wire_numbers() {
        let claims: Claims = serde_json::from_str(
            r#"{"jti":"x","kind":"agent","kindDetails":["cloud_agent","nonsense"],
                "video":{"canPublishSources":["camera","screen_share_audio"]},"exp":12.7,"name":null}"#,
        )
        .expect("parses");
        assert_eq!(claims.identity(), "x");
        assert_eq!(claims.participant_kind(), participant_info::Kind::Agent);
        assert_eq!(claims.participant_kind_details(), vec![0]);
        assert_eq!(claims.permission().can_publish_sources, vec![1, 4]);
        assert_eq!(claims.exp, Some(12));
    }

    #[test]
    fn permission_set_at_run_time_survives_in_the_token() {
        let mut grant = VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() };
        let wanted = ParticipantPermission {
            can_subscribe: true,
            can_publish_sources: vec![2],
            can_update_metadata: true,
            ..ParticipantPermission::default()
        };
        grant.set_permission(&wanted);
        let json = serde_json::to_string(&grant).expect("serialises");
        let back: VideoGrant = serde_json::from_str(&json).expect("parses");
        assert_eq!(back.permission(), wanted);
        assert!(back.room_join);
    }
}
