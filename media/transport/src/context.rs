//! What all transports of a process share: certificate, crypto provider and DTLS configuration.

use crate::config::TransportConfig;
use crate::dtls::{Configs, NewInstance, PROVIDER, TeeSlot, base, with_next};
use crate::error::TransportError;
use crate::types::IceCredentials;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::{DtlsCert, DtlsVersion};
use str0m::net::TcpType;
use str0m::{Candidate, IceCreds, Rtc};

/// The address str0m believes it has. The real sockets are the caller's business: only source addresses matter to
/// ICE-lite, and the candidates of our SDP are written elsewhere. Families must match, hence one for each.
pub(crate) const fn canonical_address(v4: bool) -> SocketAddr {
    if v4 {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1)
    } else {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 1)
    }
}

/// A DTLS certificate and its private key.
#[derive(Clone)]
pub struct Certificate {
    /// X.509 certificate, DER.
    pub certificate_der: Vec<u8>,
    /// Private key, DER (PKCS #8).
    pub private_key_der: Vec<u8>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("certificate_len", &self.certificate_der.len())
            .finish_non_exhaustive()
    }
}

struct Inner {
    config: TransportConfig,
    certificate: DtlsCert,
    fingerprint: String,
    crypto: Arc<CryptoProvider>,
    dtls: Configs,
}

/// One per process; clones share.
#[derive(Clone)]
pub struct TransportContext(Arc<Inner>);

fn config_error(error: impl std::fmt::Display) -> TransportError {
    TransportError::Config(error.to_string())
}

impl TransportContext {
    /// Prepares the shared state. Without a certificate a self-signed one is generated.
    ///
    /// # Errors
    /// [`TransportError::Config`] when the DTLS library refuses the limits, [`TransportError::Certificate`] when
    /// generation fails.
    pub fn new(config: TransportConfig, certificate: Option<Certificate>) -> Result<Self, TransportError> {
        let certificate = match certificate {
            Some(c) => DtlsCert { certificate: c.certificate_der, private_key: c.private_key_der },
            None => base().dtls_provider.generate_certificate().ok_or(TransportError::Certificate)?,
        };
        let dtls = Configs::new(&config)?;
        let base = base();
        let crypto = CryptoProvider {
            srtp_provider: base.srtp_provider,
            sha1_hmac_provider: base.sha1_hmac_provider,
            sha1_provider: base.sha1_provider,
            sha256_provider: base.sha256_provider,
            dtls_provider: &PROVIDER,
        };
        let mut fingerprint = "sha-256 ".to_owned();
        for (i, byte) in base.sha256_provider.sha256(&certificate.certificate).iter().enumerate() {
            let _ = write!(fingerprint, "{}{byte:02X}", if i == 0 { "" } else { ":" });
        }
        Ok(Self(Arc::new(Inner { config, certificate, fingerprint, crypto: Arc::new(crypto), dtls })))
    }

    /// `a=fingerprint` of every transport: `sha-256 AA:BB:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The limits.
    #[must_use]
    pub fn config(&self) -> &TransportConfig {
        &self.0.config
    }

    /// HMAC-SHA1 of STUN's MESSAGE-INTEGRITY.
    pub(crate) fn hmac_sha1(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        self.0.crypto.sha1_hmac_provider.sha1_hmac(key, parts)
    }

    /// A media-less ICE-lite `Rtc` and the slot its DTLS instance reports to.
    pub(crate) fn build_rtc(
        &self,
        local: &IceCredentials,
        now: Instant,
    ) -> Result<(Box<Rtc>, TeeSlot), TransportError> {
        let tee = TeeSlot::default();
        let new = NewInstance { configs: self.0.dtls.clone(), tee: tee.clone() };
        let config = &self.0.config;
        let mut rtc = with_next(new, || {
            Box::new(
                Rtc::builder()
                    .set_ice_lite(true)
                    .clear_codecs()
                    .set_dtls_version(DtlsVersion::Dtls12)
                    .set_crypto_provider(Arc::clone(&self.0.crypto))
                    .set_dtls_cert(self.0.certificate.clone())
                    .set_sctp_max_buffered_amount(config.sctp_buffer_bytes)
                    .set_sctp_max_message_size(config.max_message_bytes)
                    .set_local_ice_credentials(IceCreds {
                        ufrag: local.ufrag.clone(),
                        pass: local.pwd.clone(),
                    })
                    .build(now),
            )
        });
        for v4 in [true, false] {
            let address = canonical_address(v4);
            rtc.add_local_candidate(Candidate::host(address, "udp").map_err(config_error)?);
            rtc.add_local_candidate(
                Candidate::builder()
                    .tcp()
                    .host(address)
                    .tcptype(TcpType::Passive)
                    .build()
                    .map_err(config_error)?,
            );
        }
        rtc.direct_api().set_ice_controlling(false);
        Ok((rtc, tee))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_has_the_form_of_sdp() {
        let context = TransportContext::new(TransportConfig::default(), None).unwrap();
        let hex = context.fingerprint().strip_prefix("sha-256 ").unwrap();
        assert_eq!(hex.split(':').count(), 32);
        assert!(hex.split(':').all(|b| b.len() == 2 && u8::from_str_radix(b, 16).is_ok()));
    }

    #[test]
    fn a_given_certificate_keeps_its_fingerprint() {
        let made = base().dtls_provider.generate_certificate().unwrap();
        let certificate = || {
            Some(Certificate {
                certificate_der: made.certificate.clone(),
                private_key_der: made.private_key.clone(),
            })
        };
        let a = TransportContext::new(TransportConfig::default(), certificate()).unwrap();
        let b = TransportContext::new(TransportConfig::default(), certificate()).unwrap();
        assert_eq!(a.fingerprint(), b.fingerprint());
    }
}
