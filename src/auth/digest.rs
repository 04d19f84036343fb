//! Fingerprints and seals: SHA-256 and HMAC-SHA256 in hexadecimal.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest, hmac};

use crate::auth::secret::Secret;

/// SHA-256 in hexadecimal: how tokens are kept in the database.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// HMAC-SHA256 in hexadecimal.
#[must_use]
pub fn hmac_hex(key: &Secret, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// True when `seal` is [`hmac_hex`] of `text`, in constant time.
#[must_use]
pub fn hmac_matches(key: &Secret, text: &str, seal: &str) -> bool {
    constant_time::verify_slices_are_equal(hmac_hex(key, text).as_bytes(), seal.as_bytes()).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        // RFC 4231, test case 2.
        let seal = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_hex(&"Jefe".into(), "what do ya want for nothing?"), seal);
        assert!(hmac_matches(&"Jefe".into(), "what do ya want for nothing?", seal));
        assert!(!hmac_matches(&"Jefe".into(), "what do ya want for nothing!", seal));
        assert!(!hmac_matches(&"Jefe".into(), "what do ya want for nothing?", ""));
    }
}
