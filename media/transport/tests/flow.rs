//! Peers that send more than is wanted, and peers that take less than is sent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pair;

use bedrud_transport::{CloseReason, DataChannel, TransportConfig, TransportOutput, charge};
use bytes::Bytes;
use pair::{Pair, address};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn connected(seed: u64, config: TransportConfig) -> Pair {
    let mut pair = Pair::with(seed, config, &[address(0)]);
    pair.describe_client();
    for channel in [DataChannel::Reliable, DataChannel::Lossy] {
        pair.server.open_channel(pair.now, channel);
    }
    assert!(pair.run_until(5 * SECOND, |p| p.client_channel("_lossy").is_some()
        && p.client_channel("_reliable").is_some()
        && p.server_opened(DataChannel::Lossy)));
    pair
}

/// Writes numbered messages until the client's SCTP takes no more.
fn write(pair: &mut Pair, label: &str, next: &mut u32, end: u32, len: usize) {
    let id = pair.client_channel(label).unwrap();
    while *next < end {
        let mut message = next.to_be_bytes().to_vec();
        message.resize(len, 9);
        if !pair.client.channel(id).unwrap().write(true, &message).unwrap() {
            return;
        }
        *next += 1;
    }
}

fn numbers(pair: &Pair) -> Vec<u32> {
    pair.server_data().iter().map(|(_, b)| u32::from_be_bytes(*b.first_chunk().unwrap())).collect()
}

/// Nobody takes what the peer sends: its own SCTP stops it, it stays connected for a minute of that, and goes on as soon
/// as somebody takes the messages.
#[test]
fn who_is_granted_nothing_stops_and_goes_on_at_once() {
    const LEN: usize = 15_000;
    let mut pair = connected(21, TransportConfig::default());
    let (mut next, mut most) = (0, 0);
    for _ in 0..600 {
        write(&mut pair, "_reliable", &mut next, 1000, LEN);
        pair.run(SECOND / 10);
        most = most.max(pair.server.stats().waiting_bytes);
    }
    let got = numbers(&pair).len();
    assert!(got <= (256 << 10) / LEN + 1, "{got} messages beyond the window");
    assert!((1 << 19..3 << 20).contains(&most), "{most} bytes wait");
    assert!(next < 250, "{next} of 1000 messages left the sender: it was not held back");
    assert_eq!(pair.server_closed(), None);
    // Everything that waits is taken.
    let before = pair.now;
    pair.server.grant(pair.now, 100 << 20);
    while numbers(&pair).len() < 1000 {
        write(&mut pair, "_reliable", &mut next, 1000, LEN);
        pair.run(SECOND / 100);
        assert!(pair.now < before + 30 * SECOND, "{} messages", numbers(&pair).len());
    }
    assert_eq!(numbers(&pair), (0..1000).collect::<Vec<_>>(), "all of it, in order");
    assert_eq!(pair.server.stats().waiting_bytes, 0);
}

/// A window that opens is told at once, not found by the peer's next probe.
#[test]
fn a_window_that_opens_is_told() {
    let mut pair = connected(22, TransportConfig::default());
    let mut next = 0;
    for _ in 0..200 {
        write(&mut pair, "_reliable", &mut next, 1000, 15_000);
        pair.run(SECOND / 10);
    }
    let held = next;
    pair.server.grant(pair.now, 100 << 20);
    for _ in 0..20 {
        write(&mut pair, "_reliable", &mut next, 1000, 15_000);
        pair.run(SECOND / 100);
    }
    assert!(next > held + 20, "only {} messages in 200 ms", next - held);
}

#[test]
fn grants_in_small_parts_move_as_much() {
    let mut pair = connected(23, TransportConfig::default());
    let (mut next, mut seen) = (0, 0);
    for _ in 0..4000 {
        write(&mut pair, "_reliable", &mut next, 500, 15_000);
        pair.run(SECOND / 100);
        let taken = numbers(&pair).len();
        if taken > seen {
            pair.server.grant(pair.now, ((taken - seen) * charge(15_000)) as u64);
            seen = taken;
        }
        if seen == 500 {
            break;
        }
    }
    assert_eq!(numbers(&pair), (0..500).collect::<Vec<_>>());
}

