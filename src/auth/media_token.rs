//! LiveKit access tokens: what a client shows to the media server to enter a room.
//!
//! HS256 JWTs signed with an API secret that the token's `iss` (the API key) names. `exp` is required, `exp` and
//! `nbf` are judged with [`LEEWAY_SECS`] of leeway. The identity is `sub`, or `jti` when `sub` is empty.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrud_media::protocol::ParticipantInfo;
pub use bedrud_media::{Claims, VideoGrant};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use prost::Message as _;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::secret::Secret;
use crate::proto_json;

/// Seconds a clock may be off before `exp` or `nbf` refuses a token.
pub const LEEWAY_SECS: i64 = 60;

/// Longest token looked at, in bytes. Listeners have a lower limit, which follows those of metadata and attributes.
pub const MAX_TOKEN_BYTES: usize = 4 << 20;
/// Metadata and attributes of more bytes are packed when JSON would blow them up.
const MAY_BE_PACKED: usize = 4096;
/// Room for everything but metadata and attributes, bytes.
const OTHER_CLAIMS: usize = 64 * 1024;

/// Length of the longest token that [`sign`] makes of so many bytes of metadata and attributes.
#[must_use]
pub const fn longest(bytes: usize) -> usize {
    // Packed: base64 within the base64 of the token.
    bytes.saturating_mul(16) / 9 + OTHER_CLAIMS
}

/// Claims of our own tokens beside those of the protocol. JSON writes a character as up to six, and a token must not
/// outgrow what a request can carry: what JSON would blow up is carried as bytes.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Packing {
    /// Metadata and attributes as a `ParticipantInfo` in base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    packed: String,
}

#[derive(serde::Serialize)]
struct Packed<'a> {
    #[serde(flatten)]
    claims: &'a Claims,
    #[serde(flatten)]
    packing: Packing,
}

/// Bytes of a text in JSON.
fn in_json(text: &str) -> usize {
    text.bytes()
        .map(|b| {
            if matches!(b, b'"' | b'\\') {
                2
            } else if b < 0x20 {
                6
            } else {
                1
            }
        })
        .sum()
}

/// The claims with metadata and attributes packed, if that is shorter.
fn pack(mut claims: Claims) -> (Claims, Packing) {
    let texts = || claims.attributes.iter().flat_map(|(k, v)| [k, v]).chain([&claims.metadata]);
    let plain: usize = texts().map(String::len).sum();
    let written: usize = texts().map(|text| in_json(text)).sum();
    if plain <= MAY_BE_PACKED || written <= plain / 3 * 4 {
        return (claims, Packing::default());
    }
    let info = ParticipantInfo {
        metadata: std::mem::take(&mut claims.metadata),
        attributes: std::mem::take(&mut claims.attributes),
        ..ParticipantInfo::default()
    };
    (claims, Packing { packed: URL_SAFE_NO_PAD.encode(info.encode_to_vec()) })
}

/// Undoes [`pack`] for a token whose signature was checked.
fn unpack(mut claims: Claims, payload: &[u8]) -> Result<Claims, MediaTokenError> {
    if payload.len() <= MAY_BE_PACKED || !claims.metadata.is_empty() || !claims.attributes.is_empty() {
        return Ok(claims);
    }
    let malformed = |_| MediaTokenError::Malformed;
    let Packing { packed } = serde_json::from_slice(payload).map_err(malformed)?;
    if !packed.is_empty() {
        let bytes = URL_SAFE_NO_PAD.decode(packed).map_err(|_| MediaTokenError::Malformed)?;
        let info = ParticipantInfo::decode(bytes.as_slice()).map_err(|_| MediaTokenError::Malformed)?;
        (claims.metadata, claims.attributes) = (info.metadata, info.attributes);
    }
    Ok(claims)
}

/// The API keys this server accepts, each with its secret.
#[derive(Debug, Clone, Default)]
pub struct ApiKeys(BTreeMap<String, Secret>);

impl ApiKeys {
    /// No keys: every token is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One key.
    pub fn one(key: impl Into<String>, secret: impl Into<Secret>) -> Self {
        let mut keys = Self::new();
        keys.insert(key, secret);
        keys
    }

    /// Adds or replaces a key.
    pub fn insert(&mut self, key: impl Into<String>, secret: impl Into<Secret>) {
        self.0.insert(key.into(), secret.into());
    }

