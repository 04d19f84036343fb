//! The DTLS provider under str0m: instances from one shared configuration that copy the SRTP keys out.
//!
//! str0m keeps the exported keys to itself. Its crypto provider is pluggable, so ours hands out instances which note
//! the keying material on its way to str0m. The stock provider also builds and self-tests a fresh configuration for
//! every connection, about a millisecond each; here all share one.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};

/// What an instance saw, for the transport that owns it.
#[derive(Default)]
pub(crate) struct Tee {
    /// Exported material, profile, and whether we were the DTLS client.
    pub(crate) keying: Option<(Vec<u8>, SrtpProfile, bool)>,
    /// The peer sent close_notify.
    pub(crate) peer_closed: bool,
}

/// Shared between an instance and its transport; both live on one thread.
#[derive(Clone, Default)]
pub(crate) struct TeeSlot(Arc<Mutex<Tee>>);

impl TeeSlot {
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Tee) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What new instances are made of, handed to [`Provider`] around one `build` call.
#[derive(Clone)]
pub(crate) struct NewInstance {
    pub(crate) config: Arc<dimpl::Config>,
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
        Ok(Box::new(Instance { dtls: dimpl::Dtls::new_12(new.config, cert.clone(), now), tee: new.tee }))
    }
}

struct Instance {
    dtls: dimpl::Dtls,
    tee: TeeSlot,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.dtls.is_active();
        let output = self.dtls.poll_output(buf);
        match &output {
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
        self.dtls.send_application_data(data)
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
