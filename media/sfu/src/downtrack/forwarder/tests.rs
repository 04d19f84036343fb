use super::*;
use crate::upstream::frame::Frame;
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: StartValues = StartValues { seq: 65_533, timestamp: u32::MAX - 5, picture: 32_766 };

fn packet(layer: u8, seq: u64, timestamp: u32, key: bool, temporal: u8, picture: u16) -> Incoming<'static> {
    let frame = Frame {
        key,
        temporal,
        switch_up: true,
        picture: Some(picture),
        dense_pictures: true,
        tl0: Some(picture as u8),
        key_index: Some(0),
        ..Frame::NONE
    };
    Incoming {
        layer,
        generation: 1,
        seq,
        timestamp,
        frame,
        dependency: None,
        empty: false,
        capture_ntp: None,
    }
}

fn forwarder(target: u8) -> Forwarder {
    let mut f = Forwarder::new(true, 90_000, START, None);
    f.set_target(Some(target));
    f.set_max_temporal(3);
    f
}

#[test]
fn nothing_passes_before_a_key_frame_of_a_wanted_layer() {
    let t = crate::test_clock();
    let mut f = forwarder(1);
    assert!(f.wants_key_frame());
    assert_eq!(f.on_packet(t, &packet(1, 10, 1000, false, 0, 5)), None);
    assert_eq!(f.on_packet(t, &packet(2, 10, 1000, true, 0, 5)), None);
    let out = f.on_packet(t, &packet(0, 70, 7000, true, 0, 9)).unwrap();
    assert_eq!((out.seq, out.timestamp), (65_533, START.timestamp));
    assert!(f.wants_key_frame(), "the target is another layer");
    let later = t + Duration::from_millis(100);
    let out = f.on_packet(later, &packet(1, 11, 1500, true, 0, 6)).unwrap();
    assert_eq!((out.seq, out.timestamp), (65_534, START.timestamp.wrapping_add(9000)));
    assert!(!f.wants_key_frame());
}

#[test]
fn a_stream_taken_over_from_another_track_goes_on_in_time() {
    let t = crate::test_clock();
    let mut f = forwarder(0);
    let last = f.on_packet(t, &packet(0, 10, 1000, true, 0, 5)).unwrap();
    let mut next = Forwarder::new(true, 90_000, START, None);
    next.continue_from(f.last().unwrap());
    next.set_target(Some(0));
    let out = next.on_packet(t + Duration::from_millis(200), &packet(0, 900, 77, true, 0, 3)).unwrap();
    assert_eq!((out.seq, out.timestamp), (last.seq + 1, last.timestamp.wrapping_add(18_000)));
}

#[test]
fn sender_reports_align_the_clocks_of_layers() {
    let t = crate::test_clock();
    let mut f = forwarder(1);
    let mut low = packet(0, 1, 500, true, 0, 1);
    low.capture_ntp = Some(100 << 32);
    f.on_packet(t, &low);
    let mut high = packet(1, 1, 9_000_000, true, 0, 1);
    // Captured 40 ms later, arrived 90 ms later.
    high.capture_ntp = Some((100 << 32) + (40 << 32) / 1000);
    let out = f.on_packet(t + Duration::from_millis(90), &high).unwrap();
    let step = out.timestamp.wrapping_sub(START.timestamp);
    assert!((3599..=3601).contains(&step), "{step}");
    // A clock that makes no sense is not believed.
    let mut f = forwarder(1);
    f.on_packet(t, &low);
    high.capture_ntp = Some(500 << 32);
    let out = f.on_packet(t + Duration::from_millis(90), &high).unwrap();
    assert_eq!(out.timestamp.wrapping_sub(START.timestamp), 8100);
}

#[test]
fn late_packets_of_the_layer_before_fill_their_holes() {
    let t = crate::test_clock();
    let mut f = forwarder(0);
    f.on_packet(t, &packet(0, 10, 0, true, 0, 1));
    f.on_packet(t, &packet(0, 12, 3000, false, 0, 2));
    f.set_target(Some(1));
    let switched = f.on_packet(t, &packet(1, 50, 0, true, 0, 1)).unwrap();
    assert_eq!(switched.seq, 65_536);
    let late = f.on_packet(t, &packet(0, 11, 3000, false, 0, 2)).unwrap();
    assert_eq!(late.seq, 65_534);
    assert_eq!(late.deltas.layer, 0);
    assert_eq!(f.on_packet(t, &packet(0, 13, 6000, false, 0, 3)), None);
    let much_later = t + Duration::from_secs(1);
    assert_eq!(f.on_packet(much_later, &packet(0, 9, 0, false, 0, 1)), None);
}

