//! Forwarding over a virtual network, without handshakes: what subscribers get must be what publishers sent, under
//! continuous numbers, whatever is lost, switched, paused or muted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::Codec;
use bedrud_sfu::{Command, DropReason, Event, UpTrackId};
use support::publisher::{OPUS, Publisher, RED, audio_pt, vp8_pt};
use support::{World, check, path, tid};

fn vp8() -> Vec<bedrud_sfu::PayloadType> {
    let mut pt = vp8_pt(true);
    pt.pt = 98;
    pt.rtx = Some(99);
    vec![pt]
}

fn video_world(seed: u64, layers: usize, subscribers: u32) -> (World, UpTrackId) {
    let mut w = World::new(seed);
    let track = w.publish(0, |id| Publisher::video(id, layers));
    for slot in 1..=subscribers {
        w.subscribe(slot, track, vp8(), true);
    }
    (w, track)
}

#[test]
fn every_subscriber_gets_whole_frames_of_the_best_layer() {
    let (mut w, track) = video_world(1, 3, 4);
    w.run(3000);
    for s in &w.subscribers {
        check::contiguous(s, 0);
        let frames = check::timestamps(&s.received);
        assert!(frames > 80, "{frames}");
        check::whole_frames(&s.received);
        assert_eq!(check::vp8(&s.received).last(), Some(&2));
        assert!(s.received.values().all(|r| r.pt == 98));
        assert!(s.with_mid > 0 && s.with_mid < s.datagrams);
    }
    let started =
        w.events.iter().filter(|e| matches!(e, Event::UpLayerStarted { track: t, .. } if *t == track));
    assert_eq!(started.count(), 3);
    let p = &w.publishers[0];
    assert!(p.twcc_feedback >= 40, "feedback every 50 ms: {}", p.twcc_feedback);
    assert!(p.receiver_reports >= 6);
    assert!(p.plis <= 9, "key frame requests are deduplicated: {}", p.plis);
}

#[test]
fn numbers_continue_across_wraps_from_chosen_start_values() {
    let mut w = World::new(2);
    w.shard.set_start_values(65_530, u32::MAX, 32_760);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    w.subscribe(1, track, vp8(), true);
    w.run(3000);
    let s = &w.subscribers[0];
    assert_eq!(s.received.first_key_value().unwrap().0, &65_530);
    assert!(s.received.keys().last().unwrap() > &65_600);
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    assert_eq!(check::vp8(&s.received), [0]);
}

#[test]
fn five_per_cent_loss_both_ways_is_repaired() {
    for seed in [3, 4, 5] {
        let (mut w, _) = video_world(seed, 3, 2);
        w.run(1000);
        (w.up_loss, w.down_loss) = (5, 5);
        w.run(6000);
        (w.up_loss, w.down_loss) = (0, 0);
        w.run(500);
        let stats = w.shard.stats();
        assert!(w.publishers[0].nacked > 20 && stats.rtx_in > 20 && stats.rtx_out > 20, "{stats:?}");
        for s in &w.subscribers {
            check::contiguous(s, 0);
            check::timestamps(&s.received);
            check::vp8(&s.received);
            check::whole_frames(&s.received);
            assert!(s.repaired > 10);
        }
    }
}

#[test]
fn layer_switches_are_continuous_and_begin_with_a_key_frame() {
    let mut w = World::new(6);
    let track = w.publish(0, |id| Publisher::video(id, 3));
    let down = w.subscribe(1, track, vp8(), true);
    w.run(2000);
    for layer in [0, 2, 1, 0, 1, 2] {
        w.settings(down, false, layer, 3);
        w.run(1500);
        let s = &w.subscribers[0];
        assert_eq!(s.received.values().last().unwrap().content().0, layer);
    }
    let s = &w.subscribers[0];
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    check::vp8(&s.received);
    check::whole_frames(&s.received);
    assert!(check::longest_gap(s) < 150, "{}", check::longest_gap(s));
    // The output clock follows real time across switches.
    let (first, last) = (s.received.values().next().unwrap(), s.received.values().last().unwrap());
    let ticks = last.timestamp.wrapping_sub(first.timestamp);
    let expected = ((last.at - first.at) * 90) as u32;
    assert!(ticks.abs_diff(expected) < expected / 20, "{ticks} of {expected}");
}

