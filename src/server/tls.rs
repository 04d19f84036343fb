//! Certificates for the main port: given as files, or self-signed and kept in the data folder.

use super::data_dir::{read_optional, write_private};
use crate::config::secrecy::is_open_to_all;
use crate::config::{CertAlgorithm, Config};
use anyhow::{Context as _, bail};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Days a self-signed certificate is valid. Apple's systems refuse longer ones even when trusted by hand.
const SELF_SIGNED_DAYS: i64 = 820;
/// A self-signed certificate with fewer days left is replaced at start.
const RENEW_DAYS: i64 = 30;
/// How often the files are looked at for a renewal.
const RELOAD_INTERVAL: Duration = Duration::from_secs(30);

/// Where the certificate in use lies.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// Chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Made by Bedrud itself.
    pub self_signed: bool,
}

/// The certificate files of a configuration, making a self-signed pair when none is given.
///
/// # Errors
/// Files that cannot be written.
pub fn files(config: &Config, data_dir: &Path, unix_now: i64) -> anyhow::Result<CertificateFiles> {
    if !config.server.cert_file.as_os_str().is_empty() {
        return Ok(CertificateFiles {
            cert: config.server.cert_file.clone(),
            key: config.server.key_file.clone(),
            self_signed: false,
        });
    }
    let dir = data_dir.join("tls");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let files = CertificateFiles { cert: dir.join("cert.pem"), key: dir.join("key.pem"), self_signed: true };
    let names = names(config);
    // What the pair was made for, so that a changed name or an old certificate leads to a new one.
    let note_path = dir.join("made-for.json");
    let wanted = serde_json::json!({ "names": names, "algorithm": config.server.cert_algorithm.as_str() });
    let fresh = read_optional(&note_path)?
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|note| {
            note["for"] == wanted && note["expires"].as_i64().unwrap_or(0) > unix_now + RENEW_DAYS * 86_400
        });
    if !fresh || !files.cert.exists() || !files.key.exists() {
        let expires = unix_now + SELF_SIGNED_DAYS * 86_400;
        let (cert, key) = self_signed(&names, config.server.cert_algorithm, unix_now, expires)?;
        write_private(&files.key, key.as_bytes())?;
        write_private(&files.cert, cert.as_bytes())?;
        let note = serde_json::json!({ "for": wanted, "expires": expires });
        write_private(&note_path, note.to_string().as_bytes())?;
    }
    Ok(files)
}

/// Names and addresses under which this server is reached, as far as the configuration tells.
fn names(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    let known = [config.server.domain.as_str(), config.server.host.trim_matches(['[', ']'])];
    for name in known.into_iter().chain(config.livekit.node_ip.iter().map(String::as_str)) {
        let unspecified = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !name.is_empty() && !unspecified {
            names.push(name.to_owned());
        }
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.dedup();
    names
}

fn self_signed(
    names: &[String],
    algorithm: CertAlgorithm,
    unix_now: i64,
    expires: i64,
) -> anyhow::Result<(String, String)> {
    let key = match algorithm {
        CertAlgorithm::Ecdsa256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?,
        CertAlgorithm::Ed25519 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?,
        CertAlgorithm::Rsa2048 => {
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?
        }
        CertAlgorithm::Rsa4096 => {
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096)?
        }
    };
    let mut params = rcgen::CertificateParams::new(names.to_vec())
        .context("server.domain, server.host and livekit.nodeIP must be host names or addresses")?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(rcgen::DnType::OrganizationName, "Bedrud Open Source");
    if let Some(name) = names.first() {
        subject.push(rcgen::DnType::CommonName, name.as_str());
    }
    params.distinguished_name = subject;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let date = |unix: i64| {
        let day = chrono::DateTime::from_timestamp(unix, 0).unwrap_or_default().date_naive();
        use chrono::Datelike as _;
        rcgen::date_time_ymd(day.year(), day.month() as u8, day.day() as u8)
    };
    params.not_before = date(unix_now);
    params.not_after = date(expires);
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// Reads a pair and checks that both halves belong together.
///
/// # Errors
/// Missing or unreadable files, no certificate, no key, a key of another certificate.
fn read_pair(files: &CertificateFiles) -> anyhow::Result<CertifiedKey> {
    let cert_failed = || format!("cannot read the certificate {} (server.certFile)", files.cert.display());
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(cert_failed)?;
    if chain.is_empty() {
        bail!("{} holds no certificate in PEM form (server.certFile)", files.cert.display());
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the private key {} (server.keyFile)", files.key.display()))?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .with_context(|| format!("{} holds a kind of key that TLS cannot use", files.key.display()))?;
    if is_open_to_all(&files.key).unwrap_or(false) {
        bail!("{0} is open to everybody on this machine (server.keyFile; chmod o= {0})", files.key.display());
    }
    let pair = CertifiedKey::new(chain, key);
    pair.keys_match()
        .with_context(|| format!("{} is not the key of {}", files.key.display(), files.cert.display()))?;
    Ok(pair)
}

/// A TLS configuration that follows the files when they are renewed.
///
/// # Errors
/// As [`read_pair`].
pub fn server_config(files: CertificateFiles) -> anyhow::Result<(Arc<ServerConfig>, Arc<Certificates>)> {
    let pair = Arc::new(read_pair(&files)?);
    let modified = modified(&files);
    let state = Mutex::new(Current { pair, modified, looked: now() });
    let certificates = Arc::new(Certificates { files, state });
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), certificates))
}

