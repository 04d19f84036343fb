//! Layers of one stream: subscribers get the spatial and temporal layers they want or can afford, and what they get can
//! be decoded, whatever is lost or switched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::Codec;
use bedrud_rtp::sniff::{DependencyReader, Descriptor, sniff};
use bedrud_sfu::{Command, DownTrackId, ShardConfig};
use support::subscriber::Subscriber;
use support::svc::{Picture, decode, payload_type};
use support::{World, check, tid};

/// Every codec, with layers predicted from each other always or in key pictures only.
const STREAMS: [(Codec, bool); 4] =
    [(Codec::Vp9, true), (Codec::Vp9, false), (Codec::Av1, true), (Codec::Av1, false)];

fn world(seed: u64, codec: Codec, key_mode: bool) -> (World, DownTrackId) {
    world_with(seed, ShardConfig::default(), codec, key_mode)
}

fn world_with(seed: u64, config: ShardConfig, codec: Codec, key_mode: bool) -> (World, DownTrackId) {
    let mut w = World::with_config(seed, config);
    let track = w.publish_svc(codec, key_mode);
    let down = w.subscribe(1, track, vec![payload_type(codec)], true);
    (w, down)
}

fn pictures(s: &Subscriber) -> Vec<Picture> {
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    let decoded = decode(&s.received);
    assert_eq!((decoded.useless, decoded.reopened), (0, 0));
    decoded.pictures
}

/// Highest layers of the last eight pictures.
fn latest(w: &World) -> (u8, u8) {
    let pictures = decode(&w.subscribers[0].received).pictures;
    let last = &pictures[pictures.len() - 8..];
    (last.iter().map(|p| p.spatial).max().unwrap(), last.iter().map(|p| p.temporal).max().unwrap())
}

fn longest_pause(pictures: &[Picture]) -> u32 {
    pictures.windows(2).map(|w| w[1].ms - w[0].ms).max().unwrap()
}

#[test]
fn the_whole_stream_is_the_default() {
    for (codec, key_mode) in STREAMS {
        let (mut w, _) = world(1, codec, key_mode);
        w.run(3000);
        let pictures = pictures(&w.subscribers[0]);
        assert!(pictures.iter().all(|p| p.spatial == 2), "{codec:?}");
        assert!(pictures.len() > 80);
        assert_eq!(longest_pause(&pictures), 33);
        assert!(w.svc.as_ref().unwrap().plis <= 2, "{}", w.svc.as_ref().unwrap().plis);
    }
}

#[test]
fn spatial_layers_follow_the_wish() {
    for (codec, key_mode) in STREAMS {
        let (mut w, down) = world(2, codec, key_mode);
        w.run(1000);
        for layer in [0, 2, 1, 0, 1, 2, 0] {
            w.settings(down, false, layer, 3);
            w.run(1500);
            assert_eq!(latest(&w), (layer, 2), "{codec:?} {key_mode}");
        }
        let pictures = pictures(&w.subscribers[0]);
        assert!(longest_pause(&pictures) <= 33, "{codec:?}: {}", longest_pause(&pictures));
    }
}

#[test]
fn going_down_needs_no_key_frame_where_lower_layers_were_sent_along() {
    for (codec, key_mode) in [(Codec::Vp9, true), (Codec::Vp9, false), (Codec::Av1, false)] {
        let (mut w, down) = world(3, codec, key_mode);
        w.run(1000);
        let keys = w.svc.as_ref().unwrap().keys_sent;
        w.settings(down, false, 1, 3);
        w.run(100);
        let last = pictures(&w.subscribers[0]);
        assert_eq!(last.last().unwrap().spatial, 1, "{codec:?}");
        assert_eq!(w.svc.as_ref().unwrap().keys_sent, keys);
    }
}

#[test]
fn an_upper_layer_alone_is_sent_until_a_key_frame_lets_it_go() {
    let (mut w, down) = world(4, Codec::Av1, true);
    w.run(1000);
    let keys = w.svc.as_ref().unwrap().keys_sent;
    // Of layer 2 between key pictures nothing else is needed.
    let other = w.subscribers[0].received.values().rev().take(20);
    assert!(other.map(support::svc::Content::read).all(|c| c.spatial == 2));
    w.settings(down, false, 0, 3);
    w.run(500);
    assert_eq!(w.svc.as_ref().unwrap().keys_sent, keys + 1);
    assert_eq!(pictures(&w.subscribers[0]).last().unwrap().spatial, 0);
}

