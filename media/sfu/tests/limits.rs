//! Receivers that ask for too much and publishers that send odd packets: the others notice nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bedrud_rtp::{Mid, SrtpSender};
use bedrud_sfu::{Command, UpLayer, UpTrackConfig, UpTrackId};
use support::publisher::{Publisher, vp8_pt};
use support::{World, check, path, tid};

/// Every packet asked for again all the time: a tenth of the stream is sent again, and a start that does not count.
#[test]
fn a_nack_storm_gets_a_tenth_of_the_stream() {
    let mut w = World::new(36);
    let track = w.publish(0, |id| Publisher::video(id, 3));
    w.subscribe(1, track, vec![vp8_pt(true)], true);
    w.subscribe(2, track, vec![vp8_pt(true)], true);
    w.run(2000);
    w.subscribers[0].nack_storm = true;
    let before = w.shard.stats();
    w.run(30_000);
    let after = w.shard.stats();
    let again = after.rtx_out - before.rtx_out;
    let sent = (after.rtp_out - before.rtp_out - again) / 2;
    assert!(after.nacks_in - before.nacks_in > 100_000, "the storm arrived");
    assert!(again > 0 && again * 100 <= sent * 13, "{again} of {sent} packets sent again");
    let others = &w.subscribers[1];
    check::contiguous(others, 0);
    assert_eq!((others.repaired, others.duplicates), (0, 0));
}

/// A receiver on a narrow path that claims a gigabit a second gets what is published and not more, and the other one
/// its share.
#[test]
fn a_receiver_that_claims_a_gigabit_gets_the_stream_and_no_more() {
    let received = |claims: Option<u64>| {
        let mut w = World::new(37);
        let track = w.publish(0, |id| Publisher::video(id, 3));
        w.subscribe(1, track, vec![vp8_pt(true)], true);
        w.subscribe(2, track, vec![vp8_pt(true)], true);
        w.subscribers[0].remb = claims;
        w.run(20_000);
        check::contiguous(&w.subscribers[1], 0);
        w.subscribers.iter().map(|s| s.datagrams).collect::<Vec<_>>()
    };
    let (honest, lying) = (received(None), received(Some(1_000_000_000)));
    for (who, (honest, lying)) in honest.iter().zip(&lying).enumerate() {
        assert!(lying * 10 <= honest * 11 && honest * 10 <= lying * 11, "{who}: {honest} and {lying}");
    }
}

struct Odd {
    tx: SrtpSender,
    seq: u64,
}

impl Odd {
    /// Seals `header` and `payload`; the sequence number is written here.
    fn send(&mut self, w: &mut World, mut packet: Vec<u8>, header_len: usize, skip: u64) {
        self.seq += 1 + skip;
        packet[2..4].copy_from_slice(&(self.seq as u16).to_be_bytes());
        if self.tx.seal_rtp(&mut packet, 0, header_len, self.seq).is_ok() {
            w.inject(path(0), packet);
        }
    }
}

fn header(first: u8, ssrc: u32, timestamp: u32) -> Vec<u8> {
    let mut bytes = vec![first, 96, 0, 0];
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes
}

/// A VP8 key frame of one packet.
fn key_frame(ssrc: u32, timestamp: u32) -> Vec<u8> {
    let mut packet = header(0x80, ssrc, timestamp);
    packet[1] |= 0x80;
    packet.extend([0x90, 0x80, 0x80, 7, 0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0]);
    packet.resize(200, 0);
    packet
}

#[test]
fn odd_packets_are_forwarded_or_dropped_and_the_stream_goes_on() {
    const SSRC: u32 = 4711;
    let mut w = World::new(34);
    let (tx, _rx) = w.connect(0);
    w.command(Command::SetUpTrack(UpTrackConfig {
        id: UpTrackId(1),
        transport: tid(0),
        kind: bedrud_rtp::MediaKind::Video,
        mid: Mid::new("v0").unwrap(),
        payload_types: vec![vp8_pt(true)],
        layers: vec![UpLayer { spatial: 0, rid: None, ssrc: Some(SSRC), rtx_ssrc: None }],
    }));
    let other = w.publish(5, |id| Publisher::video(id, 1));
    w.subscribe(1, UpTrackId(1), vec![vp8_pt(true)], true);
    w.subscribe(2, other, vec![vp8_pt(true)], true);
    let mut odd = Odd { tx, seq: 65_500 };
    let mut timestamp = u32::MAX - 90_000;
    for round in 0..20u32 {
        for _ in 0..5 {
            timestamp = timestamp.wrapping_add(3_000);
            odd.send(&mut w, key_frame(SSRC, timestamp), 12, 0);
            w.run(33);
        }
        // 15 contributing sources.
        let mut packet = header(0x8f, SSRC, timestamp);
        packet.extend([1; 60]);
        packet.extend([0x10, 1, 2, 3]);
        odd.send(&mut w, packet, 72, 0);
        // Padding of nothing, of everything, of more than there is, and an odd number.
        for last in [0u8, 20, 255, 3] {
            let mut packet = header(0xa0, SSRC, timestamp);
            packet.extend([0x10; 19]);
            packet.push(last);
            odd.send(&mut w, packet, 12, 0);
        }
        // An extension of 255 words, one that goes beyond the packet, one of an unknown profile, elements of all lengths.
        for (profile, words, there) in [
            (0xbede_u16, 255u16, 255usize),
            (0xbede, 255, 3),
            (0x1234, 2, 2),
            (0x1000, 255, 255),
            (0xbede, 0, 0),
        ] {
            let mut packet = header(0x90, SSRC, timestamp);
            packet.extend(profile.to_be_bytes());
            packet.extend(words.to_be_bytes());
            packet.extend(std::iter::repeat_n(round as u8 | 0x1f, there * 4));
            let len = packet.len();
            odd.send(&mut w, packet, len, 0);
        }
        // Nothing inside; a time far away; a stream that nobody announced; numbers that jump.
        odd.send(&mut w, header(0x80, SSRC, timestamp), 12, 0);
        odd.send(&mut w, key_frame(SSRC, timestamp.wrapping_add(1 << 31)), 12, 0);
        odd.send(&mut w, key_frame(SSRC + 1 + round, timestamp), 12, 0);
        odd.send(&mut w, key_frame(SSRC, timestamp), 12, [0, 50, 3_000][round as usize % 3]);
    }
    let before = w.subscribers[0].received.len();
    assert!(before > 50, "{before}");
    for _ in 0..30 {
        timestamp = timestamp.wrapping_add(3_000);
        odd.send(&mut w, key_frame(SSRC, timestamp), 12, 0);
        w.run(33);
    }
    assert!(w.subscribers[0].received.len() >= before + 25, "the stream goes on");
    // Who watches another stream has all of it.
    check::contiguous(&w.subscribers[1], 0);
    check::whole_frames(&w.subscribers[1].received);
    assert!(w.shard.stats().ssrcs < 10, "what nobody announced leaves nothing");
}
