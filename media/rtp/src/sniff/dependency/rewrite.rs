//! Changing a descriptor for a receiver that gets a part of the stream.

use super::super::bits::Bits;
use crate::bytes::put;

/// Most bytes of a descriptor: what a header extension holds.
pub const MAX_DEPENDENCY_DESCRIPTOR: usize = 255;
/// Bits of the mandatory fields.
const MANDATORY: usize = 24;
/// Bits of the mandatory fields and the five flags.
const FLAGS: usize = 29;
/// The flag that says that active decode targets follow.
const ACTIVE_PRESENT: u32 = 0b0_1000;

/// Where the parts of a descriptor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyLayout {
    targets: u8,
    extended: bool,
    active_present: bool,
    /// First bit of the active decode targets, or where they would be.
    active_at: u16,
    /// Bits before the padding.
    end: u16,
}

/// A descriptor as [`DependencyLayout::rewrite`] wrote it.
#[derive(Debug, Clone)]
pub struct RewrittenDescriptor {
    bytes: [u8; MAX_DEPENDENCY_DESCRIPTOR],
    bits: usize,
}

impl RewrittenDescriptor {
    /// A copy of `bytes` with another frame number; `None` when it is too short or too long to be a descriptor.
    #[must_use]
    pub fn renumber(bytes: &[u8], frame_number: u16) -> Option<Self> {
        let mut out = Self { bytes: [0; MAX_DEPENDENCY_DESCRIPTOR], bits: bytes.len() * 8 };
        out.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        (bytes.len() * 8 >= MANDATORY && put(&mut out.bytes, 1, &frame_number.to_be_bytes())).then_some(out)
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.bits.div_ceil(8)).unwrap_or(&[])
    }

    /// Appends the low `n` bits of `value`, at most 32; false when there is no room.
    fn put(&mut self, n: u32, value: u32) -> bool {
        for i in (0..n).rev() {
            let Some(byte) = self.bytes.get_mut(self.bits / 8) else { return false };
            *byte |= ((value >> i & 1) as u8) << (7 - self.bits % 8);
            self.bits += 1;
        }
        true
    }

    /// Copies the bits up to `end`.
    fn copy(&mut self, from: &mut Bits<'_>, end: usize) -> Option<()> {
        while let Some(left) = end.checked_sub(from.position()).filter(|l| *l > 0) {
            let n = left.min(32) as u32;
            let value = from.read(n)?;
            if !self.put(n, value) {
                return None;
            }
        }
        Some(())
    }
}

impl DependencyLayout {
    pub(super) fn new(
        targets: u8,
        extended: bool,
        active_present: bool,
        active_at: usize,
        end: usize,
    ) -> Self {
        // A descriptor that a header extension can carry has fewer than 2^16 bits; longer ones are not rewritten.
        let bits = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Self { targets, extended, active_present, active_at: bits(active_at), end: bits(end) }
    }

    /// Copies the descriptor `bytes` this was read from with another frame number and, if given, with these decode
    /// targets as the active ones. `None` when it does not fit or is not the one this was read from.
    #[must_use]
    pub fn rewrite(
        self,
        bytes: &[u8],
        frame_number: u16,
        active: Option<u32>,
    ) -> Option<RewrittenDescriptor> {
        let Some(active) = active else { return RewrittenDescriptor::renumber(bytes, frame_number) };
        let mut out = RewrittenDescriptor { bytes: [0; MAX_DEPENDENCY_DESCRIPTOR], bits: 0 };
        let mut from = Bits::new(bytes);
        let mut done = out.put(8, from.read(8)?);
        from.read(16)?;
        done &= out.put(16, u32::from(frame_number));
        let flags = if self.extended { from.read((FLAGS - MANDATORY) as u32)? } else { 0 };
        done &= out.put((FLAGS - MANDATORY) as u32, flags | ACTIVE_PRESENT);
        if self.extended {
            out.copy(&mut from, usize::from(self.active_at))?;
            if self.active_present {
                from.read(u32::from(self.targets))?;
            }
        }
        done &= out.put(u32::from(self.targets), active);
        if self.extended {
            out.copy(&mut from, usize::from(self.end))?;
        }
        done.then_some(out)
    }
}
