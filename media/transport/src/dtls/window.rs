//! The receive window that the peer's SCTP is told.
//!
//! str0m takes every message out of its SCTP as soon as it is whole, so the window there never closes. Messages that
//! wait behind it for a slow receiver are subtracted here, in the acknowledgements (SACK, RFC 9260 section 3.3.4) on
//! their way out: the peer's SCTP then stops by itself, as it does for any reader that does not read.

use crc::{CRC_32_ISCSI, Crc, Table};

const CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
const COMMON_HEADER: usize = 12;
const SACK: u8 = 3;
/// Of a chunk: type, flags, length, cumulative TSN; then comes the window.
const WINDOW_AT: usize = 8;
/// A window that opens by less than this is not worth a packet of its own (silly window, RFC 9260 section 6.2).
const WORTH_TELLING: u32 = 128 << 10;
/// SACKs longer than this are not remembered: a few gaps fit.
const MAX_REMEMBERED: usize = 512;

/// An acknowledgement that named a smaller window than SCTP's own.
#[derive(Debug)]
struct Told {
    /// The packet, with nothing but the SACK.
    packet: Vec<u8>,
    /// SCTP's own window in it.
    own: u32,
    /// What the peer was told.
    told: u32,
}

/// Bytes held back from the peer's window.
#[derive(Debug, Default)]
pub(crate) struct Window {
    held: u32,
    last: Option<Told>,
    due: bool,
}

impl Window {
    /// Sets what is held now. True when the peer should hear of a window that has opened: the next turn tells it.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        self.held = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Some(last) = &self.last else { return false };
        let now = last.own.saturating_sub(self.held);
        let opened = now.saturating_sub(last.told);
        self.due = opened >= WORTH_TELLING || opened > 0 && self.held == 0;
        self.due
    }

    /// A packet that SCTP sends. Returns what to send in its place, if the window in it is too large.
    pub(crate) fn outgoing(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        if self.held == 0 && self.last.is_none() {
            return None;
        }
        let (at, end) = find_sack(packet)?;
        // It is newer than the one remembered.
        self.last = None;
        self.due = false;
        if self.held == 0 {
            return None;
        }
        let own = read_window(packet, at)?;
        let told = own.saturating_sub(self.held);
        let mut out = packet.to_vec();
        write_window(&mut out, at, told);
        if end - at <= MAX_REMEMBERED {
            let mut alone = packet.get(..COMMON_HEADER)?.to_vec();
            alone.extend_from_slice(packet.get(at..end)?);
            self.last = Some(Told { packet: alone, own, told });
        }
        Some(out)
    }

    /// The last acknowledgement once more, with the window as it is now, when that is due.
    pub(crate) fn take_update(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        let held = self.held;
        let last = self.last.as_mut()?;
        last.told = last.own.saturating_sub(held);
        let mut packet = last.packet.clone();
        write_window(&mut packet, COMMON_HEADER, last.told);
        if held == 0 {
            self.last = None;
        }
        Some(packet)
    }
}

/// Where the first SACK of a packet begins and ends.
fn find_sack(packet: &[u8]) -> Option<(usize, usize)> {
    let mut at = COMMON_HEADER;
    loop {
        let [kind, _, hi, lo] = *packet.get(at..)?.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([hi, lo]));
        if kind == SACK {
            let end = at.checked_add(length).filter(|end| *end <= packet.len() && length >= 16)?;
            return Some((at, end));
        }
        at = at.checked_add(length.max(4).next_multiple_of(4))?;
    }
}

fn read_window(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at + WINDOW_AT..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// Writes the window of the SACK at `at`, and the packet's checksum.
fn write_window(packet: &mut [u8], at: usize, window: u32) {
    if let Some(to) = packet.get_mut(at + WINDOW_AT..at + WINDOW_AT + 4) {
        to.copy_from_slice(&window.to_be_bytes());
    }
    if let Some(sum) = packet.get_mut(8..COMMON_HEADER) {
        sum.fill(0);
    }
    let sum = CRC32C.checksum(packet);
    if let Some(to) = packet.get_mut(8..COMMON_HEADER) {
        to.copy_from_slice(&sum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sack(window: u32, before: &[u8]) -> Vec<u8> {
        let mut p = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0];
        p.extend(before);
        let at = p.len();
        p.extend([SACK, 0, 0, 16, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        write_window(&mut p, at, window);
        p
    }

    fn window_of(packet: &[u8]) -> u32 {
        let (at, _) = find_sack(packet).unwrap();
        let mut zeroed = packet.to_vec();
        zeroed[8..12].fill(0);
        assert_eq!(CRC32C.checksum(&zeroed).to_le_bytes(), packet[8..12], "checksum");
        read_window(packet, at).unwrap()
    }

    #[test]
    fn what_is_held_is_missing_from_the_window() {
        let mut w = Window::default();
        assert_eq!(w.outgoing(&sack(1 << 20, &[])), None, "nothing is held");
        assert!(!w.hold(300_000));
        let cookie_ack = [11, 0, 0, 4];
        assert_eq!(window_of(&w.outgoing(&sack(1 << 20, &cookie_ack)).unwrap()), (1 << 20) - 300_000);
        assert!(!w.hold(2 << 20));
        assert_eq!(window_of(&w.outgoing(&sack(1 << 20, &[])).unwrap()), 0);
        assert!(w.take_update().is_none());
    }

    #[test]
    fn a_window_that_opens_is_told_once() {
        let mut w = Window::default();
        w.hold(2 << 20);
        w.outgoing(&sack(1 << 20, &[]));
        assert!(!w.hold((1 << 20) - 1000), "not worth a packet");
        assert!(w.hold(800 << 10));
        assert_eq!(window_of(&w.take_update().unwrap()), 224 << 10);
        assert!(w.take_update().is_none());
        assert!(w.hold(0));
        assert_eq!(window_of(&w.take_update().unwrap()), 1 << 20);
        assert!(!w.hold(0) && w.take_update().is_none());
    }

    #[test]
    fn a_newer_acknowledgement_makes_the_update_needless() {
        let mut w = Window::default();
        w.hold(2 << 20);
        w.outgoing(&sack(1 << 20, &[]));
        assert!(w.hold(0));
        assert_eq!(w.outgoing(&sack(1 << 20, &[])), None);
        assert!(w.take_update().is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_packet_is_looked_at_safely(bytes: Vec<u8>) {
            let mut w = Window::default();
            w.hold(100);
            let _ = w.outgoing(&bytes);
            w.hold(0);
            let _ = w.take_update();
            let mut framed = sack(1000, &[]);
            framed.truncate(12);
            framed.extend(bytes);
            w.hold(100);
            let _ = w.outgoing(&framed);
        }
    }
}
