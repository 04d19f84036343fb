//! One direction's session keys for either RTP or RTCP.

use super::SrtpError;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// Length of a GCM tag.
pub(super) const GCM_TAG: usize = 16;
/// Length of a truncated HMAC-SHA1 tag.
pub(super) const SHA1_TAG: usize = 10;

// GCM's precomputed tables make it the larger variant; one context per direction does not justify a pointer chase.
#[allow(clippy::large_enum_variant, reason = "on the packet path, two per connection")]
pub(super) enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    Cm { key: EncryptingKey, auth: hmac::Key, salt: [u8; 14] },
}

impl Cipher {
    pub(super) fn gcm(key: &[u8], salt: [u8; 12]) -> Result<Self, SrtpError> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::Crypto)?;
        Ok(Self::Gcm { key: LessSafeKey::new(key), salt })
    }

    pub(super) fn cm(key: &[u8; 16], auth: &[u8; 20], salt: [u8; 14]) -> Result<Self, SrtpError> {
        let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| SrtpError::Crypto)?;
        Ok(Self::Cm {
            key: EncryptingKey::ctr(key).map_err(|_| SrtpError::Crypto)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth),
            salt,
        })
    }
}

/// AES counter mode: encryption and decryption are the same.
pub(super) fn counter_mode(key: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Result<(), SrtpError> {
    key.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(iv)))
        .map(|_| ())
        .map_err(|_| SrtpError::Crypto)
}

/// GCM nonce: `00 00 || SSRC || index (48 bits) XOR salt` (RFC 7714 sections 8.1 and 9.1). The 31-bit SRTCP index
/// fills the same 48 bits.
fn gcm_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let wide = u128::from(ssrc) << 48 | u128::from(index & 0xffff_ffff_ffff);
    let mut nonce = [0u8; 12];
    for (to, (salt, from)) in nonce.iter_mut().zip(salt.iter().zip(wide.to_be_bytes().into_iter().skip(4))) {
        *to = salt ^ from;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Counter-mode IV: `(salt << 16) XOR (SSRC << 64) XOR (index << 16)` (RFC 3711 section 4.1.1).
fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = (u128::from(ssrc) << 64 | u128::from(index & 0xffff_ffff_ffff) << 16).to_be_bytes();
    for (to, salt) in iv.iter_mut().zip(salt) {
        *to ^= salt;
    }
    iv
}

pub(super) fn gcm_seal(
    key: &LessSafeKey,
    salt: &[u8; 12],
    (ssrc, index): (u32, u64),
    aad: &[u8],
    body: &mut [u8],
) -> Result<[u8; GCM_TAG], SrtpError> {
    let tag = key
        .seal_in_place_separate_tag(gcm_nonce(salt, ssrc, index), Aad::from(aad), body)
        .map_err(|_| SrtpError::Crypto)?;
    tag.as_ref().try_into().map_err(|_| SrtpError::Crypto)
}

/// Opens `body` (ciphertext and tag) in place; returns the plaintext length.
pub(super) fn gcm_open(
    key: &LessSafeKey,
    salt: &[u8; 12],
    (ssrc, index): (u32, u64),
    aad: &[u8],
    body: &mut [u8],
) -> Result<usize, SrtpError> {
    key.open_in_place(gcm_nonce(salt, ssrc, index), Aad::from(aad), body)
        .map(|plain| plain.len())
        .map_err(|_| SrtpError::Authentication)
}

pub(super) fn cm_crypt(
    key: &EncryptingKey,
    salt: &[u8; 14],
    (ssrc, index): (u32, u64),
    body: &mut [u8],
) -> Result<(), SrtpError> {
    counter_mode(key, cm_iv(salt, ssrc, index), body)
}

/// HMAC-SHA1-80 over the packet and, for RTP, the rollover counter.
pub(super) fn cm_tag(auth: &hmac::Key, packet: &[u8], roc: Option<u32>) -> Result<[u8; SHA1_TAG], SrtpError> {
    let mut context = hmac::Context::with_key(auth);
    context.update(packet);
    if let Some(roc) = roc {
        context.update(&roc.to_be_bytes());
    }
    context.sign().as_ref().first_chunk().copied().ok_or(SrtpError::Crypto)
}

pub(super) fn cm_verify(
    auth: &hmac::Key,
    packet: &[u8],
    roc: Option<u32>,
    tag: &[u8],
) -> Result<(), SrtpError> {
    verify_slices_are_equal(&cm_tag(auth, packet, roc)?, tag).map_err(|_| SrtpError::Authentication)
}
