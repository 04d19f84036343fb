//! Bytes nobody sane would send.

#![allow(clippy::unwrap_used, reason = "tests")]

mod pair;

use bedrud_transport::{Proto, Transport, TransportOutput};
use pair::{Pair, address, creds};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;
use str0m::ice::{StunMessage, TransId};

fn check(username: &str, password: &str, controlling: bool, use_candidate: bool) -> Vec<u8> {
    let provider = str0m::crypto::from_feature_flags();
    let mut buf = [0; 512];
    let n = StunMessage::binding_request(username, TransId::new(), controlling, u64::MAX, 1, use_candidate)
        .to_bytes(Some(password.as_bytes()), &mut buf, |k, p| provider.sha1_hmac_provider.sha1_hmac(k, p))
        .unwrap();
    buf[..n].to_vec()
}

fn outputs(server: &mut Transport) -> Vec<TransportOutput> {
    std::iter::from_fn(|| server.poll_output()).collect()
}

const USER: &str = "ufragserver:ufragclient";

#[test]
fn an_unauthenticated_check_is_not_answered_and_teaches_nothing() {
    let mut pair = Pair::new(1);
    pair.describe_client();
    let password = creds("server").pwd;
    let bad = [
        check(USER, "wrong password of some length", true, true),
        check("ufragserver:somebody", &password, true, true),
        check("ufragother:ufragclient", &password, true, true),
        check(USER, &password, false, false),
    ];
    for datagram in bad {
        pair.server.handle_datagram(pair.now, Proto::Udp, address(7), &datagram);
        assert_eq!(outputs(&mut pair.server), []);
    }
    let stats = pair.server.stats();
    assert_eq!((stats.unauthenticated, stats.malformed), (3, 1));
    assert_eq!(pair.server.destination(), None);
    // DTLS from there stays outside as well.
    pair.server.handle_datagram(pair.now, Proto::Udp, address(7), &[22, 254, 253, 0, 0]);
    assert_eq!(pair.server.stats().foreign, 1);
}

#[test]
fn an_answer_is_no_larger_than_its_check_and_goes_to_its_source() {
    let mut pair = Pair::new(2);
    pair.describe_client();
    let datagram = check(USER, &creds("server").pwd, true, false);
    pair.server.handle_datagram(pair.now, Proto::Tcp, address(3), &datagram);
    let sent: Vec<_> = outputs(&mut pair.server)
        .into_iter()
        .filter_map(|o| match o {
            TransportOutput::Send { proto, destination, bytes } => Some((proto, destination, bytes.len())),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 1, "the nomination made up for the client stays inside: {sent:?}");
    assert_eq!((sent[0].0, sent[0].1), (Proto::Tcp, address(3)));
    assert!(sent[0].2 <= datagram.len());
    assert_eq!(pair.server.destination(), Some((Proto::Tcp, address(3))));
}

#[test]
fn the_newest_nomination_wins_and_mere_checks_do_not() {
    let mut pair = Pair::new(3);
    pair.describe_client();
    let password = creds("server").pwd;
    for (from, nominated, expected) in
        [(1, false, 1), (2, false, 1), (2, true, 2), (1, false, 2), (1, true, 1)]
    {
        let datagram = check(USER, &password, true, nominated);
        pair.server.handle_datagram(pair.now, Proto::Udp, address(from), &datagram);
        assert_eq!(pair.server.destination(), Some((Proto::Udp, address(expected))), "{from} {nominated}");
    }
}

#[test]
fn tcp_only_ignores_checks_over_udp() {
    let mut pair = Pair::new(4);
    pair.describe_client();
    pair.server.set_tcp_only(true);
    let datagram = check(USER, &creds("server").pwd, true, true);
    pair.server.handle_datagram(pair.now, Proto::Udp, address(1), &datagram);
    assert_eq!(outputs(&mut pair.server), []);
    pair.server.handle_datagram(pair.now, Proto::Tcp, address(1), &datagram);
    assert_eq!(pair.server.destination(), Some((Proto::Tcp, address(1))));
    pair.server.forget_address(Proto::Tcp, address(1));
    assert_eq!(pair.server.destination(), None);
}

#[test]
fn sources_are_limited() {
    let mut pair = Pair::new(5);
    pair.describe_client();
    let password = creds("server").pwd;
    let mut learned = 0;
    for n in 0..1000 {
        let datagram = check(USER, &password, true, false);
        pair.server.handle_datagram(pair.now, Proto::Udp, address(n), &datagram);
        let new = outputs(&mut pair.server);
        learned += new.iter().filter(|o| matches!(o, TransportOutput::AddressLearned { .. })).count();
    }
    assert_eq!(learned, 16);
}

#[test]
fn junk_during_and_after_the_handshake_does_not_end_it() {
    let mut pair = Pair::new(6);
    pair.describe_client();
    let junk: Vec<Vec<u8>> = vec![
        vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4],
        vec![20; 40],
        vec![63],
        vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255],
        (0..200).collect(),
        vec![0; 20],
    ];
    for step in 0..200 {
        pair.run(Duration::from_millis(1));
        let datagram = &junk[step % junk.len()];
        pair.server.handle_datagram(pair.now, Proto::Udp, address(0), datagram);
    }
    assert!(pair.run_until(Duration::from_secs(5), Pair::server_connected));
    assert_eq!(pair.server_closed(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_datagrams_never_panic(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
        let mut pair = Pair::new(7);
        pair.describe_client();
        for d in &datagrams {
            pair.server.handle_datagram(pair.now, Proto::Udp, address(1), d);
            prop_assert_eq!(outputs(&mut pair.server), []);
        }
    }

    #[test]
    fn a_check_with_one_byte_changed_is_never_authenticated(at in 0usize..96, xor in 1u8..) {
        let mut pair = Pair::new(8);
        pair.describe_client();
        let mut datagram = check(USER, &creds("server").pwd, true, true);
        let at = at % (datagram.len() - 8); // FINGERPRINT comes last and is not authenticated
        datagram[at] ^= xor;
        let source: SocketAddr = address(1);
        pair.server.handle_datagram(pair.now, Proto::Udp, source, &datagram);
        prop_assert_eq!(outputs(&mut pair.server), []);
    }

    #[test]
    fn mangled_handshakes_never_panic(seed in any::<u64>(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        // Record what a client sends, then play it changed against a fresh transport.
        let mut pair = Pair::new(seed);
        pair.describe_client();
        let datagram = check(USER, &creds("server").pwd, true, true);
        pair.server.handle_datagram(pair.now, Proto::Udp, address(0), &datagram);
        let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
        for (index, xor) in flips {
            let at = index.index(hello.len());
            hello[at] ^= xor;
            pair.server.handle_datagram(pair.now, Proto::Udp, address(0), &hello);
        }
        pair.server.handle_timeout(pair.now + Duration::from_secs(1));
    }
}
