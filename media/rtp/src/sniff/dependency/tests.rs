use super::*;
use proptest::prelude::*;

/// Writes descriptors for the tests.
#[derive(Default)]
struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    fn put(&mut self, n: u32, value: u32) -> &mut Self {
        self.bits.extend((0..n).rev().map(|i| value >> i & 1 != 0));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.bits
            .chunks(8)
            .map(|c| c.iter().enumerate().fold(0, |b, (i, bit)| b | u8::from(*bit) << (7 - i)))
            .collect()
    }
}

/// Two spatial and two temporal layers, four decode targets, two chains; template ids start at 60.
fn key_frame() -> Vec<u8> {
    let mut w = Writer::default();
    w.put(1, 1).put(1, 0).put(6, 60).put(16, 7);
    w.put(1, 1).put(4, 0);
    w.put(6, 60).put(5, 3);
    // Templates S0T0 S0T1 S1T0 S1T1.
    w.put(2, 1).put(2, 2).put(2, 1).put(2, 3);
    for dtis in [[2, 3, 2, 3], [0, 1, 0, 3], [0, 0, 2, 3], [0, 0, 0, 1]] {
        for dti in dtis {
            w.put(2, dti);
        }
    }
    // Frame differences: none, 1, 1+2, 1.
    w.put(1, 0);
    w.put(1, 1).put(4, 0).put(1, 0);
    w.put(1, 1).put(4, 0).put(1, 1).put(4, 1).put(1, 0);
    w.put(1, 1).put(4, 0).put(1, 0);
    // chain_cnt = 2 as ns(5): width 3, 3 short codes of 2 bits.
    w.put(2, 2);
    // Protected by, ns(2): 1 bit.
    for chain in [0, 0, 1, 1] {
        w.put(1, chain);
    }
    for _ in 0..8 {
        w.put(4, 1);
    }
    // Resolutions.
    w.put(1, 1).put(16, 639).put(16, 359).put(16, 1279).put(16, 719);
    w.bytes()
}

fn delta(template: u32, number: u32) -> Vec<u8> {
    let mut w = Writer::default();
    w.put(1, 1).put(1, 1).put(6, template).put(16, number);
    w.bytes()
}

#[test]
fn key_frame_carries_the_structure() {
    let mut reader = DependencyReader::new();
    let dd = reader.read(&key_frame()).unwrap();
    assert!(dd.frame_start && !dd.frame_end && dd.structure_attached);
    assert_eq!((dd.template_id, dd.frame_number), (60, 7));
    assert_eq!(dd.layer, Some(FrameLayer { spatial: 0, temporal: 0 }));
    assert_eq!(dd.active_targets, Some(0b1111));
    assert_eq!(dd.indication(0), Some(Indication::Switch));
    assert_eq!(dd.indication(1), Some(Indication::Required));
    assert_eq!(dd.indication(4), None);
    let layers: Vec<_> =
        (0..4).map(|t| reader.target_layer(t).unwrap()).map(|l| (l.spatial, l.temporal)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

#[test]
fn later_frames_find_their_layer_by_template() {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let layer = |reader: &mut DependencyReader, id| reader.read(&delta(id, 8)).unwrap().layer;
    assert_eq!(layer(&mut reader, 61), Some(FrameLayer { spatial: 0, temporal: 1 }));
    assert_eq!(layer(&mut reader, 62), Some(FrameLayer { spatial: 1, temporal: 0 }));
    assert_eq!(layer(&mut reader, 63), Some(FrameLayer { spatial: 1, temporal: 1 }));
    // Ids wrap at 64; this one is outside of the structure.
    assert_eq!(layer(&mut reader, 0), None);
}

#[test]
fn without_structure_only_frame_bounds_are_known() {
    let dd = DependencyReader::new().read(&delta(61, 9)).unwrap();
    assert!(dd.frame_start && dd.frame_end);
    assert_eq!((dd.layer, dd.frame_number), (None, 9));
}

#[test]
fn custom_indications_and_active_targets_override() {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let mut w = Writer::default();
    w.put(1, 1).put(1, 1).put(6, 61).put(16, 8);
    w.put(1, 0).put(1, 1).put(1, 1).put(2, 0);
    w.put(4, 0b0011);
    for dti in [0, 2, 0, 2] {
        w.put(2, dti);
    }
    let dd = reader.read(&w.bytes()).unwrap();
    assert_eq!(dd.active_targets, Some(0b0011));
    assert_eq!(dd.indication(1), Some(Indication::Switch));
    assert_eq!(dd.indication(2), Some(Indication::NotPresent));
}

#[test]
fn truncated_structure_is_refused_and_forgotten() {
    let whole = key_frame();
    for len in 0..whole.len() {
        let mut reader = DependencyReader::new();
        if len == 3 {
            // The mandatory part alone is a whole descriptor.
            assert!(reader.read(&whole[..len]).is_ok());
            continue;
        }
        assert_eq!(reader.read(&whole[..len]), Err(DependencyError::Truncated), "{len} bytes");
        assert_eq!(reader.target_layer(0), None);
    }
}

proptest! {
    #[test]
    fn arbitrary_descriptors_do_not_panic(descriptors in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..80), 1..6))
    {
        let mut reader = DependencyReader::new();
        for bytes in descriptors {
            if let Ok(dd) = reader.read(&bytes) {
                for target in 0..=255 {
                    let _ = dd.indication(target);
                }
            }
        }
    }
}
