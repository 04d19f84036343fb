use super::replay::WINDOW;
use super::*;
use crate::bytes::put;
use crate::{ExtensionMap, OutExtensions, OutHeader};
use proptest::prelude::*;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
    let (client, _) = SrtpKeys::from_dtls(profile, &material, true).unwrap();
    let (_, server) = SrtpKeys::from_dtls(profile, &material, false).unwrap();
    (client, server)
}

fn plain(ssrc: u32, seq: u16, payload: &[u8]) -> (Vec<u8>, usize) {
    let header = OutHeader {
        marker: true,
        pt: 96,
        seq,
        timestamp: 77,
        ssrc,
        padding: false,
        extensions: OutExtensions::default(),
    };
    let mut out = Vec::new();
    let written = header.write(&mut out, &ExtensionMap::default());
    out.extend_from_slice(payload);
    (out, written.header_len)
}

fn sealed(sender: &SrtpSender, ssrc: u32, ext_seq: u64) -> Vec<u8> {
    let (mut packet, header_len) = plain(ssrc, ext_seq as u16, b"some media");
    sender.seal_rtp(&mut packet, 0, header_len, ext_seq).unwrap();
    packet
}

fn open(receiver: &mut SrtpReceiver, packet: &[u8]) -> Result<u64, SrtpError> {
    let mut copy = packet.to_vec();
    let opened = receiver.open_rtp(&mut copy)?;
    assert_eq!(&copy[12..opened.len], b"some media");
    Ok(opened.ext_seq)
}

#[test]
fn both_directions_have_their_own_keys() {
    for profile in PROFILES {
        let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
        let (client_tx, mut client_rx) = SrtpKeys::from_dtls(profile, &material, true).unwrap();
        let (server_tx, mut server_rx) = SrtpKeys::from_dtls(profile, &material, false).unwrap();
        assert_eq!(open(&mut server_rx, &sealed(&client_tx, 1, 5)), Ok(5));
        assert_eq!(open(&mut client_rx, &sealed(&server_tx, 1, 5)), Ok(5));
        assert_eq!(open(&mut client_rx, &sealed(&client_tx, 1, 6)), Err(SrtpError::Authentication));
    }
}

#[test]
fn short_keying_material_is_refused() {
    for profile in PROFILES {
        let material = vec![0; profile.keying_material_len() - 1];
        assert_eq!(SrtpKeys::from_dtls(profile, &material, true).err(), Some(SrtpError::KeyingMaterial));
    }
}

#[test]
fn overheads_are_what_profiles_say() {
    for profile in PROFILES {
        let (mut sender, _) = pair(profile);
        assert_eq!(sealed(&sender, 1, 1).len(), 12 + 10 + profile.rtp_overhead());
        let mut rtcp = Vec::new();
        crate::rtcp::write_pli(&mut rtcp, 1, 2);
        sender.seal_rtcp(&mut rtcp, 0).unwrap();
        assert_eq!(rtcp.len(), 12 + profile.rtcp_overhead());
    }
}

#[test]
fn sequence_wrap_advances_the_rollover_counter() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        for index in [0xfffd, 0xfffe, 0x1_0001, 0xffff, 0x1_0000, 0x1_7fff, 0x1_fffe, 0x2_0003, 0x1_ffff] {
            assert_eq!(open(&mut receiver, &sealed(&sender, 9, index)), Ok(index), "{index:#x}");
        }
    }
}

#[test]
fn replays_and_ancient_packets_are_refused() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        let old = sealed(&sender, 9, 1);
        let edge = sealed(&sender, 9, 1001 - WINDOW);
        let packet = sealed(&sender, 9, 1000);
        assert_eq!(open(&mut receiver, &packet), Ok(1000));
        assert_eq!(open(&mut receiver, &packet), Err(SrtpError::Replayed));
        assert_eq!(open(&mut receiver, &edge), Ok(1001 - WINDOW));
        assert_eq!(open(&mut receiver, &edge), Err(SrtpError::Replayed));
        assert_eq!(open(&mut receiver, &old), Err(SrtpError::TooOld));
        // Another source has its own window.
        assert_eq!(open(&mut receiver, &sealed(&sender, 10, 1)), Ok(1));
    }
}

#[test]
fn forgeries_leave_no_state() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        let packet = sealed(&sender, 9, 40_000);
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 0x01;
            assert!(receiver.open_rtp(&mut forged).is_err(), "byte {at}");
        }
        assert_eq!(receiver.stream_count(), 0);
        assert_eq!(open(&mut receiver, &packet), Ok(40_000));
        assert_eq!(receiver.stream_count(), 1);
        // A forged jump does not move the window.
        let mut forged = sealed(&sender, 9, 40_001);
        put(&mut forged, 2, &60_000u16.to_be_bytes());
        assert_eq!(receiver.open_rtp(&mut forged), Err(SrtpError::Authentication));
        assert_eq!(open(&mut receiver, &sealed(&sender, 9, 40_001)), Ok(40_001));
    }
}

