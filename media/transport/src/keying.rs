//! SRTP keying material exported from the DTLS handshake (RFC 5764, section 4.2).

use bedrud_rtp::SrtpProfile;
use str0m::crypto::dtls::SrtpProfile as DtlsProfile;

pub(crate) fn profile_from_dtls(profile: DtlsProfile) -> Option<SrtpProfile> {
    match profile {
        DtlsProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        DtlsProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        DtlsProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1_80),
        _ => None,
    }
}

/// What SRTP contexts are derived from.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeying {
    /// Profile of both directions.
    pub profile: SrtpProfile,
    /// Exporter output, as [`bedrud_rtp::SrtpKeys::from_dtls`] takes it: client key, server key, client salt, server salt.
    pub material: Vec<u8>,
    /// Our DTLS role.
    pub is_client: bool,
}

impl std::fmt::Debug for SrtpKeying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeying")
            .field("profile", &self.profile)
            .field("is_client", &self.is_client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_out_of_debug_output() {
        let keying =
            SrtpKeying { profile: SrtpProfile::AeadAes256Gcm, material: vec![171; 88], is_client: false };
        assert!(!format!("{keying:?}").contains("171"));
    }
}