#[test]
fn switches_under_loss_keep_every_invariant() {
    for seed in [7, 8] {
        let mut w = World::new(seed);
        let track = w.publish(0, |id| Publisher::video(id, 3));
        let down = w.subscribe(1, track, vp8(), true);
        w.run(1000);
        w.down_loss = 3;
        for layer in [0, 2, 0, 1, 2, 0] {
            w.settings(down, false, layer, 3);
            w.run(1200);
        }
        w.down_loss = 0;
        w.run(500);
        let s = &w.subscribers[0];
        check::contiguous(s, 0);
        check::timestamps(&s.received);
        check::vp8(&s.received);
    }
}

#[test]
fn dropped_temporal_layers_leave_no_holes() {
    let mut w = World::new(9);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    let down = w.subscribe(1, track, vp8(), true);
    w.run(1000);
    w.settings(down, false, 2, 0);
    w.run(2000);
    let before = w.subscribers[0].received.len();
    let recent: Vec<_> = w.subscribers[0].received.values().rev().take(10).collect();
    assert!(recent.iter().all(|r| r.vp8.unwrap().tid == Some(0)));
    w.settings(down, false, 2, 3);
    w.run(2000);
    let s = &w.subscribers[0];
    assert!(s.received.len() - before > 50, "all temporal layers again");
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    check::vp8(&s.received);
}

#[test]
fn dropped_temporal_layers_under_loss_stay_repairable() {
    let mut w = World::new(10);
    let track = w.publish(0, |id| Publisher::video(id, 3));
    let down = w.subscribe(1, track, vp8(), true);
    w.settings(down, false, 2, 1);
    w.run(1000);
    (w.up_loss, w.down_loss) = (4, 4);
    w.run(4000);
    (w.up_loss, w.down_loss) = (0, 0);
    w.run(500);
    let s = &w.subscribers[0];
    check::contiguous(s, 0);
    check::timestamps(&s.received);
}

#[test]
fn pause_and_mute_stop_at_once_and_resume_with_a_key_frame() {
    let mut w = World::new(11);
    let track = w.publish(0, |id| Publisher::video(id, 2));
    let down = w.subscribe(1, track, vp8(), true);
    w.run(1500);
    for mute in [false, true] {
        if mute {
            w.command(Command::MuteUpTrack { id: track, muted: true });
        } else {
            w.settings(down, true, 2, 3);
        }
        w.run(30);
        let count = w.subscribers[0].datagrams;
        w.run(2000);
        assert_eq!(w.subscribers[0].datagrams, count);
        let last = *w.subscribers[0].received.last_key_value().unwrap().0;
        if mute {
            w.command(Command::MuteUpTrack { id: track, muted: false });
        } else {
            w.settings(down, false, 2, 3);
        }
        w.run(1000);
        let s = &w.subscribers[0];
        let next = s.received.get(&(last + 1)).expect("numbers go on");
        assert!(next.vp8.unwrap().key_frame);
        let jump = next.timestamp.wrapping_sub(s.received[&last].timestamp);
        assert!((170_000..260_000).contains(&jump), "about two seconds: {jump}");
    }
    let s = &w.subscribers[0];
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    check::vp8(&s.received);
}

#[test]
fn a_silent_layer_gives_way_to_the_best_live_one() {
    let (mut w, track) = video_world(12, 3, 1);
    w.run(1500);
    w.publishers[0].set_active(2, false);
    w.run(4000);
    let s = &w.subscribers[0];
    assert_eq!(s.received.values().last().unwrap().content().0, 1);
    assert!(
        w.events.iter().any(
            |e| matches!(e, Event::UpLayerActivity { track: t, spatial: 2, live: false } if *t == track)
        )
    );
    w.publishers[0].set_active(2, true);
    w.run(2000);
    let s = &w.subscribers[0];
    assert_eq!(s.received.values().last().unwrap().content().0, 2);
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    check::vp8(&s.received);
}

