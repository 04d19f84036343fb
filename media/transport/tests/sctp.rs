//! What a peer can do to us with SCTP inside its own DTLS, at 2 Mbit/s.
//!
//! Each attack runs for some seconds of virtual time. Its processor time is compared with the time itself, with a wide
//! margin: before there were limits most of these took several times the time of the attack and grew with it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, with figures")]

mod pair;

use bedrud_transport::{CloseReason, DataChannel, SctpViolation};
use bytes::Bytes;
use pair::Pair;
use pair::raw::{Raw, chunk, chunks, data};
use std::time::Duration;

/// Bytes of SCTP in a hundredth of a second at 2 Mbit/s.
const BYTES_PER_STEP: usize = 2_500;
const STEP: Duration = Duration::from_millis(10);
/// SCTP, DTLS, UDP and IP around the chunks of a packet.
const OVERHEAD: usize = 12 + 37 + 28;
const BINARY: u32 = 53;

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

struct Outcome {
    ended: Option<CloseReason>,
    load: f64,
    accepted: u64,
}

/// Sends what `attack` makes, a packet each call, for `seconds` or until the transport ends.
fn run(name: &str, seconds: u64, mut attack: impl FnMut(&Raw) -> Vec<Vec<u8>>) -> Outcome {
    let (mut pair, raw) = Pair::with_raw_client(1);
    let mut budget = 0;
    let (from, started) = (cpu_time(), pair.now);
    for _ in 0..seconds * 100 {
        budget += BYTES_PER_STEP;
        while budget > 0 {
            let packet = attack(&raw);
            raw.send(&packet);
            budget = budget.saturating_sub(packet.concat().len() + OVERHEAD);
        }
        pair.flush_raw();
        pair.run(STEP.saturating_sub(pair::LATENCY));
        raw.received();
        if pair.server_closed().is_some() {
            break;
        }
    }
    let cpu = (cpu_time() - from).as_secs_f64();
    let seconds = (pair.now - started).as_secs_f64();
    let stats = pair.server.stats().sctp;
    let accepted = stats.accepted;
    let outcome = Outcome { ended: pair.server_closed(), load: cpu / seconds.max(1.0), accepted };
    println!(
        "{name}: {:?} after {seconds:.2} s, {cpu:.3} s of processor time, load {:.3}, {stats:?}",
        outcome.ended, outcome.load
    );
    outcome
}

/// Twenty per cent of a core in an optimised build; this one is not, and its client and wire take their part.
const LOAD_LIMIT: f64 = 0.6;

fn holds(name: &str, seconds: u64, attack: impl FnMut(&Raw) -> Vec<Vec<u8>>) -> Outcome {
    let outcome = run(name, seconds, attack);
    assert!(outcome.load < LOAD_LIMIT, "{name}: {}", outcome.load);
    outcome
}

fn ends(name: &str, violation: SctpViolation, attack: impl FnMut(&Raw) -> Vec<Vec<u8>>) {
    let outcome = holds(name, 10, attack);
    assert_eq!(outcome.ended, Some(CloseReason::Sctp(violation)), "{name}");
}

/// Counts TSNs from the first that is free.
fn tsns(raw: &Raw, n: &mut Option<u32>) -> u32 {
    let tsn = n.unwrap_or_else(|| raw.next_tsn());
    *n = Some(tsn.wrapping_add(1));
    tsn
}

#[test]
fn sixty_thousand_streams_end_the_transport() {
    let (mut next, mut stream) = (None, 100u16);
    ends("streams", SctpViolation::TooManyStreams, |raw| {
        (0..55)
            .map(|_| {
                stream = stream.wrapping_add(1);
                data(2, tsns(raw, &mut next), stream, 0, BINARY, b"x")
            })
            .collect()
    });
    // The ids that we announce are as many as nobody needs.
    let (mut next, mut stream) = (None, 0u16);
    ends("streams among those announced", SctpViolation::TooManyStreams, |raw| {
        stream += 1;
        vec![data(2, tsns(raw, &mut next), 6 + stream % 1000, 0, BINARY, b"x")]
    });
}

