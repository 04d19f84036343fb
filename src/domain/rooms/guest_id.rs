//! The id a guest by link keeps in a sealed cookie.

use crate::auth::{digest, entropy::Entropy, secret::Secret};

/// Characters after `guest-`.
const LENGTH: usize = 8;
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A fresh id.
pub(super) fn fresh(entropy: &Entropy) -> String {
    format!("guest-{}", entropy.text(ALPHABET, LENGTH))
}

/// The cookie's value: the id and its seal.
pub(super) fn seal(id: &str, secret: &Secret) -> String {
    format!("{id}.{}", digest::hmac_hex(secret, id))
}

/// The id in a cookie's value, if we sealed it.
pub(super) fn open(value: &str, secret: &Secret) -> Option<String> {
    let (id, seal) = value.split_once('.')?;
    let letters = id.strip_prefix("guest-")?;
    let shaped = letters.len() == LENGTH && letters.bytes().all(|b| ALPHABET.contains(&b));
    (shaped && digest::hmac_matches(secret, id, seal)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_our_own_seal_opens() {
        let secret = Secret::from("secret");
        let id = fresh(&Entropy::from_seed([1; 32]));
        let value = seal(&id, &secret);
        assert_eq!(open(&value, &secret), Some(id.clone()));
        assert_eq!(open(&value, &"other".into()), None);
        assert_eq!(open(&seal("admin", &secret), &secret), None);
        assert_eq!(open(&format!("guest-aaaaaaaa.{}", value.split_once('.').unwrap().1), &secret), None);
    }

    proptest! {
        #[test]
        fn no_other_text_opens(value in "\\PC{0,120}") {
            prop_assert_eq!(open(&value, &"secret".into()), None);
        }
    }
}
