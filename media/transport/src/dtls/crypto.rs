//! The DTLS library's crypto provider for the server's part: clients may have RSA certificates.

use super::certificate_request::widened_transcript;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, SignatureAlgorithm, SignatureVerifier,
    aws_lc_rs::default_provider,
};
use dimpl::{CryptoError, CryptoOperation};
use std::sync::OnceLock;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;

/// `rsaEncryption`, RFC 8017 appendix A.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

fn stock() -> &'static CryptoProvider {
    static STOCK: OnceLock<CryptoProvider> = OnceLock::new();
    STOCK.get_or_init(default_provider)
}

/// The stock provider, but for the transcript and for RSA signatures of clients.
pub(crate) fn server_provider() -> CryptoProvider {
    CryptoProvider { hash_provider: &Hashes, signature_verification: &Signatures, ..stock().clone() }
}

#[derive(Debug)]
struct Hashes;

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(Hash(stock().hash_provider.create_hash(algorithm)))
    }
}

#[derive(Debug)]
struct Hash(Box<dyn HashContext>);

impl HashContext for Hash {
    /// The library hands over its transcript whole.
    fn update(&mut self, data: &[u8]) {
        self.0.update(&widened_transcript(data));
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.0.clone_and_finalize(out);
    }
}

#[derive(Debug)]
struct Signatures;

impl SignatureVerifier for Signatures {
    fn verify_signature(
        &self,
        certificate: &[u8],
        transcript: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let transcript = widened_transcript(transcript);
        if algorithm == SignatureAlgorithm::RSA {
            return verify_rsa(certificate, &transcript, signature, hash);
        }
        stock().signature_verification.verify_signature(certificate, &transcript, signature, hash, algorithm)
    }
}

/// RSASSA-PKCS1-v1_5, which is all that the request names: keys of 2048 bits and more.
fn verify_rsa(
    certificate: &[u8],
    data: &[u8],
    signature: &[u8],
    hash: HashAlgorithm,
) -> Result<(), CryptoError> {
    let parameters: &RsaParameters = match hash {
        HashAlgorithm::SHA256 => &RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::SHA384 => &RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::SHA512 => &RSA_PKCS1_2048_8192_SHA512,
        _ => {
            let signature = SignatureAlgorithm::RSA;
            return Err(CryptoError::UnsupportedSignaturePair { signature, hash });
        }
    };
    let certificate = Certificate::from_der(certificate).map_err(|_| CryptoError::CertificateParseFailed)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    if key.algorithm.oid != RSA_ENCRYPTION {
        return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
    }
    let key = key.subject_public_key.as_bytes().ok_or(CryptoError::InvalidSubjectPublicKey)?;
    UnparsedPublicKey::new(parameters, key)
        .verify(data, signature)
        .map_err(|_| CryptoError::OperationFailed(CryptoOperation::VerifySignature))
}
