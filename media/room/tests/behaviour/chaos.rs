//! Any sequence of events leaves hub, shard and clients with the same idea of the room.

use crate::world::{World, join};
use bedrud_room::HubStats;
use bedrud_sfu::{CloseReason, DataChannel, Event};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    MuteTrackRequest, SubscriptionPermission, UpdateSubscription, UpdateTrackSettings,
    participant_info::State,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;
use std::time::Duration;

const NAMES: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];

#[derive(Debug, Clone, Copy)]
enum Op {
    Join { single: bool },
    Leave,
    Publish { video: bool },
    Unpublish,
    Mute(bool),
    DropSocket,
    Resume,
    Silence,
    Revive,
    ClosePage,
    Forbid(bool),
    Settings { disabled: bool, quality: u8 },
    Data,
    Wait(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<bool>().prop_map(|single| Op::Join { single }),
        1 => Just(Op::Leave),
        6 => any::<bool>().prop_map(|video| Op::Publish { video }),
        3 => Just(Op::Unpublish),
        1 => any::<bool>().prop_map(Op::Mute),
        1 => Just(Op::DropSocket),
        2 => Just(Op::Resume),
        1 => Just(Op::Silence),
        2 => Just(Op::Revive),
        1 => Just(Op::ClosePage),
        1 => any::<bool>().prop_map(Op::Forbid),
        1 => (any::<bool>(), 0..3u8).prop_map(|(disabled, quality)| Op::Settings { disabled, quality }),
        1 => Just(Op::Data),
        2 => (0..12u8).prop_map(Op::Wait),
    ]
}

fn connected(w: &World, name: &str) -> bool {
    w.clients.get(name).is_some_and(|c| c.conn.is_some() && c.closed.is_none() && c.refused.is_none())
}

fn tracks(w: &World, name: &str) -> Vec<String> {
    let sending =
        w.clients.get(name).into_iter().flat_map(|c| c.sections.iter().filter_map(|s| s.track.clone()));
    sending.collect()
}

fn apply(w: &mut World, name: &'static str, op: Op, serial: usize) {
    let here = connected(w, name);
    match op {
        Op::Join { single } => {
            w.join(name, join(single));
        }
        Op::Wait(seconds) => w.advance(Duration::from_secs(seconds.into())),
        Op::Resume => {
            let Some(single) = w.clients.get(name).filter(|c| !c.log.is_empty()).map(|c| c.single_pc) else {
                return;
            };
            let mut how = join(single);
            how.offer = false;
            w.resume(name, how);
        }
        Op::Silence | Op::Revive | Op::ClosePage => {
            let Some(c) = w.clients.get(name) else { return };
            let Some(id) = c.publisher.or(c.subscriber).filter(|id| w.shard.transports.contains_key(id))
            else {
                return;
            };
            let event = match op {
                Op::Silence => Event::Disconnected { id },
                Op::Revive => Event::Reconnected { id },
                _ => {
                    w.shard.transports.remove(&id);
                    w.shard.ups.retain(|_, u| u.transport != id);
                    w.shard.downs.retain(|_, d| d.transport != id);
                    Event::Closed { id, reason: CloseReason::ClosedByPeer }
                }
            };
            w.shard_event(event);
            if matches!(op, Op::ClosePage) {
                // Until then others may be offered what the shard no longer has.
                w.advance(Duration::from_secs(6));
            }
        }
        _ if !here => {}
        Op::Leave => w.send(name, Request::Leave(Default::default())),
        Op::Publish { video } => {
            w.publish(name, &format!("{name}-{serial}"), video);
        }
        Op::Unpublish => {
            if let Some(cid) = tracks(w, name).first() {
                w.unpublish(name, cid);
            }
        }
        Op::Mute(muted) => {
            let sid = tracks(w, name).first().and_then(|cid| w.client(name).confirmed(cid)).map(|t| t.sid);
            w.send(name, Request::Mute(MuteTrackRequest { sid: sid.unwrap_or_default(), muted }));
        }
        Op::DropSocket => w.drop_socket(name),
        Op::Forbid(all_participants) => {
            let rules = SubscriptionPermission { all_participants, track_permissions: vec![] };
            w.send(name, Request::SubscriptionPermission(rules));
        }
        Op::Settings { disabled, quality } => {
            let track_sids: Vec<String> = w.client(name).receiving.values().cloned().collect();
            let quality = i32::from(quality);
            let again =
                UpdateSubscription { track_sids: track_sids.clone(), subscribe: true, ..Default::default() };
            w.send(name, Request::Subscription(again));
            let s = UpdateTrackSettings { track_sids, disabled, quality, ..Default::default() };
            w.send(name, Request::TrackSetting(s));
        }
        Op::Data => {
            if w.client(name).publisher.is_some_and(|id| w.shard.transports.contains_key(&id)) {
                w.data(name, DataChannel::Reliable, vec![0x80, 0x01, 1]);
            }
        }
    }
}

