//! Proto3 JSON of requests, as tolerant as the reference server: `null` is "not set", and enum values that the protocol
//! does not know are ignored like unknown fields.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// Unknown enum values that are ignored in one request.
const MAX_UNKNOWN: usize = 64;

/// Reads a message.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read<M: DeserializeOwned>(body: &[u8]) -> Result<M, String> {
    let mut value: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    drop_nulls(&mut value);
    for _ in 0..MAX_UNKNOWN {
        let error = match serde_path_to_error::deserialize::<_, M>(&value) {
            Ok(message) => return Ok(message),
            Err(error) => error,
        };
        if !is_unknown_enum_value(&error.inner().to_string()) || !remove(&mut value, error.path()) {
            return Err(error.to_string());
        }
    }
    Err("too many unknown enum values".to_owned())
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The messages of the generated readers of enums, for names and for numbers.
fn is_unknown_enum_value(error: &str) -> bool {
    error.starts_with("unknown variant")
        || error.starts_with("invalid value: integer") && error.contains("one of: [")
}

/// Takes out what is at a path. A list that becomes empty that way is an error all the same: an empty list often means
/// "no restriction".
fn remove(value: &mut Value, path: &Path) -> bool {
    let path: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = path.split_last() else { return false };
    let mut at = value;
    for segment in parents {
        let next = match segment {
            Segment::Map { key } => at.get_mut(key),
            Segment::Seq { index } => at.get_mut(index),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    match (last, at) {
        (Segment::Map { key }, Value::Object(fields)) => fields.remove(key).is_some(),
        (Segment::Seq { index }, Value::Array(items)) if *index < items.len() && items.len() > 1 => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol as proto;

    #[test]
    fn nulls_are_fields_that_are_not_set() {
        let request: proto::CreateRoomRequest = read(
            br#"{"name":"r","emptyTimeout":null,"metadata":null,"agents":[{"agentName":"a","metadata":null}],"egress":null}"#,
        )
        .unwrap();
        assert_eq!((request.name.as_str(), request.empty_timeout, request.egress), ("r", 0, None));
        assert_eq!(request.agents[0].agent_name, "a");
        assert!(read::<proto::CreateRoomRequest>(b"null").is_err());
        assert!(read::<proto::CreateRoomRequest>(br#"{"agents":[null]}"#).is_err());
    }

    #[test]
    fn unknown_enum_values_are_ignored_but_never_widen_a_list() {
        for kind in ["\"FUTURE\"", "99"] {
            let body = format!(r#"{{"room":"r","kind":{kind},"topic":"FUTURE"}}"#);
            let request: proto::SendDataRequest = read(body.as_bytes()).unwrap();
            assert_eq!((request.kind, request.topic.as_deref()), (0, Some("FUTURE")));
            let sources = |list: &str| {
                let body = format!(r#"{{"identity":"a","permission":{{"can_publish_sources":[{list}]}}}}"#);
                read::<proto::UpdateParticipantRequest>(body.as_bytes())
                    .map(|r| r.permission.unwrap().can_publish_sources)
            };
            assert_eq!(sources(&format!(r#""CAMERA",{kind},2"#)), Ok(vec![1, 2]));
            let refused = sources(kind).unwrap_err();
            assert!(refused.contains("can_publish_sources[0]"), "{refused}");
        }
    }

    #[test]
    fn other_mistakes_are_named_with_their_place() {
        let error =
            read::<proto::UpdateParticipantRequest>(br#"{"permission":{"canPublish":"yes"}}"#).unwrap_err();
        assert!(error.starts_with("permission.canPublish: "), "{error}");
        assert!(read::<proto::ListRoomsRequest>(b"[").is_err());
    }
}