#[test]
fn truncated_packets_are_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let packet = sealed(&sender, 9, 3);
        for len in 0..packet.len() {
            assert!(receiver.open_rtp(&mut packet[..len].to_vec()).is_err(), "{len} bytes");
        }
        let mut rtcp = Vec::new();
        crate::rtcp::write_pli(&mut rtcp, 1, 2);
        sender.seal_rtcp(&mut rtcp, 0).unwrap();
        for len in 0..rtcp.len() {
            assert!(receiver.open_rtcp(&mut rtcp[..len].to_vec()).is_err(), "{len} bytes");
        }
        assert_eq!(receiver.stream_count(), 0);
    }
}

#[test]
fn sources_are_bounded_and_the_least_used_goes_first() {
    let (sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let limit = MAX_SRTP_STREAMS as u32;
    for ssrc in 0..limit {
        open(&mut receiver, &sealed(&sender, ssrc, 1)).unwrap();
    }
    // The first source speaks again, so the second is the least used one when a new one appears.
    open(&mut receiver, &sealed(&sender, 0, 2)).unwrap();
    open(&mut receiver, &sealed(&sender, limit, 1)).unwrap();
    assert_eq!(receiver.stream_count(), MAX_SRTP_STREAMS);
    assert_eq!(open(&mut receiver, &sealed(&sender, 0, 2)), Err(SrtpError::Replayed));
    assert_eq!(open(&mut receiver, &sealed(&sender, 2, 1)), Err(SrtpError::Replayed));
    assert_eq!(open(&mut receiver, &sealed(&sender, 1, 1)), Ok(1), "forgotten");
}

#[test]
fn seal_refuses_what_does_not_fit_and_drops_it() {
    for profile in PROFILES {
        let (sender, _) = pair(profile);
        let refused = |header_len: usize, ext_seq: u64, expected: SrtpError| {
            let mut arena = vec![7u8; 3];
            arena.extend(plain(1, 5, b"x").0);
            assert_eq!(sender.seal_rtp(&mut arena, 3, header_len, ext_seq), Err(expected));
            assert_eq!(arena, [7, 7, 7]);
        };
        refused(12, 6, SrtpError::Mismatch);
        refused(11, 5, SrtpError::Mismatch);
        refused(14, 5, SrtpError::Mismatch);
        refused(12, 1 << 48 | 5, SrtpError::IndexExhausted);
    }
}

#[test]
fn rtcp_round_trips_with_replay_protection() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let mut packets = Vec::new();
        for media in 0..4 {
            let mut rtcp = Vec::new();
            crate::rtcp::write_receiver_report(&mut rtcp, 1, &[]);
            crate::rtcp::write_pli(&mut rtcp, 1, media);
            let plain = rtcp.clone();
            sender.seal_rtcp(&mut rtcp, 0).unwrap();
            packets.push((plain, rtcp));
        }
        for i in [1, 0, 3, 2] {
            let (plain, sealed) = &packets[i];
            let mut copy = sealed.clone();
            let len = receiver.open_rtcp(&mut copy).unwrap();
            assert_eq!(&copy[..len], plain);
            assert_eq!(receiver.open_rtcp(&mut sealed.clone()), Err(SrtpError::Replayed));
        }
        let mut rtcp = Vec::new();
        crate::rtcp::write_pli(&mut rtcp, 1, 9);
        sender.seal_rtcp(&mut rtcp, 0).unwrap();
        for at in 0..rtcp.len() {
            let mut forged = rtcp.clone();
            forged[at] ^= 0x80;
            assert!(receiver.open_rtcp(&mut forged).is_err(), "byte {at}");
        }
    }
}

#[test]
fn rtcp_index_ends() {
    let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
    sender.set_rtcp_index(0x7fff_ffff);
    let mut rtcp = Vec::new();
    crate::rtcp::write_pli(&mut rtcp, 1, 2);
    let plain = rtcp.clone();
    sender.seal_rtcp(&mut rtcp, 0).unwrap();
    let mut next = plain;
    assert_eq!(sender.seal_rtcp(&mut next, 0), Err(SrtpError::IndexExhausted));
    assert!(next.is_empty());
}

proptest! {
    #[test]
    fn any_packet_round_trips(
        which in 0usize..3, ssrc: u32, seq: u16, payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (sender, mut receiver) = pair(PROFILES[which]);
        // A receiver starts with a rollover counter of zero.
        let ext_seq = u64::from(seq);
        let (mut packet, header_len) = plain(ssrc, seq, &payload);
        let before = packet.clone();
        sender.seal_rtp(&mut packet, 0, header_len, ext_seq).unwrap();
        let opened = receiver.open_rtp(&mut packet).unwrap();
        prop_assert_eq!(&packet[..opened.len], &before[..]);
        prop_assert_eq!((opened.ext_seq, opened.header.ssrc), (ext_seq, ssrc));
    }

    #[test]
    fn arbitrary_bytes_never_open(which in 0usize..3, mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let (_, mut receiver) = pair(PROFILES[which]);
        prop_assert!(receiver.open_rtp(&mut bytes.clone()).is_err());
        prop_assert!(receiver.open_rtcp(&mut bytes).is_err());
        prop_assert_eq!(receiver.stream_count(), 0);
    }
}