#[test]
fn unfinished_messages_fill_the_buffer_and_end_the_transport() {
    for (name, flags) in [("ordered", 0), ("unordered", 4)] {
        let mut next = None;
        let mut first = true;
        ends(&format!("fragments, {name}"), SctpViolation::ReceiveBuffer, |raw| {
            (0..55)
                .map(|_| {
                    let begin = if std::mem::take(&mut first) { 2 } else { 0 };
                    data(flags | begin, tsns(raw, &mut next), 0, 7, BINARY, b"x")
                })
                .collect()
        });
    }
    let (mut next, mut ssn) = (None, 0u16);
    ends("messages without an end", SctpViolation::ReceiveBuffer, |raw| {
        (0..55)
            .map(|_| {
                ssn += 1;
                data(2, tsns(raw, &mut next), 0, ssn.wrapping_mul(7919), BINARY, b"x")
            })
            .collect()
    });
}

/// TSNs that leave holes, which never fill: each packet has its SACK with as many blocks as a packet holds.
#[test]
fn holes_cost_no_more_than_their_packets() {
    for (name, per_packet, flags) in [("one a packet", 1, 4 | 3), ("bundled", 55, 3), ("fragments", 55, 4)] {
        let mut n = 0u32;
        holds(name, 10, |raw| {
            let base = raw.next_tsn();
            (0..per_packet)
                .map(|_| {
                    n += 1;
                    // Backwards, so that every chunk is put before all others.
                    let at = 8_000 - n % 8_000;
                    data(flags, base.wrapping_add(1 + 2 * at), 0, 1, BINARY, b"x")
                })
                .collect()
        });
    }
}

#[test]
fn complete_tiny_messages_cost_no_more_than_their_number() {
    for (name, protocol) in [("binary", BINARY), ("empty", 57), ("of an unknown protocol", 99)] {
        let (mut next, mut ssn) = (None, 0u16);
        holds(name, 5, |raw| {
            (0..55)
                .map(|_| {
                    ssn = ssn.wrapping_add(1);
                    data(4 | 3, tsns(raw, &mut next), 0, ssn, protocol, b"x")
                })
                .collect()
        });
    }
}

#[test]
fn forward_tsns_with_long_lists() {
    let (mut tsn, mut n, mut setup) = (0, 0u16, 0);
    let outcome = holds("FORWARD TSN", 10, |raw| {
        // Messages behind a hole, far ahead of what is skipped.
        if setup < 60 {
            setup += 1;
            let base = raw.next_tsn().wrapping_add(9_000 + setup * 50);
            return (0..50).map(|i| data(3, base + i, 0, 20_000, BINARY, b"x")).collect();
        }
        tsn += 1;
        let mut value = raw.next_tsn().wrapping_add(tsn).to_be_bytes().to_vec();
        for _ in 0..280 {
            n = n.wrapping_add(1);
            value.extend([0, 0]);
            value.extend(n.to_be_bytes());
        }
        vec![chunk(192, 0, &value)]
    });
    assert!(outcome.accepted > 500, "the lists were taken");
}

fn reset(rsn: u32, last_tsn: u32, streams: &[u16]) -> Vec<u8> {
    let mut value = 13u16.to_be_bytes().to_vec();
    value.extend(u16::try_from(16 + 2 * streams.len()).unwrap().to_be_bytes());
    value.extend(rsn.to_be_bytes());
    value.extend([0; 4]);
    value.extend(last_tsn.to_be_bytes());
    value.extend(streams.iter().flat_map(|s| s.to_be_bytes()));
    chunk(130, 0, &value)
}

#[test]
fn resets_without_end() {
    // Each names a stream whose unfinished message keeps it from being finished.
    let mut n = 0u32;
    let outcome = holds("resets", 10, |raw| {
        let last = raw.next_tsn();
        n += 1;
        if n == 1 {
            return vec![data(2, last, 0, 9, BINARY, b"x")];
        }
        vec![reset(raw.initial_tsn().wrapping_add(n - 2), last, &[0])]
    });
    assert!(matches!(outcome.ended, Some(CloseReason::Sctp(_))));
    // A reset that waits for a TSN that never comes, and DATA behind it.
    let (mut begun, mut n) = (false, 0);
    holds("DATA behind a reset", 10, |raw| {
        let next = raw.next_tsn();
        if !std::mem::replace(&mut begun, true) {
            return vec![reset(raw.initial_tsn(), next.wrapping_add(1), &[])];
        }
        (0..55)
            .map(|_| {
                n += 1;
                data(4, next.wrapping_add(2 + n % 10_000), 0, 9, BINARY, b"x")
            })
            .collect()
    });
}

