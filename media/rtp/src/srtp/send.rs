//! Protecting packets.

use super::cipher::{Cipher, cm_crypt, cm_tag, gcm_seal};
use super::{SrtpError, SrtpProfile};
use crate::bytes::{array_at, u32_at};

/// Sending context of one connection. Rollover counters of RTP belong to the caller: every stream keeps a 64-bit
/// extended sequence number and passes it in.
pub struct SrtpSender {
    profile: SrtpProfile,
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_index: u32,
}

impl std::fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpSender").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl SrtpSender {
    pub(super) fn new(profile: SrtpProfile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self { profile, rtp, rtcp, rtcp_index: 0 }
    }

    /// Profile in use.
    #[must_use]
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Protects the plain RTP packet `arena[start..]` in place and appends its tag. Everything before `start` is
    /// left alone; the packet must be the last thing in the arena.
    ///
    /// `ext_seq` is the stream's sequence number extended to 48 bits (rollover counter above the low 16 bits).
    ///
    /// An index must never be sealed twice with different bytes: it would repeat a GCM nonce. Retransmit through an
    /// RTX stream with its own sequence numbers, or resend the same protected bytes.
    ///
    /// # Errors
    /// [`SrtpError::Mismatch`] when `header_len` or `ext_seq` do not fit the packet, [`SrtpError::IndexExhausted`]
    /// beyond 2^48 packets. On error the arena is truncated to `start`, so nothing unprotected can leave.
    pub fn seal_rtp(
        &self,
        arena: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ext_seq: u64,
    ) -> Result<(), SrtpError> {
        let sealed = self.try_seal_rtp(arena, start, header_len, ext_seq);
        if sealed.is_err() {
            arena.truncate(start);
        }
        sealed
    }

    fn try_seal_rtp(
        &self,
        arena: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ext_seq: u64,
    ) -> Result<(), SrtpError> {
        if ext_seq >> 48 != 0 {
            return Err(SrtpError::IndexExhausted);
        }
        let roc = u32::try_from(ext_seq >> 16).map_err(|_| SrtpError::IndexExhausted)?;
        let packet = arena.get_mut(start..).ok_or(SrtpError::Mismatch)?;
        let [_, _, s0, s1] = array_at::<4>(packet, 0).ok_or(SrtpError::Mismatch)?;
        let ssrc = u32_at(packet, 8).ok_or(SrtpError::Mismatch)?;
        if u64::from(u16::from_be_bytes([s0, s1])) != ext_seq & 0xffff || header_len < 12 {
            return Err(SrtpError::Mismatch);
        }
        let (header, body) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::Mismatch)?;
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let tag = gcm_seal(key, salt, (ssrc, ext_seq), header, body)?;
                arena.extend_from_slice(&tag);
            }
            Cipher::Cm { key, auth, salt } => {
                cm_crypt(key, salt, (ssrc, ext_seq), body)?;
                let tag = cm_tag(auth, packet, Some(roc))?;
                arena.extend_from_slice(&tag);
            }
        }
        Ok(())
    }

    /// Protects the plain compound RTCP packet `arena[start..]` in place and appends tag and index.
    ///
    /// # Errors
    /// [`SrtpError::Truncated`] for fewer than 8 bytes, [`SrtpError::IndexExhausted`] after 2^31 packets. On error
    /// the arena is truncated to `start`.
    pub fn seal_rtcp(&mut self, arena: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        let sealed = self.try_seal_rtcp(arena, start);
        if sealed.is_err() {
            arena.truncate(start);
        }
        sealed
    }

    fn try_seal_rtcp(&mut self, arena: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        if self.rtcp_index >> 31 != 0 {
            return Err(SrtpError::IndexExhausted);
        }
        let index = u64::from(self.rtcp_index);
        let word = (self.rtcp_index | 0x8000_0000).to_be_bytes();
        let packet = arena.get_mut(start..).ok_or(SrtpError::Truncated)?;
        let (header, body) = packet.split_first_chunk_mut::<8>().ok_or(SrtpError::Truncated)?;
        let ssrc = u32_at(header, 4).ok_or(SrtpError::Truncated)?;
        match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut aad = [0u8; 12];
                let (head, tail) = aad.split_at_mut(8);
                head.copy_from_slice(header);
                tail.copy_from_slice(&word);
                let tag = gcm_seal(key, salt, (ssrc, index), &aad, body)?;
                arena.extend_from_slice(&tag);
                arena.extend_from_slice(&word);
            }
            Cipher::Cm { key, auth, salt } => {
                cm_crypt(key, salt, (ssrc, index), body)?;
                arena.extend_from_slice(&word);
                let tag = cm_tag(auth, arena.get(start..).unwrap_or(&[]), None)?;
                arena.extend_from_slice(&tag);
            }
        }
        self.rtcp_index += 1;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn set_rtcp_index(&mut self, index: u32) {
        self.rtcp_index = index;
    }
}
