//! What subscribers get while a source is muted: an end without a click, and a sign of life for those that need one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::{Codec, PlayoutDelay};
use bedrud_sfu::{Command, DownTrackConfig, UpTrackConfig, UpTrackId};
use bytes::Bytes;
use support::publisher::{OPUS, Publisher, audio_pt, vp8_pt};
use support::subscriber::Rx;
use support::{World, check, tid};

const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];

fn opus() -> Vec<bedrud_sfu::PayloadType> {
    vec![audio_pt(OPUS, Codec::Opus, false)]
}

fn announce(config: &mut DownTrackConfig) {
    config.announce = true;
}

fn mute(w: &mut World, track: UpTrackId, muted: bool) {
    w.command(Command::MuteUpTrack { id: track, muted });
}

fn received(w: &World, subscriber: usize) -> Vec<Rx> {
    w.subscribers[subscriber].received.values().cloned().collect()
}

#[test]
fn muted_audio_ends_in_a_second_of_silence_and_goes_on_after_it() {
    let mut w = World::new(1);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    w.subscribe(1, track, opus(), false);
    w.run(1000);
    mute(&mut w, track, true);
    w.run(60);
    let began = received(&w, 0).iter().position(|r| r.payload == SILENCE).expect("silence begins at once");
    w.run(3000);
    let all = received(&w, 0);
    let silent = &all[began..];
    assert_eq!(silent.len(), 50);
    assert!(silent.iter().all(|r| r.payload == SILENCE && r.level == Some(127) && r.pt == OPUS));
    let steps: Vec<u32> = silent.windows(2).map(|p| p[1].timestamp.wrapping_sub(p[0].timestamp)).collect();
    assert!(steps.iter().all(|s| (912..=1008).contains(s)), "20 ms of the clock each: {steps:?}");
    let last = silent.last().unwrap().timestamp;
    mute(&mut w, track, false);
    w.run(500);
    let all = received(&w, 0);
    let next = &all[began + 50];
    assert_ne!(next.payload, SILENCE);
    let pause = next.timestamp.wrapping_sub(last);
    // Two seconds of nothing, by the publisher's clock.
    assert!((90_000..110_000).contains(&pause), "{pause}");
    check::contiguous(&w.subscribers[0], 0);
    check::timestamps(&w.subscribers[0].received);
    assert_eq!(w.shard.stats().fills_out, 50);
}

#[test]
fn sound_within_the_silence_ends_it() {
    let mut w = World::new(2);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    w.subscribe(1, track, opus(), false);
    w.run(500);
    mute(&mut w, track, true);
    w.run(300);
    mute(&mut w, track, false);
    w.run(1000);
    let all = received(&w, 0);
    let silent: Vec<usize> =
        all.iter().enumerate().filter(|(_, r)| r.payload == SILENCE).map(|(i, _)| i).collect();
    assert!((12..=16).contains(&silent.len()), "{}", silent.len());
    assert_eq!(silent.last().unwrap() - silent[0], silent.len() - 1, "nothing in between");
    check::contiguous(&w.subscribers[0], 0);
    check::timestamps(&w.subscribers[0].received);
}

#[test]
fn silence_of_an_encrypted_track_ends_with_the_trailer_that_says_so() {
    let mut w = World::new(3);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    w.subscribe_as(1, track, opus(), false, |c| c.frame_trailer = Bytes::from_static(b"trailer"));
    w.run(200);
    mute(&mut w, track, true);
    w.run(200);
    assert_eq!(received(&w, 0).last().unwrap().payload, b"\xf8\xff\xfetrailer");
}

