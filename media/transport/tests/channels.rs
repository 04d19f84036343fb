//! Data channels: both openers, both reliabilities, limits.

mod pair;

use bedrud_transport::{CloseReason, DataChannel, TransportConfig, TransportOutput};
use bytes::Bytes;
use pair::{Pair, address};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn channels_of_the_server_carry_data_both_ways() {
    let mut pair = Pair::connected(1);
    pair.run(SECOND);
    pair.server.send(pair.now, DataChannel::Reliable, Bytes::from_static(b"down"));
    pair.server.send(pair.now, DataChannel::Lossy, Bytes::from_static(b"lossy"));
    let id = pair.client_channel("_reliable").unwrap();
    assert!(pair.client.channel(id).unwrap().write(true, b"up").unwrap());
    assert!(pair.run_until(SECOND, |p| p.client_data().len() == 2 && p.server_data().len() == 1));
    assert!(pair.client_data().contains(&&b"down"[..]) && pair.client_data().contains(&&b"lossy"[..]));
    assert_eq!(pair.server_data(), [(DataChannel::Reliable, &b"up"[..])]);
}

#[test]
fn channels_of_the_client_are_told_by_their_label() {
    let mut pair = Pair::new(2);
    pair.describe_client();
    pair.open_from_client("_data_track");
    pair.open_from_client("chat");
    assert!(pair.run_until(5 * SECOND, |p| p.server_opened(DataChannel::DataTrack)));
    assert!(pair.run_until(SECOND, |p| p.server_opened(DataChannel::Unlabelled)));
    pair.server.send(pair.now, DataChannel::DataTrack, Bytes::from_static(b"x"));
    assert!(pair.run_until(SECOND, |p| p.client_data() == [b"x"]));
    pair.server.send(pair.now, DataChannel::Unlabelled, Bytes::from_static(b"to chat"));
    assert!(pair.run_until(SECOND, |p| p.client_data().contains(&&b"to chat"[..])));
    let id = pair.client_channel("chat").unwrap();
    assert!(pair.client.channel(id).unwrap().write(true, b"from chat").unwrap());
    assert!(pair.run_until(SECOND, |p| p.server_data() == [(DataChannel::Unlabelled, &b"from chat"[..])]));
}

#[test]
fn channels_beyond_all_need_are_closed() {
    let mut pair = Pair::new(12);
    pair.describe_client();
    for _ in 0..12 {
        pair.open_from_client("chat");
    }
    let closed =
        |p: &Pair| p.client_events.iter().filter(|e| matches!(e, str0m::Event::ChannelClose(_))).count();
    assert!(pair.run_until(5 * SECOND, |p| closed(p) == 4));
    let opened = pair.server_outputs.iter().filter(|o| matches!(o, TransportOutput::ChannelOpen(_))).count();
    assert_eq!(opened, 1, "told once");
}

#[test]
fn a_burst_larger_than_the_sctp_buffer_arrives_whole_and_in_order() {
    let mut pair = Pair::connected(3);
    for n in 0..16u8 {
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![n; 60_000]));
    }
    assert!(pair.server.stats().queued_bytes > 0, "the test must exceed the buffer");
    assert!(pair.run_until(60 * SECOND, |p| p.client_data().len() == 16));
    for (n, data) in pair.client_data().into_iter().enumerate() {
        assert_eq!((data.len(), usize::from(data[0])), (60_000, n));
    }
    assert_eq!(pair.server.stats().queued_bytes, 0);
}

#[test]
fn messages_wait_for_the_channel_to_open() {
    let mut pair = Pair::new(4);
    pair.describe_client();
    pair.server.open_channel(pair.now, DataChannel::Reliable);
    pair.server.send(pair.now, DataChannel::Reliable, Bytes::from_static(b"early"));
    assert!(pair.run_until(5 * SECOND, |p| p.client_data() == [b"early"]));
}

#[test]
fn a_slow_consumer_is_cut() {
    let mut pair = Pair::connected(5);
    pair.dead.insert(address(0));
    let mut sent = 0;
    while pair.server_closed().is_none() {
        assert!(sent < 20 << 20, "the queue has no limit");
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![0; 50_000]));
        sent += 50_000;
        pair.run(Duration::from_millis(5));
    }
    assert!(sent > 16 << 20);
    assert_eq!(pair.server_closed(), Some(CloseReason::SlowConsumer));
}

#[test]
fn lossy_messages_are_dropped_rather_than_queued() {
    let mut pair = Pair::connected(6);
    pair.dead.insert(address(0));
    for _ in 0..100 {
        pair.server.send(pair.now, DataChannel::Lossy, Bytes::from(vec![0; 10_000]));
    }
    assert!(pair.server.stats().data.lossy_dropped > 50);
    assert_eq!(pair.server.stats().queued_bytes, 0);
    pair.run(SECOND);
    assert_eq!(pair.server_closed(), None);
}

#[test]
fn without_an_open_channel_the_queue_is_bounded_and_nobody_is_cut() {
    let config = TransportConfig { reliable_queue_bytes: 1000, ..TransportConfig::default() };
    let mut pair = Pair::with(7, config, &[address(0)]);
    for _ in 0..20 {
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from(vec![0; 100]));
    }
    let stats = pair.server.stats();
    // Each counts with what is around it.
    assert_eq!((stats.queued_bytes, stats.data.reliable_dropped), (912, 16));
    assert_eq!(pair.server_closed(), None);
}
