//! The DTLS provider under str0m: instances from one shared configuration that copy the SRTP keys out.
//!
//! str0m keeps the exported keys to itself. Its crypto provider is pluggable, so ours hands out instances which note
//! the keying material on its way to str0m. The stock provider also builds and self-tests a fresh configuration for
//! every connection, about a millisecond each; here all share one.

mod certificate_request;
mod crypto;
mod sctp;
mod window;

#[cfg(feature = "test-util")]
pub use sctp::plain;
pub use sctp::{SctpStats, SctpViolation};

use crate::config::TransportConfig;
use crate::error::TransportError;
use certificate_request::Widener;
use sctp::SctpGuard;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};
use window::Window;

/// What an instance saw, for the transport that owns it.
#[derive(Default)]
pub(crate) struct Tee {
    /// Exported material, profile, and whether we were the DTLS client.
    pub(crate) keying: Option<(Vec<u8>, SrtpProfile, bool)>,
    /// The peer sent close_notify.
    pub(crate) peer_closed: bool,
    /// The time of the turn that brings the packets.
    pub(crate) now: Option<Instant>,
    /// What the peer sends inside.
    pub(crate) sctp: SctpGuard,
    /// What is missing from the peer's receive window.
    pub(crate) window: Window,
}

/// Shared between an instance and its transport; both live on one thread.
#[derive(Clone, Default)]
pub(crate) struct TeeSlot(Arc<Mutex<Tee>>);

impl TeeSlot {
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Tee) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Largest DTLS datagram the library sends. One with our addition to its CertificateRequest has a few bytes more,
/// and still fits what str0m expects.
const DTLS_MTU: usize = 1150;
/// Enough for any datagram or certificate of a handshake; str0m's own buffer has this size.
const HANDSHAKE_BUFFER: usize = 2000;

/// Configurations of the two parts an instance may take.
#[derive(Clone)]
pub(crate) struct Configs {
    server: Arc<dimpl::Config>,
    client: Arc<dimpl::Config>,
}

impl Configs {
    pub(crate) fn new(limits: &TransportConfig) -> Result<Self, TransportError> {
        let of = |provider: Option<dimpl::crypto::CryptoProvider>| {
            let mut builder = dimpl::Config::builder()
                // ICE proves the return path before DTLS may speak.
                .use_server_cookie(false)
                .mtu(DTLS_MTU)
                .flight_start_rto(limits.dtls_start_rto)
                .flight_retries(limits.dtls_retries);
            if let Some(provider) = provider {
                builder = builder.with_crypto_provider(provider);
            }
            builder.build().map(Arc::new).map_err(|e| TransportError::Config(e.to_string()))
        };
        Ok(Self { server: of(Some(crypto::server_provider()))?, client: of(None)? })
    }
}

/// What new instances are made of, handed to [`Provider`] around one `build` call.
#[derive(Clone)]
pub(crate) struct NewInstance {
    pub(crate) configs: Configs,
    pub(crate) tee: TeeSlot,
}

thread_local! {
    static NEXT: RefCell<Option<NewInstance>> = const { RefCell::new(None) };
}

/// Runs `build` so that the DTLS instance it creates is made from `new`.
pub(crate) fn with_next<R>(new: NewInstance, build: impl FnOnce() -> R) -> R {
    NEXT.with(|n| *n.borrow_mut() = Some(new));
    let result = build();
    NEXT.with(|n| n.borrow_mut().take());
    result
}

/// The provider itself keeps no state: str0m wants it `'static`.
#[derive(Debug)]
pub(crate) struct Provider;

pub(crate) static PROVIDER: Provider = Provider;

/// str0m's own provider, for everything that is not a DTLS instance.
pub(crate) fn base() -> &'static str0m::crypto::CryptoProvider {
    static BASE: OnceLock<str0m::crypto::CryptoProvider> = OnceLock::new();
    BASE.get_or_init(str0m::crypto::from_feature_flags)
}

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        base().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let Some(new) = NEXT.with(|n| n.borrow_mut().take()) else {
            return Err(CryptoError::Other("DTLS instance outside a transport".to_owned()));
        };
        // DTLS 1.2 on purpose: the 1.3 server takes the client's first SRTP profile, AES-CM with Chromium.
        let dtls = dimpl::Dtls::new_12(new.configs.server, cert.clone(), now);
        let as_client = Some((new.configs.client, cert.clone(), now));
        Ok(Box::new(Instance { dtls, as_client, handshake: None, tee: new.tee }))
    }
}

