//! How fast participants tell each other things, and what newcomers are told of a room that has much to say.

use crate::price::{name, own_metadata};
use crate::world::{World, join};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{UpdateParticipantMetadata, UpdateSubscription};
use prost::Message as _;
use std::time::Duration;

/// Bytes of updates about others that somebody got since the last time.
fn updates(w: &mut World, who: &str) -> usize {
    let all = w.client(who).take();
    all.iter().map(|m| if let Message::Update(u) = m { u.encoded_len() } else { 0 }).sum()
}

fn metadata(n: u32, size: usize) -> Request {
    let metadata = format!("{n} {}", "m".repeat(size));
    Request::UpdateMetadata(UpdateParticipantMetadata { metadata, ..Default::default() })
}

#[test]
fn large_metadata_neither_fills_connections_nor_keeps_newcomers_out() {
    let mut w = World::new();
    w.join("bob", join(true).grant(own_metadata));
    let names: Vec<&'static str> = (0..12).map(|n| &*format!("eve-{n}").leak()).collect();
    for name in &names {
        w.join(name, join(true).grant(own_metadata));
    }
    updates(&mut w, "bob");
    let mut most = 0;
    let (mut total, mut said) = (0, 0);
    for second in 0..60 {
        for name in &names {
            said += 1;
            w.send(name, metadata(said, 500 << 10));
        }
        w.advance(Duration::from_secs(1));
        let got = updates(&mut w, "bob");
        total += got;
        if second >= 20 {
            most = most.max(got);
        }
        for name in &names {
            w.client(name).take();
            w.client(name).log.drain(1..);
        }
    }
    // A burst, and less than two megabits a second then; 350 MB were meant for him.
    assert!(total < (3 << 20) + 60 * (192 << 10), "{total} bytes");
    // Bob may still describe himself, and change it at once.
    w.send("bob", metadata(1, 4000));
    assert!(w.client(names[0]).sees("bob").unwrap().metadata.starts_with("1 "), "he is heard at once");
    // The newest state of each arrives in the end.
    w.client("bob").log.drain(1..);
    w.send(names[0], metadata(7777, 100 << 10));
    w.advance(Duration::from_secs(120));
    assert!(w.client("bob").sees(names[0]).unwrap().metadata.starts_with("7777 "));
    let carol = w.join("carol", join(true));
    let first = carol.join_response().encoded_len();
    assert!(first < 1 << 20, "{first} bytes at first");
    let all: usize =
        carol.log.iter().map(|m| if let Message::Update(u) = m { u.encoded_len() } else { 0 }).sum();
    assert!(first + all < 4 << 20, "{all} bytes follow");
    for name in names.iter().chain(&["bob"]) {
        assert!(carol.sees(name).is_some(), "{name}");
    }
}

#[test]
fn what_tokens_carry_is_told_in_several_messages() {
    for single in [false, true] {
        let mut w = World::new();
        let large = "m".repeat(500 << 10);
        let names: Vec<&'static str> = (0..8).map(|n| &*format!("guest-{n}").leak()).collect();
        for name in &names {
            w.join(name, join(single).with(|p| p.claims.metadata.clone_from(&large)));
        }
        let last = w.client(names[7]);
        assert!(last.join_response().encoded_len() < 1 << 20);
        for name in &names[..7] {
            assert_eq!(last.sees(name).expect("known").metadata.len(), large.len(), "{name}");
        }
        let first = last.log.iter().position(|m| !matches!(m, Message::Join(_) | Message::Update(_)));
        let after = last
            .log
            .iter()
            .skip(first.unwrap())
            .any(|m| matches!(m, Message::Update(u) if u.participants.len() > 1));
        assert!(!after, "everybody is known before anything else is said");
    }
}

#[test]
fn a_moderator_of_a_large_room_is_heard_each_second() {
    let mut w = World::new();
    w.join("moderator", join(false).grant(own_metadata));
    for n in 0..200 {
        w.join(name(n), join(false));
    }
    w.advance(Duration::from_secs(10));
    for n in 1..=60 {
        w.send("moderator", metadata(n, 2000));
        let seen = w.client(name(150)).sees("moderator").unwrap();
        assert!(seen.metadata.starts_with(&format!("{n} ")), "change {n} is told at once");
        w.advance(Duration::from_secs(1));
        w.clients.values_mut().for_each(|c| {
            c.take();
            let old = c.log.len().saturating_sub(3);
            c.log.drain(1..old.max(1));
        });
    }
}

#[test]
fn a_page_of_tiles_is_turned_as_fast_as_people_do() {
    let mut w = World::new();
    let mut tracks = Vec::new();
    for n in 0..50 {
        w.join(name(n), join(true).with(|p| p.auto_subscribe = false));
        for cam in 0..10 {
            tracks.push(w.publish(name(n), &format!("cam{cam}"), true));
        }
        w.client(name(n)).take();
    }
    assert_eq!(tracks.len(), 500);
    w.join("viewer", join(false).with(|p| p.auto_subscribe = false));
    let pages = [&tracks[..250], &tracks[250..]];
    for turn in 0..20 {
        for (page, subscribe) in [(pages[turn % 2], true), (pages[(turn + 1) % 2], false)] {
            let track_sids = page.to_vec();
            w.send(
                "viewer",
                Request::Subscription(UpdateSubscription { track_sids, subscribe, ..Default::default() }),
            );
        }
        w.advance(Duration::from_secs(1));
        let viewer = w.client("viewer");
        viewer.take();
        assert!(viewer.closed.is_none(), "turn {turn}");
        let mut now: Vec<&String> = viewer.receiving.values().collect();
        now.sort();
        let mut wanted: Vec<&String> = pages[turn % 2].iter().collect();
        wanted.sort();
        assert!(now == wanted, "turn {turn}: {} tracks", now.len());
    }
}