#[test]
fn reliable_messages_wait_for_the_rate_and_lossy_ones_do_not() {
    let config = TransportConfig { data_messages_per_second: 100, ..TransportConfig::default() };
    let mut pair = connected(24, config);
    let (mut reliable, mut lossy) = (0, 0);
    write(&mut pair, "_lossy", &mut lossy, 1000, 20);
    pair.run(SECOND);
    let got = pair.server_data().len();
    assert!((200..=310).contains(&got), "{got}: twice the rate at once");
    assert!(pair.server.stats().data.over_rate > 600);
    pair.server_outputs.clear();
    pair.run(10 * SECOND);
    write(&mut pair, "_reliable", &mut reliable, 1000, 20);
    pair.run(SECOND);
    assert!((200..=310).contains(&numbers(&pair).len()));
    // A flood of lossy messages does not starve them.
    for _ in 0..100 {
        lossy = 0;
        write(&mut pair, "_lossy", &mut lossy, 100, 20);
        pair.server.grant(pair.now, 100_000);
        pair.run(SECOND / 10);
    }
    let got = pair.server_data();
    let reliable: Vec<_> = got.iter().filter(|(c, _)| *c == DataChannel::Reliable).collect();
    assert_eq!(reliable.len(), 1000, "none is lost");
}

fn congestion(pair: &Pair) -> Vec<bool> {
    let of = |o: &TransportOutput| match o {
        TransportOutput::Congested(c) => Some(*c),
        _ => None,
    };
    pair.server_outputs.iter().filter_map(of).collect()
}

/// A receiver with 2 Mbit/s is slow, not gone: it gets everything, however long that takes.
#[test]
fn a_slow_receiver_is_congested_and_keeps_its_place() {
    let mut pair = connected(25, TransportConfig::default());
    pair.slow = Some(250_000);
    // More than it can take in the time of one that takes nothing.
    for n in 0..1000u32 {
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![n as u8; 15_000]));
    }
    pair.run(SECOND);
    assert_eq!(congestion(&pair), [true]);
    assert!(pair.run_until(180 * SECOND, |p| p.client_data().len() == 1000), "{}", pair.client_data().len());
    for (n, data) in pair.client_data().into_iter().enumerate() {
        assert_eq!((data.len(), data[0]), (15_000, n as u8));
    }
    assert_eq!((congestion(&pair), pair.server_closed()), (vec![true, false], None));
}

#[test]
fn a_receiver_that_takes_nothing_is_cut_after_half_a_minute() {
    let mut pair = connected(26, TransportConfig::default());
    pair.dead.insert(address(0));
    for _ in 0..100 {
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![0; 15_000]));
    }
    pair.run(29 * SECOND);
    assert_eq!(pair.server_closed(), None);
    pair.run(2 * SECOND);
    assert_eq!(pair.server_closed(), Some(CloseReason::SlowConsumer));
    // With less than what counts as behind it has all the time.
    let mut pair = connected(27, TransportConfig::default());
    pair.dead.insert(address(0));
    for _ in 0..50 {
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![0; 15_000]));
    }
    pair.run(50 * SECOND);
    assert_ne!(pair.server_closed(), Some(CloseReason::SlowConsumer));
    assert!(congestion(&pair).is_empty());
}

/// Messages written between two turns share datagrams.
#[test]
fn small_messages_share_datagrams() {
    let mut pair = connected(28, TransportConfig::default());
    pair.run(SECOND);
    let datagrams = |p: &mut Pair| {
        let mut count = 0;
        while let Some(output) = p.server.poll_output() {
            count += usize::from(matches!(output, TransportOutput::Send { .. }));
        }
        count
    };
    datagrams(&mut pair);
    for _ in 0..100 {
        pair.server.queue(pair.now, DataChannel::Lossy, Bytes::from_static(b"x"));
    }
    assert_eq!(datagrams(&mut pair), 0);
    pair.server.flush_data(pair.now);
    let count = datagrams(&mut pair);
    assert!((1..=4).contains(&count), "{count} datagrams for 100 messages");
}
