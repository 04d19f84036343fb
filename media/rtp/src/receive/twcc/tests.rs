use super::*;
use crate::rtcp::{RtcpPacket, TwccFeedback, compound};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Sequence number to arrival of every status, in the order reported; a later report overrides.
fn read(out: &[u8]) -> BTreeMap<u16, Option<i64>> {
    let mut all = BTreeMap::new();
    for packet in compound(out) {
        let RtcpPacket::Twcc(feedback) = packet.unwrap() else { panic!("not feedback") };
        assert_eq!((feedback.sender, feedback.media), (1, 2));
        for status in feedback.statuses() {
            all.insert(status.seq, status.received_us);
        }
    }
    all
}

fn feedbacks(out: &[u8]) -> Vec<TwccFeedback<'_>> {
    compound(out)
        .map(|p| match p.unwrap() {
            RtcpPacket::Twcc(f) => f,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn rounded(us: i64) -> i64 {
    us / 250 * 250
}

#[test]
fn gaps_and_times_come_back() {
    let mut recorder = TwccRecorder::new();
    for (seq, at) in [(100, 1_000_000), (101, 1_000_300), (104, 1_050_000), (105, 1_200_000)] {
        recorder.record(seq, at);
    }
    assert_eq!(recorder.pending(), 6);
    let mut out = Vec::new();
    assert_eq!(recorder.build(1, 2, &mut out), 1);
    let expected = BTreeMap::from([
        (100, Some(1_000_000)),
        (101, Some(1_000_250)),
        (102, None),
        (103, None),
        (104, Some(1_050_000)),
        (105, Some(1_200_000)),
    ]);
    assert_eq!(read(&out), expected);
    assert_eq!(recorder.pending(), 0);
    assert_eq!(recorder.build(1, 2, &mut out), 0);
}

#[test]
fn losses_between_reports_are_reported() {
    let mut recorder = TwccRecorder::new();
    let mut out = Vec::new();
    recorder.record(1, 1000);
    recorder.build(1, 2, &mut out);
    out.clear();
    recorder.record(4, 5000);
    recorder.build(1, 2, &mut out);
    assert_eq!(read(&out), BTreeMap::from([(2, None), (3, None), (4, Some(5000))]));
    assert_eq!(feedbacks(&out)[0].feedback_count, 1);
}

#[test]
fn a_late_packet_is_reported_after_all() {
    let mut recorder = TwccRecorder::new();
    let mut out = Vec::new();
    recorder.record(10, 0);
    recorder.record(12, 2000);
    recorder.build(1, 2, &mut out);
    out.clear();
    recorder.record(11, 9000);
    recorder.build(1, 2, &mut out);
    // Number 12 is repeated with its own time, which lies before.
    assert_eq!(read(&out), BTreeMap::from([(11, Some(9000)), (12, Some(2000))]));
}

#[test]
fn a_pause_too_long_for_a_delta_starts_another_packet() {
    let mut recorder = TwccRecorder::new();
    recorder.record(0xfffe, 10_000);
    recorder.record(0xffff, 20_000);
    recorder.record(0, 20_000_000);
    let mut out = Vec::new();
    assert_eq!(recorder.build(1, 2, &mut out), 2);
    let expected = BTreeMap::from([(0xfffe, Some(10_000)), (0xffff, Some(20_000)), (0, Some(20_000_000))]);
    assert_eq!(read(&out), expected);
}

#[test]
fn duplicates_keep_the_first_arrival() {
    let mut recorder = TwccRecorder::new();
    recorder.record(7, 1000);
    recorder.record(7, 9000);
    let mut out = Vec::new();
    recorder.build(1, 2, &mut out);
    assert_eq!(read(&out), BTreeMap::from([(7, Some(1000))]));
}

#[test]
fn a_jump_keeps_the_ring_bounded() {
    let mut recorder = TwccRecorder::new();
    recorder.record(0, 1000);
    recorder.record(30_000, 2000);
    assert_eq!(recorder.pending(), CAPACITY);
    let mut out = Vec::new();
    assert!(recorder.build(1, 2, &mut out) <= CAPACITY / MAX_STATUSES + 1);
    let all = read(&out);
    assert_eq!(all.len(), CAPACITY);
    assert_eq!(all.values().flatten().count(), 1);
    // Far older than the ring: ignored.
    recorder.record(0, 3000);
    assert_eq!(recorder.pending(), 0);
}

#[test]
fn every_packet_fits_a_datagram() {
    let mut recorder = TwccRecorder::new();
    for i in 0..2000u16 {
        // Wide deltas, forwards and backwards.
        recorder.record(i, 4_000_000 + i64::from(i % 2) * 1_000_000);
    }
    let mut out = Vec::new();
    recorder.build(1, 2, &mut out);
    let mut rest = out.as_slice();
    while rest.len() >= 4 {
        let len = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        assert!(len <= 1100, "{len}");
        rest = &rest[len..];
    }
    assert_eq!(read(&out).len(), 2000);
}

proptest! {
    #[test]
    fn what_is_recorded_is_what_is_read(
        first: u16,
        start in 0i64..1 << 38,
        steps in proptest::collection::vec((1u16..30, 0i64..400_000), 1..300),
    ) {
        let mut recorder = TwccRecorder::new();
        let mut expected = BTreeMap::new();
        let (mut seq, mut at) = (first, start);
        let mut total = 0u32;
        for (gap, wait) in steps {
            total += u32::from(gap);
            if total > 1900 { break; }
            recorder.record(seq, at);
            expected.insert(seq, rounded(at));
            seq = seq.wrapping_add(gap);
            at += wait;
        }
        let mut out = Vec::new();
        recorder.build(1, 2, &mut out);
        let received: BTreeMap<_, _> = read(&out).into_iter().filter_map(|(s, t)| Some((s, t?))).collect();
        prop_assert_eq!(received.len(), expected.len());
        // The reference time wraps at 2^24 units.
        let wrap = TWCC_REFERENCE_UNIT_US << 24;
        for (seq, at) in expected {
            prop_assert_eq!((received[&seq] - at).rem_euclid(wrap), 0);
        }
    }
}
