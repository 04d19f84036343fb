//! Codec sniffers and the dependency descriptor.

use bedrud_rtp::Codec;
use bedrud_rtp::sniff::{DependencyReader, Descriptor, Vp8Descriptor, Vp8Patch, sniff};

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
    for codec in CODECS {
        let info = sniff(codec, payload, dependency.as_ref());
        assert!(info.spatial < 8 && info.temporal < 8);
        assert!(!info.key_frame || info.frame_start);
        if let Descriptor::Vp8(d) = info.descriptor {
            patch(&d, payload);
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
