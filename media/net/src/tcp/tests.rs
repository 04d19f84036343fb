//! The connection table over real loopback streams.

use super::{FrameReader, HostLimits, NewConnection, TcpTable, TcpTurn, write_frame};
use crate::config::TcpLimits;
use crate::poller::{Poller, Ready};
use crate::report::NetCounters;
use bedrud_sfu::{Path, Proto, SendBatch, TransportId};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A table with one connection, and its client.
struct Bench {
    table: TcpTable,
    poller: Poller,
    client: TcpStream,
    path: Path,
    token: u64,
    counters: NetCounters,
    turn: TcpTurn,
    now: Instant,
}

fn limits() -> TcpLimits {
    TcpLimits { queue_bytes: 64 << 10, ..TcpLimits::default() }
}

fn pair() -> (TcpStream, NewConnection) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (stream, remote) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let local = stream.local_addr().unwrap();
    let admission = HostLimits::default().admit(remote.ip(), 10, 10).unwrap();
    let since = Instant::now();
    (client, NewConnection { stream, remote, local, prefix: vec![], ssl: false, admission, since })
}

/// A framed check that names this transport.
fn check_for(id: TransportId) -> Vec<u8> {
    let name = format!("{}:peer", id.ufrag(9));
    let mut check = vec![0, 1, 0, 4 + 24, 0x21, 0x12, 0xa4, 0x42];
    check.extend([5; 12]);
    check.extend([0, 6, 0, name.len() as u8]);
    check.extend(name.as_bytes());
    check.resize(20 + 4 + 24, 0);
    check
}

impl Bench {
    fn new() -> Self {
        let (client, new) = pair();
        let path = Path { proto: Proto::Tcp, remote: new.remote, local: new.local };
        let mut table = TcpTable::new(0, 2, limits(), 2);
        let poller = Poller::new().unwrap();
        let now = new.since;
        let (counters, mut turn) = (NetCounters::default(), TcpTurn::default());
        let token = table.add(now, &poller, new, &mut turn).unwrap();
        Self { table, poller, client, path, token, counters, turn, now }
    }

    fn send(&mut self, packet: &[u8], droppable: bool) {
        let mut batch = SendBatch::default();
        batch.push(self.path, packet, droppable);
        for run in batch.runs() {
            self.table.send(self.now, &self.poller, run, &mut self.counters, &mut self.turn);
        }
    }

    fn wait(&self) -> Vec<Ready> {
        let mut ready = vec![];
        self.poller.wait(&mut ready, Some(Duration::from_secs(5))).unwrap();
        ready
    }

    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut got = vec![];
        let (counters, turn) = (&mut self.counters, &mut self.turn);
        self.table.readable(self.now, &self.poller, self.token, counters, turn, |_, f| got.push(f.to_vec()));
        got
    }
}

#[test]
fn a_client_that_does_not_read_loses_video_until_it_has_caught_up() {
    let mut bench = Bench::new();
    let mut sent = 0;
    while bench.turn.congestion.is_empty() {
        assert!(sent < 100_000, "never congested");
        bench.send(&[sent as u8; 1200], true);
        sent += 1;
    }
    assert_eq!(bench.turn.congestion, [(bench.path, true)]);
    bench.send(&[1; 1200], true);
    let accepted = bench.counters.tcp_frames_out;
    assert_eq!(bench.counters.tcp_frames_dropped, 2);
    bench.send(b"audio", false);
    assert_eq!(bench.counters.tcp_frames_out, accepted + 1, "what is not video still waits");

    // The client reads everything: every frame whole, in order, the audio last.
    let (mut reader, mut got, mut ready) = (FrameReader::default(), vec![], vec![]);
    while (got.len() as u64) < accepted + 1 {
        // Never more than the client has not read yet, so this never waits for something that does not come.
        let n = bench.client.read(reader.space()).unwrap();
        assert!(n > 0);
        reader.filled(n);
        while let Some(frame) = reader.next_frame().unwrap() {
            got.push(frame.to_vec());
        }
        bench.poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        for ready in ready.iter().filter(|r| r.writable) {
            bench.table.writable(&bench.poller, ready.token, &mut bench.turn);
        }
    }
    assert_eq!(bench.turn.congestion[1], (bench.path, false));
    assert_eq!(got.pop().unwrap(), b"audio");
    assert!(got.iter().enumerate().all(|(i, f)| *f == [i as u8; 1200]));
    bench.send(&[7; 1200], true);
    assert_eq!(bench.counters.tcp_frames_dropped, 2, "video flows again");
}

#[test]
fn a_hopeless_connection_is_closed_and_its_path_reported() {
    let mut bench = Bench::new();
    bench.send(&[0x01, 0x01, 0, 0], false);
    while bench.table.len() == 1 {
        assert!(bench.counters.tcp_frames_out < 100_000, "never closed");
        bench.send(&[1; 1200], false);
    }
    assert_eq!(bench.turn.closed, [bench.path]);
    bench.send(&[1; 10], false);
    assert!(bench.counters.tcp_frames_dropped > 0);
}

