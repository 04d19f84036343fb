//! Which protocol a datagram on the shared port speaks (RFC 7983, RFC 5761).

use crate::bytes::u8_at;

/// Protocol of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// First byte 0..=3.
    Stun,
    /// First byte 20..=63.
    Dtls,
    /// First byte 64..=79.
    TurnChannel,
    /// First byte 128..=191, at least a fixed header long.
    Rtp,
    /// As RTP, with a payload type of 64..=95 (packet types 192..=223).
    Rtcp,
    /// Anything else, or too short to tell.
    Unknown,
}

/// Classifies a datagram by its first two bytes. Nothing is verified beyond them and a minimum length.
#[must_use]
pub fn classify(datagram: &[u8]) -> PacketKind {
    let Some(first) = u8_at(datagram, 0) else { return PacketKind::Unknown };
    match first {
        0..=3 => PacketKind::Stun,
        20..=63 => PacketKind::Dtls,
        64..=79 => PacketKind::TurnChannel,
        128..=191 => match u8_at(datagram, 1) {
            Some(second) if (64..=95).contains(&(second & 0x7f)) && datagram.len() >= 8 => PacketKind::Rtcp,
            Some(second) if !(64..=95).contains(&(second & 0x7f)) && datagram.len() >= 12 => PacketKind::Rtp,
            _ => PacketKind::Unknown,
        },
        _ => PacketKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(first: u8, second: u8, len: usize) -> PacketKind {
        let mut datagram = vec![0; len];
        datagram[0] = first;
        datagram[1] = second;
        classify(&datagram)
    }

    #[test]
    fn first_byte_selects_the_protocol() {
        let expected = |b: u8| match b {
            0..=3 => PacketKind::Stun,
            20..=63 => PacketKind::Dtls,
            64..=79 => PacketKind::TurnChannel,
            128..=191 => PacketKind::Rtp,
            _ => PacketKind::Unknown,
        };
        for first in 0..=255 {
            assert_eq!(with(first, 96, 20), expected(first), "first byte {first}");
        }
    }

    #[test]
    fn rtcp_is_told_by_its_packet_type() {
        for second in 0..=255u8 {
            let rtcp = (64..=95).contains(&(second & 0x7f));
            assert_eq!(with(0x80, second, 20), if rtcp { PacketKind::Rtcp } else { PacketKind::Rtp });
        }
        assert_eq!(with(0x80, 200, 20), PacketKind::Rtcp);
        assert_eq!(with(0x80, 206, 20), PacketKind::Rtcp);
        assert_eq!(with(0x80, 0x80 | 111, 20), PacketKind::Rtp);
    }

    #[test]
    fn short_datagrams_are_unknown() {
        assert_eq!(classify(&[]), PacketKind::Unknown);
        assert_eq!(classify(&[0x80]), PacketKind::Unknown);
        assert_eq!(with(0x80, 96, 11), PacketKind::Unknown);
        assert_eq!(with(0x80, 201, 7), PacketKind::Unknown);
    }
}
