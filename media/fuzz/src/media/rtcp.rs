//! RTCP compounds.

use bedrud_rtp::rtcp::{self, RtcpPacket, compound};

/// Reads every field of every packet and builds what can be built again.
pub fn run(data: &[u8]) {
    let mut packets = 0;
    for item in compound(data) {
        packets += 1;
        if let Ok(packet) = item {
            check(packet, data.len());
        }
    }
    assert!(packets <= data.len() / 4 + 1);
}

fn check(packet: RtcpPacket<'_>, len: usize) {
    let mut out = Vec::new();
    match packet {
        RtcpPacket::SenderReport(p) => {
            let blocks: Vec<_> = p.blocks().collect();
            rtcp::write_sender_report(&mut out, p.ssrc, &p.info, &blocks);
            let Some(Ok(RtcpPacket::SenderReport(again))) = compound(&out).next() else {
                panic!("sender report")
            };
            assert_eq!((again.ssrc, again.info), (p.ssrc, p.info));
            assert!(again.blocks().eq(blocks));
        }
        RtcpPacket::ReceiverReport(p) => {
            let blocks: Vec<_> = p.blocks().collect();
            for block in &blocks {
                let _ = block.round_trip(u64::from(block.last_sr) << 20);
            }
            rtcp::write_receiver_report(&mut out, p.ssrc, &blocks);
            let Some(Ok(RtcpPacket::ReceiverReport(again))) = compound(&out).next() else {
                panic!("receiver report")
            };
            assert!(again.blocks().eq(blocks));
        }
        RtcpPacket::Sdes(p) => assert!(p.chunks().count() <= 31),
        RtcpPacket::Bye(p) => assert!(p.sources().count() <= 31),
        RtcpPacket::Nack(p) => {
            let lost: Vec<_> = p.lost().collect();
            assert!(lost.len() <= len / 4 * 17);
            rtcp::write_nack(&mut out, p.sender, p.media, &lost);
            if let Some(Ok(RtcpPacket::Nack(again))) = compound(&out).next() {
                let sorted = |mut v: Vec<u16>| {
                    v.sort_unstable();
                    v.dedup();
                    v
                };
                assert_eq!(sorted(again.lost().collect()), sorted(lost));
            } else {
                assert!(lost.is_empty());
            }
        }
        RtcpPacket::Fir(p) => assert!(p.entries().count() <= len / 8),
        RtcpPacket::Remb(p) => {
            let sources: Vec<_> = p.sources().collect();
            rtcp::write_remb(&mut out, p.sender, p.bitrate, &sources);
            let Some(Ok(RtcpPacket::Remb(again))) = compound(&out).next() else { panic!("remb") };
            assert_eq!(again.bitrate, p.bitrate);
        }
        RtcpPacket::Twcc(p) => {
            let all: Vec<_> = p.statuses().collect();
            assert_eq!(all.len(), usize::from(p.status_count));
            assert!(all.first().is_none_or(|s| s.seq == p.base_seq));
        }
        RtcpPacket::Pli(_) | RtcpPacket::Other { .. } => {}
    }
}
