//! Proto3 JSON the way Twirp servers in Go write it: names in snake case, and every field present.
//!
//! The generated code writes lowerCamelCase and leaves defaults out, so the answers are completed from these tables.

use serde_json::{Map, Value, json};

/// The fields of a message.
pub(super) type Fields = &'static [(&'static str, Shape)];

/// What a field holds, hence its default.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// `""`
    Text,
    /// `false`
    Bool,
    /// `0`
    Number,
    /// `"0"`: 64-bit numbers are text in proto3 JSON.
    Long,
    /// The name of value 0.
    Enum(&'static str),
    /// `null`, or a message.
    Message(Fields),
    /// `[]` of scalars.
    List,
    /// `[]` of messages.
    Messages(Fields),
    /// `{}`
    Map,
}

/// No fields.
pub(super) const EMPTY: Fields = &[];

const VERSION: Fields = &[("unix_micro", Shape::Long), ("ticks", Shape::Number)];

/// `livekit.Room`
pub(super) const ROOM: Fields = &[
    ("sid", Shape::Text),
    ("name", Shape::Text),
    ("empty_timeout", Shape::Number),
    ("departure_timeout", Shape::Number),
    ("max_participants", Shape::Number),
    ("creation_time", Shape::Long),
    ("creation_time_ms", Shape::Long),
    ("turn_password", Shape::Text),
    ("enabled_codecs", Shape::Messages(&[("mime", Shape::Text), ("fmtp_line", Shape::Text)])),
    ("metadata", Shape::Text),
    ("num_participants", Shape::Number),
    ("num_publishers", Shape::Number),
    ("active_recording", Shape::Bool),
    ("version", Shape::Message(VERSION)),
];

const LAYER: Fields = &[
    ("quality", Shape::Enum("LOW")),
    ("width", Shape::Number),
    ("height", Shape::Number),
    ("bitrate", Shape::Number),
    ("ssrc", Shape::Number),
    ("spatial_layer", Shape::Number),
    ("rid", Shape::Text),
    ("repair_ssrc", Shape::Number),
];

const CODEC: Fields = &[
    ("mime_type", Shape::Text),
    ("mid", Shape::Text),
    ("cid", Shape::Text),
    ("layers", Shape::Messages(LAYER)),
    ("video_layer_mode", Shape::Enum("MODE_UNUSED")),
    ("sdp_cid", Shape::Text),
];

/// `livekit.TrackInfo`
pub(super) const TRACK: Fields = &[
    ("sid", Shape::Text),
    ("type", Shape::Enum("AUDIO")),
    ("name", Shape::Text),
    ("muted", Shape::Bool),
    ("width", Shape::Number),
    ("height", Shape::Number),
    ("simulcast", Shape::Bool),
    ("disable_dtx", Shape::Bool),
    ("source", Shape::Enum("UNKNOWN")),
    ("layers", Shape::Messages(LAYER)),
    ("mime_type", Shape::Text),
    ("mid", Shape::Text),
    ("codecs", Shape::Messages(CODEC)),
    ("stereo", Shape::Bool),
    ("disable_red", Shape::Bool),
    ("encryption", Shape::Enum("NONE")),
    ("stream", Shape::Text),
    ("version", Shape::Message(VERSION)),
    ("audio_features", Shape::List),
    ("backup_codec_policy", Shape::Enum("PREFER_REGRESSION")),
    ("packet_trailer_features", Shape::List),
];

const PERMISSION: Fields = &[
    ("can_subscribe", Shape::Bool),
    ("can_publish", Shape::Bool),
    ("can_publish_data", Shape::Bool),
    ("can_publish_sources", Shape::List),
    ("hidden", Shape::Bool),
    ("recorder", Shape::Bool),
    ("can_update_metadata", Shape::Bool),
    ("agent", Shape::Bool),
    ("can_subscribe_metrics", Shape::Bool),
    ("can_manage_agent_session", Shape::Bool),
];

const DATA_TRACK: Fields = &[
    ("pub_handle", Shape::Number),
    ("sid", Shape::Text),
    ("name", Shape::Text),
    ("encryption", Shape::Enum("NONE")),
];

/// `livekit.ParticipantInfo`
pub(super) const PARTICIPANT: Fields = &[
    ("sid", Shape::Text),
    ("identity", Shape::Text),
    ("state", Shape::Enum("JOINING")),
    ("tracks", Shape::Messages(TRACK)),
    ("metadata", Shape::Text),
    ("joined_at", Shape::Long),
    ("joined_at_ms", Shape::Long),
    ("name", Shape::Text),
    ("version", Shape::Number),
    ("permission", Shape::Message(PERMISSION)),
    ("region", Shape::Text),
    ("is_publisher", Shape::Bool),
    ("kind", Shape::Enum("STANDARD")),
    ("attributes", Shape::Map),
    ("disconnect_reason", Shape::Enum("UNKNOWN_REASON")),
    ("kind_details", Shape::List),
    ("data_tracks", Shape::Messages(DATA_TRACK)),
    ("client_protocol", Shape::Number),
    ("capabilities", Shape::List),
];

