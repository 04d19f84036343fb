//! Opening packets.

use super::cipher::{Cipher, GCM_TAG, SHA1_TAG, cm_crypt, cm_verify, gcm_open};
use super::replay::ReplayWindow;
use super::{SrtpError, SrtpProfile};
use crate::bytes::{array_at, u32_at};
use crate::receive::extend_seq;
use crate::{RtpHeader, Ssrc};

/// Sources remembered per context and direction of protocol; beyond it the one heard least recently is forgotten.
pub const MAX_SRTP_STREAMS: usize = 256;

/// An authenticated RTP packet, now plain in `packet[..len]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedRtp {
    /// Its header.
    pub header: RtpHeader,
    /// Length of the plain packet, header and padding included.
    pub len: usize,
    /// Sequence number extended to 48 bits with the rollover counter.
    pub ext_seq: u64,
}

/// Receiving context of one connection: keys, rollover counters and replay windows per source.
pub struct SrtpReceiver {
    profile: SrtpProfile,
    rtp: Cipher,
    rtcp: Cipher,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl std::fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpReceiver").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl SrtpReceiver {
    pub(super) fn new(profile: SrtpProfile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self { profile, rtp, rtcp, rtp_streams: Streams::default(), rtcp_streams: Streams::default() }
    }

    /// Profile in use.
    #[must_use]
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Authenticates and decrypts an RTP packet in place. State changes only when the packet authenticates.
    ///
    /// # Errors
    /// [`SrtpError`]; the bytes of `packet` are then unspecified.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<OpenedRtp, SrtpError> {
        let header = RtpHeader::parse(packet)?;
        let known = self.rtp_streams.find(header.ssrc);
        let ext_seq = match known {
            Some(at) => {
                let window = self.rtp_streams.window(at).ok_or(SrtpError::Crypto)?;
                let index = extend_seq(window.highest(), header.seq).ok_or(SrtpError::TooOld)?;
                window.check(index)?;
                index
            }
            None => u64::from(header.seq),
        };
        if ext_seq >> 48 != 0 {
            return Err(SrtpError::IndexExhausted);
        }
        let header_len = usize::from(header.header_len);
        let len = match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (head, body) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::Truncated)?;
                if body.len() < GCM_TAG {
                    return Err(SrtpError::Truncated);
                }
                header_len + gcm_open(key, salt, (header.ssrc, ext_seq), head, body)?
            }
            Cipher::Cm { key, auth, salt } => {
                let len = packet.len().checked_sub(SHA1_TAG).ok_or(SrtpError::Truncated)?;
                let (plain, tag) = packet.split_at_mut_checked(len).ok_or(SrtpError::Truncated)?;
                let roc = u32::try_from(ext_seq >> 16).map_err(|_| SrtpError::IndexExhausted)?;
                if len < header_len {
                    return Err(SrtpError::Truncated);
                }
                cm_verify(auth, plain, Some(roc), tag)?;
                let body = plain.get_mut(header_len..).ok_or(SrtpError::Truncated)?;
                cm_crypt(key, salt, (header.ssrc, ext_seq), body)?;
                len
            }
        };
        self.rtp_streams.commit(known, header.ssrc, ext_seq);
        Ok(OpenedRtp { header, len, ext_seq })
    }

    /// Authenticates and decrypts a compound RTCP packet in place; returns its plain length.
    ///
    /// # Errors
    /// [`SrtpError`]; the bytes of `packet` are then unspecified.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let index_at = match &self.rtcp {
            Cipher::Gcm { .. } => packet.len().checked_sub(4),
            Cipher::Cm { .. } => packet.len().checked_sub(4 + SHA1_TAG),
        };
        let index_at = index_at.filter(|at| *at >= 8).ok_or(SrtpError::Truncated)?;
        let word = array_at::<4>(packet, index_at).ok_or(SrtpError::Truncated)?;
        let ssrc = u32_at(packet, 4).ok_or(SrtpError::Truncated)?;
        if word.first().is_none_or(|b| b & 0x80 == 0) {
            return Err(SrtpError::Unencrypted);
        }
        let index = u64::from(u32::from_be_bytes(word) & 0x7fff_ffff);
        let known = self.rtcp_streams.find(ssrc);
        if let Some(window) = known.and_then(|at| self.rtcp_streams.window(at)) {
            window.check(index)?;
        }
        let len = match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut aad = [0u8; 12];
                let (head, tail) = aad.split_at_mut(8);
                head.copy_from_slice(packet.get(..8).ok_or(SrtpError::Truncated)?);
                tail.copy_from_slice(&word);
                let body = packet.get_mut(8..index_at).ok_or(SrtpError::Truncated)?;
                if body.len() < GCM_TAG {
                    return Err(SrtpError::Truncated);
                }
                8 + gcm_open(key, salt, (ssrc, index), &aad, body)?
            }
            Cipher::Cm { key, auth, salt } => {
                let (signed, tag) = packet.split_at_mut_checked(index_at + 4).ok_or(SrtpError::Truncated)?;
                cm_verify(auth, signed, None, tag)?;
                let body = signed.get_mut(8..index_at).ok_or(SrtpError::Truncated)?;
                cm_crypt(key, salt, (ssrc, index), body)?;
                index_at
            }
        };
        self.rtcp_streams.commit(known, ssrc, index);
        Ok(len)
    }

    /// Sources with state now, RTP and RTCP.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.rtp_streams.entries.len() + self.rtcp_streams.entries.len()
    }
}

/// Replay state per source. Few sources per connection and mostly the same one again: a scan that starts with the
/// last hit beats hashing.
#[derive(Default)]
struct Streams {
    entries: Vec<Stream>,
    last: usize,
    clock: u64,
}

struct Stream {
    ssrc: Ssrc,
    used: u64,
    window: ReplayWindow,
}

impl Streams {
    fn find(&self, ssrc: Ssrc) -> Option<usize> {
        if self.entries.get(self.last).is_some_and(|e| e.ssrc == ssrc) {
            return Some(self.last);
        }
        self.entries.iter().position(|e| e.ssrc == ssrc)
    }

    fn window(&self, at: usize) -> Option<&ReplayWindow> {
        self.entries.get(at).map(|e| &e.window)
    }

    /// Records an authenticated packet; only here does a source get state.
    fn commit(&mut self, known: Option<usize>, ssrc: Ssrc, index: u64) {
        self.clock += 1;
        let used = self.clock;
        if let Some((at, entry)) = known.and_then(|at| Some((at, self.entries.get_mut(at)?))) {
            entry.used = used;
            entry.window.mark(index);
            self.last = at;
            return;
        }
        let entry = Stream { ssrc, used, window: ReplayWindow::starting_at(index) };
        if self.entries.len() < MAX_SRTP_STREAMS {
            self.last = self.entries.len();
            self.entries.push(entry);
        } else if let Some((at, oldest)) = self.entries.iter_mut().enumerate().min_by_key(|(_, e)| e.used) {
            *oldest = entry;
            self.last = at;
        }
    }
}
