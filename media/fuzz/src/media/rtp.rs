//! RTP header and header extensions.

use bedrud_rtp::{Extension, ExtensionMap, HeaderExtensions, OutExtensions, OutHeader, RtpHeader, rtx};

/// The first byte places the extension ids, the rest is a packet. What was read is written and read again.
pub fn run(data: &[u8]) {
    let Some((first, packet)) = data.split_first() else { return };
    let mut map = ExtensionMap::default();
    for (i, ext) in Extension::ALL.into_iter().enumerate() {
        map.set(ext, (first % 16) + i as u8);
    }
    let Ok(header) = RtpHeader::parse(packet) else { return };
    let header_len = usize::from(header.header_len);
    assert!((12..=packet.len()).contains(&header_len));
    for index in 0..=header.csrc_count {
        assert_eq!(header.csrc(packet, index).is_some(), index < header.csrc_count);
    }
    for e in header.extensions(packet) {
        assert_eq!(&packet[e.at..e.at + e.value.len()], e.value);
        assert!(e.at >= 12 && e.at + e.value.len() <= header_len);
    }
    if let Ok(payload) = header.payload(packet) {
        assert!(header_len + payload.len() <= packet.len());
        if let Some((_, original)) = rtx::split(payload) {
            assert_eq!(original.len() + rtx::RTX_HEADER_LEN, payload.len());
        }
    }
    rewrite(&header, packet, &map);
}

fn rewrite(header: &RtpHeader, packet: &[u8], map: &ExtensionMap) {
    let read = HeaderExtensions::read(header, packet, map);
    let out = OutHeader {
        marker: header.marker,
        pt: header.pt,
        seq: header.seq,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
        padding: false,
        extensions: OutExtensions {
            mid: read.mid,
            rid: read.rid,
            repaired_rid: read.repaired_rid,
            audio_level: read.audio_level,
            transport_cc: read.transport_cc,
            abs_send_time: read.abs_send_time,
            abs_capture_time: None,
            dependency_descriptor: read.dependency_descriptor(packet),
            playout_delay: read.playout_delay,
        },
    };
    let mut copy = Vec::new();
    let written = out.write(&mut copy, map);
    assert_eq!(written.header_len, copy.len());
    let again = RtpHeader::parse(&copy).expect("own header");
    let reread = HeaderExtensions::read(&again, &copy, map);
    assert_eq!((again.pt, again.seq, again.ssrc), (header.pt, header.seq, header.ssrc));
    assert_eq!(reread.dependency_descriptor(&copy), read.dependency_descriptor(packet));
    assert_eq!((reread.mid, reread.rid, reread.repaired_rid), (read.mid, read.rid, read.repaired_rid));
    assert_eq!((reread.transport_cc, reread.abs_send_time), (read.transport_cc, read.abs_send_time));
    assert_eq!((reread.audio_level, reread.playout_delay), (read.audio_level, read.playout_delay));
}
