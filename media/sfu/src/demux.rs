//! Which transport a datagram belongs to.

use crate::hash::Seeded;
use crate::ids::TransportId;
use crate::path::{Path, Proto};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// An address as key: IPv4 is mapped into IPv6, so that both socket families agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AddressKey {
    ip: u128,
    port_and_proto: u32,
}

impl AddressKey {
    fn new(proto: Proto, address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let proto = match proto {
            Proto::Udp => 0,
            Proto::Tcp => 1 << 16,
            Proto::Relay => 2 << 16,
        };
        Self { ip: ip.to_bits(), port_and_proto: proto | u32::from(address.port()) }
    }
}

impl Hash for AddressKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.ip as u64);
        state.write_u64((self.ip >> 64) as u64 ^ u64::from(self.port_and_proto) << 32);
    }
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    id: TransportId,
    local: SocketAddr,
}

/// Addresses learned from authenticated checks; nothing else enters.
#[derive(Debug)]
pub(crate) struct AddressMap {
    owners: HashMap<AddressKey, Owner, Seeded>,
}

impl AddressMap {
    pub(crate) fn new(seed: u64) -> Self {
        Self { owners: HashMap::with_hasher(Seeded::new(seed)) }
    }

    /// Owner of a source address.
    pub(crate) fn get(&self, proto: Proto, remote: SocketAddr) -> Option<TransportId> {
        self.owners.get(&AddressKey::new(proto, remote)).map(|o| o.id)
    }

    /// The full path to a learned address.
    pub(crate) fn path(&self, proto: Proto, remote: SocketAddr) -> Option<Path> {
        let owner = self.owners.get(&AddressKey::new(proto, remote))?;
        Some(Path { proto, remote, local: owner.local })
    }

    /// Gives an address to a transport; the newest proof of ownership wins.
    pub(crate) fn learn(&mut self, path: Path, id: TransportId) {
        self.owners.insert(AddressKey::new(path.proto, path.remote), Owner { id, local: path.local });
    }

    /// Takes an address from a transport, if it still has it.
    pub(crate) fn forget(&mut self, proto: Proto, remote: SocketAddr, id: TransportId) {
        let key = AddressKey::new(proto, remote);
        if self.owners.get(&key).is_some_and(|o| o.id == id) {
            self.owners.remove(&key);
        }
    }

    /// Forgets the addresses of owners for which `live` is false.
    pub(crate) fn retain(&mut self, live: impl Fn(TransportId) -> bool) {
        self.owners.retain(|_, owner| live(owner.id));
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn capacity(&self) -> usize {
        self.owners.capacity()
    }

    /// Gives memory back after many transports left.
    pub(crate) fn shrink(&mut self) {
        if self.owners.capacity() > 64 + 4 * self.owners.len() {
            self.owners.shrink_to(2 * self.owners.len());
        }
    }
}

const USERNAME: u16 = 0x0006;
const STUN_HEADER: usize = 20;

/// Our ufrag in a STUN message: the part of USERNAME before the colon (RFC 8445 section 7.2.2).
pub(crate) fn local_ufrag(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message.get(STUN_HEADER..)?;
    loop {
        let (kind, after) = rest.split_first_chunk::<2>()?;
        let (len, after) = after.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let value = after.get(..len)?;
        if u16::from_be_bytes(*kind) == USERNAME {
            return value.split(|b| *b == b':').next();
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_plain_v4_are_one_address() {
        let mut m = AddressMap::new(1);
        let id = TransportId { shard: 0, slot: 1, epoch: 2 };
        let remote: SocketAddr = "192.0.2.7:5000".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:5000".parse().unwrap();
        let local: SocketAddr = "192.0.2.1:7880".parse().unwrap();
        m.learn(Path { proto: Proto::Udp, remote, local }, id);
        assert_eq!(m.get(Proto::Udp, mapped), Some(id));
        assert_eq!(m.get(Proto::Tcp, mapped), None);
        m.forget(Proto::Udp, remote, TransportId { epoch: 3, ..id });
        assert_eq!(m.len(), 1);
        m.forget(Proto::Udp, mapped, id);
        assert_eq!(m.len(), 0);
    }

    #[test]
    fn ufrag_is_the_first_half_of_username() {
        let mut message = vec![0, 1, 0, 0];
        message.extend([0; 16]);
        message.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        message.extend([0, 6, 0, 9]);
        message.extend(b"ours:them\0\0\0");
        assert_eq!(local_ufrag(&message), Some(&b"ours"[..]));
        for cut in 0..message.len() - 3 {
            assert_eq!(local_ufrag(&message[..cut]), None);
        }
    }
}