#[test]
fn control_chunks_in_floods_end_the_transport() {
    let mut tag = 0u32;
    let init = |tag: u32| {
        let mut value = tag.to_be_bytes().to_vec();
        value.extend([0, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9]);
        vec![chunk(1, 0, &value)]
    };
    ends("INIT", SctpViolation::TooManyChunks, |_| {
        tag += 1;
        init(tag)
    });
    ends("HEARTBEAT", SctpViolation::TooManyChunks, |_| vec![chunk(4, 0, &[0, 1, 0, 8, 1, 2, 3, 4])]);
    ends("HEARTBEATs", SctpViolation::TooManyChunks, |_| vec![chunk(4, 0, &[0, 1, 0, 4]); 140]);
    ends("COOKIE ECHO", SctpViolation::TooManyChunks, |_| vec![chunk(10, 0, &[7; 32])]);
}

#[test]
fn data_without_user_data_is_a_violation() {
    let mut next = None;
    ends("no user data", SctpViolation::Protocol, |raw| {
        vec![data(0, tsns(raw, &mut next), 0, 7, BINARY, b"")]
    });
}

/// Acknowledgements whose blocks name the same chunks again and again.
#[test]
fn overlapping_gap_blocks_are_walked_once() {
    let (mut pair, raw) = Pair::with_raw_client(2);
    for _ in 0..4_000 {
        pair.server.send(pair.now, DataChannel::Lossy, Bytes::from_static(b"tiny"));
    }
    pair.run(Duration::from_millis(20));
    let sent: Vec<u32> = raw
        .received()
        .iter()
        .flat_map(|p| {
            chunks(p)
                .into_iter()
                .filter(|(kind, _)| *kind == 0)
                .map(|(_, c)| c[4..8].to_vec())
                .collect::<Vec<_>>()
        })
        .map(|tsn| u32::from_be_bytes(tsn.try_into().unwrap()))
        .collect();
    assert!(sent.len() > 500 && sent.len() <= 1024, "{} in flight", sent.len());
    let block = u16::try_from(sent.len()).unwrap();
    let mut value = sent[0].wrapping_sub(1).to_be_bytes().to_vec();
    value.extend([0, 1, 0, 0, 1, 24, 0, 0]);
    for _ in 0..280 {
        value.extend(2u16.to_be_bytes());
        value.extend(block.to_be_bytes());
    }
    let (from, started) = (cpu_time(), pair.now);
    for _ in 0..1_000 {
        raw.send(&[chunk(3, 0, &value)]);
        pair.flush_raw();
    }
    let cpu = (cpu_time() - from).as_secs_f64();
    let seconds = (pair.now - started).as_secs_f64();
    println!("gap blocks: {cpu:.3} s of processor time for {seconds:.1} s, {:?}", pair.server_closed());
    assert!(cpu / seconds < LOAD_LIMIT, "{cpu}");
}

/// What SDKs do must never come near a limit: a file in pieces of 15 kB, with loss, and thousands of tiny messages.
#[test]
fn uploads_and_bursts_of_clients_meet_no_limit() {
    let mut pair = Pair::connected(3);
    pair.run(Duration::from_secs(1));
    pair.dtls_loss = 2;
    pair.server.grant(pair.now, 100 << 20);
    let id = pair.client_channel("_reliable").unwrap();
    let pieces = (0..200).map(|n| vec![n as u8; 15_000]);
    let tiny = (0..5_000u32).map(|n| n.to_be_bytes().to_vec());
    let mut bytes = 0;
    for message in pieces.chain(tiny) {
        bytes += message.len();
        let mut patience = 10_000;
        while !pair.client.channel(id).unwrap().write(true, &message).unwrap() {
            pair.run(Duration::from_millis(5));
            patience -= 1;
            assert!(patience > 0, "the upload stands still");
        }
    }
    let arrived = |p: &Pair| p.server_data().iter().map(|(_, b)| b.len()).sum::<usize>();
    pair.run_until(Duration::from_secs(120), |p| p.server_outputs.len() >= 5_200);
    pair.run_until(Duration::from_secs(120), |p| arrived(p) >= bytes);
    assert_eq!(arrived(&pair), bytes);
    let stats = pair.server.stats().sctp;
    assert_eq!((stats.dropped, pair.server_closed()), (0, None), "{stats:?}");
}
