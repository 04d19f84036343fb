//! One end of SCTP as a transport has it, without the DTLS around it: the limits, then the library. For tests.
#![allow(
    clippy::expect_used,
    clippy::field_reassign_with_default,
    reason = "tests only; the rest is private"
)]

use super::{SctpGuard, SctpViolation};
use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    ServerConfig, StreamEvent, Transmit, TransportConfig,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What one packet caused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// The library got it.
    pub admitted: bool,
    /// Steps of the library's loops.
    pub work: u64,
    /// Packets and bytes sent back.
    pub sent: (usize, usize),
    /// Messages that became complete.
    pub messages: usize,
    /// Bytes and fragments held after it.
    pub held: (u32, usize),
}

/// The end of a server, established.
#[derive(Debug)]
pub struct SctpEnd {
    guard: SctpGuard,
    endpoint: Endpoint,
    association: Association,
    handle: AssociationHandle,
    /// Ports and verification tag of packets to it.
    header: [u8; 8],
    /// First TSN that the peer has not used.
    first_tsn: u32,
    lost: bool,
}

fn raw(transmit: Transmit) -> Vec<Bytes> {
    match transmit.payload {
        Payload::RawEncode(packets) => packets,
        Payload::PartialDecode(_) => vec![],
    }
}

fn peer() -> SocketAddr {
    SocketAddr::from(([1, 1, 1, 1], 5000))
}

impl SctpEnd {
    /// After a handshake with a client of the same library, which goes no further.
    ///
    /// # Panics
    /// When the handshake fails.
    #[must_use]
    pub fn established(now: Instant) -> Self {
        let transport = || {
            TransportConfig::default()
                .with_max_receive_buffer_size(1 << 20)
                .with_max_receive_message_size(256 << 10)
        };
        let mut server = ServerConfig::default();
        server.transport = Arc::new(transport());
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), Some(Arc::new(server)));
        let mut other = Endpoint::new(Arc::new(EndpointConfig::default()), None);
        let (_, mut client) = other.connect(ClientConfig::new(), peer()).expect("client");
        let mut ours: Option<(AssociationHandle, Association)> = None;
        let (mut header, mut first_tsn) = ([0; 8], 0);
        for _ in 0..8 {
            while let Some(transmit) = client.poll_transmit(now) {
                for packet in raw(transmit) {
                    header.copy_from_slice(packet.get(..8).expect("a header"));
                    if let Some(tsn) = packet.get(28..32).filter(|_| packet.get(12) == Some(&1)) {
                        first_tsn = u32::from_be_bytes(tsn.try_into().expect("four bytes"));
                    }
                    match endpoint.handle(now, peer(), None, None, packet) {
                        Some((handle, DatagramEvent::NewAssociation(a))) => ours = Some((handle, a)),
                        Some((_, DatagramEvent::AssociationEvent(e))) => {
                            if let Some((_, association)) = &mut ours {
                                association.handle_event(e);
                            }
                        }
                        None => {}
                    }
                }
            }
            let Some((_, association)) = &mut ours else { continue };
            while let Some(transmit) = association.poll_transmit(now) {
                for packet in raw(transmit) {
                    if let Some((_, DatagramEvent::AssociationEvent(e))) =
                        other.handle(now, peer(), None, None, packet)
                    {
                        client.handle_event(e);
                    }
                }
            }
        }
        let (handle, association) = ours.expect("an association");
        assert!(!association.is_handshaking());
        Self { guard: SctpGuard::default(), endpoint, association, handle, header, first_tsn, lost: false }
    }

    /// First TSN that the peer has not used.
    #[must_use]
    pub fn first_tsn(&self) -> u32 {
        self.first_tsn
    }

    /// Why the transport would end.
    #[must_use]
    pub fn violation(&self) -> Option<SctpViolation> {
        self.guard.violation()
    }

    /// The association is over.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Sends a message on a stream of ours, if the association still can.
    pub fn send(&mut self, stream: u16, message: &[u8]) {
        let ppi = sctp_proto::PayloadProtocolIdentifier::Binary;
        let _ = self.association.open_stream(stream, ppi);
        if let Ok(mut stream) = self.association.stream(stream) {
            let _ = stream.write_with_ppi(message, ppi);
        }
    }

    /// Time passes.
    pub fn timeout(&mut self, now: Instant) -> Effect {
        let before = self.association.work();
        self.association.handle_timeout(now);
        self.drain(now, before, Effect::default())
    }

    /// Takes the chunks of one packet.
    pub fn receive(&mut self, now: Instant, chunks: &[u8]) -> Effect {
        let before = self.association.work();
        let mut packet = [&self.header[..], &[0; 4], chunks].concat();
        let checksum = crc32c(&packet).to_le_bytes();
        if let Some(place) = packet.get_mut(8..12) {
            place.copy_from_slice(&checksum);
        }
        let admitted = self.guard.admits(now, &packet);
        if admitted
            && let Some((handle, DatagramEvent::AssociationEvent(event))) =
                self.endpoint.handle(now, peer(), None, None, packet.into())
            && handle == self.handle
        {
            self.association.handle_event(event);
        }
        self.drain(now, before, Effect { admitted, ..Effect::default() })
    }

    fn drain(&mut self, now: Instant, before: u64, mut effect: Effect) -> Effect {
        loop {
            while let Some(transmit) = self.association.poll_transmit(now) {
                for packet in raw(transmit) {
                    self.guard.on_sent(&packet);
                    effect.sent.0 += 1;
                    effect.sent.1 += packet.len();
                }
            }
            let Some(event) = self.association.poll() else { break };
            match event {
                Event::AssociationLost { .. } => self.lost = true,
                Event::Stream(StreamEvent::Readable { id }) => {
                    while let Ok(Some(_)) =
                        self.association.stream(id).and_then(|mut stream| stream.read_sctp())
                    {
                        effect.messages += 1;
                    }
                }
                _ => {}
            }
        }
        while self.association.poll_endpoint_event().is_some() {}
        effect.work = self.association.work() - before;
        effect.held = self.association.received_but_unread();
        effect
    }
}

/// CRC of RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 })
    })
}
