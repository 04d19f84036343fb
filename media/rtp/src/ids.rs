//! Small identifiers carried in RTP header extensions and SDP.

use std::fmt;

/// Longest identifier accepted: the value of a one-byte RTP header extension (RFC 8285).
pub const MAX_ID_LEN: usize = 16;

/// A short token (`mid`, `rid`) kept inline, at most [`MAX_ID_LEN`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortId {
    len: u8,
    bytes: [u8; MAX_ID_LEN],
}

/// Media identification (RFC 5888, RFC 9143).
pub type Mid = ShortId;
/// RTP stream identification (RFC 8851, RFC 8852).
pub type Rid = ShortId;
/// Synchronisation source.
pub type Ssrc = u32;
/// RTP payload type, 0..=127.
pub type Pt = u8;

impl ShortId {
    /// Takes a printable ASCII token; `None` when empty, too long or not printable.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::from_bytes(text.as_bytes())
    }

    /// As [`ShortId::new`], from the bytes of a header extension.
    #[must_use]
    pub fn from_bytes(value: &[u8]) -> Option<Self> {
        if value.is_empty() || value.len() > MAX_ID_LEN || !value.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut bytes = [0; MAX_ID_LEN];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len: u8::try_from(value.len()).ok()?, bytes })
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// The token as the value of a header extension.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