#[test]
fn a_new_generation_of_the_same_layer_needs_a_key_frame() {
    let t = crate::test_clock();
    let mut f = forwarder(0);
    f.on_packet(t, &packet(0, 60_000, 0, true, 0, 1));
    let mut again = packet(0, 3, 77, false, 0, 9);
    again.generation = 2;
    assert_eq!(f.on_packet(t, &again), None);
    again.frame.key = true;
    let out = f.on_packet(t, &again).unwrap();
    assert_eq!(out.seq, 65_534);
    assert_eq!(out.timestamp, START.timestamp.wrapping_add(1));
}

#[test]
fn temporal_layers_rise_where_the_stream_allows_or_after_a_while() {
    let t = crate::test_clock();
    for says_so in [true, false] {
        let mut f = forwarder(0);
        f.set_max_temporal(0);
        f.on_packet(t, &packet(0, 10, 0, true, 0, 1));
        f.set_max_temporal(3);
        let mut first = None;
        for i in 1..100u64 {
            let tid = [0u8, 2, 1, 2][(i % 4) as usize];
            let mut p = packet(0, 10 + i, 3000 * i as u32, false, tid, 1 + i as u16);
            p.frame.switch_up = says_so;
            let now = t + Duration::from_millis(33 * i);
            if f.on_packet(now, &p).is_some() && tid > 0 && first.is_none() {
                first = Some(33 * i);
            }
        }
        let first = first.unwrap();
        assert!(if says_so { first < 200 } else { (1000..1300).contains(&first) }, "{first}");
    }
}

#[test]
fn empty_packets_leave_no_hole() {
    let t = crate::test_clock();
    let mut f = forwarder(0);
    f.on_packet(t, &packet(0, 10, 0, true, 0, 1));
    let mut empty = packet(0, 11, 0, false, 0, 1);
    empty.empty = true;
    assert_eq!(f.on_packet(t, &empty), None);
    assert_eq!(f.on_packet(t, &packet(0, 12, 3000, false, 0, 2)).unwrap().seq, 65_534);
}

proptest! {
    /// Whatever is lost, late, switched or thinned: no number is used twice, numbers are dense but for packets
    /// that never came, and picture ids go on by one per picture sent.
    #[test]
    fn outputs_are_unique_and_dense(
        fates in proptest::collection::vec((0u8..100, 0u8..3, 0u8..4), 20..300),
        lossless: bool,
    ) {
        let t = crate::test_clock();
        let mut f = forwarder(2);
        let mut sent: BTreeMap<u64, (u32, u16)> = BTreeMap::new();
        let mut delayed: Vec<Incoming<'_>> = Vec::new();
        let mut absent = 0u64;
        for (i, (fate, target, temporal)) in fates.iter().enumerate() {
            let now = t + Duration::from_millis(33 * i as u64);
            if i % 20 == 0 {
                f.set_target(Some(*target));
                f.set_max_temporal(*temporal);
            }
            let tid = [0u8, 2, 1, 2][i % 4];
            for layer in 0..3u8 {
                for part in 0..2u64 {
                    let seq = 1000 * (u64::from(layer) + 1) + 2 * i as u64 + part;
                    let picture = 100 * u16::from(layer) + i as u16;
                    let key = i % 8 == 0;
                    let p = packet(layer, seq, 3000 * i as u32, key && part == 0, tid * u8::from(!key), picture);
                    let is_late = !lossless && *fate < 10 && part == 1;
                    if !lossless && *fate > 95 {
                        absent += 1;
                    } else if is_late {
                        absent += 1;
                        delayed.push(p);
                    } else if let Some(out) = f.on_packet(now, &p) {
                        let picture = picture.wrapping_add(out.picture);
                        prop_assert!(sent.insert(out.seq, (out.timestamp, picture)).is_none());
                    }
                }
            }
            if *fate % 7 == 0 {
                for p in delayed.drain(..) {
                    if let Some(out) = f.on_packet(now, &p) {
                        let picture = p.frame.picture.unwrap().wrapping_add(out.picture);
                        prop_assert!(sent.insert(out.seq, (out.timestamp, picture)).is_none());
                    }
                }
            }
        }
        if lossless {
            let mut last: Option<(u64, (u32, u16))> = None;
            for (seq, (timestamp, picture)) in sent {
                if let Some((before, (ts, id))) = last {
                    prop_assert_eq!(seq, before + 1);
                    let moved = timestamp != ts;
                    prop_assert!(timestamp.wrapping_sub(ts).cast_signed() >= 0);
                    prop_assert_eq!(picture.wrapping_sub(id), u16::from(moved));
                }
                last = Some((seq, (timestamp, picture)));
            }
        } else if let (Some(first), Some(last)) = (sent.keys().next(), sent.keys().last()) {
            let holes = last - first + 1 - sent.len() as u64;
            prop_assert!(holes <= absent, "{holes} holes for {absent} packets that came late or never");
        }
    }
}
