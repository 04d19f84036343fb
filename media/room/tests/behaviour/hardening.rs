//! Hostile descriptions, floods and sessions that end at any moment.

use crate::client::{Client, add_track};
use crate::sdp;
use crate::world::{World, description, join};
use bedrud_room::{Format, HubStats, Input, decode_request};
use bedrud_sfu::{CloseReason, Event};
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{DisconnectReason, SignalRequest};
use prost::Message as _;
use std::time::Duration;

/// An offer of an ordinary client, to be spoilt.
fn ordinary(sections: usize) -> String {
    let mut client = Client { ufrag: "hostile".into(), ..Client::default() };
    for i in 0..sections {
        client.add_sending(&format!("t{i}"), i % 2 == 1, i % 4 == 3);
    }
    sdp::offer("hostile", &client.sections)
}

fn without_lines(sdp: &str, start: &str) -> String {
    sdp.lines().filter(|l| !l.starts_with(start)).map(|l| format!("{l}\r\n")).collect()
}

/// Sends an offer beside a call that must not notice. True when the sender was sent away.
fn offer(sdp: &str) -> bool {
    let mut w = World::new();
    w.join("hostile", join(false));
    w.join("bob", join(false));
    w.publish("bob", "cam", true);
    for i in 0..4 {
        w.send("hostile", Request::AddTrack(add_track(&format!("t{i}"), i % 2 == 1)));
    }
    w.client("hostile").next_offer_id = 1;
    w.send("hostile", Request::Offer(description(sdp)));
    w.settle();
    assert!(w.client("bob").closed.is_none());
    assert!(w.hub.stats().tracks >= 1, "bob's track stays");
    let away = w.client("hostile").closed.is_some();
    if away {
        let leave = w.client("hostile").leave().expect("it is told");
        assert_eq!(leave.reason, DisconnectReason::StateMismatch as i32);
        assert_eq!(w.hub.stats().participants, 1);
    }
    away
}

#[test]
fn hostile_offers_are_errors_of_their_sender() {
    let good = ordinary(4);
    assert!(!offer(&good), "the unspoilt one is fine");
    assert!(offer(&ordinary(1000)), "a thousand sections");
    assert!(offer(&good.replace("a=mid:3", "a=mid:2")), "the same mid twice");
    assert!(offer(&without_lines(&good, "a=fingerprint")), "no fingerprint");
    let sdes = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\na=setup";
    let crypto = without_lines(&good, "a=fingerprint").replace("a=setup", sdes);
    assert!(offer(&crypto), "keys in the description");
    let sha1 = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
    assert!(offer(&good.replace(sdp::FINGERPRINT, sha1)), "a hash nobody should trust");
    assert!(offer(&without_lines(&good, "a=ice-pwd")), "no credentials");
    assert!(offer(&without_lines(&good, "a=setup")), "no role");
    assert!(offer(&good.replace("a=setup:actpass", "a=setup:holdconn")), "no role that exists");
}

#[test]
fn a_role_of_the_answerer_in_an_answer_is_an_error() {
    let mut w = World::new();
    w.join("hostile", join(false));
    w.join("bob", join(false));
    w.client("hostile").mute_negotiation = true;
    w.publish("bob", "cam", true);
    let answer = sdp::answer(&w.client("hostile").last_server_sdp, "h", false);
    w.send("hostile", Request::Answer(description(&answer.replace("a=setup:active", "a=setup:actpass"))));
    assert_eq!(w.client("hostile").leave().unwrap().reason, DisconnectReason::StateMismatch as i32);
    assert!(w.client("bob").closed.is_none());
}

#[test]
fn repeated_streams_confuse_nobody() {
    let good = ordinary(4);
    // Every section claims the SSRC of the first, or the same rid thrice.
    let ssrcs: String = good
        .lines()
        .map(|l| match l.strip_prefix("a=ssrc:").and_then(|r| r.split_once(' ')) {
            Some((_, rest)) => format!("a=ssrc:1048 {rest}\r\n"),
            None => format!("{l}\r\n"),
        })
        .collect();
    let rids = good.replace("a=rid:h", "a=rid:q").replace("a=rid:f", "a=rid:q").replace("q;h;f", "q;q;q");
    for sdp in [ssrcs, rids] {
        offer(&sdp);
        let mut w = World::new();
        w.join("hostile", join(false));
        w.send("hostile", Request::AddTrack(add_track("t1", true)));
        w.client("hostile").next_offer_id = 1;
        w.send("hostile", Request::Offer(description(&sdp)));
        for up in w.shard.ups.values() {
            let rids: Vec<_> = up.layers.iter().filter_map(|l| l.rid).collect();
            let mut unique = rids.clone();
            unique.dedup();
            assert_eq!(rids, unique, "a layer of each name");
        }
    }
}

