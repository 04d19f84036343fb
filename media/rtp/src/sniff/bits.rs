//! Bit reader.

/// Reads big-endian bit fields.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit != 0)
    }

    /// `n` bits, at most 32.
    pub(super) fn read(&mut self, n: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..n {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Non-symmetric unsigned value below `n` (AV1 specification 4.10.7).
    pub(super) fn non_symmetric(&mut self, n: u32) -> Option<u32> {
        let width = 32 - n.leading_zeros();
        let short = (1u32 << width).checked_sub(n)?;
        let value = self.read(width.saturating_sub(1))?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + u32::from(self.flag()?))
    }
}
