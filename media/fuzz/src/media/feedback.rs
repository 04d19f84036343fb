//! Recorders of arrivals and losses, driven by scripts.

use bedrud_rtp::receive::{NackConfig, NackGenerator, TwccRecorder};
use bedrud_rtp::rtcp::{RtcpPacket, compound};
use std::time::{Duration, Instant};

/// Each six bytes: sequence jump, time step, and what to do then. All arrivals must come back as recorded.
pub fn run(data: &[u8]) {
    let mut recorder = TwccRecorder::new();
    let mut nack = NackGenerator::new(NackConfig::default());
    let (mut seq, mut at, mut highest) = (0u64, 0i64, 0u64);
    // Any instant will do; the generator only compares.
    let start = Instant::now();
    let mut out = Vec::new();
    for step in data.chunks_exact(6) {
        seq = seq.saturating_add_signed(i64::from(i16::from_be_bytes([step[0], step[1]])));
        at += i64::from(u32::from_be_bytes([0, step[2], step[3], step[4]]));
        highest = highest.max(seq);
        let now = start + Duration::from_micros(at.unsigned_abs());
        recorder.record(seq as u16, at);
        nack.on_packet(seq, now);
        assert!(recorder.pending() <= 2048 && nack.missing() <= 100);
        if step[5] & 1 != 0 {
            out.clear();
            let built = recorder.build(1, 2, &mut out);
            assert_eq!(recorder.pending(), 0);
            let mut read = 0;
            for packet in compound(&out) {
                let Ok(RtcpPacket::Twcc(feedback)) = packet else { panic!("own feedback is unreadable") };
                assert_eq!(feedback.statuses().count(), usize::from(feedback.status_count));
                read += 1;
            }
            assert_eq!(read, built);
        }
        if step[5] & 2 != 0 {
            let mut asked = Vec::new();
            nack.poll(now, Some(Duration::from_millis(u64::from(step[5]))), &mut asked);
            assert!(asked.len() <= 100);
            // Further back the low bits mean another packet.
            assert!(highest - seq >= 0x8000 || !asked.contains(&(seq as u16)));
        }
        if step[5] & 4 != 0 {
            nack.forget_before(seq);
        }
        let _ = nack.next_due(None);
    }
}