#[test]
fn temporal_layers_are_dropped_and_come_back() {
    for (codec, key_mode) in STREAMS {
        let (mut w, down) = world(5, codec, key_mode);
        w.run(1000);
        for (spatial, temporal) in [(2, 0), (2, 2), (1, 1), (1, 0), (1, 2), (0, 0), (0, 2)] {
            w.settings(down, false, spatial, temporal);
            w.run(2500);
            assert_eq!(latest(&w), (spatial, temporal), "{codec:?} {key_mode}");
        }
        let pictures = pictures(&w.subscribers[0]);
        assert!(longest_pause(&pictures) <= 4 * 33, "{codec:?}: {}", longest_pause(&pictures));
    }
}

#[test]
fn losses_and_switches_leave_everything_decodable() {
    for seed in 10..14 {
        for (codec, key_mode) in STREAMS {
            // Loss must not lower the layer in place of the wish.
            let config = ShardConfig { min_bitrate: 5_000_000, ..ShardConfig::default() };
            let (mut w, down) = world_with(seed, config, codec, key_mode);
            w.run(500);
            (w.up_loss, w.down_loss) = (3, 4);
            for (spatial, temporal) in [(0, 3), (2, 3), (1, 0), (2, 1), (0, 3), (1, 3)] {
                w.settings(down, false, spatial, temporal);
                w.run(1700);
            }
            (w.up_loss, w.down_loss) = (0, 0);
            w.run(2500);
            let s = &w.subscribers[0];
            check::contiguous(s, 0);
            check::timestamps(&s.received);
            assert!(s.repaired > 10 && w.shard.stats().rtx_in > 10);
            let decoded = decode(&s.received);
            assert_eq!(decoded.useless, 0);
            // (A key picture whose first packet is late may be marked more than once: better than never.)
            assert!(decoded.pictures.len() > 150, "{}", decoded.pictures.len());
            assert_eq!(latest(&w), (1, 2), "{codec:?} {key_mode} {seed}");
        }
    }
}

#[test]
fn packets_out_of_order_leave_everything_decodable() {
    for seed in 30..34 {
        for (codec, key_mode) in STREAMS {
            let (mut w, down) = world(seed, codec, key_mode);
            w.run(500);
            w.up_jitter = 50;
            for (spatial, temporal) in [(0, 3), (2, 0), (1, 3), (0, 1), (2, 3)] {
                w.settings(down, false, spatial, temporal);
                w.run(1700);
            }
            w.up_jitter = 0;
            w.run(2500);
            let s = &w.subscribers[0];
            check::contiguous(s, 0);
            check::timestamps(&s.received);
            let decoded = decode(&s.received);
            assert!(decoded.useless <= 6, "{}", decoded.useless);
            assert!(longest_pause(&decoded.pictures) <= 8 * 33, "{codec:?} {seed}");
            assert_eq!(latest(&w), (2, 2), "{codec:?} {key_mode} {seed}");
        }
    }
}

#[test]
fn a_layer_the_publisher_stopped_is_not_waited_for() {
    for (codec, key_mode) in STREAMS {
        let (mut w, _) = world(6, codec, key_mode);
        w.run(1000);
        w.svc.as_mut().unwrap().set_layers(1);
        w.run(3500);
        assert_eq!(latest(&w), (0, 2), "{codec:?}");
        let (plis, now) = (w.svc.as_ref().unwrap().plis, w.subscribers[0].received.len());
        w.run(3000);
        assert_eq!(w.svc.as_ref().unwrap().plis, plis, "nobody waits for anything");
        assert!(w.subscribers[0].received.len() > now + 60);
        w.svc.as_mut().unwrap().set_layers(3);
        w.run(1500);
        assert_eq!(latest(&w), (2, 2), "{codec:?}");
        check::contiguous(&w.subscribers[0], 0);
    }
}