/// `livekit.ListRoomsResponse`
pub(super) const ROOMS: Fields = &[("rooms", Shape::Messages(ROOM))];
/// `livekit.PerformRpcResponse`
pub(super) const RPC: Fields = &[("payload", Shape::Text)];
/// `livekit.ListParticipantsResponse`
pub(super) const PARTICIPANTS: Fields = &[("participants", Shape::Messages(PARTICIPANT))];
/// `livekit.MuteRoomTrackResponse`
pub(super) const MUTED: Fields = &[("track", Shape::Message(TRACK))];

/// Renames to snake case and adds what is missing. Fields without an entry in the table stay.
#[must_use]
pub(super) fn complete(value: Value, fields: Fields) -> Value {
    let Value::Object(mut given) = value else { return value };
    let mut out = Map::new();
    for (name, shape) in fields {
        let present = given.remove(&camel(name)).filter(|v| !v.is_null());
        let value = match (shape, present) {
            (Shape::Message(inner), Some(value)) => complete(value, inner),
            (Shape::Messages(inner), Some(Value::Array(items))) => {
                items.into_iter().map(|item| complete(item, inner)).collect()
            }
            (_, Some(value)) => value,
            (Shape::Text, None) => json!(""),
            (Shape::Bool, None) => json!(false),
            (Shape::Number, None) => json!(0),
            (Shape::Long, None) => json!("0"),
            (Shape::Enum(zero), None) => json!(zero),
            (Shape::Message(_), None) => Value::Null,
            (Shape::List | Shape::Messages(_), None) => json!([]),
            (Shape::Map, None) => json!({}),
        };
        out.insert((*name).to_owned(), value);
    }
    out.extend(given.into_iter().map(|(name, value)| (snake(&name), value)));
    Value::Object(out)
}

fn camel(snake: &str) -> String {
    let mut out = String::with_capacity(snake.len());
    let mut upper = false;
    for c in snake.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}

fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol as proto;

    #[test]
    fn an_empty_room_has_every_field() {
        let value = complete(serde_json::to_value(proto::Room::default()).unwrap(), ROOM);
        assert_eq!(value["num_participants"], 0);
        assert_eq!(value["creation_time"], "0");
        assert_eq!(value["enabled_codecs"], json!([]));
        assert_eq!(value["version"], Value::Null);
        assert_eq!(value.as_object().unwrap().len(), ROOM.len());
    }

    #[test]
    fn nested_messages_are_completed_and_values_kept() {
        let track = proto::TrackInfo {
            sid: "TR_1".into(),
            r#type: proto::TrackType::Video as i32,
            codecs: vec![proto::SimulcastCodecInfo {
                layers: vec![proto::VideoLayer { width: 640, ..Default::default() }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let participant = proto::ParticipantInfo {
            joined_at_ms: 1_800_000_000_123,
            tracks: vec![track],
            attributes: [("aB".to_owned(), "c".to_owned())].into(),
            permission: Some(proto::ParticipantPermission { can_publish: true, ..Default::default() }),
            ..Default::default()
        };
        let response = proto::ListParticipantsResponse { participants: vec![participant] };
        let value = complete(serde_json::to_value(response).unwrap(), PARTICIPANTS);
        let p = &value["participants"][0];
        assert_eq!(p["joined_at_ms"], "1800000000123");
        assert_eq!(p["attributes"], json!({ "aB": "c" }));
        assert_eq!(p["permission"]["can_publish"], true);
        assert_eq!(p["permission"]["can_subscribe"], false);
        assert_eq!(p["tracks"][0]["type"], "VIDEO");
        assert_eq!(p["tracks"][0]["codecs"][0]["layers"][0]["width"], 640);
        assert_eq!(p["tracks"][0]["codecs"][0]["layers"][0]["quality"], "LOW");
        assert_eq!(p["disconnect_reason"], "UNKNOWN_REASON");
    }

    /// The default of an enum field must be the name the generated code writes for value 0.
    #[test]
    fn enum_defaults_are_the_names_of_zero() {
        assert_eq!(proto::VideoQuality::try_from(0).unwrap().as_str_name(), "LOW");
        assert_eq!(proto::video_layer::Mode::try_from(0).unwrap().as_str_name(), "MODE_UNUSED");
        assert_eq!(proto::TrackType::try_from(0).unwrap().as_str_name(), "AUDIO");
        assert_eq!(proto::TrackSource::try_from(0).unwrap().as_str_name(), "UNKNOWN");
        assert_eq!(proto::encryption::Type::try_from(0).unwrap().as_str_name(), "NONE");
        assert_eq!(proto::BackupCodecPolicy::try_from(0).unwrap().as_str_name(), "PREFER_REGRESSION");
        assert_eq!(proto::participant_info::State::try_from(0).unwrap().as_str_name(), "JOINING");
        assert_eq!(proto::participant_info::Kind::try_from(0).unwrap().as_str_name(), "STANDARD");
        assert_eq!(proto::DisconnectReason::try_from(0).unwrap().as_str_name(), "UNKNOWN_REASON");
    }
}
