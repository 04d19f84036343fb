use super::*;
use proptest::prelude::*;

fn one(packet: &[u8]) -> RtcpPacket<'_> {
    let mut all = compound(packet);
    let first = all.next().unwrap().unwrap();
    assert!(all.next().is_none());
    first
}

fn report_block() -> impl Strategy<Value = ReportBlock> {
    (any::<u32>(), any::<u8>(), -0x80_0000i32..0x80_0000, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, cumulative_lost, [highest_seq, jitter, last_sr, delay_since_last_sr])| {
            ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost,
                highest_seq,
                jitter,
                last_sr,
                delay_since_last_sr,
            }
        },
    )
}

proptest! {
    #[test]
    fn reports_round_trip(
        ssrc: u32, ntp: u64, [rtp_timestamp, packets, octets]: [u32; 3],
        blocks in proptest::collection::vec(report_block(), 0..40),
    ) {
        let info = SenderInfo { ntp, rtp_timestamp, packets, octets };
        let mut out = Vec::new();
        write_sender_report(&mut out, ssrc, &info, &blocks);
        let RtcpPacket::SenderReport(sr) = one(&out) else { panic!() };
        prop_assert_eq!((sr.ssrc, sr.info), (ssrc, info));
        let kept = &blocks[..blocks.len().min(31)];
        prop_assert_eq!(sr.blocks().collect::<Vec<_>>(), kept);

        out.clear();
        write_receiver_report(&mut out, ssrc, &blocks);
        let RtcpPacket::ReceiverReport(rr) = one(&out) else { panic!() };
        prop_assert_eq!(rr.ssrc, ssrc);
        prop_assert_eq!(rr.blocks().collect::<Vec<_>>(), kept);
    }

    #[test]
    fn names_round_trip(sources in proptest::collection::vec((any::<u32>(), "[ -~]{0,300}"), 0..35)) {
        let mut out = Vec::new();
        write_sdes(&mut out, sources.iter().map(|(ssrc, name)| (*ssrc, name.as_str())));
        let RtcpPacket::Sdes(sdes) = one(&out) else { panic!() };
        let got: Vec<_> = sdes.chunks().map(|c| (c.ssrc, c.cname.unwrap().to_vec())).collect();
        let cut = |name: &String| name.as_bytes()[..name.len().min(255)].to_vec();
        let expected: Vec<_> = sources.iter().take(31).map(|(ssrc, name)| (*ssrc, cut(name))).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn nacks_round_trip(start: u16, steps in proptest::collection::vec(1u16..40, 0..60)) {
        let mut lost = vec![start];
        for step in steps {
            lost.push(lost.last().unwrap().wrapping_add(step));
        }
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &lost);
        let RtcpPacket::Nack(nack) = one(&out) else { panic!() };
        prop_assert_eq!((nack.sender, nack.media), (1, 2));
        prop_assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
    }

    #[test]
    fn unordered_nacks_lose_nothing(lost in proptest::collection::vec(any::<u16>(), 1..40)) {
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &lost);
        let RtcpPacket::Nack(nack) = one(&out) else { panic!() };
        let got: std::collections::BTreeSet<_> = nack.lost().collect();
        prop_assert_eq!(got, lost.into_iter().collect());
    }

    #[test]
    fn bit_rates_round_trip_within_their_precision(bitrate: u64, sources in proptest::collection::vec(any::<u32>(), 0..5)) {
        let mut out = Vec::new();
        write_remb(&mut out, 1, bitrate, &sources);
        let RtcpPacket::Remb(remb) = one(&out) else { panic!() };
        prop_assert!(remb.bitrate <= bitrate && bitrate - remb.bitrate <= bitrate >> 17);
        prop_assert_eq!(remb.sources().collect::<Vec<_>>(), sources);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(mut packet in proptest::collection::vec(any::<u8>(), 0..160), kind in 198u8..208, words: u8) {
        // Half-right headers reach further than noise.
        if let Some([first, second, high, low]) = packet.first_chunk_mut::<4>() {
            *first = *first & 0x3f | 0x80;
            (*second, *high, *low) = (kind, 0, words % 40);
        }
        walk(&packet);
    }
}

/// Reads every field of every packet.
fn walk(packet: &[u8]) {
    for item in compound(packet).flatten() {
        match item {
            RtcpPacket::SenderReport(p) => assert!(p.blocks().count() <= 31),
            RtcpPacket::ReceiverReport(p) => assert!(p.blocks().count() <= 31),
            RtcpPacket::Sdes(p) => assert!(p.chunks().count() <= 31),
            RtcpPacket::Bye(p) => assert!(p.sources().count() <= 31),
            RtcpPacket::Nack(p) => assert!(p.lost().count() <= packet.len() * 17),
            RtcpPacket::Fir(p) => assert!(p.entries().count() <= packet.len()),
            RtcpPacket::Remb(p) => assert!(p.sources().count() <= 255),
            RtcpPacket::Twcc(p) => assert_eq!(p.statuses().count(), usize::from(p.status_count)),
            RtcpPacket::Pli(_) | RtcpPacket::Other { .. } => {}
        }
    }
}

