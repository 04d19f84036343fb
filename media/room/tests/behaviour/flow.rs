//! How much data a participant may send, and who waits for whom.

use crate::world::{World, join};
use bedrud_room::{ServiceErrorCode, ServiceRequest};
use bedrud_sfu::{CloseReason, DataChannel, Event, TransportId, charge};
use livekit_protocol::data_packet::Value;
use livekit_protocol::{DataPacket, SendDataRequest, UserPacket};
use prost::Message as _;
use std::time::Duration;

fn user(payload: &[u8], to: &[String]) -> Vec<u8> {
    let user = UserPacket { payload: payload.to_vec(), ..UserPacket::default() };
    let packet = DataPacket {
        destination_identities: to.to_vec(),
        value: Some(Value::User(user)),
        ..Default::default()
    };
    packet.encode_to_vec()
}

fn room(names: &[&'static str]) -> World {
    filled(World::new(), names)
}

fn filled(mut w: World, names: &[&'static str]) -> World {
    for name in names {
        w.join(name, join(true));
    }
    w
}

fn transport(w: &mut World, name: &str) -> TransportId {
    w.client(name).publisher.unwrap()
}

fn count(w: &mut World, name: &str, channel: DataChannel) -> usize {
    let id = transport(w, name);
    w.sent_to(id, channel).len()
}

fn granted(w: &mut World, name: &str) -> u64 {
    let id = transport(w, name);
    w.shard.granted.iter().filter(|(to, _)| *to == id).map(|(_, bytes)| bytes).sum()
}

fn congested(w: &mut World, name: &str, congested: bool) {
    let id = transport(w, name);
    w.shard_event(Event::DataCongested { id, congested });
}

#[test]
fn a_message_is_one_command_for_each_shard_however_many_receive_it() {
    let mut w = room(&["alice", "bob", "carol", "dave", "erin"]);
    for channel in [DataChannel::Reliable, DataChannel::Lossy] {
        let before = w.shard.data_commands;
        w.data("alice", channel, user(b"x", &[]));
        assert_eq!(w.shard.data_commands, before + 1);
        for name in ["bob", "carol", "dave", "erin"] {
            assert_eq!(count(&mut w, name, channel), 1, "{name}");
        }
    }
}

/// One-byte messages without end to four receivers.
#[test]
fn a_flood_of_lossy_messages_is_cut_and_others_are_still_heard() {
    let limited = World::with(|c| c.limits.data_deliveries_per_second = 200);
    let mut w = filled(limited, &["alice", "bob", "carol", "dave", "erin"]);
    for _ in 0..10 {
        for _ in 0..1000 {
            w.data("alice", DataChannel::Lossy, user(b"x", &[]));
        }
        w.data("bob", DataChannel::Lossy, user(b"hello", &["carol".to_owned()]));
        w.advance(Duration::from_millis(100));
    }
    // 400 at once and 200 in the second, in groups of four.
    let got = count(&mut w, "erin", DataChannel::Lossy);
    assert!((100..=151).contains(&got), "{got} of 10 000");
    assert_eq!(count(&mut w, "carol", DataChannel::Lossy), got + 10, "bob has a budget of his own");
    assert!(w.shard.data_commands <= got + 10);
    assert_eq!(w.hub.metrics().data.over_budget as usize, 10_000 - got);
}

#[test]
fn reliable_messages_beyond_the_budget_wait_and_so_does_their_sender() {
    let limited = World::with(|c| c.limits.data_deliveries_per_second = 100);
    let mut w = filled(limited, &["alice", "bob", "carol"]);
    let payload = |n: u32| [&n.to_be_bytes()[..], &[0; 10_000]].concat();
    for n in 0..300 {
        w.data("alice", DataChannel::Reliable, user(&payload(n), &[]));
    }
    assert_eq!(count(&mut w, "bob", DataChannel::Reliable), 100, "twice the rate at once, to two");
    let early = granted(&mut w, "alice");
    assert!(early <= 100 * 10_300, "what waits is not granted again: {early}");
    w.advance(Duration::from_secs(1));
    let after = count(&mut w, "bob", DataChannel::Reliable);
    assert!((145..=155).contains(&after), "{after}");
    // A chatter of lossy ones in between changes nothing: it does not pass by.
    w.data("alice", DataChannel::Lossy, user(b"x", &[]));
    assert_eq!(count(&mut w, "bob", DataChannel::Lossy), 0);
    w.advance(Duration::from_secs(4));
    let id = transport(&mut w, "bob");
    let got = w.sent_to(id, DataChannel::Reliable);
    let numbers = got.iter().map(|bytes| match DataPacket::decode(bytes.as_slice()).unwrap().value {
        Some(Value::User(u)) => u32::from_be_bytes(*u.payload.first_chunk().unwrap()),
        _ => panic!("user packet"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), (0..300).collect::<Vec<_>>(), "all of it, in order");
    assert!(granted(&mut w, "alice") > 299 * 10_000);
}

#[test]
fn who_sends_to_a_receiver_that_is_behind_waits_for_it_and_others_do_not() {
    let mut w = room(&["alice", "bob", "carol"]);
    congested(&mut w, "carol", true);
    let message = user(&[0; 15_000], &[]);
    for _ in 0..10 {
        w.data("alice", DataChannel::Reliable, message.clone());
        w.data("bob", DataChannel::Reliable, user(&[0; 15_000], &["alice".to_owned()]));
    }
    assert_eq!(count(&mut w, "carol", DataChannel::Reliable), 10, "what was sent is passed on");
    assert_eq!(granted(&mut w, "alice"), 0, "and no more is taken");
    assert!(granted(&mut w, "bob") > 9 * 15_000, "bob does not send to carol");
    assert_eq!(w.hub.metrics().data.holds, 1);
    w.advance(Duration::from_secs(20));
    assert_eq!(granted(&mut w, "alice"), 0);
    congested(&mut w, "carol", false);
    assert_eq!(granted(&mut w, "alice"), 10 * charge(message.len()) as u64);
    // Lossy messages hold nobody up.
    congested(&mut w, "carol", true);
    w.data("alice", DataChannel::Lossy, user(b"x", &[]));
    for _ in 0..10 {
        w.data("alice", DataChannel::Reliable, user(&[0; 15_000], &["bob".to_owned()]));
    }
    assert!(granted(&mut w, "alice") > 18 * 15_000);
}

#[test]
fn a_receiver_that_goes_holds_nobody() {
    type End = fn(&mut World);
    let closed: End = |w| {
        let id = transport(w, "carol");
        w.shard_event(Event::Closed { id, reason: CloseReason::SlowConsumer });
    };
    let lost: End = |w| {
        let id = transport(w, "carol");
        w.shard_event(Event::Closed { id, reason: CloseReason::ClosedByPeer });
    };
    let leaves: End = |w| {
        let leave = livekit_protocol::LeaveRequest::default();
        w.send("carol", livekit_protocol::signal_request::Message::Leave(leave));
    };
    let removed: End = |w| {
        let who = livekit_protocol::RoomParticipantIdentity {
            room: "room".into(),
            identity: "carol".into(),
            ..Default::default()
        };
        w.service(ServiceRequest::RemoveParticipant(who)).unwrap();
    };
    for end in [closed, lost, leaves, removed] {
        let mut w = room(&["alice", "bob", "carol"]);
        congested(&mut w, "carol", true);
        for _ in 0..10 {
            w.data("alice", DataChannel::Reliable, user(&[0; 15_000], &[]));
        }
        assert_eq!(granted(&mut w, "alice"), 0);
        end(&mut w);
        w.advance(Duration::from_secs(2));
        assert!(granted(&mut w, "alice") > 9 * 15_000);
    }
}

/// A crowd sends to one that is behind. When it has caught up, not all may pour out their windows at once.
#[test]
fn senders_are_let_go_a_few_at_a_time() {
    let mut w = room(&["carol"]);
    let names: Vec<&'static str> = (0..40).map(|n| &*Box::leak(format!("p{n}").into_boxed_str())).collect();
    let mut w = {
        for name in &names {
            w.join(name, join(true));
        }
        w
    };
    congested(&mut w, "carol", true);
    for name in &names {
        for _ in 0..3 {
            w.data(name, DataChannel::Reliable, user(&[0; 15_000], &["carol".to_owned()]));
        }
    }
    assert!(w.shard.granted.is_empty());
    congested(&mut w, "carol", false);
    assert_eq!(w.shard.granted.len(), 16);
    w.advance(Duration::from_secs(1));
    assert_eq!(w.shard.granted.len(), 40);
}

#[test]
fn names_are_looked_up_once_each_and_too_many_are_refused() {
    let mut w = room(&["alice", "bob", "carol"]);
    let names = |n: usize| (0..n).map(|i| if i == 7 { "bob".to_owned() } else { format!("nobody{i}") });
    let before = w.hub.metrics().data;
    w.data("alice", DataChannel::Reliable, user(b"x", &names(87_000).collect::<Vec<_>>()));
    let after = w.hub.metrics().data;
    assert_eq!((after.too_many_destinations, after.lookups, after.deliveries), (1, before.lookups, 0));
    w.data("alice", DataChannel::Reliable, user(b"x", &names(4000).collect::<Vec<_>>()));
    let found = w.hub.metrics().data;
    assert_eq!((found.lookups - after.lookups, found.deliveries), (4000, 1), "a step for each name");
    assert_eq!(count(&mut w, "bob", DataChannel::Reliable), 1);
    let sid = w.client("carol").sid();
    let sids: Vec<String> = (0..4000).map(|i| format!("PA_{i}")).chain([sid]).collect();
    let to_sids = UserPacket { destination_sids: sids.clone(), ..UserPacket::default() };
    let packet = DataPacket { value: Some(Value::User(to_sids)), ..DataPacket::default() };
    w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    assert_eq!(w.hub.metrics().data.lookups - found.lookups, 4001 + 3, "and one for each participant");
    assert_eq!(count(&mut w, "carol", DataChannel::Reliable), 1);
    // The same over the server API.
    let request = |destination_sids: Vec<String>| {
        ServiceRequest::SendData(SendDataRequest {
            room: "room".into(),
            data: b"news".to_vec(),
            destination_sids,
            ..SendDataRequest::default()
        })
    };
    w.service(request(sids.clone())).unwrap();
    assert_eq!(count(&mut w, "carol", DataChannel::Reliable), 2);
    let error = w.service(request(vec!["PA_x".into(); 4097])).unwrap_err();
    assert_eq!(error.code, ServiceErrorCode::InvalidArgument);
}

/// Packets of a quarter of a megabyte that hold nothing but tiny parts take long to read.
#[test]
fn reading_has_a_price_too() {
    let limited = World::with(|c| c.limits.data_deliveries_per_second = 1000);
    let mut w = filled(limited, &["alice", "bob"]);
    let mut parts = user(b"x", &[]);
    // Fields of a future version.
    for _ in 0..100_000 {
        parts.extend([0xa0, 0x06, 0]);
    }
    for _ in 0..50 {
        w.data("alice", DataChannel::Lossy, parts.clone());
    }
    assert!(count(&mut w, "bob", DataChannel::Lossy) <= 2);
    assert!(w.hub.metrics().data.over_budget >= 48);
}

#[test]
fn the_server_api_has_a_budget_in_each_room() {
    let mut w = filled(World::with(|c| c.limits.data_deliveries_per_second = 10), &["alice", "bob"]);
    let request = ServiceRequest::SendData(SendDataRequest {
        room: "room".into(),
        data: b"news".to_vec(),
        ..SendDataRequest::default()
    });
    let mut sent = 0;
    let error = loop {
        match w.service(request.clone()) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent <= 10, "no limit");
    };
    assert_eq!((sent, error.code), (10, ServiceErrorCode::ResourceExhausted));
    w.advance(Duration::from_secs(1));
    w.service(request).unwrap();
}
