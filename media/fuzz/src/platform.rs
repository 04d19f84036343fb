//! First bytes of the main port and access tokens.

use crate::auth::media_token::{ApiKeys, verify};
use crate::server::sniff::{MAX_SNIFF, Verdict, classify};

/// A verdict is reached in time and never changes with more bytes.
pub fn first_bytes(data: &[u8]) {
    let mut decided = None;
    for len in 0..=data.len().min(2 * MAX_SNIFF) {
        let verdict = classify(&data[..len]);
        match decided {
            Some(before) => assert_eq!(verdict, before, "after {len} bytes"),
            None if verdict != Verdict::More => decided = Some(verdict),
            None => assert!(len < MAX_SNIFF, "undecided after {len} bytes"),
        }
    }
}

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
