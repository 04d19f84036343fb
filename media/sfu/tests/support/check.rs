//! Invariants of an output stream.

use super::subscriber::{Rx, Subscriber};
use std::collections::BTreeMap;

/// Sequence numbers without holes between the first and the last (all but `tail` last ones, which may be under way).
pub fn contiguous(s: &Subscriber, tail: u64) {
    let first = *s.received.first_key_value().expect("received something").0;
    let last = *s.received.last_key_value().unwrap().0;
    let missing: Vec<u64> =
        (first..last.saturating_sub(tail)).filter(|q| !s.received.contains_key(q)).collect();
    assert!(missing.is_empty(), "holes in the output: {missing:?} of {first}..{last}");
}

/// Timestamps never go back and do not stand still across frames; returns the number of frames.
pub fn timestamps(received: &BTreeMap<u64, Rx>) -> usize {
    let mut frames = 1;
    let mut packets = received.values().filter(|r| !r.empty);
    let mut last = packets.next().unwrap();
    for r in packets {
        let step = r.timestamp.wrapping_sub(last.timestamp) as i32;
        assert!(step >= 0, "timestamp goes back by {step}");
        if step > 0 {
            frames += 1;
        }
        last = r;
    }
    frames
}

/// VP8 picture ids go on by one per frame, TL0PICIDX and KEYIDX step with their frames, and every change of layer
/// begins with a key frame. Returns the layers in the order they were seen.
pub fn vp8(received: &BTreeMap<u64, Rx>) -> Vec<u8> {
    let mut layers: Vec<u8> = Vec::new();
    let mut last: Option<&Rx> = None;
    for r in received.values().filter(|r| !r.empty) {
        let d = r.vp8.expect("VP8");
        let id = d.picture_id.unwrap().value;
        let (layer, part, _) = r.content();
        if let Some(l) = last {
            let before = l.vp8.unwrap();
            let step = id.wrapping_sub(before.picture_id.unwrap().value) & 0x7fff;
            let same_frame = r.timestamp == l.timestamp;
            assert_eq!(step, u16::from(!same_frame), "picture id steps by {step} at part {part}");
            let tl0 = d.tl0_pic_idx.unwrap().wrapping_sub(before.tl0_pic_idx.unwrap());
            let base = d.tid == Some(0) && !same_frame;
            assert_eq!(tl0, u8::from(base), "TL0PICIDX");
            let key = d.key_idx.unwrap().wrapping_sub(before.key_idx.unwrap()) & 31;
            assert_eq!(key, u8::from(d.key_frame), "KEYIDX");
        }
        if layers.last() != Some(&layer) {
            assert!(d.key_frame && part == 0, "layer {layer} begins without a key frame");
            layers.push(layer);
        }
        last = Some(r);
    }
    layers
}

/// Every frame is whole: parts 0.. in order, marker on the last.
pub fn whole_frames(received: &BTreeMap<u64, Rx>) {
    let mut expected = 0;
    for r in received.values().filter(|r| !r.empty) {
        let (_, part, _) = r.content();
        assert_eq!(part, expected, "parts of a frame in order");
        expected = if r.marker { 0 } else { part + 1 };
    }
}

/// Longest time between two packets, milliseconds.
pub fn longest_gap(s: &Subscriber) -> u64 {
    let mut at: Vec<u64> = s.received.values().map(|r| r.at).collect();
    at.sort_unstable();
    at.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
}
