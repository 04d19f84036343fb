//! Whole connections (ICE, DTLS, SCTP, SRTP) between an independent implementation, str0m in RTP mode, and one shard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod data;
mod network;

use bedrud_sfu::{Command, DataChannel, Event, IceCredentials};
use bytes::Bytes;
use network::{Network, address, ice};
use std::collections::BTreeMap;
use str0m::{Candidate, IceCreds};

/// Checks what a client received: no holes, timestamps and picture ids in order, payloads as published.
fn check_received(n: &Network, client: usize, least: usize) {
    let got = &n.clients[client].received;
    assert!(got.len() >= least, "{} packets", got.len());
    let by_seq: BTreeMap<u64, &network::Received> = got.iter().map(|r| (r.seq, r)).collect();
    let first = *by_seq.first_key_value().unwrap().0;
    let last = *by_seq.last_key_value().unwrap().0;
    let missing: Vec<u64> = (first..=last).filter(|s| !by_seq.contains_key(s)).collect();
    assert!(missing.is_empty(), "holes: {missing:?} in {first}..={last}");
    let mut before: Option<&network::Received> = None;
    for r in by_seq.values() {
        if let Some(b) = before {
            let step = r.timestamp.wrapping_sub(b.timestamp) as i32;
            assert!(step >= 0, "timestamp back by {step}");
            let id = |p: &[u8]| u16::from_be_bytes([p[2] & 0x7f, p[3]]);
            let ids = id(&r.payload).wrapping_sub(id(&b.payload)) & 0x7fff;
            assert_eq!(ids, u16::from(step != 0), "picture id");
        }
        assert!(r.payload[7..].iter().all(|b| *b == r.payload[7]), "frame bytes untouched");
        before = Some(r);
    }
}

#[test]
fn a_call_with_loss_both_ways_arrives_whole() {
    let mut n = Network::new(1);
    let track = n.add_publisher(0);
    n.add_subscriber(1, track);
    n.add_subscriber(2, track);
    n.run(2000);
    assert!(n.clients.iter().all(|c| c.connected));
    n.loss = 5;
    n.run(6000);
    n.loss = 0;
    n.run(1000);
    for client in [1, 2] {
        check_received(&n, client, 300);
    }
    assert!(n.clients[0].key_frame_requests > 0);
    let stats = n.shard.stats();
    assert!(stats.rtx_in > 5 && stats.rtx_out > 5, "{stats:?}");
    let connected = n.events.iter().filter(|e| matches!(e, Event::Connected { .. })).count();
    assert_eq!(connected, 3, "once per transport");
}

#[test]
fn data_channels_pass_both_ways() {
    let mut n = Network::new(2);
    n.add_client(0, &[address(0)]);
    n.command(Command::OpenDataChannel { id: network::tid(0), channel: DataChannel::Reliable });
    n.run(1500);
    assert!(n.events.contains(&Event::ChannelOpen { id: network::tid(0), channel: DataChannel::Reliable }));
    let payload = Bytes::from(vec![7u8; 20_000]);
    let id = network::tid(0);
    n.command(Command::SendData { to: vec![id], channel: DataChannel::Reliable, payload: payload.clone() });
    n.run(500);
    assert_eq!(n.clients[0].data, [payload.to_vec()]);
    let channel = n.clients[0].channel.unwrap();
    assert!(n.clients[0].rtc.channel(channel).unwrap().write(true, b"hello").unwrap());
    n.run(500);
    assert!(n.events.contains(&Event::Data {
        id,
        channel: DataChannel::Reliable,
        payload: Bytes::from_static(b"hello")
    }));
}

