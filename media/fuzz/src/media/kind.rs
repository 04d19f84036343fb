//! First-byte classification.

use bedrud_rtp::{PacketKind, RtpHeader, classify, peek_ssrc};

/// Classification agrees with the parsers behind it.
pub fn run(data: &[u8]) {
    let kind = classify(data);
    let header = RtpHeader::parse(data);
    match kind {
        PacketKind::Rtp => {
            assert!(data.len() >= 12);
            if let Ok(header) = header {
                assert_eq!(peek_ssrc(data), Some(header.ssrc));
                assert!(!(64..=95).contains(&header.pt));
            }
        }
        PacketKind::Rtcp => assert!(data.len() >= 8),
        PacketKind::Stun | PacketKind::Dtls | PacketKind::TurnChannel => assert!(header.is_err()),
        PacketKind::Unknown => {}
    }
}