#[test]
fn flood_costs_its_sender_the_socket_and_nobody_else_anything() {
    let mut w = World::new();
    w.join("flood", join(false));
    w.join("bob", join(false));
    w.publish("flood", "cam", true);
    let conn = w.client("flood").conn.unwrap();
    for n in 0..10_000 {
        let request = SignalRequest { message: Some(Request::Ping(n)) };
        w.input(Input::Signal { conn, request });
    }
    assert_eq!(w.client("flood").closed, Some(false));
    let pongs = w.client("flood").log.iter().filter(|m| matches!(m, Message::Pong(_))).count();
    assert!(pongs <= 2000, "{pongs} answers");
    let reason = w.client("flood").find(|m| match m {
        Message::RequestResponse(r) => Some(r.reason),
        _ => None,
    });
    assert_eq!(reason, Some(Reason::LimitExceeded as i32));
    assert!(w.client("bob").closed.is_none() && w.shard.ups.len() == 1, "its media goes on for a while");
    // It may come back, but not to flood again.
    w.advance(Duration::from_secs(1));
    w.resume("flood", join(false));
    let conn = w.client("flood").conn.unwrap();
    for n in 0..300 {
        w.input(Input::Signal { conn, request: SignalRequest { message: Some(Request::Ping(n)) } });
    }
    assert_eq!(w.client("flood").closed, Some(false));
    w.send("bob", Request::Ping(1));
    assert!(w.client("bob").closed.is_none());
}

#[test]
fn a_busy_client_is_no_flood() {
    let mut w = World::new();
    w.join("busy", join(false));
    for n in 0..60 {
        for _ in 0..150 {
            w.send("busy", Request::Ping(n));
        }
        w.advance(Duration::from_secs(1));
    }
    assert!(w.client("busy").closed.is_none());
}

#[test]
fn an_identity_that_joins_a_thousand_times_leaves_one_session() {
    for single in [false, true] {
        let mut w = World::new();
        w.join("bob", join(false));
        w.publish("bob", "cam", true);
        let before = w.hub.stats();
        let names: Vec<&'static str> = (0..1000).map(|i| &*format!("a{i}").leak()).collect();
        for name in &names {
            w.rejoin("again", name, join(single));
            if w.clients.len() > 3 {
                let gone = w.clients.keys().copied().find(|n| *n != "bob" && n != name).unwrap();
                let old = w.clients.remove(gone).unwrap();
                assert_eq!(old.leave().unwrap().reason, DisconnectReason::DuplicateIdentity as i32);
                assert_eq!(old.closed, Some(true));
            }
        }
        let stats = w.hub.stats();
        assert_eq!((stats.participants, stats.connections), (2, 2));
        assert_eq!(stats.transports, w.shard.transports.len());
        assert_eq!((stats.tracks, stats.subscriptions), (1, 1));
        let last = names.last().unwrap();
        w.send(last, Request::Leave(Default::default()));
        w.advance(Duration::from_secs(1));
        let after = w.hub.stats();
        assert_eq!((after.transports, after.subscriptions), (before.transports, before.subscriptions));
    }
}

/// How far a client gets before it is gone.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Joined,
    OfferUnanswered,
    Negotiated,
    TrackPending,
    TrackPublished,
    Subscribed,
    Silent,
    Resumed,
}

/// How it goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    Leave,
    Socket,
    Page,
    Replaced,
    Nothing,
}

