//! What subscribers get when a track or a subscription ends: a fifth of a second of silence, or a black picture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::{Codec, Mid};
use bedrud_sfu::{Command, DownTrackConfig, DownTrackId, DownTrackSettings, PayloadType, UpTrackId};
use bytes::Bytes;
use support::publisher::{OPUS, Publisher, audio_pt, vp8_pt};
use support::subscriber::Rx;
use support::{World, check, tid};

const SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];

/// A VP8 key frame of 16x16 pixels (RFC 6386 section 9.1), behind a one-byte descriptor.
fn is_black(r: &Rx) -> bool {
    r.marker && r.payload.get(4..11) == Some(&[0x9d, 0x01, 0x2a, 16, 0, 16, 0])
}

fn opus() -> Vec<PayloadType> {
    vec![audio_pt(OPUS, Codec::Opus, false)]
}

fn since(w: &World, subscriber: usize, from: usize) -> Vec<Rx> {
    w.subscribers[subscriber].received.values().skip(from).cloned().collect()
}

#[test]
fn video_that_ends_leaves_a_black_picture() {
    for unpublish in [false, true] {
        let mut w = World::new(1);
        let track = w.publish(0, |id| Publisher::video(id, 1));
        let down = w.subscribe(1, track, vec![vp8_pt(true)], true);
        w.run(1000);
        let command = if unpublish {
            Command::RemoveUpTrack { id: track }
        } else {
            Command::RemoveDownTrack { id: down }
        };
        w.command(command);
        w.run(1000);
        let all = since(&w, 0, 0);
        let first = all.iter().position(is_black).expect("black");
        assert!(first > 20, "{first}");
        assert!(all[first..].iter().all(is_black), "nothing after it");
        assert_eq!(all.len() - first, 6);
        assert!(all[first..].windows(2).all(|p| p[1].timestamp.wrapping_sub(p[0].timestamp) < 4000));
        check::contiguous(&w.subscribers[0], 0);
        check::timestamps(&w.subscribers[0].received);
        assert_eq!(w.shard.stats().fills_out, 6);
    }
}

#[test]
fn sound_that_ends_leaves_silence_and_encryption_its_trailer() {
    let mut w = World::new(2);
    let track = w.publish(0, |id| Publisher::audio(id, false));
    w.subscribe(1, track, opus(), false);
    w.subscribe_as(2, track, opus(), false, |c| c.frame_trailer = Bytes::from_static(b"trailer"));
    w.run(500);
    w.command(Command::RemoveUpTrack { id: track });
    w.run(1000);
    let silent = |subscriber: usize, payload: &[u8]| {
        let all = since(&w, subscriber, 0);
        all.iter().rev().take_while(|r| r.payload == payload).count()
    };
    assert_eq!(silent(0, SILENCE), 10);
    assert_eq!(silent(1, b"\xf8\xff\xfetrailer"), 10);
}

#[test]
fn what_was_not_seen_needs_no_end() {
    let mut w = World::new(3);
    let video = w.publish(0, |id| Publisher::video(id, 1));
    let paused = w.subscribe(1, video, vec![vp8_pt(true)], true);
    w.run(500);
    w.settings(paused, true, 0, 0);
    w.run(100);
    let before = w.subscribers[0].datagrams;
    w.command(Command::RemoveUpTrack { id: video });
    w.run(500);
    assert_eq!(w.subscribers[0].datagrams, before, "disabled before");
    assert_eq!(w.shard.stats().fills_out, 0);
}

#[test]
fn a_new_subscription_with_the_same_ssrc_cuts_the_end_short() {
    let mut w = World::new(4);
    w.shard.set_start_values(100, 5, 5);
    let track = w.publish(0, |id| Publisher::video(id, 1));
    let down = w.subscribe(1, track, vec![vp8_pt(true)], true);
    w.run(1000);
    w.command(Command::RemoveDownTrack { id: down });
    w.run(70);
    let seen = w.subscribers[0].received.len();
    let ssrc = w.subscribers[0].ssrc;
    w.command(Command::AddDownTrack(DownTrackConfig {
        id: DownTrackId(9),
        transport: tid(1),
        source: track,
        mid: Mid::new("d1").unwrap(),
        ssrc,
        rtx_ssrc: None,
        cname: "c".into(),
        payload_types: vec![vp8_pt(true)],
        settings: DownTrackSettings { paused: false, max_spatial: 2, max_temporal: 3, may_pause: true },
        strip_trailer: false,
        frame_trailer: Bytes::new(),
        announce: false,
        playout_delay: None,
    }));
    w.run(1000);
    let black = since(&w, 0, 0).iter().filter(|r| is_black(r)).count();
    assert!((1..6).contains(&black), "{black}");
    assert!(w.subscribers[0].received.len() > seen + 20, "the new one is seen");
    check::contiguous(&w.subscribers[0], 0);
    check::timestamps(&w.subscribers[0].received);
}

#[test]
fn ends_need_a_connection_and_go_with_it() {
    let mut w = World::new(5);
    let track: UpTrackId = w.publish(0, |id| Publisher::audio(id, false));
    let down = w.subscribe(1, track, opus(), false);
    w.run(500);
    w.command(Command::RemoveDownTrack { id: down });
    w.command(Command::CloseTransport { id: tid(1) });
    w.run(1000);
    assert_eq!(w.shard.stats().transports, 1);
    assert!(w.shard.stats().fills_out <= 1);
}