#[test]
fn an_ice_restart_to_a_new_address_goes_on_with_the_same_stream() {
    let mut n = Network::new(3);
    let track = n.add_publisher(0);
    n.add_subscriber(1, track);
    n.run(3000);
    let before = n.clients[1].received.len();
    assert!(before > 50);
    // The old address dies; both sides take new credentials.
    n.dead.insert(address(1));
    let (local, theirs) = (ice(1, 2), IceCredentials { ufrag: "again".to_owned(), pwd: "y".repeat(24) });
    n.command(Command::SetLocalIce { id: network::tid(1), local_ice: local.clone() });
    let mut remote = n.description(1);
    remote.ice = theirs.clone();
    n.command(Command::SetRemote { id: network::tid(1), remote });
    let rtc = &mut n.clients[1].rtc;
    let mut api = rtc.direct_api();
    api.invalidate_candidate(&Candidate::host(address(1), "udp").unwrap());
    api.set_local_ice_credentials(IceCreds { ufrag: theirs.ufrag, pass: theirs.pwd });
    api.set_remote_ice_credentials(IceCreds { ufrag: local.ufrag, pass: local.pwd });
    rtc.add_local_candidate(Candidate::host(address(51), "udp").unwrap());
    n.run(3000);
    assert!(
        n.events.iter().any(|e| matches!(e, Event::PathChanged { path, .. } if path.remote == address(51)))
    );
    assert!(n.clients[1].received.len() > before + 50, "media goes on");
    assert!(!n.events.iter().any(|e| matches!(e, Event::Closed { .. } | Event::Disconnected { .. })));
    let stats = n.shard.stats();
    assert!(stats.addresses >= 3 && stats.addresses <= 4, "{stats:?}");
}

#[test]
fn a_first_path_that_cannot_receive_is_left_for_one_that_can() {
    let mut n = Network::new(4);
    let track = n.add_publisher(0);
    n.deaf.insert(address(1));
    n.add_subscriber_at(1, track, &[address(1), address(61)]);
    n.run(6000);
    assert!(n.clients[1].connected);
    check_received(&n, 1, 50);
    let path = n.events.iter().rev().find_map(|e| match e {
        Event::Connected { id, path } | Event::PathChanged { id, path } if *id == network::tid(1) => {
            Some(path.remote)
        }
        _ => None,
    });
    assert_eq!(path, Some(address(61)));
}

#[test]
fn a_check_that_arrives_before_the_description_connects() {
    let mut n = Network::new(7);
    let client = n.add_undescribed_client(3, &[address(3)]);
    n.run(40);
    assert!(!n.clients[client].connected);
    n.describe(client);
    n.run(1_000);
    assert!(n.clients[client].connected);
}

#[test]
fn stale_epochs_and_wrong_passwords_learn_no_address() {
    let mut n = Network::new(5);
    n.add_client(0, &[address(0)]);
    n.run(1000);
    let before = n.shard.stats();
    // A client of the slot's former tenant: right slot, older epoch.
    let mut old = network::tid(0);
    old.epoch = 0;
    n.add_stranger(&IceCredentials { ufrag: old.ufrag(1), pwd: "p".repeat(24) }, address(90));
    // Right ufrag, wrong password.
    n.add_stranger(&IceCredentials { ufrag: ice(0, 1).ufrag, pwd: "q".repeat(24) }, address(91));
    n.run(3000);
    let after = n.shard.stats();
    assert_eq!(after.addresses, before.addresses);
    assert!(after.drops.get(bedrud_sfu::DropReason::UnknownUfrag) > 2);
    assert!(n.clients[0].connected);
}

#[test]
fn a_client_that_leaves_and_one_that_is_closed_leave_nothing() {
    let mut n = Network::new(6);
    let track = n.add_publisher(0);
    n.add_subscriber(1, track);
    n.run(2000);
    n.clients[0].rtc.close().unwrap();
    n.run(500);
    let id = network::tid(0);
    assert!(n.events.iter().any(|e| matches!(e, Event::Closed { id: i, .. } if *i == id)));
    n.command(Command::CloseTransport { id: network::tid(1) });
    n.run(1000);
    assert!(!n.clients[1].rtc.is_alive(), "close_notify reaches the client");
    let stats = n.shard.stats();
    assert_eq!((stats.transports, stats.up_tracks, stats.down_tracks, stats.addresses), (0, 0, 0, 0));
}

