//! Profiles and key derivation.

use super::cipher::{Cipher, counter_mode};
use super::{SrtpError, SrtpReceiver, SrtpSender};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, UnboundCipherKey};

/// Protection profile (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// AES-128-GCM, 16-byte tag.
    AeadAes128Gcm,
    /// AES-256-GCM, 16-byte tag.
    AeadAes256Gcm,
    /// AES-128 counter mode with an 80-bit HMAC-SHA1 tag. About 3.5 times the cost of GCM.
    Aes128CmSha1_80,
}

impl SrtpProfile {
    /// Master key length in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Master salt length in bytes.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 14,
            _ => 12,
        }
    }

    /// Bytes of DTLS exporter output: two keys and two salts.
    #[must_use]
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Bytes a protected RTP packet is longer than the plain one.
    #[must_use]
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 10,
            _ => 16,
        }
    }

    /// Bytes a protected RTCP packet is longer than the plain one.
    #[must_use]
    pub const fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + 4
    }
}

/// Derives the two contexts of a connection.
#[derive(Debug, Clone, Copy)]
pub struct SrtpKeys;

impl SrtpKeys {
    /// Contexts from DTLS exporter output (`EXTRACTOR-dtls_srtp`): client key, server key, client salt, server salt.
    /// `is_client` is our DTLS role.
    ///
    /// # Errors
    /// [`SrtpError::KeyingMaterial`] when `material` is too short, [`SrtpError::Crypto`] when the library refuses.
    pub fn from_dtls(
        profile: SrtpProfile,
        material: &[u8],
        is_client: bool,
    ) -> Result<(SrtpSender, SrtpReceiver), SrtpError> {
        let (k, s) = (profile.key_len(), profile.salt_len());
        let part = |at: usize, len: usize| material.get(at..at + len).ok_or(SrtpError::KeyingMaterial);
        let client = (part(0, k)?, part(2 * k, s)?);
        let server = (part(k, k)?, part(2 * k + s, s)?);
        let (tx, rx) = if is_client { (client, server) } else { (server, client) };
        Ok((Self::sender(profile, tx.0, tx.1)?, Self::receiver(profile, rx.0, rx.1)?))
    }

    /// A sending context from a master key and salt.
    ///
    /// # Errors
    /// As [`SrtpKeys::from_dtls`].
    pub fn sender(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<SrtpSender, SrtpError> {
        let (rtp, rtcp) = session_ciphers(profile, key, salt)?;
        Ok(SrtpSender::new(profile, rtp, rtcp))
    }

    /// A receiving context from a master key and salt.
    ///
    /// # Errors
    /// As [`SrtpKeys::from_dtls`].
    pub fn receiver(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<SrtpReceiver, SrtpError> {
        let (rtp, rtcp) = session_ciphers(profile, key, salt)?;
        Ok(SrtpReceiver::new(profile, rtp, rtcp))
    }
}

fn session_ciphers(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<(Cipher, Cipher), SrtpError> {
    if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
        return Err(SrtpError::KeyingMaterial);
    }
    let kdf = Kdf::new(key, salt)?;
    Ok((session_cipher(profile, &kdf, 0)?, session_cipher(profile, &kdf, 3)?))
}

/// `label` is that of the encryption key; authentication key and salt follow (RFC 3711 section 4.3.1 and 4.3.2).
fn session_cipher(profile: SrtpProfile, kdf: &Kdf, label: u8) -> Result<Cipher, SrtpError> {
    match profile {
        SrtpProfile::AeadAes128Gcm => Cipher::gcm(&kdf.derive::<16>(label)?, kdf.derive(label + 2)?),
        SrtpProfile::AeadAes256Gcm => Cipher::gcm(&kdf.derive::<32>(label)?, kdf.derive(label + 2)?),
        SrtpProfile::Aes128CmSha1_80 => {
            Cipher::cm(&kdf.derive(label)?, &kdf.derive(label + 1)?, kdf.derive(label + 2)?)
        }
    }
}

/// AES counter-mode key derivation with a key derivation rate of zero (RFC 3711 section 4.3.3). A 12-byte salt is
/// padded with zeros on the right (RFC 7714 section 11).
pub(super) struct Kdf {
    key: EncryptingKey,
    salt: [u8; 14],
}

impl Kdf {
    pub(super) fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
        let unbound = UnboundCipherKey::new(algorithm, key).map_err(|_| SrtpError::Crypto)?;
        let key = EncryptingKey::ctr(unbound).map_err(|_| SrtpError::Crypto)?;
        let mut padded = [0; 14];
        for (to, from) in padded.iter_mut().zip(salt) {
            *to = *from;
        }
        Ok(Self { key, salt: padded })
    }

    pub(super) fn derive<const N: usize>(&self, label: u8) -> Result<[u8; N], SrtpError> {
        let mut iv = [0u8; 16];
        for (i, (to, from)) in iv.iter_mut().zip(self.salt).enumerate() {
            // key_id = label || 48-bit zero, aligned with the low end of the 112-bit salt.
            *to = if i == 7 { from ^ label } else { from };
        }
        let mut out = [0u8; N];
        counter_mode(&self.key, iv, &mut out)?;
        Ok(out)
    }
}
