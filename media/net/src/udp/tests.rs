//! Real sockets on the loopback interface.

use super::{Receiver, Sender, UdpPort, bind};
use crate::config::UdpMode;
use crate::poller::{Interest, Poller};
use crate::report::NetCounters;
use bedrud_sfu::{Path, Proto, SendBatch};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const MODES: [UdpMode; 3] = [UdpMode::Auto, UdpMode::NoOffload, UdpMode::Scalar];

fn port(address: &str, mode: UdpMode) -> UdpPort {
    bind(address.parse().unwrap(), 1, 1 << 20, mode).unwrap().remove(0)
}

/// Datagrams of a burst: equal sizes, a short tail, singles, in the order sent.
fn burst() -> Vec<Vec<u8>> {
    let sizes = [1200, 1200, 1200, 1200, 300, 40, 1100, 1100, 1199, 1, 700];
    sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect()
}

fn batch(remote: SocketAddr, local: SocketAddr) -> SendBatch {
    let mut batch = SendBatch::default();
    for datagram in burst() {
        batch.push(Path { proto: Proto::Udp, remote, local }, &datagram, true);
    }
    batch
}

fn receive_all(port: &UdpPort, count: usize) -> (Vec<(SocketAddr, Vec<u8>)>, NetCounters) {
    let (mut receiver, mut counters, mut got) = (Receiver::new(port), NetCounters::default(), vec![]);
    let poller = Poller::new().unwrap();
    poller.add(port, 0, Interest::Read).unwrap();
    let mut ready = vec![];
    while got.len() < count {
        poller.wait(&mut ready, Some(Duration::from_secs(5))).unwrap();
        assert!(!ready.is_empty(), "only {} datagrams arrived", got.len());
        while receiver.receive(port, &mut counters, |_, from, d| got.push((from, d.to_vec()))).unwrap() {}
    }
    (got, counters)
}

#[test]
fn every_mode_sends_the_same_datagrams() {
    for mode in MODES {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut port = port("127.0.0.1:0", mode);
        let (mut sender, mut counters) = (Sender::default(), NetCounters::default());
        let out = batch(peer.local_addr().unwrap(), port.local);
        sender.send(&mut port, &mut counters, out.runs());
        let mut buf = [0; 2000];
        for expected in burst() {
            let (n, from) = peer.recv_from(&mut buf).unwrap();
            assert_eq!(from, port.local);
            assert!(buf[..n] == expected[..], "{mode:?}: {n} bytes instead of {}", expected.len());
        }
        assert_eq!(counters.datagrams_out, burst().len() as u64, "{mode:?}");
        let expected_calls = if mode == UdpMode::Scalar { burst().len() as u64 } else { 1 };
        assert_eq!(counters.send_calls, expected_calls, "{mode:?}");
    }
}

#[test]
fn every_mode_receives_the_same_datagrams() {
    for sending in MODES {
        for receiving in MODES {
            let mut from = port("127.0.0.1:0", sending);
            let to = port("127.0.0.1:0", receiving);
            let (mut sender, mut counters) = (Sender::default(), NetCounters::default());
            let out = batch(to.local, from.local);
            sender.send(&mut from, &mut counters, out.runs());
            let (got, counters) = receive_all(&to, burst().len());
            let expected: Vec<_> = burst().into_iter().map(|d| (from.local, d)).collect();
            assert!(got == expected, "{sending:?} to {receiving:?}");
            assert_eq!(counters.datagrams_in, burst().len() as u64);
        }
    }
}

#[test]
fn one_socket_serves_both_families() {
    let mut port = port("[::]:0", UdpMode::Auto);
    let at = port.local.port();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    peer.send_to(b"hello", ("127.0.0.1", at)).unwrap();
    let (got, _) = receive_all(&port, 1);
    assert_eq!(got, [(peer.local_addr().unwrap(), b"hello".to_vec())], "IPv4 sources look like IPv4");
    let mut reply = SendBatch::default();
    reply.push(Path { proto: Proto::Udp, remote: got[0].0, local: port.local }, b"back", false);
    Sender::default().send(&mut port, &mut NetCounters::default(), reply.runs());
    let mut buf = [0; 16];
    let (n, from) = peer.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..n], from.port()), (&b"back"[..], at));
}

#[test]
fn replies_leave_from_the_address_they_were_asked_at() {
    for bound in ["[::]:0", "0.0.0.0:0"] {
        let mut port = port(bound, UdpMode::Auto);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked: SocketAddr = ([127, 0, 0, 7], port.local.port()).into();
        peer.send_to(b"hello", asked).unwrap();
        let poller = Poller::new().unwrap();
        poller.add(&port, 0, Interest::Read).unwrap();
        poller.wait(&mut vec![], Some(Duration::from_secs(5))).unwrap();
        let (mut counters, mut locals) = (NetCounters::default(), vec![]);
        Receiver::new(&port).receive(&port, &mut counters, |local, _, _| locals.push(local)).unwrap();
        assert_eq!(locals, [asked], "{bound}");
        let out = batch(peer.local_addr().unwrap(), asked);
        Sender::default().send(&mut port, &mut counters, out.runs());
        let mut buf = [0; 2000];
        for expected in burst() {
            let (n, from) = peer.recv_from(&mut buf).unwrap();
            assert_eq!((n, from), (expected.len(), asked), "{bound}");
        }
        assert_eq!(counters.send_errors, 0);
    }
}

#[test]
fn oversized_datagrams_are_dropped_and_counted() {
    for mode in [UdpMode::NoOffload, UdpMode::Scalar] {
        let port = port("127.0.0.1:0", mode);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.send_to(&[0; 4000], port.local).unwrap();
        peer.send_to(b"x", port.local).unwrap();
        let (got, counters) = receive_all(&port, 1);
        assert_eq!((got[0].1.as_slice(), counters.truncated), (&b"x"[..], 1));
    }
}

#[test]
fn several_sockets_share_a_port() {
    let ports = bind("127.0.0.1:0".parse().unwrap(), 3, 1 << 16, UdpMode::Auto).unwrap();
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|p| p.local == ports[0].local));
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = port("127.0.0.1:0", UdpMode::Auto);
    let error = bind(first.local, 1, 1 << 16, UdpMode::Auto).unwrap_err();
    assert!(error.to_string().contains(&first.local.to_string()), "{error}");
}