#[test]
fn compounds_are_walked_in_order() {
    let mut out = Vec::new();
    write_receiver_report(&mut out, 1, &[]);
    write_sdes(&mut out, [(1, "name")]);
    write_pli(&mut out, 1, 2);
    write_fir(&mut out, 1, 2, 7);
    // XR, which is not read.
    out.extend_from_slice(&[0x80, 207, 0, 1, 0, 0, 0, 1]);
    write_bye(&mut out, &[1, 5]);
    let all: Vec<_> = compound(&out).map(Result::unwrap).collect();
    assert!(matches!(all[0], RtcpPacket::ReceiverReport(r) if r.ssrc == 1));
    assert!(matches!(all[1], RtcpPacket::Sdes(s) if s.chunks().next().unwrap().cname == Some(b"name")));
    assert_eq!(all[2], RtcpPacket::Pli(Pli { sender: 1, media: 2 }));
    assert!(matches!(all[3], RtcpPacket::Fir(f) if f.entries().collect::<Vec<_>>() == [(2, 7)]));
    assert_eq!(all[4], RtcpPacket::Other { packet_type: 207, count: 0 });
    assert!(matches!(all[5], RtcpPacket::Bye(b) if b.sources().collect::<Vec<_>>() == [1, 5]));
    assert_eq!(all.len(), 6);
}

#[test]
fn a_bad_packet_does_not_hide_the_next() {
    // A PLI without media source, then a good one.
    let mut out = vec![0x81, 206, 0, 1, 0, 0, 0, 1];
    write_pli(&mut out, 1, 2);
    let all: Vec<_> = compound(&out).collect();
    assert_eq!(all, [Err(RtcpError::Truncated), Ok(RtcpPacket::Pli(Pli { sender: 1, media: 2 }))]);
}

#[test]
fn framing_errors_end_the_walk() {
    let mut out = Vec::new();
    write_pli(&mut out, 1, 2);
    for len in 1..out.len() {
        assert_eq!(compound(&out[..len]).collect::<Vec<_>>(), [Err(RtcpError::Truncated)]);
    }
    out[0] = 0x41;
    assert_eq!(compound(&out).next(), Some(Err(RtcpError::Version)));
}

#[test]
fn padding_is_removed_and_checked() {
    let mut out = Vec::new();
    write_nack(&mut out, 1, 2, &[5]);
    out.extend_from_slice(&[0, 0, 0, 4]);
    out[0] |= 0x20;
    out[3] += 1;
    assert!(matches!(one(&out), RtcpPacket::Nack(n) if n.lost().collect::<Vec<_>>() == [5]));
    let last = out.len() - 1;
    for lie in [0, 17, 255] {
        out[last] = lie;
        assert_eq!(compound(&out).next(), Some(Err(RtcpError::Padding)));
    }
}

#[test]
fn counts_beyond_the_packet_are_refused() {
    for kind in [packet_type::SR, packet_type::RR, packet_type::BYE] {
        let packet =
            [0x9f, kind, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(compound(&packet).next(), Some(Err(RtcpError::Truncated)));
    }
    let mut out = Vec::new();
    write_remb(&mut out, 1, 1000, &[1]);
    out[16] = 2;
    assert_eq!(compound(&out).next(), Some(Err(RtcpError::Truncated)));
    // A mantissa shifted out of 64 bits.
    out[16] = 1;
    out[17] = 0xff;
    assert_eq!(compound(&out).next(), Some(Err(RtcpError::Malformed)));
}

/// Transport feedback body after the sources.
fn feedback(base: u16, count: u16, tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    build::packet(&mut out, packet_type::RTPFB, 15, |out| {
        out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        out.extend_from_slice(&base.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&[0xff, 0xff, 0xff, 3]);
        out.extend_from_slice(tail);
    });
    out
}

fn statuses(packet: &[u8]) -> Vec<(u16, Option<i64>)> {
    let RtcpPacket::Twcc(f) = one(packet) else { panic!() };
    f.statuses().map(|s| (s.seq, s.received_us)).collect()
}

#[test]
fn every_chunk_kind_is_read() {
    // Run of two "small delta", one-bit vector 1,0 (rest unused), then the deltas; the reference time is -1.
    let packet = feedback(0xffff, 4, &[0x20, 2, 0xa0, 0, 4, 8, 12]);
    assert_eq!(
        statuses(&packet),
        [(0xffff, Some(-63_000)), (0, Some(-61_000)), (1, Some(-58_000)), (2, None)]
    );
    // Two-bit vector: large, none, small; a negative delta.
    let packet = feedback(7, 3, &[0xc0 | 0x20 | 0x01, 0, 0xff, 0xfc, 4]);
    assert_eq!(statuses(&packet), [(7, Some(-65_000)), (8, None), (9, Some(-64_000))]);
    // Run of "large delta".
    let packet = feedback(7, 1, &[0x40, 1, 0, 4]);
    assert_eq!(statuses(&packet), [(7, Some(-63_000))]);
}

#[test]
fn feedback_lies_are_refused() {
    let refused = |count, tail: &[u8], expected| {
        assert_eq!(compound(&feedback(1, count, tail)).next(), Some(Err(expected)), "{tail:?}");
    };
    refused(5, &[], RtcpError::Truncated);
    refused(3, &[0x20, 3, 1, 2], RtcpError::Truncated);
    refused(3, &[0x20, 0, 1, 2], RtcpError::Malformed);
    refused(1, &[0x60, 1, 1, 2], RtcpError::Malformed);
    refused(1, &[0xf0, 0, 1, 2], RtcpError::Malformed);
    refused(MAX_TWCC_STATUSES + 1, &[0x1f, 0xff, 0x1f, 0xff], RtcpError::Malformed);
}