/// RFC 7675: without checks there is no consent, and media stops within 30 s (here 15). A client that comes back in
/// time gets it again; one that does not is given up.
#[test]
fn media_stops_when_the_peer_is_gone() {
    let mut n = Network::new(31);
    let track = n.add_publisher(0);
    n.add_subscriber(1, track);
    n.add_subscriber(2, track);
    n.run(3000);
    let gone = address(1);
    n.dead.insert(gone);
    n.run(18_000);
    let (before, others) = (n.media_to(gone), n.media_to(address(2)));
    n.run(2000);
    assert_eq!(n.media_to(gone), before, "media for nobody");
    assert!(n.media_to(address(2)) > others + 50, "the others get theirs");
    assert!(n.events.iter().any(|e| matches!(e, Event::Disconnected { .. })));
    n.dead.clear();
    n.run(10_000);
    assert!(n.media_to(gone) > before + 50, "a client that is back gets media again");
    n.dead.insert(gone);
    n.run(95_000);
    let closed = n.events.iter().any(
        |e| matches!(e, Event::Closed { id, reason: bedrud_sfu::CloseReason::TimedOut } if id.slot == 1),
    );
    assert!(closed, "and one that stays away is given up");
}

/// One client fills the queue while the control plane stands still. The other one, which then says a single word, is
/// neither closed nor unheard, and of what both sent reliably nothing is lost.
#[test]
fn a_control_plane_that_stands_still_costs_nobody_a_connection_or_a_message() {
    let mut n = Network::new(8);
    for slot in 0..2 {
        n.add_client(slot, &[address(slot as u16)]);
        n.command(Command::OpenDataChannel { id: network::tid(slot), channel: DataChannel::Reliable });
    }
    n.run(1500);
    let write = |n: &mut Network, client: usize, message: &[u8]| {
        let channel = n.clients[client].channel.unwrap();
        n.clients[client].rtc.channel(channel).unwrap().write(true, message).unwrap()
    };
    n.grants = true;
    n.stalled = true;
    let mut sent = 0u32;
    for _ in 0..2500 {
        for _ in 0..10 {
            if write(&mut n, 0, &sent.to_be_bytes()) {
                sent += 1;
            }
        }
        n.run(1);
    }
    assert!(sent > 1200, "{sent}: the sender must send more than its share for this to say anything");
    assert!(write(&mut n, 1, b"hello"));
    n.run(1000);
    assert!(n.shard.stats().drops.get(bedrud_sfu::DropReason::EventOverflow) > 0, "nothing was held back");
    n.stalled = false;
    n.run(20_000);
    assert!(!n.events.iter().any(|e| matches!(e, Event::Closed { .. })), "somebody was closed for it");
    let of = |slot: u32| {
        n.events.iter().filter_map(move |e| match e {
            Event::Data { id, payload, .. } if *id == network::tid(slot) => Some(payload.clone()),
            _ => None,
        })
    };
    assert_eq!(of(1).collect::<Vec<_>>(), [Bytes::from_static(b"hello")]);
    let numbers: Vec<u32> = of(0).map(|p| u32::from_be_bytes(p.as_ref().try_into().unwrap())).collect();
    assert_eq!(numbers.len(), sent as usize);
    assert!(numbers.iter().copied().eq(0..sent), "messages in order, each once");
}

/// What fails at one of the receivers of a message costs that one, and the others get it, those behind it as well.
#[test]
fn a_message_that_fails_for_one_receiver_reaches_the_others() {
    use bedrud_sfu::test_util::Fault;
    for fault in [Fault::Message, Fault::MessageFlush] {
        let mut n = Network::new(9);
        for slot in 0..3 {
            n.add_client(slot, &[address(slot as u16)]);
            n.command(Command::OpenDataChannel { id: network::tid(slot), channel: DataChannel::Reliable });
        }
        n.run(1500);
        n.shard.fail(fault, network::tid(1));
        let payload = Bytes::from_static(b"to all");
        let to = (0..3).map(network::tid).collect();
        n.command(Command::SendData { to, channel: DataChannel::Reliable, payload: payload.clone() });
        n.run(500);
        for client in [0, 2] {
            assert_eq!(n.clients[client].data, [payload.to_vec()], "{fault:?}: client {client}");
        }
        let closed = |e: &&Event| matches!(e, Event::Closed { .. });
        assert_eq!(n.events.iter().filter(closed).count(), 1, "{fault:?}");
        assert_eq!((n.shard.stats().panics, n.shard.stats().transports), (1, 2));
    }
}
