//! Codec sniffers and the dependency descriptor.

use bedrud_rtp::Codec;
use bedrud_rtp::sniff::{
    DependencyDescriptor, DependencyReader, DependencyStructure, Descriptor, Vp8Descriptor, Vp8Patch,
    Vp9Descriptor, Vp9Patch, sniff,
};

const CODECS: [Codec; 9] = [
    Codec::Opus,
    Codec::Red,
    Codec::Pcmu,
    Codec::Pcma,
    Codec::Vp8,
    Codec::Vp9,
    Codec::H264,
    Codec::H265,
    Codec::Av1,
];

/// The first byte splits the rest into a dependency descriptor and a payload for every codec.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let (descriptor, payload) = rest.split_at(usize::from(*first).min(rest.len()));
    let mut reader = DependencyReader::new();
    // Twice: the second time a structure may be known.
    let _ = reader.read(descriptor);
    let dependency = reader.read(descriptor).ok();
    if let Some(dd) = &dependency {
        for target in 0..=255 {
            let indication = dd.indication(target);
            assert!(indication.is_none() || target < 32);
            if dd.structure_attached && indication.is_some() {
                assert!(reader.target_layer(target).is_some());
            }
        }
        if dd.structure_attached {
            assert!(dd.layer.is_some());
        }
    }
    if let Some(dd) = &dependency {
        rewrite(&reader, dd, descriptor);
    }
    for codec in CODECS {
        let info = sniff(codec, payload, dependency.as_ref());
        assert!(info.spatial < 8 && info.temporal < 8);
        assert!(!info.key_frame || info.frame_start);
        match info.descriptor {
            Descriptor::Vp8(d) => patch(&d, payload),
            Descriptor::Vp9(d) => patch_vp9(&d, payload),
            Descriptor::None => {}
        }
    }
}

fn patch(before: &Vp8Descriptor, payload: &[u8]) {
    let mut copy = payload.to_vec();
    let patch = Vp8Patch { picture_id: 0xbeef, tl0_pic_idx: 0x5a, key_idx: 0x1f };
    before.patch(&mut copy, &patch);
    let after = Vp8Descriptor::parse(&copy).expect("same shape");
    assert_eq!((after.len, after.key_frame, after.tid), (before.len, before.key_frame, before.tid));
    assert_eq!(after.picture_id.map(|p| p.long), before.picture_id.map(|p| p.long));
    assert_eq!(&copy[usize::from(after.len)..], &payload[usize::from(after.len)..]);
}

fn patch_vp9(before: &Vp9Descriptor, payload: &[u8]) {
    let mut copy = payload.to_vec();
    before.patch(&mut copy, &Vp9Patch { picture_id: 0xbeef, tl0_pic_idx: 0x5a });
    let after = Vp9Descriptor::parse(&copy).expect("same shape");
    assert_eq!(after.picture_id.map(|p| p.long), before.picture_id.map(|p| p.long));
    assert_eq!((after.frame_start, after.spatial_layers), (before.frame_start, before.spatial_layers));
    let layer = |d: &Vp9Descriptor| d.layer.map(|l| (l.spatial, l.temporal, l.tl0_pic_idx.is_some()));
    assert_eq!(layer(&after), layer(before));
}

/// What is rewritten reads the same, but for what was to change.
fn rewrite(reader: &DependencyReader, before: &DependencyDescriptor, bytes: &[u8]) {
    let Some(layout) = before.layout else { return };
    let targets = reader.structure_at(before.frame).map_or(0, DependencyStructure::all_targets);
    let number = before.frame_number.wrapping_add(1);
    for active in [None, Some(0x5555_5555 & targets)] {
        let Some(rewritten) = layout.rewrite(bytes, number, active) else { continue };
        assert!(rewritten.as_bytes().len() <= bytes.len() + 5);
        let after = reader.clone().read(rewritten.as_bytes()).expect("readable");
        assert_eq!((after.frame_number, after.active_targets), (number, active.or(before.active_targets)));
        assert_eq!((after.layer, after.references()), (before.layer, before.references()));
        assert_eq!(after.chain_diffs(), before.chain_diffs());
    }
}