#[test]
fn a_client_that_goes_at_any_stage_in_any_way_leaves_nothing_behind() {
    use Stage as S;
    let stages = [
        S::Joined,
        S::OfferUnanswered,
        S::Negotiated,
        S::TrackPending,
        S::TrackPublished,
        S::Subscribed,
        S::Silent,
        S::Resumed,
    ];
    let ways = [Way::Leave, Way::Socket, Way::Page, Way::Replaced, Way::Nothing];
    for single in [false, true] {
        for stage in stages {
            for way in ways {
                let mut w = World::new();
                reach(&mut w, stage, single);
                go(&mut w, way, single);
                w.advance(Duration::from_secs(200));
                for name in ["bob", "anna", "anna2"] {
                    let open = w.clients.get(name).is_some_and(|c| c.conn.is_some() && c.closed.is_none());
                    if open {
                        w.send(name, Request::Leave(Default::default()));
                    }
                }
                w.advance(Duration::from_secs(400));
                assert_eq!(w.hub.stats(), HubStats::default(), "{stage:?} {way:?} single {single}");
                assert!(w.shard.transports.is_empty(), "{stage:?} {way:?} single {single}");
            }
        }
    }
}

fn reach(w: &mut World, stage: Stage, single: bool) {
    w.shard.reachable = !matches!(stage, Stage::Joined | Stage::OfferUnanswered | Stage::Negotiated);
    let mut how = join(single);
    how.offer &= !matches!(stage, Stage::Joined);
    w.join("anna", how);
    match stage {
        Stage::Joined | Stage::Negotiated => {}
        Stage::OfferUnanswered => {
            w.client("anna").mute_negotiation = true;
            let offer = w.client("anna").offer();
            w.send("anna", offer);
        }
        Stage::TrackPending => w.send("anna", Request::AddTrack(add_track("cam", true))),
        Stage::TrackPublished => drop(w.publish("anna", "cam", true)),
        Stage::Subscribed => {
            w.join("bob", join(false));
            w.publish("bob", "cam", true);
            w.publish("anna", "mic", false);
        }
        Stage::Silent => {
            for id in w.shard.transports.keys().copied().collect::<Vec<_>>() {
                w.shard_event(Event::Disconnected { id });
            }
        }
        Stage::Resumed => {
            w.publish("anna", "cam", true);
            w.drop_socket("anna");
            let mut how = join(single);
            how.offer = false;
            w.resume("anna", how);
        }
    }
}

fn go(w: &mut World, way: Way, single: bool) {
    match way {
        Way::Leave => w.send("anna", Request::Leave(Default::default())),
        Way::Socket => {
            w.drop_socket("anna");
            // Its connection dies some time later.
            close_transports(w, CloseReason::TimedOut);
        }
        Way::Page => close_transports(w, CloseReason::ClosedByPeer),
        Way::Replaced => {
            w.rejoin("anna", "anna2", join(single));
        }
        Way::Nothing => {}
    }
}

fn close_transports(w: &mut World, reason: CloseReason) {
    let c = w.client("anna");
    for id in [c.publisher, c.subscriber].into_iter().flatten() {
        if w.shard.transports.remove(&id).is_some() {
            w.shard.ups.retain(|_, u| u.transport != id);
            w.shard.downs.retain(|_, d| d.transport != id);
            w.shard_event(Event::Closed { id, reason });
        }
    }
}

#[test]
fn unknown_fields_are_ignored_and_cut_messages_refused() {
    let request = SignalRequest { message: Some(Request::AddTrack(add_track("cam", true))) };
    let bytes = request.encode_to_vec();
    let mut newer = bytes.clone();
    // Field 999, length-delimited.
    prost::encoding::encode_varint(999 << 3 | 2, &mut newer);
    newer.extend([3, 1, 2, 3]);
    assert_eq!(decode_request(Format::Protobuf, &newer).unwrap(), request);
    for cut in 1..bytes.len() {
        assert!(decode_request(Format::Protobuf, &bytes[..cut]).is_err(), "{cut} bytes");
    }
    // A length of nearly four gigabytes with nothing behind it.
    assert!(decode_request(Format::Protobuf, &[0x22, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    let json = br#"{"addTrack":{"cid":"cam","type":"VIDEO","somethingNew":{"anna":[1]}},"alsoNew":1}"#;
    match decode_request(Format::Json, json) {
        Ok(r) => assert!(matches!(r.message, Some(Request::AddTrack(a)) if a.cid == "cam")),
        Err(error) => panic!("{error}"),
    }
}