#[test]
fn a_muted_track_is_shown_only_to_clients_that_need_a_packet_for_it() {
    let mut w = World::new(4);
    let audio = w.publish(0, |id| Publisher::audio(id, false));
    let video = w.publish(1, |id| {
        let (config, publisher) = Publisher::video(id, 1);
        (UpTrackConfig { transport: tid(1), ..config }, publisher)
    });
    mute(&mut w, audio, true);
    mute(&mut w, video, true);
    w.subscribe(2, audio, opus(), false);
    w.subscribe_as(3, audio, opus(), false, announce);
    w.subscribe(4, video, vec![vp8_pt(true)], true);
    w.subscribe_as(5, video, vec![vp8_pt(true)], true, announce);
    w.run(8000);
    let counts: Vec<u64> = w.subscribers.iter().map(|s| s.datagrams).collect();
    assert_eq!(counts, [0, 50, 0, 50]);
    assert!(received(&w, 1).iter().all(|r| r.payload == SILENCE));
    let padding = received(&w, 3);
    assert!(padding.iter().all(|r| r.empty && r.timestamp == padding[0].timestamp));
    assert!(w.subscribers[3].with_mid == 50, "the stream says whose it is");
    // Then it is heard and seen as usual.
    mute(&mut w, audio, false);
    mute(&mut w, video, false);
    w.run(1500);
    for s in &w.subscribers {
        check::contiguous(s, 0);
        check::timestamps(&s.received);
    }
    check::vp8(&w.subscribers[3].received);
    check::whole_frames(&w.subscribers[3].received);
    assert!(w.subscribers[3].received.len() > 80);
}

#[test]
fn video_wakes_only_readers_that_wait_for_packets() {
    let mut w = World::new(5);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    w.subscribe(1, track, vec![vp8_pt(true)], true);
    w.subscribe_as(2, track, vec![vp8_pt(true)], true, announce);
    w.run(1000);
    let before: Vec<u64> = w.subscribers.iter().map(|s| s.datagrams).collect();
    mute(&mut w, track, true);
    w.run(7000);
    let after: Vec<u64> = w.subscribers.iter().map(|s| s.datagrams).collect();
    assert!(after[0] - before[0] <= 4, "what was under way");
    assert_eq!(w.shard.stats().fills_out, 50);
    mute(&mut w, track, false);
    w.run(1000);
    for s in &w.subscribers {
        check::contiguous(s, 0);
        check::vp8(&s.received);
    }
}

#[test]
fn who_disabled_the_track_or_left_gets_nothing() {
    let mut w = World::new(6);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    let disabled = w.subscribe(1, track, opus(), false);
    let left = w.subscribe(2, track, opus(), false);
    let late = w.subscribe(3, track, opus(), false);
    w.run(500);
    w.settings(disabled, true, 0, 0);
    w.run(50);
    mute(&mut w, track, true);
    w.run(100);
    w.command(Command::RemoveDownTrack { id: left });
    w.settings(late, true, 0, 0);
    w.run(30);
    let disabled_late = w.subscribers[2].datagrams;
    let before: Vec<u64> = w.subscribers.iter().map(|s| s.datagrams).collect();
    w.run(50);
    let before_under_way = w.subscribers[1].datagrams;
    w.run(1000);
    assert_eq!(w.subscribers[0].datagrams, before[0]);
    assert_eq!(w.subscribers[1].datagrams, before_under_way);
    assert_eq!(w.subscribers[2].datagrams, disabled_late, "disabled in the middle of it");
    assert!(w.shard.poll_deadline().is_some(), "statistics go on");
}

#[test]
fn playout_limits_are_said_in_the_first_packets_and_not_in_repairs() {
    let mut w = World::new(7);
    let limits = PlayoutDelay { min: 10, max: 40 };
    let track = w.publish(0, |id| Publisher::video(id, 2));
    w.subscribe_as(1, track, vec![vp8_pt(true)], true, |c| c.playout_delay = Some(limits));
    w.subscribe(2, track, vec![vp8_pt(true)], true);
    w.down_loss = 3;
    w.run(8000);
    let said = received(&w, 0);
    let first = *w.subscribers[0].received.first_key_value().unwrap().0;
    for (seq, rx) in &w.subscribers[0].received {
        let expected = (*seq < first + 200 && !rx.repaired).then_some(limits);
        assert_eq!(rx.playout, expected, "{}", seq - first);
    }
    assert!(said.iter().any(|r| r.repaired), "{}", w.subscribers[0].repaired);
    assert!(said.len() > 200, "{}", said.len());
    assert!(received(&w, 1).iter().all(|r| r.playout.is_none()));
}
