//! Compound iteration.

use super::feedback::{Fir, Nack, Pli, Remb};
use super::report::{Bye, ReceiverReport, Sdes, SenderReport};
use super::twcc::TwccFeedback;
use super::{RtcpError, packet_type};
use crate::bytes::array_at;

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// Sender report.
    SenderReport(SenderReport<'a>),
    /// Receiver report.
    ReceiverReport(ReceiverReport<'a>),
    /// Source description.
    Sdes(Sdes<'a>),
    /// Goodbye.
    Bye(Bye<'a>),
    /// Generic NACK.
    Nack(Nack<'a>),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bit rate.
    Remb(Remb<'a>),
    /// Transport-wide congestion control feedback.
    Twcc(TwccFeedback<'a>),
    /// A packet this crate does not read (APP, XR, other feedback).
    Other {
        /// Packet type.
        packet_type: u8,
        /// Count, subtype or format field.
        count: u8,
    },
}

/// Iterates over the packets of a plain compound. Reduced-size RTCP (RFC 5506) is accepted: any packet may be first.
#[must_use]
pub fn compound(packet: &[u8]) -> Compound<'_> {
    Compound { rest: packet }
}

/// Iterator of [`compound`]. A framing error is its last item; an error inside one packet is not.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match split(self.rest) {
            Ok((frame, rest)) => {
                self.rest = rest;
                Some(parse(&frame))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

struct Frame<'a> {
    packet_type: u8,
    count: u8,
    body: &'a [u8],
}

fn split(buf: &[u8]) -> Result<(Frame<'_>, &[u8]), RtcpError> {
    let [first, packet_type, l0, l1] = array_at::<4>(buf, 0).ok_or(RtcpError::Truncated)?;
    if first >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let len = 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    let (packet, rest) = buf.split_at_checked(len).ok_or(RtcpError::Truncated)?;
    let mut body = packet.get(4..).unwrap_or(&[]);
    if first & 0x20 != 0 {
        let padding = usize::from(body.last().copied().unwrap_or(0));
        // RFC 3550 allows padding in the last packet only; common senders pad every feedback packet.
        if padding == 0 {
            return Err(RtcpError::Padding);
        }
        let kept = body.len().checked_sub(padding).ok_or(RtcpError::Padding)?;
        body = body.get(..kept).unwrap_or(&[]);
    }
    Ok((Frame { packet_type, count: first & 0x1f, body }, rest))
}

fn parse<'a>(frame: &Frame<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let Frame { packet_type, count, body } = *frame;
    let other = RtcpPacket::Other { packet_type, count };
    Ok(match (packet_type, count) {
        (packet_type::SR, _) => RtcpPacket::SenderReport(SenderReport::parse(body, count)?),
        (packet_type::RR, _) => RtcpPacket::ReceiverReport(ReceiverReport::parse(body, count)?),
        (packet_type::SDES, _) => RtcpPacket::Sdes(Sdes::parse(body, count)),
        (packet_type::BYE, _) => RtcpPacket::Bye(Bye::parse(body, count)?),
        (packet_type::RTPFB, 1) => RtcpPacket::Nack(Nack::parse(body)?),
        (packet_type::RTPFB, 15) => RtcpPacket::Twcc(TwccFeedback::parse(body)?),
        (packet_type::PSFB, 1) => RtcpPacket::Pli(Pli::parse(body)?),
        (packet_type::PSFB, 4) => RtcpPacket::Fir(Fir::parse(body)?),
        (packet_type::PSFB, 15) => Remb::parse(body)?.map_or(other, RtcpPacket::Remb),
        _ => other,
    })
}
