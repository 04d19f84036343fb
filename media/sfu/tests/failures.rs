//! Something inside the shard panics: who caused it is closed, and nobody else misses a packet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::Codec;
use bedrud_sfu::test_util::Fault;
use bedrud_sfu::{CloseReason, Command, DownTrackId, Event, TransportId};
use support::publisher::{OPUS, Publisher, audio_pt};
use support::{World, check, tid};

/// Two rooms: slot 0 publishes to 1, 2 and 3, slot 4 to 5.
fn rooms() -> World {
    let mut w = World::new(7);
    let opus = || vec![audio_pt(OPUS, Codec::Opus, true)];
    let first = w.publish(0, |id| Publisher::audio(id, false));
    for slot in 1..=3 {
        w.subscribe(slot, first, opus(), false);
    }
    let second = w.publish(4, |id| {
        let (mut config, publisher) = Publisher::audio(id, false);
        config.transport = tid(4);
        (config, publisher)
    });
    w.subscribe(5, second, opus(), false);
    w.run(1000);
    w
}

fn closed(w: &World) -> Vec<(TransportId, CloseReason)> {
    let ends = w.events.iter().filter_map(|e| match e {
        Event::Closed { id, reason } => Some((*id, *reason)),
        _ => None,
    });
    ends.collect()
}

/// Lets it run on with the fault, and compares with the same rooms without it.
fn bystanders_of(fault: Fault, culprit: u32, alive: &[u32]) -> World {
    let mut undisturbed = rooms();
    let mut w = rooms();
    w.failures = 1;
    w.shard.fail(fault, tid(culprit));
    for w in [&mut undisturbed, &mut w] {
        // Something for every slot, so that a fault in commands has its turn.
        let id = DownTrackId(u64::from(culprit) + 5000);
        let settings =
            bedrud_sfu::DownTrackSettings { paused: false, max_spatial: 1, max_temporal: 3, may_pause: true };
        if fault == Fault::Command {
            w.command(Command::SetDownTrack { id, settings });
        }
        w.run(9000);
    }
    assert_eq!(closed(&w), [(tid(culprit), CloseReason::ServerFailure)], "{fault:?}");
    for slot in [1, 2, 3, 5] {
        // Subscribers are kept in the order they came.
        let at = if slot == 5 { 3 } else { slot as usize - 1 };
        let (here, there) = (&w.subscribers[at], &undisturbed.subscribers[at]);
        if alive.contains(&slot) {
            check::contiguous(here, 0);
            assert_eq!(here.received.len(), there.received.len(), "{fault:?}: packets of {slot}");
            assert_eq!(check::longest_gap(here), check::longest_gap(there), "{fault:?}: a gap at {slot}");
            assert_eq!(here.repaired, 0);
        } else {
            assert!(here.received.len() < there.received.len(), "{fault:?}: {slot} goes on");
        }
    }
    w
}

#[test]
fn a_failed_flush_costs_the_subscriber_it_was_for() {
    for culprit in [1, 2, 3] {
        let alive: Vec<u32> = [1, 2, 3, 5].into_iter().filter(|s| *s != culprit).collect();
        let w = bystanders_of(Fault::Flush, culprit, &alive);
        assert_eq!((w.shard.stats().transports, w.shard.stats().down_tracks), (5, 3));
    }
}

#[test]
fn a_failed_timer_or_command_costs_its_transport() {
    for fault in [Fault::Timer, Fault::Command] {
        let w = bystanders_of(fault, 2, &[1, 3, 5]);
        assert_eq!((w.shard.stats().transports, w.shard.stats().down_tracks), (5, 3));
    }
}

#[test]
fn a_packet_that_fails_costs_its_publisher_and_the_other_room_nothing() {
    for fault in [Fault::Packet, Fault::Report] {
        let mut w = bystanders_of(fault, 0, &[5]);
        let stats = w.shard.stats();
        assert_eq!((stats.up_tracks, stats.down_tracks, stats.transports), (1, 1, 5), "{fault:?}");
        // Its subscribers are there for whatever comes next.
        let before: Vec<usize> = w.subscribers.iter().map(|s| s.received.len()).collect();
        let again = w.publish(6, |id| {
            let (mut config, publisher) = Publisher::audio(id, false);
            config.transport = tid(6);
            (config, publisher)
        });
        for slot in 1..=3 {
            w.command(Command::AddDownTrack(bedrud_sfu::DownTrackConfig {
                id: DownTrackId(u64::from(slot) + 7000),
                ssrc: 0x1000_0000 + slot,
                ..support::audio_down(slot, again)
            }));
        }
        w.run(1000);
        for (s, before) in w.subscribers.iter().zip(before) {
            assert!(s.received.len() >= before + 40, "a subscriber of {fault:?} stays silent");
        }
    }
}

/// Nothing stays of it: the tables are as if it had been closed.
#[test]
fn what_failed_leaves_nothing_behind() {
    for fault in [Fault::Packet, Fault::Timer, Fault::Flush, Fault::Report] {
        let mut w = rooms();
        w.failures = 1;
        w.shard.fail(fault, tid(0));
        w.run(9000);
        for slot in 1..=5 {
            w.command(Command::CloseTransport { id: tid(slot) });
        }
        w.publishers.clear();
        w.subscribers.clear();
        w.run(20_000);
        let stats = w.shard.stats();
        let held = [
            stats.transports,
            stats.up_tracks,
            stats.down_tracks,
            stats.addresses,
            stats.ssrcs,
            stats.timers,
        ];
        assert_eq!(held, [0; 6], "{fault:?}");
        assert!(w.shard.poll_deadline().is_none(), "nothing left to wait for");
    }
}