#[test]
fn audio_is_forwarded_with_levels_and_plain_resends() {
    let mut w = World::new(13);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    w.subscribe(1, track, vec![audio_pt(109, Codec::Opus, true)], false);
    w.run(1000);
    w.down_loss = 5;
    w.run(4000);
    w.down_loss = 0;
    w.run(1000);
    let s = &w.subscribers[0];
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    assert!(s.received.len() > 250 && s.received.values().all(|r| r.pt == 109));
    assert!(w.shard.stats().rtx_out > 3);
    let levels: Vec<_> = w
        .events
        .iter()
        .filter_map(|e| match e {
            Event::AudioLevels(l) => l.iter().find(|l| l.track == track).copied(),
            _ => None,
        })
        .collect();
    assert!((10..=16).contains(&levels.len()), "{}", levels.len());
    assert!(levels[2..].iter().all(|l| (20..=22).contains(&l.level) && l.active_percent == 100));
    w.command(Command::MuteUpTrack { id: track, muted: true });
    let before = w.events.len();
    w.run(1500);
    let silent =
        w.events[before..].iter().filter(|e| matches!(e, Event::AudioLevels(l) if l[0].level == 127)).count();
    assert_eq!(silent, 1, "silence is said once");
}

/// GStreamer's offers made before its payloaders run: no SSRC in SDP, no MID on packets.
#[test]
fn streams_without_names_are_known_by_a_payload_type_of_one_track() {
    let mut w = World::new(15);
    let unnamed = |id| {
        let (mut config, mut publisher) = Publisher::audio(id, false);
        config.layers[0].ssrc = None;
        publisher.with_extensions = 0;
        (config, publisher)
    };
    let track = w.publish(0, unnamed);
    w.subscribe(1, track, vec![audio_pt(109, Codec::Opus, true)], false);
    w.run(1000);
    check::contiguous(&w.subscribers[0], 0);
    assert!(w.subscribers[0].received.len() > 40, "{}", w.subscribers[0].received.len());
    assert_eq!(w.shard.stats().drops.get(DropReason::UnknownSsrc), 0);

    // With two tracks of that payload type nothing tells whose a packet is.
    let mut w = World::new(16);
    let track = w.publish(0, unnamed);
    let (mut second, _) = unnamed(UpTrackId(7));
    second.mid = bedrud_rtp::Mid::new("a1").unwrap();
    w.command(Command::SetUpTrack(second));
    w.subscribe(1, track, vec![audio_pt(109, Codec::Opus, true)], false);
    w.run(1000);
    assert!(w.subscribers[0].received.is_empty());
    assert!(w.shard.stats().drops.get(DropReason::UnknownSsrc) > 40);
}

#[test]
fn red_reaches_opus_subscribers_as_opus() {
    let mut w = World::new(14);
    let track = w.publish(0, |id| Publisher::audio(id, true));
    w.subscribe(1, track, vec![audio_pt(OPUS, Codec::Opus, false)], false);
    w.subscribe(2, track, vec![audio_pt(RED, Codec::Red, false), audio_pt(OPUS, Codec::Opus, false)], false);
    w.run(1000);
    let (opus, red) = (&w.subscribers[0], &w.subscribers[1]);
    assert!(opus.received.len() > 40);
    for (a, b) in opus.received.values().zip(red.received.values()) {
        assert_eq!(a.pt, OPUS);
        assert_eq!(a.payload[..], b.payload[9..]);
    }
    check::contiguous(opus, 0);
}

#[test]
fn a_subscriber_without_the_codec_is_reported() {
    let mut w = World::new(15);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    let mut h264 = vp8_pt(true);
    h264.codec = Codec::H264;
    let down = w.subscribe(1, track, vec![h264], true);
    w.run(1000);
    let reported = w
        .events
        .iter()
        .filter(|e| matches!(e, Event::DownTrackUnsupported { track: t, codec: Codec::Vp8 } if *t == down));
    assert_eq!(reported.count(), 1);
    assert_eq!(w.subscribers[0].datagrams, 0);
}