struct Instance {
    dtls: dimpl::Dtls,
    /// What to begin anew with if the client takes the server's part.
    as_client: Option<(Arc<dimpl::Config>, DtlsCert, Instant)>,
    /// While we are the server of a handshake.
    handshake: Option<Widener>,
    tee: TeeSlot,
}

impl Instance {
    /// As [`dimpl::Dtls::poll_output`], with the CertificateRequest widened.
    fn poll_handshake<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let mut own = [0; HANDSHAKE_BUFFER];
        let needed = loop {
            let (packet, bytes) = match self.dtls.poll_output(&mut own) {
                DtlsOutput::Packet(bytes) => (true, bytes),
                DtlsOutput::PeerCert(bytes) => (false, bytes),
                DtlsOutput::ApplicationData(bytes) => match buf.get_mut(..bytes.len()) {
                    Some(to) => {
                        to.copy_from_slice(bytes);
                        return DtlsOutput::ApplicationData(to);
                    }
                    None => break bytes.len(),
                },
                DtlsOutput::Connected => {
                    self.handshake = None;
                    return DtlsOutput::Connected;
                }
                DtlsOutput::Timeout(at) => return DtlsOutput::Timeout(at),
                DtlsOutput::KeyingMaterial(material, profile) => {
                    return DtlsOutput::KeyingMaterial(material, profile);
                }
                DtlsOutput::CloseNotify => return DtlsOutput::CloseNotify,
                DtlsOutput::BufferTooSmall { needed } => break needed,
                // An output that a later version may add, which str0m refuses as it does this one.
                _ => break 0,
            };
            let widened = match &mut self.handshake {
                Some(widener) if packet => widener.datagram(bytes),
                _ => None,
            };
            let bytes = widened.as_deref().unwrap_or(bytes);
            if bytes.is_empty() {
                continue;
            }
            match buf.get_mut(..bytes.len()) {
                Some(to) => {
                    to.copy_from_slice(bytes);
                    return if packet { DtlsOutput::Packet(to) } else { DtlsOutput::PeerCert(to) };
                }
                None => break bytes.len(),
            }
        };
        DtlsOutput::BufferTooSmall { needed }
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        if let Some((config, certificate, now)) = self.as_client.take()
            && active
        {
            self.dtls = dimpl::Dtls::new_12(config, certificate, now);
        }
        self.handshake = (!active).then(Widener::default);
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.dtls.is_active();
        if let Some(update) = self.tee.with(|t| t.window.take_update()) {
            // Lost like any other datagram: the peer probes a closed window.
            let _ = self.dtls.send_application_data(&update);
        }
        let output = match &self.handshake {
            Some(_) => self.poll_handshake(buf),
            None => self.dtls.poll_output(buf),
        };
        match &output {
            DtlsOutput::ApplicationData(packet) => {
                let admitted = self.tee.with(|t| t.now.is_some_and(|now| t.sctp.admits(now, packet)));
                if !admitted {
                    // A packet that SCTP does not look at.
                    return DtlsOutput::ApplicationData(&[]);
                }
            }
            DtlsOutput::KeyingMaterial(material, profile) => {
                self.tee.with(|t| t.keying = Some((material.to_vec(), *profile, active)));
            }
            DtlsOutput::CloseNotify => self.tee.with(|t| t.peer_closed = true),
            _ => {}
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.tee.with(|t| t.sctp.on_sent(data));
        match self.tee.with(|t| t.window.outgoing(data)) {
            // Of the same length, so what str0m is told about it is true.
            Some(changed) => self.dtls.send_application_data(&changed),
            None => self.dtls.send_application_data(data),
        }
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}
