//! Proto3 JSON of requests and of tokens, as tolerant as the reference server: `null` is "not set", integers may be written
//! with a fraction of zero, an exponent or as text, and enum values that the protocol does not know are ignored like
//! unknown fields. Errors name the field.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use serde_path_to_error::{Path, Segment};

/// Values that are put right, or ignored, in one message.
const MAX_REPAIRS: usize = 64;
/// Characters of a value that are repeated in an error.
const MAX_SHOWN: usize = 40;

/// Reads a message.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read<M: DeserializeOwned>(body: &[u8]) -> Result<M, String> {
    from_value(serde_json::from_slice(body).map_err(|e| e.to_string())?)
}

/// Reads a message out of parsed JSON.
///
/// # Errors
/// As [`read`].
pub(crate) fn from_value<M: DeserializeOwned>(mut value: Value) -> Result<M, String> {
    tidy(&mut value);
    for _ in 0..MAX_REPAIRS {
        let error = match serde_path_to_error::deserialize::<_, M>(&value) {
            Ok(message) => return Ok(message),
            Err(error) => error,
        };
        let path = error.path();
        let text = error.inner().to_string();
        let repaired = match &*text {
            text if is_unknown_enum_value(text) => remove(&mut value, path),
            "invalid digit found in string" => number_of_text(&mut value, path),
            _ => false,
        };
        if repaired {
            continue;
        }
        // Its message is about the reader: there is one way only in which a number does not fit.
        if text.contains("did not match any variant") {
            let found = at(&mut value, path).map(|v| v.to_string()).unwrap_or_default();
            let shown: String = found.chars().take(MAX_SHOWN).collect();
            return Err(format!("{path}: {shown} is no number that fits"));
        }
        return Err(error.to_string());
    }
    Err("too many unknown enum values".to_owned())
}

/// Drops nulls, and writes numbers without a fraction as integers.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = number.as_f64().and_then(whole) {
                *number = whole;
            }
        }
        _ => {}
    }
}

/// The integer that a float is, as far as the float is exact.
fn whole(number: f64) -> Option<Number> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then(|| Number::from(number as i64))
}

/// Puts an integer where text stands that means one, as `"3e1"` does.
fn number_of_text(value: &mut Value, path: &Path) -> bool {
    let Some(found) = at(value, path) else { return false };
    let text = found
        .as_str()
        .filter(|t| t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')));
    let Some(number) = text.and_then(|t| t.parse::<f64>().ok()).and_then(whole) else { return false };
    *found = Value::Number(number);
    true
}

/// The messages of the generated readers of enums, for names and for numbers.
fn is_unknown_enum_value(error: &str) -> bool {
    error.starts_with("unknown variant")
        || error.starts_with("invalid value: integer") && error.contains("one of: [")
}

fn at<'v>(value: &'v mut Value, path: &Path) -> Option<&'v mut Value> {
    path.iter().try_fold(value, step)
}

fn step<'v>(value: &'v mut Value, segment: &Segment) -> Option<&'v mut Value> {
    match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(index),
        _ => None,
    }
}

/// Takes out what is at a path. A list that becomes empty that way is an error all the same: an empty list often means
/// "no restriction".
fn remove(value: &mut Value, path: &Path) -> bool {
    let path: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = path.split_last() else { return false };
    let Some(at) = parents.iter().try_fold(value, |value, segment| step(value, segment)) else {
        return false;
    };
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
    fn integers_may_be_written_in_any_way_that_json_has() {
        for whole in ["30", "30.0", "3e1", "3.0E+1", "300e-1", "\"30\"", "\"30.0\"", "\"3e1\""] {
            let body = format!(r#"{{"name":"3e1","emptyTimeout":{whole},"maxParticipants":{whole}}}"#);
            let request: proto::CreateRoomRequest = read(body.as_bytes()).unwrap();
            assert_eq!((request.empty_timeout, request.max_participants), (30, 30), "{whole}");
            assert_eq!(request.name, "3e1", "text stays text");
        }
        let long: proto::TimedVersion = read(br#"{"unixMicro":"1.8e15","ticks":-2.0}"#).unwrap();
        assert_eq!((long.unix_micro, long.ticks), (1_800_000_000_000_000, -2));
        for wrong in [
            "30.5",
            "-1",
            "-1.0",
            "1e10",
            "1e300",
            "\"3e\"",
            "\"thirty\"",
            "\"0x1e\"",
            "\"\"",
            "\"NaN\"",
            "true",
            "[1]",
        ] {
            let body = format!(r#"{{"agents":[{{}}],"emptyTimeout":{wrong}}}"#);
            let error = read::<proto::CreateRoomRequest>(body.as_bytes()).unwrap_err();
            assert!(error.starts_with("emptyTimeout: "), "{wrong}: {error}");
            assert!(!error.contains("variant"), "{error}");
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