#[test]
fn receiver_reports_answer_sender_reports() {
    let (mut w, _) = video_world(16, 3, 1);
    w.run(7000);
    let s = &w.subscribers[0];
    assert!((3..=6).contains(&s.reports.len()), "{}", s.reports.len());
    // The report maps the same instant as the media: its timestamp is that of a frame sent at that time.
    let (info, at) = s.reports.last().unwrap();
    let near = s.received.values().min_by_key(|r| r.at.abs_diff(*at)).unwrap();
    let apart = info.rtp_timestamp.wrapping_sub(near.timestamp).cast_signed();
    assert!(apart.abs() < 90 * 120, "{apart}");
    let rtt = w.events.iter().rev().find_map(|e| match e {
        Event::Stats { down, .. } => down.first().and_then(|d| d.1.rtt_ms),
        _ => None,
    });
    assert!((28.0..34.0).contains(&rtt.expect("round trip known")), "{rtt:?}");
}

#[test]
fn receiver_estimate_moves_the_subscriber_down_and_back() {
    let (mut w, _) = video_world(17, 3, 1);
    w.run(3000);
    assert_eq!(w.subscribers[0].received.values().last().unwrap().content().0, 2);
    w.subscribers[0].remb = Some(400_000);
    w.run(4000);
    let layer = w.subscribers[0].received.values().last().unwrap().content().0;
    assert_eq!(layer, 0);
    w.subscribers[0].remb = None;
    w.run(25_000);
    assert_eq!(w.subscribers[0].received.values().last().unwrap().content().0, 2);
    let s = &w.subscribers[0];
    check::contiguous(s, 0);
    check::timestamps(&s.received);
    check::vp8(&s.received);
}

#[test]
fn an_egress_cap_pauses_and_its_end_resumes() {
    let mut w = World::new(18);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    let down = w.subscribe(1, track, vp8(), true);
    w.run(2000);
    w.command(Command::SetEgressCap { id: tid(1), bits_per_second: Some(20_000) });
    w.run(100);
    let count = w.subscribers[0].datagrams;
    w.run(2000);
    assert_eq!(w.subscribers[0].datagrams, count);
    w.command(Command::SetEgressCap { id: tid(1), bits_per_second: None });
    w.run(1000);
    assert!(w.subscribers[0].datagrams > count + 20);
    let flips: Vec<bool> = w
        .events
        .iter()
        .filter_map(|e| match e {
            Event::DownTrackCongested { track, paused } if *track == down => Some(*paused),
            _ => None,
        })
        .collect();
    assert_eq!(flips, [true, false]);
    check::contiguous(&w.subscribers[0], 0);
}

#[test]
fn tcp_back_pressure_holds_video_until_a_key_frame() {
    let (mut w, _) = video_world(19, 1, 1);
    w.run(1000);
    w.shard.tcp_congested(path(1), true);
    w.run(40);
    let count = w.subscribers[0].datagrams;
    w.run(1000);
    assert_eq!(w.subscribers[0].datagrams, count);
    let last = *w.subscribers[0].received.last_key_value().unwrap().0;
    w.shard.tcp_congested(path(1), false);
    w.run(500);
    assert!(w.subscribers[0].received[&(last + 1)].vp8.unwrap().key_frame);
}

#[test]
fn a_picture_loss_indication_reaches_the_publisher_within_its_limit() {
    let (mut w, _) = video_world(20, 2, 1);
    w.run(2000);
    let before = w.publishers[0].keys_sent;
    for _ in 0..20 {
        w.subscribers[0].pli = true;
        w.run(50);
    }
    w.run(200);
    let rounds = (w.publishers[0].keys_sent - before) / 2;
    assert!((1..=3).contains(&rounds), "{rounds} key frames for 20 requests in a second");
}