    /// The secret of a key.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        self.0.get(key)
    }

    /// Key and secret pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(key, secret)| (key.as_str(), secret))
    }

    /// True when no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a token was refused. `Display` is the body of the 401 answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaTokenError {
    /// Not a JWT, or its header or claims are not readable.
    #[error("invalid authorization token")]
    Malformed,
    /// The signature holds, but a claim is not what it should be.
    #[error("invalid authorization token: cannot read its claims: {0}")]
    Claims(String),
    /// `iss` names no key of this server.
    #[error("invalid API key")]
    UnknownKey,
    /// The signature does not match the secret of the key.
    #[error("invalid authorization token: signature is invalid")]
    BadSignature,
    /// Signed with something else than HS256.
    #[error("invalid authorization token: algorithm is not allowed")]
    BadAlgorithm,
    /// `exp` has passed.
    #[error("invalid authorization token: token is expired")]
    Expired,
    /// `nbf` is still ahead.
    #[error("invalid authorization token: token is not valid yet")]
    NotYetValid,
    /// There is no `exp`.
    #[error("invalid authorization token: token has no expiry")]
    NoExpiry,
}

/// Signs the claims with the secret of `key`, which becomes `iss`.
///
/// # Errors
/// [`MediaTokenError::UnknownKey`] when `keys` does not hold `key`; [`MediaTokenError::NoExpiry`] when `exp` is absent.
pub fn sign(claims: &Claims, key: &str, keys: &ApiKeys) -> Result<String, MediaTokenError> {
    let secret = keys.secret(key).ok_or(MediaTokenError::UnknownKey)?;
    if claims.exp.is_none() {
        return Err(MediaTokenError::NoExpiry);
    }
    let (claims, packing) = pack(Claims { iss: Some(key.to_owned()), ..claims.clone() });
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Packed { claims: &claims, packing }, &key)
        .map_err(|_| MediaTokenError::Malformed)
}

/// Checks a token against the keys at `now` (seconds since the epoch) and returns its claims.
///
/// # Errors
/// One variant per case of the protocol; each prints as the text clients expect.
pub fn verify(token: &str, keys: &ApiKeys, now: i64) -> Result<Claims, MediaTokenError> {
    let issuer = peek(token)?;
    let secret = issuer.as_deref().and_then(|key| keys.secret(key)).ok_or(MediaTokenError::UnknownKey)?;
    // Times are judged below against the caller's clock, not the library's.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => MediaTokenError::BadSignature,
            jsonwebtoken::errors::ErrorKind::InvalidAlgorithm => MediaTokenError::BadAlgorithm,
            _ => MediaTokenError::Malformed,
        })?
        .claims;
    let claims: Claims = proto_json::from_value(claims).map_err(MediaTokenError::Claims)?;
    let exp = claims.exp.ok_or(MediaTokenError::NoExpiry)?;
    if exp.saturating_add(LEEWAY_SECS) < now {
        return Err(MediaTokenError::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf.saturating_sub(LEEWAY_SECS) > now) {
        return Err(MediaTokenError::NotYetValid);
    }
    unpack(claims, &payload(token)?)
}

/// Reads `iss` before the signature is known to be good, and nothing else.
fn peek(token: &str) -> Result<Option<String>, MediaTokenError> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: Option<String>,
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(MediaTokenError::Malformed);
    }
    serde_json::from_slice(&payload(token)?).map(|i: Issuer| i.iss).map_err(|_| MediaTokenError::Malformed)
}

