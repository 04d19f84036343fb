//! Clients on OpenSSL, as GStreamer and FFmpeg are: with RSA certificates, and with keys that must equal ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests; the peer is another process, in real time"
)]

use bedrud_transport::{
    Certificate, CloseReason, IceCredentials, Proto, RemoteTransport, SrtpKeying, SrtpProfile, Transport,
    TransportConfig, TransportContext, TransportOutput,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use str0m::ice::{StunMessage, TransId};
use tempfile::TempDir;

/// A client's certificate on disk.
struct Identity {
    dir: TempDir,
    der: Vec<u8>,
}

impl Identity {
    fn new(key: &KeyPair) -> Self {
        let certificate = CertificateParams::default().self_signed(key).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("certificate.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { dir, der: certificate.der().to_vec() }
    }

    fn rsa(size: RsaKeySize) -> Self {
        Self::new(&KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap())
    }

    fn ecdsa() -> Self {
        Self::new(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    fn fingerprint(&self) -> String {
        let digest = str0m::crypto::from_feature_flags().sha256_provider.sha256(&self.der);
        let hex: Vec<String> = digest.iter().map(|b| format!("{b:02X}")).collect();
        format!("sha-256 {}", hex.join(":"))
    }
}

/// The OpenSSL command, which prints the keys it exports.
struct OpenSsl(Child);

impl OpenSsl {
    fn connect(port: u16, identity: &Identity, profiles: &str, more: &[&str]) -> Self {
        let file = |name: &str| identity.dir.path().join(name);
        let length = if profiles.starts_with("SRTP_AES128_CM") { "60" } else { "56" };
        let child = Command::new("openssl")
            .args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}")])
            .args(["-use_srtp", profiles, "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", length])
            .arg("-cert")
            .arg(file("certificate.pem"))
            .arg("-key")
            .arg(file("key.pem"))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        Self(child)
    }

    fn exported(&mut self) -> Vec<u8> {
        let lines = BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let hex = lines.filter_map(|l| l.trim().strip_prefix("Keying material: ").map(str::to_owned)).next();
        let hex = hex.expect("OpenSSL finished the handshake");
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What becomes of the handshake.
type Outcome = Result<SrtpKeying, CloseReason>;

/// On the way to the other side: the datagram, whether it goes to the server, and how many went that way before.
type Tamper<'a> = &'a mut dyn FnMut(&mut Vec<u8>, bool, usize) -> bool;

struct Bench {
    context: TransportContext,
    fingerprint: String,
}

impl Bench {
    fn new(identity: &Identity) -> Self {
        let context = TransportContext::new(TransportConfig::default(), None).unwrap();
        Self { context, fingerprint: identity.fingerprint() }
    }

    /// Carries datagrams between OpenSSL and a transport that has seen an authenticated check from it, unless `tamper`
    /// says to drop them.
    fn run(&self, socket: &UdpSocket, limit: Duration, tamper: Tamper<'_>) -> Option<Outcome> {
        let creds = |tag: &str| IceCredentials { ufrag: format!("ufrag{tag}"), pwd: format!("{tag:x>24}") };
        let mut server = Transport::new(&self.context, creds("server"), Instant::now()).unwrap();
        let remote = RemoteTransport {
            ice: creds("client"),
            fingerprint: self.fingerprint.clone(),
            sctp: false,
            dtls_server: false,
        };
        server.set_remote(&remote, Instant::now()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (mut peer, mut counts) = (None, [0usize; 2]);
        let end = Instant::now() + limit;
        let mut buf = [0; 2048];
        while Instant::now() < end {
            if let Ok((n, from)) = socket.recv_from(&mut buf) {
                let now = Instant::now();
                if peer.replace(from).is_none() {
                    let check = check(&creds("server").pwd);
                    server.handle_datagram(now, Proto::Udp, from, &check);
                }
                let mut datagram = buf[..n].to_vec();
                counts[0] += 1;
                if tamper(&mut datagram, true, counts[0] - 1) {
                    server.handle_datagram(now, Proto::Udp, from, &datagram);
                }
            }
            server.handle_timeout(Instant::now());
            let mut outcome = None;
            while let Some(output) = server.poll_output() {
                match output {
                    TransportOutput::Send { bytes: mut datagram, destination, .. } if datagram[0] >= 20 => {
                        counts[1] += 1;
                        if tamper(&mut datagram, false, counts[1] - 1) {
                            socket.send_to(&datagram, destination).unwrap();
                        }
                    }
                    TransportOutput::Connected { keying, .. } => outcome = Some(Ok(keying)),
                    TransportOutput::Closed { reason } => outcome = outcome.or(Some(Err(reason))),
                    _ => {}
                }
            }
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }
}

fn check(password: &str) -> Vec<u8> {
    let provider = str0m::crypto::from_feature_flags();
    let mut buf = [0; 512];
    let n = StunMessage::binding_request("ufragserver:ufragclient", TransId::new(), true, 7, 1, true)
        .to_bytes(Some(password.as_bytes()), &mut buf, |k, p| provider.sha1_hmac_provider.sha1_hmac(k, p))
        .unwrap();
    buf[..n].to_vec()
}

const PATIENCE: Duration = Duration::from_secs(20);
const CM: &str = "SRTP_AES128_CM_SHA1_80";

fn pass(_: &mut Vec<u8>, _: bool, _: usize) -> bool {
    true
}

fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn connects(identity: &Identity, profiles: &str, more: &[&str], tamper: Tamper<'_>) -> SrtpKeying {
    let (socket, port) = socket();
    let mut client = OpenSsl::connect(port, identity, profiles, more);
    let keying = Bench::new(identity).run(&socket, PATIENCE, tamper).unwrap().unwrap();
    assert_eq!(client.exported(), keying.material);
    assert!(!keying.is_client);
    keying
}

#[test]
fn rsa_and_ecdsa_certificates_connect_and_export_the_same_keys() {
    for identity in [Identity::rsa(RsaKeySize::_2048), Identity::rsa(RsaKeySize::_4096), Identity::ecdsa()] {
        let keying = connects(&identity, CM, &[], &mut pass);
        assert_eq!(keying.profile, SrtpProfile::Aes128CmSha1_80);
        let keying = connects(&identity, "SRTP_AEAD_AES_128_GCM", &[], &mut pass);
        assert_eq!(keying.profile, SrtpProfile::AeadAes128Gcm);
    }
}

#[test]
fn every_hash_of_the_request_is_accepted() {
    let identity = Identity::rsa(RsaKeySize::_2048);
    for hash in ["SHA256", "SHA384", "SHA512"] {
        let schemes = format!("ECDSA+SHA256:RSA+{hash}");
        connects(&identity, CM, &["-client_sigalgs", &schemes, "-sigalgs", &schemes], &mut pass);
    }
}

#[test]
fn lost_flights_are_repeated() {
    let identity = Identity::rsa(RsaKeySize::_2048);
    connects(&identity, CM, &[], &mut |_, to_server, n| if to_server { n > 1 } else { n > 0 });
}

#[test]
fn a_server_certificate_of_any_length_leaves_the_request_whole() {
    let identity = Identity::rsa(RsaKeySize::_2048);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    // Somewhere in this range the request comes at the end of the first datagram.
    for length in (440..500).step_by(4) {
        let names = vec!["a".repeat(60); 8];
        let mut names: Vec<String> = names.into_iter().enumerate().map(|(i, n)| format!("{n}{i}")).collect();
        names.truncate(length / 62);
        names.push("b".repeat(length % 62 + 1));
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let certificate =
            Certificate { certificate_der: certificate.der().to_vec(), private_key_der: key.serialize_der() };
        let context = TransportContext::new(TransportConfig::default(), Some(certificate)).unwrap();
        let bench = Bench { context, fingerprint: identity.fingerprint() };
        let (socket, port) = socket();
        let _client = OpenSsl::connect(port, &identity, CM, &[]);
        let mut largest = 0;
        let outcome = bench.run(&socket, PATIENCE, &mut |datagram, to_server, _| {
            largest = if to_server { largest } else { largest.max(datagram.len()) };
            true
        });
        assert!(matches!(outcome, Some(Ok(_))), "{length}: {outcome:?}");
        assert!(largest < 1200, "{length}: {largest}");
    }
}

#[test]
fn another_rsa_certificate_than_the_signalled_one_is_refused() {
    let [identity, other] = [Identity::rsa(RsaKeySize::_2048), Identity::rsa(RsaKeySize::_2048)];
    let (socket, port) = socket();
    let _client = OpenSsl::connect(port, &other, CM, &[]);
    let outcome = Bench::new(&identity).run(&socket, PATIENCE, &mut pass);
    assert_eq!(outcome, Some(Err(CloseReason::ProtocolError)));
}

/// Where a handshake message of this type begins in a datagram of plain records.
fn message(datagram: &[u8], kind: u8) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(header) = datagram.get(at..at + 13) {
        let end = at + 13 + usize::from(u16::from_be_bytes([header[11], header[12]]));
        if header[0] == 22 && header[3..5] == [0, 0] && datagram.get(at + 13) == Some(&kind) {
            return Some(at + 25..end);
        }
        at = end;
    }
    None
}

#[test]
fn a_signature_that_does_not_fit_never_connects() {
    const CERTIFICATE_VERIFY: u8 = 15;
    let identity = Identity::rsa(RsaKeySize::_2048);
    // Its scheme, its length, and its bytes.
    for at in [0, 1, 2, 3, 4, 100, 259] {
        let (socket, port) = socket();
        let _client = OpenSsl::connect(port, &identity, CM, &[]);
        let mut changed = 0;
        let outcome =
            Bench::new(&identity).run(&socket, Duration::from_secs(2), &mut |datagram, to_server, _| {
                if to_server && let Some(range) = message(datagram, CERTIFICATE_VERIFY) {
                    datagram[range.start + at] ^= 1;
                    changed += 1;
                }
                true
            });
        assert!(changed > 0);
        assert!(!matches!(outcome, Some(Ok(_))), "{at}: {outcome:?}");
    }
}

#[test]
fn a_request_changed_on_the_way_never_connects() {
    const CERTIFICATE_REQUEST: u8 = 13;
    let identity = Identity::rsa(RsaKeySize::_2048);
    let (socket, port) = socket();
    let _client = OpenSsl::connect(port, &identity, CM, &[]);
    // As the library wrote it, but for the lengths: the client's transcript is no longer ours.
    let outcome =
        Bench::new(&identity).run(&socket, Duration::from_secs(2), &mut |datagram, to_server, _| {
            if !to_server && let Some(range) = message(datagram, CERTIFICATE_REQUEST) {
                let last_scheme = range.end - 4;
                assert_eq!(datagram[last_scheme..last_scheme + 2], [6, 1]);
                datagram[last_scheme] = 2;
            }
            true
        });
    assert!(!matches!(outcome, Some(Ok(_))), "{outcome:?}");
}
