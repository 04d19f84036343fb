//! Which shard a datagram belongs to.

use bedrud_sfu::TransportId;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Addresses remembered as other shards' clients.
const MAX_OWNERS: usize = 65_536;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;

/// The shard a STUN check names in the ufrag it was told, read without verifying anything.
pub(crate) fn shard_of_check(datagram: &[u8]) -> Option<u16> {
    TransportId::from_ufrag(local_ufrag(datagram)?).map(|id| id.shard)
}

/// The receiver's half of USERNAME.
fn local_ufrag(datagram: &[u8]) -> Option<&[u8]> {
    if datagram.first()? & 0xc0 != 0 || datagram.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    let mut attributes = datagram.get(20..)?;
    loop {
        let (head, rest) = attributes.split_first_chunk::<4>()?;
        let [t0, t1, l0, l1] = *head;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([t0, t1]) == USERNAME {
            let colon = value.iter().position(|b| *b == b':')?;
            return value.get(..colon);
        }
        attributes = rest.get(length.div_ceil(4) * 4..)?;
    }
}

/// Routes of the datagrams one socket receives, when several shards share the port.
#[derive(Debug)]
pub(crate) struct Router {
    shard: u16,
    shards: u16,
    /// Clients of other shards whose datagrams the kernel delivers here; learned from answered checks only.
    owners: HashMap<SocketAddr, u16>,
    /// Checks forwarded to this shard in this turn: where an answer is to be reported.
    asked: HashMap<SocketAddr, u16>,
}

impl Router {
    pub(crate) fn new(shard: u16, shards: u16) -> Self {
        Self { shard, shards, owners: HashMap::new(), asked: HashMap::new() }
    }

    /// True when there is nobody to forward to.
    pub(crate) fn is_alone(&self) -> bool {
        self.shards <= 1
    }

    /// The other shard this datagram belongs to, if it is known not to be ours.
    pub(crate) fn elsewhere(&self, source: SocketAddr, datagram: &[u8]) -> Option<u16> {
        let owner = match datagram.first()? {
            0..=3 => shard_of_check(datagram)?,
            _ => *self.owners.get(&source)?,
        };
        (owner != self.shard && owner < self.shards).then_some(owner)
    }

    /// An address authenticated with another shard, or (own number) with this one.
    pub(crate) fn learn(&mut self, remote: SocketAddr, shard: u16) {
        if shard == self.shard {
            self.owners.remove(&remote);
        } else if self.owners.len() < MAX_OWNERS || self.owners.contains_key(&remote) {
            self.owners.insert(remote, shard);
        } else if let Some(any) = self.owners.keys().next().copied() {
            self.owners.remove(&any);
            self.owners.insert(remote, shard);
        }
    }

    /// A forwarded check is about to be handled.
    pub(crate) fn asked_by(&mut self, remote: SocketAddr, shard: u16) {
        self.asked.insert(remote, shard);
    }

    /// A check of this address was answered: the shard that forwarded it, if one did.
    pub(crate) fn answered(&mut self, remote: SocketAddr) -> Option<u16> {
        self.owners.remove(&remote);
        self.asked.remove(&remote)
    }

    /// The turn is over; what was not answered was not authentic.
    pub(crate) fn end_turn(&mut self) {
        self.asked.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(ufrag: &str) -> Vec<u8> {
        let name = format!("{ufrag}:peer");
        let mut b = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        b.extend([9; 12]);
        b.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        b.extend([0, 6]);
        b.extend((name.len() as u16).to_be_bytes());
        b.extend(name.as_bytes());
        b.resize(b.len().div_ceil(4) * 4, 0);
        let length = (b.len() - 20) as u16;
        b[2..4].copy_from_slice(&length.to_be_bytes());
        b
    }

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_check_names_its_shard() {
        let id = TransportId { shard: 3, slot: 7, epoch: 1 };
        assert_eq!(shard_of_check(&check(&id.ufrag(5))), Some(3));
        assert_eq!(shard_of_check(&check("somebody else")), None);
        assert_eq!(shard_of_check(&[]), None);
    }

    #[test]
    fn only_answered_checks_move_an_address() {
        let theirs = check(&TransportId { shard: 1, slot: 7, epoch: 1 }.ufrag(5));
        let (mut here, mut there) = (Router::new(0, 2), Router::new(1, 2));
        let media = [128, 96];
        assert_eq!(here.elsewhere(client(1), &theirs), Some(1));
        assert_eq!(here.elsewhere(client(1), &media), None, "a check alone proves nothing");
        there.asked_by(client(1), 0);
        assert_eq!(there.answered(client(1)), Some(0));
        here.learn(client(1), 1);
        assert_eq!(here.elsewhere(client(1), &media), Some(1));
        there.asked_by(client(2), 0);
        there.end_turn();
        assert_eq!(there.answered(client(2)), None);
        assert_eq!(here.answered(client(1)), None);
        assert_eq!(here.elsewhere(client(1), &media), None, "it authenticated here meanwhile");
        assert_eq!(Router::new(0, 1).elsewhere(client(1), &theirs), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut router = Router::new(0, 2);
        for n in 0..(MAX_OWNERS as u32 + 100) {
            router.learn(SocketAddr::from(([10, (n >> 16) as u8, 0, 1], n as u16)), 1);
        }
        assert!(router.owners.len() <= MAX_OWNERS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_safely(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = shard_of_check(&bytes);
            let mut framed = check("abc");
            framed.extend(bytes);
            let _ = shard_of_check(&framed);
        }
    }
}
