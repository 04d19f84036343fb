//! A small seeded hash for keys that peers choose (addresses, SSRCs): quick, and not predictable without the seed.

use std::hash::{BuildHasher, Hasher};

const MULTIPLE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Builds [`SeededHasher`]s of one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeded {
    seed: u64,
    key: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        // An odd multiplier of its own keeps collisions secret, not only bucket order.
        let key = (seed ^ MULTIPLE).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32) | 1;
        Self { seed, key }
    }
}

impl BuildHasher for Seeded {
    type Hasher = SeededHasher;

    fn build_hasher(&self) -> SeededHasher {
        SeededHasher { state: self.seed, key: self.key }
    }
}

/// Folded multiplication.
#[derive(Debug)]
pub(crate) struct SeededHasher {
    state: u64,
    key: u64,
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Hasher for SeededHasher {
    fn finish(&self) -> u64 {
        fold(self.state ^ MULTIPLE, self.key)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.state = fold(self.state ^ value, self.key).wrapping_add(MULTIPLE);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
}
