//! Randomness for ids, tokens and salts.

use std::sync::{Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

/// Letters and digits that cannot be taken for each other: what the ids of LiveKit's protocol are made of.
pub const LEGIBLE: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A cryptographic generator that the server seeds from the system, and a test from a constant.
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Mutex::new(StdRng::from_seed(seed)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut StdRng) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// A random (version 4) UUID.
    #[must_use]
    pub fn uuid(&self) -> String {
        let id: Uuid = uuid::Builder::from_random_bytes(self.bytes()).into_uuid();
        id.to_string()
    }

    /// 32 random bytes as text that fits into a URL.
    #[must_use]
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// `len` characters drawn evenly from an ASCII alphabet, which must not be empty.
    #[must_use]
    pub fn text(&self, alphabet: &[u8], len: usize) -> String {
        self.with(|rng| {
            let pick = |_| {
                alphabet.get(rng.random_range(0..alphabet.len().max(1))).map_or('a', |byte| char::from(*byte))
            };
            (0..len).map(pick).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Entropy;

    #[test]
    fn the_same_seed_gives_the_same_values_and_no_value_twice() {
        let (one, two) = (Entropy::from_seed([7; 32]), Entropy::from_seed([7; 32]));
        assert_eq!(one.uuid(), two.uuid());
        assert_eq!(one.text(b"ab", 20), two.text(b"ab", 20));
        assert_ne!(one.token(), one.token());
        assert_eq!(one.uuid().as_bytes().get(14), Some(&b'4'));
    }
}