fn check(w: &World) -> Result<(), String> {
    let stats = w.hub.stats();
    assert_eq!(stats.transports, w.shard.transports.len());
    assert_eq!((stats.tracks, stats.subscriptions), (w.shard.ups.len(), w.shard.downs.len()));
    let unique: BTreeSet<_> = w.shard.downs.values().map(|d| (d.transport, d.source)).collect();
    assert_eq!(unique.len(), w.shard.downs.len(), "a track is sent once to a client");
    let sections: BTreeSet<_> = w.shard.downs.values().map(|d| (d.transport, d.mid)).collect();
    assert_eq!(sections.len(), w.shard.downs.len(), "a section carries one track");
    for (name, c) in &w.clients {
        let Some(c) = Some(c).filter(|_| connected(w, name)) else { continue };
        let Some(id) = (if c.single_pc { c.publisher } else { c.subscriber }) else { continue };
        let downs = w.shard.downs.values().filter(|d| d.transport == id).count();
        if w.shard.transports.contains_key(&id) && c.receiving.len() != downs {
            return Err(format!("{name}: SDP and shard do not agree"));
        }
        for other in NAMES.iter().filter(|o| *o != name) {
            let Some(info) = c.sees(other).filter(|i| i.state != State::Disconnected as i32) else {
                continue;
            };
            assert_eq!(info.identity, **other);
        }
    }
    Ok(())
}

proptest! {
    // A fixed seed: a gate must not depend on the day. Another seed here searches further.
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_124),
        ..ProptestConfig::default()
    })]

    #[test]
    fn hub_shard_and_clients_agree_whatever_happens(
        ops in proptest::collection::vec((0..NAMES.len(), op()), 1..60),
    ) {
        let mut w = World::new();
        for (serial, (who, op)) in ops.into_iter().enumerate() {
            apply(&mut w, NAMES[who], op, serial);
            w.advance(Duration::from_millis(1500));
            // A change may just have started its debounce.
            if check(&w).is_err() {
                w.settle();
                check(&w).unwrap();
            }
        }
        for name in NAMES {
            if connected(&w, name) {
                w.send(name, Request::Leave(Default::default()));
            }
            let links: Vec<_> = w.shard.transports.keys().copied().collect();
            for id in links {
                w.shard_event(Event::Disconnected { id });
            }
        }
        w.advance(Duration::from_secs(120));
        prop_assert_eq!(w.hub.stats(), HubStats::default());
        prop_assert_eq!(w.hub.metrics().counters.failures, 0);
        prop_assert!(w.shard.transports.is_empty() && w.shard.ups.is_empty() && w.shard.downs.is_empty());
    }
}

#[test]
fn a_connection_closed_while_it_was_to_revive_ends_the_session_in_the_usual_time() {
    let mut w = World::new();
    let ops = [
        (0, Op::Join { single: false }),
        (0, Op::Silence),
        (4, Op::Join { single: false }),
        (4, Op::Publish { video: false }),
        (0, Op::Resume),
        (0, Op::ClosePage),
    ];
    for (serial, (who, op)) in ops.into_iter().enumerate() {
        apply(&mut w, NAMES[who], op, serial);
        w.advance(Duration::from_millis(1500));
    }
    check(&w).unwrap();
    assert_eq!((w.hub.stats().participants, w.hub.stats().subscriptions), (1, 0));
}
