//! Names of sections and layers that are longer than a one-byte header extension carries (RFC 8285): some stacks take a
//! UUID. A section of such a name goes without the header extension, and its streams are told apart by SSRC or payload
//! type.

use bedrud_rtp::{MAX_ID_LEN, Mid, Rid};
use std::hash::{DefaultHasher, Hasher as _};

/// Longest name, bytes: what the two-byte form of a header extension carries.
const MAX_NAME: usize = 255;

fn is_long(token: &str) -> bool {
    (MAX_ID_LEN + 1..=MAX_NAME).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// Reads an identification tag. A long one comes with its text, and with a short one in its place that is the same in every
/// description.
pub(crate) fn read_mid(token: &str) -> Option<(Mid, Option<Box<str>>)> {
    if !is_long(token) {
        return Some((Mid::new(token)?, None));
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(token.as_bytes());
    Some((Mid::new(&format!("{:016x}", hasher.finish()))?, Some(token.into())))
}

/// A rid, as far as it can be used.
pub(crate) enum RidToken {
    Usable(Rid),
    /// Its layer cannot be recognised.
    Long,
}

pub(crate) fn read_rid(token: &str) -> Option<RidToken> {
    if is_long(token) { Some(RidToken::Long) } else { Rid::new(token).map(RidToken::Usable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_have_a_short_one_that_stays() {
        let uuid = "7b0d0d5e-8a0e-4e6a-9a53-0f1f8d2c7c11";
        let (mid, text) = read_mid(uuid).unwrap();
        assert_eq!(text.as_deref(), Some(uuid));
        assert_eq!(read_mid(uuid).unwrap().0, mid);
        assert_ne!(read_mid(&uuid.replace("11", "12")).unwrap().0, mid);
        assert_eq!(read_mid("0123456789abcdef").unwrap().1, None);
        for bad in ["", "a b", &"x".repeat(256), &format!("{uuid}\u{e9}")] {
            assert!(read_mid(bad).is_none(), "{bad}");
        }
        assert!(read_mid(&"x".repeat(255)).is_some());
    }
}
