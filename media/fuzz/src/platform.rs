//! Access tokens.

use crate::auth::media_token::{ApiKeys, verify};

/// Nobody without the secret gets in: not with these bytes as a token, nor as its parts.
pub fn access_token(data: &[u8]) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let keys = ApiKeys::one("devkey", "a secret that is not in the corpus");
    let text = String::from_utf8_lossy(data);
    assert!(verify(&text, &keys, 0).is_err());
    let (claims, signature) = data.split_at(data.len() / 2);
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    for part in [claims, data] {
        let part = URL_SAFE_NO_PAD.encode(part);
        let signature = URL_SAFE_NO_PAD.encode(signature);
        assert!(verify(&format!("{header}.{part}.{signature}"), &keys, 0).is_err());
    }
}
