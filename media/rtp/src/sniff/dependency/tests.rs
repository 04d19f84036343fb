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

#[test]
fn templates_tell_chains_and_references() {
    let mut reader = DependencyReader::new();
    let dd = reader.read(&key_frame()).unwrap();
    assert_eq!((dd.chain_diffs(), dd.references()), (&[1, 1][..], &[][..]));
    let chains: Vec<_> = reader.structure().unwrap().targets().iter().map(|t| t.chain).collect();
    assert_eq!(chains, [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!(reader.read(&delta(62, 9)).unwrap().references(), [1, 2]);
    let within = reader.structure().unwrap().targets_within(FrameLayer { spatial: 1, temporal: 0 });
    assert_eq!(within, 0b0101);
}

/// A frame with everything of its own.
fn custom(active: Option<u32>) -> Vec<u8> {
    let mut w = Writer::default();
    w.put(1, 1).put(1, 0).put(6, 61).put(16, 65_535);
    w.put(1, 0).put(1, u32::from(active.is_some())).put(3, 0b111);
    if let Some(mask) = active {
        w.put(4, mask);
    }
    for dti in [0, 2, 1, 3] {
        w.put(2, dti);
    }
    w.put(2, 1).put(4, 14).put(2, 2).put(8, 254).put(2, 3).put(12, 4095).put(2, 0);
    w.put(8, 200).put(8, 0);
    w.bytes()
}

#[test]
fn frames_may_differ_from_their_template() {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let dd = reader.read(&custom(None)).unwrap();
    assert_eq!(dd.references(), [15, 255, 4096]);
    assert_eq!(dd.chain_diffs(), [200, 0]);
    assert_eq!(dd.indication(3), Some(Indication::Required));
    assert_eq!(dd.active_targets, None);
}

#[test]
fn frame_numbers_count_on_across_the_wrap() {
    let mut reader = DependencyReader::new();
    let mut frame = |n| reader.read(&delta(61, n)).unwrap().frame;
    let first = frame(65_535);
    assert_eq!(frame(0), first + 1);
    assert_eq!(frame(65_534), first - 1);
    assert_eq!(frame(3), first + 4);
}

/// The key frame again, as frame 20 and with template ids from 10.
fn next_key_frame() -> Vec<u8> {
    let mut bytes = key_frame();
    bytes[0] = 0x80 | 10;
    bytes[2] = 20;
    // The id offset lies behind five flags.
    bytes[3] = bytes[3] & 0b1111_1000 | 10 >> 3;
    bytes[4] = bytes[4] & 0b0001_1111 | 10 << 5;
    bytes
}

#[test]
fn late_packets_find_the_structure_of_their_time() {
    let layer = Some(FrameLayer { spatial: 1, temporal: 0 });
    // The newer key frame may also be read first.
    for order in [[key_frame(), next_key_frame()], [next_key_frame(), key_frame()]] {
        let mut reader = DependencyReader::new();
        for key in order {
            reader.read(&key).unwrap();
        }
        assert_eq!(reader.structure_frame(), Some(0x1_0000 + 20));
        assert_eq!(reader.read(&delta(12, 21)).unwrap().layer, layer);
        assert_eq!(reader.read(&delta(62, 19)).unwrap().layer, layer);
        assert_eq!(reader.read(&delta(62, 22)).unwrap().layer, None);
        assert_eq!(reader.read(&delta(12, 18)).unwrap().layer, None);
    }
}

#[test]
fn the_newest_frame_tells_the_active_targets() {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    assert_eq!(reader.active_targets(), 0b1111);
    let with = |number: u32, mask| {
        let mut w = Writer::default();
        w.put(1, 1).put(1, 1).put(6, 60).put(16, number).put(2, 0b01).put(3, 0).put(4, mask);
        w.bytes()
    };
    reader.read(&with(20, 0b0011)).unwrap();
    assert_eq!(reader.active_targets(), 0b0011);
    // One that comes late.
    reader.read(&with(15, 0b0111)).unwrap();
    assert_eq!(reader.active_targets(), 0b0011);
}

/// Everything but number and active targets stays.
fn check_rewrite(bytes: &[u8], number: u16, active: Option<u32>) {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let before = reader.read(bytes).unwrap();
    let rewritten = before.layout.unwrap().rewrite(bytes, number, active).unwrap();
    assert!(rewritten.as_bytes().len() <= bytes.len() + 2);
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let after = reader.read(rewritten.as_bytes()).unwrap();
    assert_eq!(after.frame_number, number);
    assert_eq!(after.active_targets, active.or(before.active_targets));
    let same = |d: DependencyDescriptor| DependencyDescriptor {
        frame: 0,
        frame_number: 0,
        active_targets: None,
        layout: None,
        ..d
    };
    assert_eq!(same(after), same(before));
}

#[test]
fn rewriting_changes_number_and_active_targets_alone() {
    for bytes in [key_frame(), delta(62, 3), custom(None), custom(Some(0b1111))] {
        for active in [None, Some(0b0011), Some(0b0001)] {
            check_rewrite(&bytes, 40_000, active);
        }
    }
}

#[test]
fn too_many_references_are_malformed() {
    let mut reader = DependencyReader::new();
    reader.read(&key_frame()).unwrap();
    let mut w = Writer::default();
    w.put(1, 1).put(1, 0).put(6, 61).put(16, 8).put(5, 0b00010);
    for _ in 0..17 {
        w.put(2, 1).put(4, 0);
    }
    w.put(2, 0);
    assert_eq!(reader.read(&w.bytes()), Err(DependencyError::Malformed));
}

proptest! {
    /// Whatever is rewritten reads the same, or is refused.
    #[test]
    fn rewritten_descriptors_read_the_same(
        template in 0u32..64, number: u16, active in proptest::option::of(0u32..16),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = [delta(template, 9), tail].concat();
        let mut reader = DependencyReader::new();
        reader.read(&key_frame()).unwrap();
        let Ok(dd) = reader.clone().read(&bytes) else { return Ok(()) };
        let Some(rewritten) = dd.layout.and_then(|l| l.rewrite(&bytes, number, active)) else { return Ok(()) };
        let after = reader.read(rewritten.as_bytes()).unwrap();
        prop_assert_eq!(after.frame_number, number);
        // A mask has as many bits as the structure in force, which may come with this descriptor, has decode targets.
        let cut = |mask: u32, bits: u32| mask & u32::MAX.checked_shr(32 - bits).unwrap_or(0);
        match (active, after.active_targets) {
            (Some(mask), Some(read)) => prop_assert!((0..=32).any(|bits| cut(mask, bits) == read)),
            (_, read) => prop_assert_eq!(read, dd.active_targets),
        }
        prop_assert_eq!((after.layer, after.relations), (dd.layer, dd.relations));
    }

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
                let rewritten = dd.layout.and_then(|l| l.rewrite(&bytes, 7, Some(5)));
                prop_assert!(rewritten.is_none_or(|r| r.as_bytes().len() <= bytes.len() + 5));
            }
        }
    }
}
