//! RTCP (RFC 3550, RFC 4585, RFC 5104, REMB, transport-wide congestion control): compound iteration, typed packets
//! that borrow from the buffer, and builders that append to a `Vec`.

pub(crate) mod build;
mod feedback;
mod parse;
mod report;
mod twcc;

pub use build::{
    write_bye, write_fir, write_nack, write_pli, write_receiver_report, write_remb, write_sdes,
    write_sender_report,
};
pub use feedback::{Fir, Nack, Pli, Remb};
pub use parse::{Compound, RtcpPacket, compound};
pub use report::{Bye, ReceiverReport, ReportBlock, Sdes, SdesChunk, SenderInfo, SenderReport, ntp_middle};
pub(crate) use twcc::{DELTA_UNIT_US as TWCC_DELTA_UNIT_US, REFERENCE_UNIT_US as TWCC_REFERENCE_UNIT_US};
pub use twcc::{MAX_TWCC_STATUSES, TwccFeedback, TwccStatus};

/// Packet types.
pub mod packet_type {
    /// Sender report.
    pub const SR: u8 = 200;
    /// Receiver report.
    pub const RR: u8 = 201;
    /// Source description.
    pub const SDES: u8 = 202;
    /// Goodbye.
    pub const BYE: u8 = 203;
    /// Transport-layer feedback.
    pub const RTPFB: u8 = 205;
    /// Payload-specific feedback.
    pub const PSFB: u8 = 206;
}

/// Why a compound packet is not RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// A packet runs past the end of the buffer, or a field past the end of its packet.
    #[error("RTCP packet is truncated")]
    Truncated,
    /// The version field is not 2.
    #[error("RTCP version is not 2")]
    Version,
    /// The padding count is a lie.
    #[error("RTCP padding is malformed")]
    Padding,
    /// A field has a value that cannot be.
    #[error("RTCP field is malformed")]
    Malformed,
}

#[cfg(test)]
mod tests;