#[test]
fn probes_feed_feedback_and_nothing_else() {
    let (mut w, _) = video_world(21, 1, 1);
    w.run(1000);
    let sent = w.subscribers[0].datagrams;
    let before = w.shard.stats();
    for _ in 0..50 {
        let probe = w.publishers[0].probe(0);
        w.inject(path(0), probe);
    }
    assert_eq!(w.shard.stats().drops.get(DropReason::Padding), before.drops.get(DropReason::Padding) + 50);
    w.publishers[0].paused = true;
    w.run(300);
    assert!(w.subscribers[0].datagrams <= sent + 3);
}

#[test]
fn an_ssrc_reused_after_unsubscribing_goes_on_with_unused_numbers() {
    let mut w = World::new(22);
    w.shard.set_start_values(100, 5, 5);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    let down = w.subscribe(1, track, vp8(), true);
    w.run(1000);
    w.command(Command::RemoveDownTrack { id: down });
    w.run(1000);
    let last = *w.subscribers[0].received.last_key_value().unwrap().0;
    w.command(Command::AddDownTrack(bedrud_sfu::DownTrackConfig {
        id: bedrud_sfu::DownTrackId(9),
        transport: tid(1),
        source: track,
        mid: bedrud_rtp::Mid::new("d1").unwrap(),
        ssrc: w.subscribers[0].ssrc,
        rtx_ssrc: None,
        cname: String::new(),
        payload_types: vp8(),
        settings: bedrud_sfu::DownTrackSettings {
            paused: false,
            max_spatial: 2,
            max_temporal: 3,
            may_pause: true,
        },
        strip_trailer: false,
        frame_trailer: bytes::Bytes::new(),
        announce: false,
        playout_delay: None,
    }));
    w.run(1000);
    let received = &w.subscribers[0].received;
    assert!(received[&(last + 1)].vp8.unwrap().key_frame);
    assert_eq!(w.subscribers[0].duplicates, 0);
    let ticks = received[&(last + 1)].timestamp.wrapping_sub(received[&last].timestamp);
    assert!((9_000..90_000).contains(&ticks), "the clock goes on too: {ticks}");
}

#[test]
fn statistics_come_every_interval_and_add_up() {
    let (mut w, track) = video_world(23, 1, 2);
    w.run(11_000);
    let mut packets = 0;
    let mut events = 0;
    for e in &w.events {
        if let Event::Stats { up, down } = e {
            events += 1;
            packets += up.iter().filter(|u| u.0 == track).map(|u| u.2.packets).sum::<u64>();
            assert_eq!(down.len(), 2);
        }
    }
    assert_eq!(events, 2);
    assert!((290..=330).contains(&packets), "{packets}");
}

#[test]
fn a_narrow_path_gets_the_layer_that_fits_and_more_when_it_widens() {
    let (mut w, _) = video_world(24, 3, 1);
    w.run(4000);
    assert_eq!(w.subscribers[0].received.values().last().unwrap().content().0, 2);
    w.down_capacity = Some(400_000);
    w.run(10_000);
    let lost = w.overflowed;
    w.run(5000);
    let recent: Vec<u8> = w.subscribers[0]
        .received
        .values()
        .rev()
        .filter(|r| !r.empty)
        .take(30)
        .map(|r| r.content().0)
        .collect();
    assert!(recent.iter().all(|l| *l == 0), "{recent:?}");
    assert!(w.overflowed - lost < 40, "{} lost after adapting", w.overflowed - lost);
    w.down_capacity = None;
    w.run(30_000);
    assert_eq!(w.subscribers[0].received.values().last().unwrap().content().0, 2);
}

#[test]
fn a_closed_tcp_path_stops_media_until_the_next_check() {
    let (mut w, _) = video_world(25, 1, 1);
    w.run(1000);
    let before = w.shard.stats();
    let now = w.now;
    w.shard.path_closed(now, path(1));
    w.run(30);
    let count = w.subscribers[0].datagrams;
    w.run(500);
    assert_eq!(w.subscribers[0].datagrams, count);
    assert_eq!(w.shard.stats().addresses, before.addresses - 1);
}
