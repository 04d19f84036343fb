//! The floor: a copy and an AES-128-GCM seal per receiver, each with its own key; before them one open, if wanted.

use super::{PAYLOAD, Side};
use bedrud_rtp::{ExtensionMap, OutExtensions, OutHeader, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Packets sealed ahead of a timed stretch.
const AHEAD: u64 = 64;

pub(crate) struct Bare {
    /// The publisher, whose packet is opened first.
    opened: Option<(SrtpSender, SrtpReceiver)>,
    senders: Vec<SrtpSender>,
    plain: Vec<u8>,
    header_len: usize,
    ext_seq: u64,
    arena: Vec<u8>,
}

/// Key material that differs per connection.
pub(crate) fn material(connection: usize) -> Vec<u8> {
    let profile = SrtpProfile::AeadAes128Gcm;
    (0..profile.keying_material_len()).map(|i| (connection >> (8 * (i % 3))) as u8 ^ i as u8).collect()
}

impl Bare {
    pub(crate) fn new(fanout: usize) -> Self {
        let sender =
            |i| SrtpKeys::from_dtls(SrtpProfile::AeadAes128Gcm, &material(i), false).expect("keys").0;
        let header = OutHeader {
            marker: true,
            pt: 96,
            seq: 0,
            timestamp: 0,
            ssrc: 1,
            padding: false,
            extensions: OutExtensions::default(),
        };
        let mut plain = Vec::new();
        let header_len = header.write(&mut plain, &ExtensionMap::default()).header_len;
        // As long as the shard's packets with their extensions.
        plain.resize(24 + PAYLOAD, 0xa5);
        let senders = (0..fanout).map(sender).collect();
        Self { opened: None, senders, plain, header_len, ext_seq: 0, arena: Vec::new() }
    }

    /// As [`Bare::new`], with a protected packet that is opened first: what a packet costs on its whole way.
    pub(crate) fn with_open(fanout: usize) -> Self {
        let keys = |is_client| {
            SrtpKeys::from_dtls(SrtpProfile::AeadAes128Gcm, &material(0), is_client).expect("keys")
        };
        Self { opened: Some((keys(true).0, keys(false).1)), ..Self::new(fanout) }
    }

    /// The packet of a sequence number.
    fn stamp(&mut self, ext_seq: u64) {
        self.plain[2..4].copy_from_slice(&(ext_seq as u16).to_be_bytes());
    }

    /// Protected packets for the next stretch, if they are to be opened.
    fn prepare(&mut self, packets: u64) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for ext_seq in self.ext_seq + 1..=self.ext_seq + packets {
            self.stamp(ext_seq);
            if let Some((sender, _)) = &self.opened {
                let mut packet = self.plain.clone();
                sender.seal_rtp(&mut packet, 0, self.header_len, ext_seq).expect("seals");
                out.push(packet);
            }
        }
        out
    }

    fn fan_out(&mut self) {
        self.stamp(self.ext_seq);
        self.arena.clear();
        for sender in &self.senders {
            let at = self.arena.len();
            self.arena.extend_from_slice(&self.plain);
            sender.seal_rtp(&mut self.arena, at, self.header_len, self.ext_seq).expect("seals");
        }
        black_box(&self.arena);
    }
}

impl Side for Bare {
    fn name(&self) -> String {
        let open = if self.opened.is_some() { "open+" } else { "" };
        format!("{open}copy+seal N={}", self.senders.len())
    }

    fn fanout(&self) -> usize {
        self.senders.len()
    }

    fn run(&mut self, packets: u64) -> Duration {
        let (mut took, mut left) = (Duration::ZERO, packets);
        while left > 0 {
            let count = left.min(AHEAD);
            left -= count;
            let mut ready = self.prepare(count);
            let mut incoming = ready.iter_mut();
            let start = Instant::now();
            for _ in 0..count {
                self.ext_seq += 1;
                if let (Some(packet), Some((_, receiver))) = (incoming.next(), &mut self.opened) {
                    receiver.open_rtp(packet).expect("opens");
                }
                self.fan_out();
            }
            took += start.elapsed();
        }
        took
    }
}