fn payload(token: &str) -> Result<Vec<u8>, MediaTokenError> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MediaTokenError::Malformed);
    };
    URL_SAFE_NO_PAD.decode(payload).map_err(|_| MediaTokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> ApiKeys {
        ApiKeys::one("devkey", "secret")
    }

    fn claims() -> Claims {
        Claims {
            sub: "alice".into(),
            nbf: Some(NOW),
            exp: Some(NOW + 600),
            video: Some(VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() }),
            ..Claims::default()
        }
    }

    fn forge(header: &str, payload: &str) -> String {
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_signed_token_verifies_to_its_claims() {
        let token = sign(&claims(), "devkey", &keys()).unwrap();
        let seen = verify(&token, &keys(), NOW).unwrap();
        assert_eq!(seen, Claims { iss: Some("devkey".into()), ..claims() });
    }

    #[test]
    fn each_refusal_is_told_apart() {
        let token = sign(&claims(), "devkey", &keys()).unwrap();
        let at = |now| verify(&token, &keys(), now);
        assert_eq!(at(NOW + 600 + LEEWAY_SECS), Ok(verify(&token, &keys(), NOW).unwrap()));
        assert_eq!(at(NOW + 601 + LEEWAY_SECS), Err(MediaTokenError::Expired));
        assert_eq!(at(NOW - LEEWAY_SECS - 1), Err(MediaTokenError::NotYetValid));
        assert_eq!(verify(&token, &ApiKeys::new(), NOW), Err(MediaTokenError::UnknownKey));
        let other = ApiKeys::one("devkey", "another");
        assert_eq!(verify(&token, &other, NOW), Err(MediaTokenError::BadSignature));
        for junk in ["", "a", "a.b", "a.b.c", "..", "a.b.c.d", "é.é.é"] {
            assert_eq!(verify(junk, &keys(), NOW), Err(MediaTokenError::Malformed), "{junk}");
        }
        let none = forge(r#"{"alg":"none"}"#, r#"{"iss":"devkey","exp":9999999999}"#);
        assert_eq!(verify(&none, &keys(), NOW), Err(MediaTokenError::Malformed));
        let rs = forge(r#"{"alg":"RS256"}"#, r#"{"iss":"devkey","exp":9999999999}"#);
        assert_eq!(verify(&rs, &keys(), NOW), Err(MediaTokenError::BadAlgorithm));
        let huge = "a".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(verify(&huge, &keys(), NOW), Err(MediaTokenError::Malformed));
    }

    #[test]
    fn room_settings_are_read_as_tolerantly_as_requests() {
        let signed = |config: &str| {
            let json = format!(
                r#"{{"iss":"devkey","sub":"alice","exp":{},"attributes":{{"a":null,"b":"c"}},"roomConfig":{config}}}"#,
                NOW + 600
            );
            let claims: Value = serde_json::from_str(&json).unwrap();
            let key = EncodingKey::from_secret(b"secret");
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
        };
        for timeout in ["30", "30.0", "3e1", "\"3e1\""] {
            let config = format!(
                r#"{{"name":"n","emptyTimeout":{timeout},"metadata":null,"agents":[{{"agentName":"a","metadata":null}}],
                    "egress":{{"room":{{"preset":"A_NEWER_ONE","roomName":"r"}}}},"a newer field":[1]}}"#
            );
            let claims = verify(&signed(&config), &keys(), NOW).unwrap();
            let room = claims.room_config.unwrap();
            assert_eq!(
                (room.name.as_str(), room.empty_timeout, room.agents.len()),
                ("n", 30, 1),
                "{timeout}"
            );
            assert_eq!(room.egress.unwrap().room.unwrap().room_name, "r");
            assert_eq!(claims.attributes.get("b").map(String::as_str), Some("c"));
        }
        let error = verify(&signed(r#"{"emptyTimeout":"soon"}"#), &keys(), NOW).unwrap_err().to_string();
        assert!(error.contains("roomConfig.emptyTimeout") && !error.contains("signature"), "{error}");
        // Nobody learns anything about claims that were not signed with a secret of this server.
        let other = ApiKeys::one("devkey", "another");
        assert_eq!(
            verify(&signed(r#"{"emptyTimeout":"soon"}"#), &other, NOW),
            Err(MediaTokenError::BadSignature)
        );
    }

    #[test]
    fn a_token_without_expiry_is_refused() {
        let key = EncodingKey::from_secret(b"secret");
        let bare = Claims { iss: Some("devkey".into()), exp: None, ..claims() };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &bare, &key).unwrap();
        assert_eq!(verify(&token, &keys(), NOW), Err(MediaTokenError::NoExpiry));
    }

    #[test]
    fn whatever_metadata_holds_it_comes_back_and_fits() {
        const METADATA: usize = 512 * 1024;
        const ATTRIBUTES: usize = 64 * 1024;
        for character in ["x", "\"", "\u{1}", "\\", "é", "\u{1F600}"] {
            let metadata = character.repeat(METADATA / character.len());
            let attributes = [("k".to_owned(), character.repeat((ATTRIBUTES - 1) / character.len()))].into();
            let claims = Claims { metadata, attributes, ..claims() };
            let token = sign(&claims, "devkey", &keys()).unwrap();
            assert!(token.len() <= longest(METADATA + ATTRIBUTES), "{character:?}: {} bytes", token.len());
            let seen = verify(&token, &keys(), NOW).unwrap();
            assert!(seen == Claims { iss: Some("devkey".into()), ..claims }, "{character:?}");
        }
    }

    #[test]
    fn unset_permissions_stay_out_of_the_token() {
        let json = serde_json::to_value(claims()).unwrap();
        assert_eq!(json["video"], serde_json::json!({"roomJoin": true, "room": "den"}));
    }
}
