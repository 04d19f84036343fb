//! Builders. Each appends one RTCP packet; several appended in a row make a compound, a report first.

use super::packet_type;
use super::report::{ReportBlock, SenderInfo};
use crate::Ssrc;
use crate::bytes::put;

/// Most report blocks of one packet (5-bit count).
pub(super) const MAX_COUNT: usize = 31;

/// Writes a header, runs `body`, pads to a word with zeros and fills in the length.
pub(crate) fn packet(out: &mut Vec<u8>, packet_type: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | (count & 0x1f), packet_type, 0, 0]);
    body(out);
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let words = u16::try_from((out.len() - start) / 4 - 1).unwrap_or(u16::MAX);
    put(out, start + 2, &words.to_be_bytes());
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn count_of<T>(items: &[T]) -> u8 {
    items.len().min(MAX_COUNT) as u8
}

/// Sender report; blocks beyond 31 are left out.
pub fn write_sender_report(out: &mut Vec<u8>, ssrc: Ssrc, info: &SenderInfo, blocks: &[ReportBlock]) {
    packet(out, packet_type::SR, count_of(blocks), |out| {
        word(out, ssrc);
        out.extend_from_slice(&info.ntp.to_be_bytes());
        word(out, info.rtp_timestamp);
        word(out, info.packets);
        word(out, info.octets);
        for block in blocks.iter().take(MAX_COUNT) {
            out.extend_from_slice(&block.to_bytes());
        }
    });
}

/// Receiver report; blocks beyond 31 are left out. Without blocks it is the empty report that opens a compound.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: Ssrc, blocks: &[ReportBlock]) {
    packet(out, packet_type::RR, count_of(blocks), |out| {
        word(out, ssrc);
        for block in blocks.iter().take(MAX_COUNT) {
            out.extend_from_slice(&block.to_bytes());
        }
    });
}

/// Source description with a CNAME per source, cut at 255 bytes; sources beyond 31 are left out.
pub fn write_sdes<'a>(out: &mut Vec<u8>, sources: impl IntoIterator<Item = (Ssrc, &'a str)>) {
    let header = out.len();
    let mut count = 0u8;
    packet(out, packet_type::SDES, 0, |out| {
        let body = out.len();
        for (ssrc, cname) in sources.into_iter().take(MAX_COUNT) {
            count += 1;
            word(out, ssrc);
            let mut cname = cname;
            while cname.len() > 255 {
                cname = cname.char_indices().next_back().and_then(|(at, _)| cname.get(..at)).unwrap_or("");
            }
            out.extend_from_slice(&[1, cname.len() as u8]);
            out.extend_from_slice(cname.as_bytes());
            out.push(0);
            while !(out.len() - body).is_multiple_of(4) {
                out.push(0);
            }
        }
    });
    if let Some(first) = out.get_mut(header) {
        *first |= count;
    }
}

/// Goodbye; sources beyond 31 are left out.
pub fn write_bye(out: &mut Vec<u8>, sources: &[Ssrc]) {
    packet(out, packet_type::BYE, count_of(sources), |out| {
        for ssrc in sources.iter().take(MAX_COUNT) {
            word(out, *ssrc);
        }
    });
}

/// Picture loss indication.
pub fn write_pli(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    packet(out, packet_type::PSFB, 1, |out| {
        word(out, sender);
        word(out, media);
    });
}

/// Full intra request for one stream; `command_seq` rises with each new request.
pub fn write_fir(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, command_seq: u8) {
    packet(out, packet_type::PSFB, 4, |out| {
        word(out, sender);
        word(out, 0);
        word(out, media);
        out.extend_from_slice(&[command_seq, 0, 0, 0]);
    });
}

/// Generic NACK. `lost` in ascending (wrapping) order packs best; any order is correct. Writes nothing when empty.
pub fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    if lost.is_empty() {
        return;
    }
    packet(out, packet_type::RTPFB, 1, |out| {
        word(out, sender);
        word(out, media);
        let mut rest = lost.iter().copied().peekable();
        while let Some(first) = rest.next() {
            let mut mask = 0u16;
            while let Some(next) = rest.peek() {
                match next.wrapping_sub(first) {
                    0 => {}
                    distance @ 1..=16 => mask |= 1 << (distance - 1),
                    _ => break,
                }
                rest.next();
            }
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&mask.to_be_bytes());
        }
    });
}

/// Receiver estimated maximum bit rate for the given sources (at most 255).
pub fn write_remb(out: &mut Vec<u8>, sender: Ssrc, bitrate: u64, sources: &[Ssrc]) {
    packet(out, packet_type::PSFB, 15, |out| {
        word(out, sender);
        word(out, 0);
        out.extend_from_slice(b"REMB");
        let mut exponent = 0u32;
        while bitrate >> exponent > 0x3_ffff {
            exponent += 1;
        }
        let mantissa = (bitrate >> exponent) as u32 & 0x3_ffff;
        word(out, (sources.len().min(255) as u32) << 24 | exponent << 18 | mantissa);
        for ssrc in sources.iter().take(255) {
            word(out, *ssrc);
        }
    });
}
