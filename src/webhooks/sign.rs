//! Signatures as the webhook receivers of LiveKit's SDKs check them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::auth::secret::Secret;

/// Life of a signature, seconds.
const LIFE: i64 = 300;

#[derive(Serialize)]
struct Claims<'a> {
    exp: i64,
    iss: &'a str,
    nbf: i64,
    sha256: String,
}

/// A token over the SHA-256 of `body`, good for five minutes from `now` (seconds since the epoch). It goes into
/// `Authorization` as it is, without a scheme. `None` when the key cannot sign.
#[must_use]
pub fn sign(body: &[u8], key: &str, secret: &Secret, now: i64) -> Option<String> {
    let sha256 = STANDARD.encode(Sha256::digest(body));
    let claims = Claims { exp: now.saturating_add(LIFE), iss: key, nbf: now, sha256 };
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).ok()
}
