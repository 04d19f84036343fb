//! SCTP as a transport takes it out of DTLS, from a peer that sends what it likes: whatever it is, one packet causes
//! bounded work, a bounded answer and bounded storage.

use bedrud_transport::plain::{Effect, SctpEnd};
use std::time::{Duration, Instant};

/// Steps of the library for one packet: some hundred for each of its chunks, and what is in flight for each message
/// that is read.
const MAX_WORK: u64 = 300_000;

fn check(effect: &Effect) {
    assert!(effect.work <= MAX_WORK, "{effect:?}");
    assert!(effect.sent.0 <= 1100 && effect.sent.1 <= 2_000_000, "{effect:?}");
    assert!(effect.held.0 <= (2 << 20) + 2000 && effect.held.1 <= 8192 + 100, "{effect:?}");
}

/// A script: what to send, how often, a length, and as many bytes to make it of.
pub fn run(data: &[u8]) {
    let mut now = Instant::now();
    let mut end = SctpEnd::established(now);
    let mut tsn = end.first_tsn();
    let mut rest = data;
    while let [what, times, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let mut packet = Vec::new();
        for n in 0..u32::from(*times) + 1 {
            if packet.len() > 1100 || what & 0x40 != 0 && !packet.is_empty() {
                check(&end.receive(now, &packet));
                packet.clear();
            }
            packet.extend(chunk(*what, n, &mut tsn, bytes));
        }
        check(&end.receive(now, &packet));
        if what & 0x80 != 0 {
            end.send(u16::from(*times), bytes);
            now += Duration::from_millis(u64::from(*len) * 20);
            check(&end.timeout(now));
        }
        if end.is_lost() || end.violation().is_some() {
            // What comes after it has no effect at all.
            let effect = end.receive(now, &packet);
            assert!(effect.work <= MAX_WORK && effect.messages == 0, "{effect:?}");
            return;
        }
    }
}

/// The `n`th chunk of a step.
fn chunk(what: u8, n: u32, tsn: &mut u32, bytes: &[u8]) -> Vec<u8> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let (kind, flags) = match what & 0x0f {
        0..=5 => (0, byte(0)),
        6 => (3, 0),
        7 => (192, 0),
        8 => (130, 0),
        9 => (4, 0),
        10 => (1, 0),
        11 => (10, 0),
        12 => (194, byte(0)),
        _ => (byte(0), byte(1)),
    };
    let mut value = Vec::new();
    if kind == 0 {
        // In order, in order with holes, backwards, or all over.
        let number = match what & 3 {
            0 => *tsn,
            1 => tsn.wrapping_add(n),
            2 => tsn.wrapping_add(5000).wrapping_sub(n),
            _ => tsn.wrapping_add(n.wrapping_mul(2_654_435_761) >> 20),
        };
        *tsn = tsn.wrapping_add(u32::from(what & 3 < 2));
        let stream = if what & 0x10 == 0 { u16::from(byte(1) & 7) } else { (n % 2000) as u16 };
        let ssn = u16::from(byte(2)).wrapping_add(if what & 0x20 == 0 { 0 } else { n as u16 });
        value.extend(number.to_be_bytes());
        value.extend(stream.to_be_bytes());
        value.extend(ssn.to_be_bytes());
        value.extend([50u32, 51, 53, 56, 57, 0][usize::from(byte(3)) % 6].to_be_bytes());
        value.extend(bytes.get(4..).unwrap_or_default());
    } else if matches!(kind, 3 | 192 | 194) {
        value.extend(tsn.wrapping_add(n).wrapping_sub(u32::from(byte(0))).to_be_bytes());
        value.extend(bytes.get(1..).unwrap_or_default());
    } else {
        value.extend(bytes);
    }
    let mut chunk = vec![kind, flags];
    chunk.extend(((value.len() + 4) as u16).to_be_bytes());
    chunk.extend(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}