#[test]
fn connections_without_authenticated_checks_are_swept() {
    let mut bench = Bench::new();
    let sweep = |bench: &mut Bench, after: u64| {
        let now = bench.now + Duration::from_millis(after);
        bench.table.sweep(now, &mut bench.turn);
        bench.table.len()
    };
    let due = bench.table.poll_deadline().unwrap();
    assert!(due <= bench.now + Duration::from_secs(10), "nobody looks in time");
    assert_eq!(sweep(&mut bench, 9_999), 1);
    assert_eq!(sweep(&mut bench, 10_000), 0);
    assert_eq!(bench.turn.closed, [], "no transport ever knew this path");
    assert_eq!(bench.client.read(&mut [0; 8]).unwrap(), 0, "the client is not told");

    let mut bench = Bench::new();
    bench.now += Duration::from_secs(9);
    bench.send(&[0x01, 0x01, 0, 0], false);
    bench.now -= Duration::from_secs(9);
    assert_eq!(sweep(&mut bench, 37_000), 1, "the check of second 9 counts for half a minute");
    assert_eq!(sweep(&mut bench, 43_000), 0);
    assert_eq!(bench.turn.closed, [bench.path]);
    assert_eq!(bench.table.poll_deadline(), None, "an empty table wakes nobody");
}

#[test]
fn a_peer_that_hangs_up_is_noticed() {
    let mut bench = Bench::new();
    bench.send(&[0x01, 0x01, 0, 0], false);
    bench.client.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(bench.wait().iter().any(|r| r.token == bench.token && r.readable));
    assert!(bench.read().is_empty());
    assert_eq!((bench.table.len(), bench.turn.closed.len()), (0, 1));
}

#[test]
fn the_first_check_sends_a_connection_to_its_shard() {
    let mut bench = Bench::new();
    let check = check_for(TransportId { shard: 1, slot: 2, epoch: 3 });
    let mut framed = vec![];
    assert!(write_frame(&mut framed, &check));
    bench.client.write_all(&framed).unwrap();
    assert!(!bench.wait().is_empty());
    assert!(bench.read().is_empty());
    let (owner, moved) = bench.turn.handoffs.pop().unwrap();
    assert_eq!((owner, moved.prefix.as_slice(), bench.table.len()), (1, framed.as_slice(), 0));
    assert_eq!(moved.since, bench.now, "its time to authenticate does not start again");

    // The owner keeps it.
    let (mut owning, poller) = (TcpTable::new(1, 2, limits(), 2), Poller::new().unwrap());
    let token = owning.add(bench.now, &poller, moved, &mut bench.turn).unwrap();
    let mut got = vec![];
    let (counters, turn) = (&mut bench.counters, &mut bench.turn);
    owning.readable(bench.now, &poller, token, counters, turn, |_, f| got.push(f.to_vec()));
    assert_eq!(got, std::slice::from_ref(&check));
    assert!(bench.turn.handoffs.is_empty());

    // From here on it wakes its owner, and nobody else.
    let (mut ready, mut wakes) = (vec![], (0, 0));
    for _ in 0..20 {
        bench.client.write_all(&framed[..1]).unwrap();
        poller.wait(&mut ready, Some(Duration::from_secs(5))).unwrap();
        wakes.0 += ready.iter().filter(|r| r.token == token).count();
        // A byte waits in the socket now, and whoever still watches it finds it ready.
        bench.poller.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        wakes.1 += ready.len();
        bench.client.write_all(&framed[1..]).unwrap();
        got.clear();
        while got.is_empty() {
            let (counters, turn) = (&mut bench.counters, &mut bench.turn);
            owning.readable(bench.now, &poller, token, counters, turn, |_, f| got.push(f.to_vec()));
        }
    }
    assert_eq!(wakes, (20, 0), "the shard that gave it away is woken for every byte");
}

/// A client whose connection broke opens another from the same port.
#[test]
fn a_new_connection_from_the_same_port_starts_with_a_clean_path() {
    for authenticated in [false, true] {
        let mut bench = Bench::new();
        if authenticated {
            bench.send(&[0x01, 0x01, 0, 0], false);
        }
        while bench.turn.congestion.is_empty() {
            assert!(bench.counters.tcp_frames_out < 100_000, "never congested");
            bench.send(&[7; 1200], true);
        }
        assert_eq!(std::mem::take(&mut bench.turn.congestion), [(bench.path, true)]);
        let (_client, mut again) = pair();
        (again.remote, again.since) = (bench.path.remote, bench.now);
        let token = bench.table.add(bench.now, &bench.poller, again, &mut bench.turn).unwrap();
        assert_eq!(bench.turn.congestion, [(bench.path, false)], "video to this client never flows again");
        let closed = if authenticated { vec![bench.path] } else { vec![] };
        assert_eq!(bench.turn.closed, closed, "the old path is over for the transport");
        assert_eq!((bench.table.len(), token != bench.token), (1, true));
        // The newcomer authenticates by itself or goes.
        bench.table.sweep(bench.now + Duration::from_secs(10), &mut bench.turn);
        assert_eq!(bench.table.len(), 0);
    }
}