#[test]
fn a_subscriber_gets_what_fits_its_path() {
    for (codec, key_mode) in STREAMS {
        let (mut w, _) = world(7, codec, key_mode);
        w.run(4000);
        assert_eq!(latest(&w).0, 2);
        w.command(Command::SetEgressCap { id: tid(1), bits_per_second: Some(200_000) });
        w.run(2000);
        assert_eq!(latest(&w).0, 0, "{codec:?} {key_mode}");
        w.command(Command::SetEgressCap { id: tid(1), bits_per_second: Some(450_000) });
        w.run(3000);
        assert_eq!(latest(&w).0, 1, "{codec:?} {key_mode}");
        w.command(Command::SetEgressCap { id: tid(1), bits_per_second: None });
        w.run(3000);
        assert_eq!(latest(&w).0, 2, "{codec:?} {key_mode}");
        pictures(&w.subscribers[0]);
    }
}

#[test]
fn pausing_goes_on_with_a_key_frame_and_the_next_numbers() {
    for (codec, key_mode) in STREAMS {
        let (mut w, down) = world(8, codec, key_mode);
        w.run(1000);
        w.settings(down, true, 2, 3);
        w.run(1000);
        let last = *w.subscribers[0].received.last_key_value().unwrap().0;
        w.settings(down, false, 1, 3);
        w.run(1000);
        let s = &w.subscribers[0];
        let next = support::svc::Content::read(&s.received[&(last + 1)]);
        assert!(next.key && next.spatial == 0);
        assert_eq!(pictures(s).last().unwrap().spatial, 1);
        if codec == Codec::Av1 {
            let number = |seq| {
                let dd = s.received[&seq].dd.as_ref().unwrap();
                u16::from_be_bytes([dd[1], dd[2]])
            };
            assert_eq!(number(last + 1), number(last).wrapping_add(1));
        } else {
            let picture = |seq| match sniff(Codec::Vp9, &s.received[&seq].payload, None).descriptor {
                Descriptor::Vp9(d) => (d.picture_id.unwrap().value, d.layer.unwrap().tl0_pic_idx.unwrap()),
                _ => panic!("VP9"),
            };
            let (before, after) = (picture(last), picture(last + 1));
            assert_eq!((after.0.wrapping_sub(before.0) & 0x7fff, after.1.wrapping_sub(before.1)), (1, 1));
        }
    }
}

#[test]
fn subscribers_of_lower_layers_are_told_what_is_active() {
    let (mut w, down) = world(9, Codec::Av1, true);
    w.run(1000);
    w.settings(down, false, 1, 0);
    w.run(1500);
    w.settings(down, false, 2, 3);
    w.run(1500);
    let mut reader = DependencyReader::new();
    let mut told = Vec::new();
    let mut before = None;
    for rx in w.subscribers[0].received.values() {
        let dd = reader.read(rx.dd.as_ref().unwrap()).unwrap();
        assert!(dd.layer.is_some());
        assert!(before.is_none_or(|b| dd.frame >= b), "frame numbers go up");
        before = Some(dd.frame);
        if told.last() != Some(&reader.active_targets()) {
            told.push(reader.active_targets());
        }
    }
    // All; temporal layer 0 of all, at once; without the upper layer, with a key picture; then all temporal layers of
    // those, at once; all, with a key picture.
    assert_eq!(told, [0b1_1111_1111, 0b0_0100_1001, 0b0_0000_1001, 0b0_0011_1111, 0b1_1111_1111]);
}

#[test]
fn two_subscribers_of_one_stream_do_not_disturb_each_other() {
    for (codec, key_mode) in STREAMS {
        let mut w = World::new(20);
        let track = w.publish_svc(codec, key_mode);
        let a = w.subscribe(1, track, vec![payload_type(codec)], true);
        w.subscribe(2, track, vec![payload_type(codec)], true);
        w.run(1000);
        for layer in [0, 1, 0] {
            w.settings(a, false, layer, 1);
            w.run(1500);
        }
        assert_eq!(pictures(&w.subscribers[0]).last().unwrap().spatial, 0);
        let other = pictures(&w.subscribers[1]);
        assert!(other.iter().all(|p| p.spatial == 2), "{codec:?}");
        assert_eq!(longest_pause(&other), 33);
    }
}
