//! SRTP and SRTCP contexts.

use bedrud_rtp::rtcp::write_pli;
use bedrud_rtp::{
    ExtensionMap, OutExtensions, OutHeader, SrtpError, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender,
};
use std::collections::HashSet;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

fn pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let material: Vec<u8> = (1..=profile.keying_material_len() as u8).collect();
    let (sender, _) = SrtpKeys::from_dtls(profile, &material, true).expect("right length");
    let (_, receiver) = SrtpKeys::from_dtls(profile, &material, false).expect("right length");
    (sender, receiver)
}

/// The first byte picks the profile. The rest is opened as a packet, which must fail, and then read as a script of
/// jumps: every packet is sealed, opened, replayed and damaged.
pub fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let (mut sender, mut receiver) = pair(PROFILES[usize::from(first % 3)]);
    assert!(receiver.open_rtp(&mut data.to_vec()).is_err());
    assert!(receiver.open_rtcp(&mut data.to_vec()).is_err());
    assert_eq!(receiver.stream_count(), 0);
    script(&sender, &mut receiver, data);
    rtcp(&mut sender, &mut receiver, data);
}

fn script(sender: &SrtpSender, receiver: &mut SrtpReceiver, data: &[u8]) {
    let mut at = 0x4000u64;
    let mut highest = None;
    let mut opened = HashSet::new();
    for step in data.chunks_exact(2).take(24) {
        let jump = i16::from_be_bytes([step[0], step[1]]);
        at = at.saturating_add_signed(i64::from(jump)) & 0xffff_ffff_ffff;
        // A receiver starts at rollover counter zero and can only follow jumps of less than half the range.
        let reachable = highest.map_or(at < 0x1_0000, |h: u64| at.abs_diff(h) < 0x8000);
        let header = OutHeader {
            marker: false,
            pt: 96,
            seq: at as u16,
            timestamp: 1,
            ssrc: 5,
            padding: false,
            extensions: OutExtensions::default(),
        };
        let mut packet = Vec::new();
        let header_len = header.write(&mut packet, &ExtensionMap::default()).header_len;
        packet.extend_from_slice(data);
        let plain = packet.clone();
        sender.seal_rtp(&mut packet, 0, header_len, at).expect("fits");
        let mut damaged = packet.clone();
        let byte = usize::from(step[1]) % damaged.len();
        damaged[byte] ^= step[0] | 1;
        assert!(receiver.open_rtp(&mut damaged).is_err());
        let sealed = packet.clone();
        match receiver.open_rtp(&mut packet) {
            Ok(result) => {
                assert!(reachable && opened.insert(at), "{at} opened twice");
                assert_eq!(result.ext_seq, at);
                assert_eq!(&packet[..result.len], plain);
                highest = Some(highest.map_or(at, |h| h.max(at)));
                assert_eq!(receiver.open_rtp(&mut sealed.clone()), Err(SrtpError::Replayed));
            }
            Err(SrtpError::Replayed) => assert!(!reachable || opened.contains(&at)),
            Err(_) => assert!(!reachable || highest.is_some_and(|h| h.saturating_sub(at) >= 512)),
        }
    }
}

fn rtcp(sender: &mut SrtpSender, receiver: &mut SrtpReceiver, data: &[u8]) {
    let mut packet = Vec::new();
    write_pli(&mut packet, 1, 2);
    packet.extend_from_slice(data);
    let plain = packet.clone();
    sender.seal_rtcp(&mut packet, 0).expect("fits");
    let sealed = packet.clone();
    let len = receiver.open_rtcp(&mut packet).expect("own packet");
    assert_eq!(&packet[..len], plain);
    assert_eq!(receiver.open_rtcp(&mut sealed.clone()), Err(SrtpError::Replayed));
}