#[derive(Debug)]
struct Current {
    pair: Arc<CertifiedKey>,
    modified: Option<SystemTime>,
    looked: Instant,
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    state: Mutex<Current>,
}

impl Certificates {
    /// Reads the files again, changed or not.
    ///
    /// # Errors
    /// As at the start; the old pair stays in use then.
    pub fn reload(&self) -> anyhow::Result<()> {
        let modified = modified(&self.files);
        let pair = Arc::new(read_pair(&self.files)?);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.pair, state.modified, state.looked) = (pair, modified, now());
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut state = self.state.lock().ok()?;
        if now().duration_since(state.looked) >= RELOAD_INTERVAL {
            state.looked = now();
            let modified = modified(&self.files);
            if modified != state.modified {
                match read_pair(&self.files) {
                    Ok(pair) => {
                        state.pair = Arc::new(pair);
                        state.modified = modified;
                        tracing::info!(file = %self.files.cert.display(), "certificate renewed");
                    }
                    // Perhaps only half written: the old pair stays and the next look tries again.
                    Err(error) => tracing::warn!("keeping the old certificate: {error:#}"),
                }
            }
        }
        Some(Arc::clone(&state.pair))
    }
}

fn modified(files: &CertificateFiles) -> Option<SystemTime> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    time(&files.cert).max(time(&files.key))
}

#[allow(clippy::disallowed_methods, reason = "the listener is the edge")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: i64 = 1_800_000_000;

    fn config(domain: &str) -> Config {
        let mut config = Config::default();
        config.server.enable_tls = true;
        config.server.domain = domain.into();
        config
    }

    #[test]
    fn self_signed_pair_is_usable_kept_and_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let read = |f: &CertificateFiles| std::fs::read_to_string(&f.cert).unwrap();
        let files_at = |domain: &str, at: i64| files(&config(domain), dir.path(), at).unwrap();
        let first = files_at("meet.example.org", NOW);
        server_config(first.clone()).unwrap();
        let cert = read(&first);
        assert_eq!(read(&files_at("meet.example.org", NOW + 86_400)), cert);
        let other = read(&files_at("other.example.org", NOW));
        assert_ne!(other, cert);
        assert_ne!(read(&files_at("other.example.org", NOW + 800 * 86_400)), other);
    }

    #[test]
    fn foreign_or_missing_keys_are_refused_with_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(&config("a.example.org"), dir.path(), NOW).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        files.key = dir.path().join("other.pem");
        let error = format!("{:#}", server_config(files.clone()).unwrap_err());
        assert!(error.contains("other.pem") && error.contains("server.keyFile"), "{error}");
        std::fs::write(&files.key, other.serialize_pem()).unwrap();
        let rights = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&files.key, rights(0o644)).unwrap();
        let error = format!("{:#}", server_config(files.clone()).unwrap_err());
        assert!(error.contains("chmod o= ") && error.contains("server.keyFile"), "{error}");
        std::fs::set_permissions(&files.key, rights(0o600)).unwrap();
        let error = format!("{:#}", server_config(files).unwrap_err());
        assert!(error.contains("is not the key of"), "{error}");
    }
}
