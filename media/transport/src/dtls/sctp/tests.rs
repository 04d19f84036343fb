use super::*;
use std::time::Duration;

#[allow(clippy::disallowed_methods, reason = "an arbitrary start of virtual time")]
fn start() -> Instant {
    Instant::now()
}

fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    bytes.extend(u16::try_from(CHUNK_HEADER + value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn data(stream: u16, protocol: u32, user_data: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend(stream.to_be_bytes());
    value.extend([0; 2]);
    value.extend(protocol.to_be_bytes());
    value.extend(user_data);
    chunk(0, 3, &value)
}

fn packet(chunks: &[Vec<u8>]) -> Vec<u8> {
    [vec![0; HEADER], chunks.concat()].concat()
}

fn open(label: &[u8], announced: u16) -> Vec<u8> {
    let mut message = vec![3, 0, 0, 0, 0, 0, 0, 0];
    message.extend(announced.to_be_bytes());
    message.extend([0, 0]);
    message.extend(label);
    message
}

#[test]
fn what_clients_send_passes() {
    let mut guard = SctpGuard::default();
    let mut now = start();
    for setup in [
        packet(&[chunk(1, 0, &[0; 40])]),
        packet(&[chunk(10, 0, &[0; 32]), data(0, PPID_DCEP, &open(b"_reliable", 9))]),
        packet(&[chunk(3, 0, &[0; 12]), data(0, PPID_DCEP, &[2])]),
    ] {
        assert!(guard.admits(now, &setup));
    }
    // A hundred megabits a second of file, and a thousand small messages a second.
    for n in 0..50_000u32 {
        now += Duration::from_micros(92);
        assert!(guard.admits(now, &packet(&[data(0, 53, &[7; 1150])])), "{n}");
        if n % 10 == 0 {
            assert!(guard.admits(now, &packet(&[data(2, 53, &[7; 20]), chunk(192, 0, &[0; 4])])), "{n}");
        }
        if n % 5 == 0 {
            assert!(guard.admits(now, &packet(&[chunk(3, 0, &[0; 12])])), "{n}");
        }
    }
    // Ten thousand messages at once, and a hundred channels closed.
    for _ in 0..200 {
        assert!(guard.admits(now, &packet(&vec![data(0, 53, b"hello"); 50])));
    }
    for _ in 0..100 {
        assert!(guard.admits(now, &packet(&[chunk(130, 0, &[0; 18])])));
    }
    assert_eq!((guard.stats().dropped, guard.violation()), (0, None));
    assert_eq!(guard.stats().malformed_dcep, 0);
}

#[test]
fn floods_are_dropped_and_then_end_the_transport() {
    let init = packet(&[chunk(1, 0, &[0; 16])]);
    let cases: [(&str, Vec<u8>); 9] = [
        ("INIT", init),
        ("HEARTBEAT", packet(&[chunk(4, 0, &[0, 1, 0, 4])])),
        ("COOKIE ECHO", packet(&[chunk(10, 0, &[0; 4])])),
        ("RE-CONFIG", packet(&[chunk(130, 0, &[0; 18])])),
        ("bundled HEARTBEATs", packet(&vec![chunk(4, 0, &[0, 1, 0, 4]); 100])),
        ("bundled SACKs", packet(&vec![chunk(3, 0, &[0; 12]); 70])),
        ("bundled FORWARD TSNs", packet(&vec![chunk(192, 0, &[0; 4]); 100])),
        ("empty chunks", packet(&vec![chunk(11, 0, &[]); 300])),
        ("zero length", packet(&[vec![0; 8]])),
    ];
    for (name, packet) in cases {
        let mut guard = SctpGuard::default();
        let mut now = start();
        for _ in 0..4_000 {
            now += Duration::from_micros(400);
            guard.admits(now, &packet);
        }
        assert!(guard.stats().accepted < 400, "{name}: {:?}", guard.stats());
        assert_eq!(guard.violation(), Some(SctpViolation::TooManyChunks), "{name}");
    }
}

#[test]
fn small_data_is_limited_in_number() {
    let mut guard = SctpGuard::default();
    let mut now = start();
    let packet = packet(&vec![data(0, 53, b"x"); 60]);
    let mut chunks = 0;
    for _ in 0..10_000 {
        now += Duration::from_millis(1);
        chunks += u32::from(guard.admits(now, &packet)) * 60;
        if guard.violation().is_some() {
            break;
        }
    }
    assert!(chunks < 100_000, "{chunks}");
    assert_eq!(guard.violation(), Some(SctpViolation::TooManyChunks));
}

#[test]
fn high_stream_ids_end_at_once_and_nothing_passes_afterwards() {
    let mut guard = SctpGuard::default();
    let now = start();
    assert!(guard.admits(now, &packet(&[data(1023, 53, b"x")])));
    assert!(!guard.admits(now, &packet(&[data(1024, 53, b"x")])));
    assert_eq!(guard.violation(), Some(SctpViolation::TooManyStreams));
    assert!(!guard.admits(now, &packet(&[data(0, 53, b"x")])));
}

#[test]
fn dcep_is_told_from_what_is_not() {
    for good in [open(b"", 0), open(b"chat", 4), vec![2], open("grün".as_bytes(), 5)] {
        assert!(is_dcep(&good), "{good:?}");
    }
    for bad in [vec![], vec![1], vec![3], open(b"chat", 5), open(&[0xff], 1), vec![3; 11]] {
        assert!(!is_dcep(&bad), "{bad:?}");
    }
    let mut guard = SctpGuard::default();
    assert!(guard.admits(start(), &packet(&[data(0, PPID_DCEP, &[9]), data(2, PPID_DCEP, &[])])));
    assert_eq!(guard.stats().malformed_dcep, 2);
}

#[test]
fn an_abort_of_the_library_names_its_cause() {
    for (cause, expected) in [
        (1, Some(SctpViolation::TooManyStreams)),
        (4, Some(SctpViolation::ReceiveBuffer)),
        (12, None),
        (13, Some(SctpViolation::Protocol)),
    ] {
        let mut guard = SctpGuard::default();
        guard.on_sent(&packet(&[data(0, 53, b"x")]));
        guard.on_sent(&packet(&[chunk(6, 0, &[0, cause, 0, 4])]));
        assert_eq!(guard.violation(), expected, "{cause}");
    }
}
