//! A client whose SCTP packets the test writes itself, inside the DTLS of its `Rtc`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test bench; each test binary uses its part"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};
use str0m::crypto::{CryptoError, CryptoProvider};

#[derive(Debug, Default)]
struct State {
    /// The `Rtc` no longer takes part in SCTP.
    taken_over: bool,
    to_send: VecDeque<Vec<u8>>,
    received: Vec<Vec<u8>>,
    ports: [u8; 4],
    tag: u32,
    initial_tsn: u32,
    next_tsn: u32,
}

/// The attacker's end.
#[derive(Debug, Clone, Default)]
pub struct Raw(Arc<Mutex<State>>);

thread_local! {
    static CURRENT: std::cell::RefCell<Raw> = std::cell::RefCell::default();
}

#[derive(Debug)]
struct Provider;

static PROVIDER: Provider = Provider;

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = str0m::crypto::from_feature_flags().dtls_provider.new_dtls(cert, now, version, mtu)?;
        Ok(Box::new(Instance { inner, raw: CURRENT.with(|c| c.borrow().clone()) }))
    }
}

#[derive(Debug)]
struct Instance {
    inner: Box<dyn DtlsInstance>,
    raw: Raw,
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        // One at a time: the library's queue is short.
        let packet = self.raw.0.lock().unwrap().to_send.pop_front();
        if let Some(packet) = packet {
            self.inner.send_application_data(&packet).unwrap();
        }
        let output = self.inner.poll_output(buf);
        if let DtlsOutput::ApplicationData(packet) = &output {
            let mut state = self.raw.0.lock().unwrap();
            if state.taken_over {
                state.received.push(packet.to_vec());
                return DtlsOutput::ApplicationData(&[]);
            }
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.inner.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        let mut state = self.raw.0.lock().unwrap();
        if state.taken_over {
            return Ok(data.len());
        }
        state.learn(data);
        drop(state);
        self.inner.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// Chunks of a packet: type and the whole chunk.
pub fn chunks(packet: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut all, mut rest) = (vec![], &packet[12..]);
    while rest.len() >= 4 {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        all.push((rest[0], &rest[..len]));
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

impl State {
    fn learn(&mut self, packet: &[u8]) {
        self.ports.copy_from_slice(&packet[..4]);
        self.tag = be32(&packet[4..8]);
        for (kind, chunk) in chunks(packet) {
            match kind {
                0 => self.next_tsn = be32(&chunk[4..8]).wrapping_add(1),
                1 => {
                    self.initial_tsn = be32(&chunk[16..20]);
                    self.next_tsn = self.initial_tsn;
                }
                _ => {}
            }
        }
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: std::sync::LazyLock<[u32; 256]> = std::sync::LazyLock::new(|| {
        std::array::from_fn(|i| {
            (0..8).fold(
                u32::try_from(i).unwrap(),
                |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 },
            )
        })
    });
    !bytes.iter().fold(!0, |crc: u32, b| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ b)])
}

/// A chunk with its padding.
pub fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    bytes.extend(u16::try_from(4 + value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A DATA chunk; `flags` are U = 4, B = 2, E = 1.
pub fn data(flags: u8, tsn: u32, stream: u16, ssn: u16, protocol: u32, user_data: &[u8]) -> Vec<u8> {
    let mut value = tsn.to_be_bytes().to_vec();
    value.extend(stream.to_be_bytes());
    value.extend(ssn.to_be_bytes());
    value.extend(protocol.to_be_bytes());
    value.extend(user_data);
    chunk(0, flags, &value)
}

impl Raw {
    /// The crypto of an `Rtc` built right after this on the same thread.
    pub fn provider(&self) -> CryptoProvider {
        CURRENT.with(|c| *c.borrow_mut() = self.clone());
        CryptoProvider { dtls_provider: &PROVIDER, ..str0m::crypto::from_feature_flags() }
    }

    /// From now on only the test speaks SCTP.
    pub fn take_over(&self) {
        self.0.lock().unwrap().taken_over = true;
    }

    pub fn next_tsn(&self) -> u32 {
        self.0.lock().unwrap().next_tsn
    }

    pub fn initial_tsn(&self) -> u32 {
        self.0.lock().unwrap().initial_tsn
    }

    /// SCTP packets that arrived since the last call.
    pub fn received(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap().received)
    }

    /// Queues a packet; it leaves when the `Rtc` is polled next. Returns its size.
    pub fn send(&self, chunks: &[Vec<u8>]) -> usize {
        let mut state = self.0.lock().unwrap();
        let is_init = chunks.first().is_some_and(|c| c[0] == 1);
        let tag = if is_init { 0 } else { state.tag };
        let mut packet = [&state.ports[..], &tag.to_be_bytes(), &[0; 4], &chunks.concat()].concat();
        let crc = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&crc);
        let len = packet.len();
        state.to_send.push_back(packet);
        len
    }
}
