//! Translating a publisher's payload type to what a subscriber accepts.

use crate::command::PayloadType;
use bedrud_rtp::{Codec, Pt};

/// How a payload type leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PtOut {
    /// As it is, under another number.
    Same {
        /// Payload type of the subscriber.
        pt: Pt,
        /// Its RTX payload type.
        rtx: Option<Pt>,
    },
    /// The primary block of RED as plain Opus.
    RedPrimary {
        /// Payload type of the subscriber.
        pt: Pt,
    },
}

impl PtOut {
    /// The subscriber's answer to a payload type of the publisher.
    pub(crate) fn find(from: &PayloadType, accepted: &[PayloadType]) -> Option<Self> {
        let same = accepted.iter().find(|p| p.codec == from.codec && p.variant == from.variant);
        if let Some(p) = same {
            return Some(Self::Same { pt: p.pt, rtx: p.rtx });
        }
        let opus = || accepted.iter().find(|p| p.codec == Codec::Opus);
        match from.codec {
            Codec::Red => opus().map(|p| Self::RedPrimary { pt: p.pt }),
            _ => None,
        }
    }
}

/// The primary block of a RED payload (RFC 2198); `None` when malformed.
pub(crate) fn red_primary(payload: &[u8]) -> Option<&[u8]> {
    let (mut at, mut redundant) = (0usize, 0usize);
    loop {
        let head = payload.get(at)?;
        if head & 0x80 == 0 {
            at += 1;
            break;
        }
        // F(1) PT(7) timestamp offset(14) length(10)
        let [_, _, high, low] = *payload.get(at..)?.first_chunk::<4>()?;
        redundant += usize::from(high & 0x03) << 8 | usize::from(low);
        at += 4;
    }
    payload.get(at + redundant..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pt(pt: Pt, codec: Codec, variant: u32) -> PayloadType {
        PayloadType { pt, codec, variant, rtx: Some(pt + 1), nack: true }
    }

    #[test]
    fn codec_and_variant_must_match() {
        let accepted = [pt(100, Codec::H264, 1), pt(102, Codec::H264, 2), pt(104, Codec::Vp8, 0)];
        let from = pt(50, Codec::H264, 2);
        assert_eq!(PtOut::find(&from, &accepted), Some(PtOut::Same { pt: 102, rtx: Some(103) }));
        assert_eq!(PtOut::find(&pt(50, Codec::H264, 3), &accepted), None);
    }

    #[test]
    fn red_falls_back_to_opus() {
        let accepted = [pt(111, Codec::Opus, 0)];
        assert_eq!(PtOut::find(&pt(63, Codec::Red, 0), &accepted), Some(PtOut::RedPrimary { pt: 111 }));
        let both = [pt(111, Codec::Opus, 0), pt(63, Codec::Red, 0)];
        assert_eq!(PtOut::find(&pt(63, Codec::Red, 0), &both), Some(PtOut::Same { pt: 63, rtx: Some(64) }));
    }

    #[test]
    fn red_primary_skips_redundant_blocks() {
        let mut payload = vec![0x80 | 111, 0x0f, 0x00, 3, 0x80 | 111, 0x07, 0x80, 2, 111];
        payload.extend([1, 1, 1, 2, 2, 9, 9, 9, 9]);
        assert_eq!(red_primary(&payload), Some(&[9, 9, 9, 9][..]));
        assert_eq!(red_primary(&[111]), Some(&[][..]));
        assert_eq!(red_primary(&payload[..8]), None);
        assert_eq!(red_primary(&payload[..12]), None);
        assert_eq!(red_primary(&[]), None);
    }
}
