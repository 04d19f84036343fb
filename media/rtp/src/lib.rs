//! RTP, RTCP and SRTP without I/O and without a clock.
//!
//! This crate knows bytes on the wire: headers, header extensions, RTCP packets, protection contexts and the few
//! payload bits an SFU must see (key frames, temporal layers, picture ids). It opens no socket, reads no clock and
//! decodes no media.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod bytes;
mod codec;
mod extension;
mod extmap;
mod header;
mod ids;
mod kind;
pub mod receive;
pub mod rtcp;
pub mod rtx;
pub mod sniff;
pub mod srtp;
mod write;

pub use codec::{Codec, MediaKind};
pub use extension::{
    AbsCaptureTime, AudioLevelValue, ExtensionIter, HeaderExtensions, ONE_BYTE_PROFILE, PlayoutDelay,
    RawExtension, TWO_BYTE_PROFILE, abs_send_time,
};
pub use extmap::{Extension, ExtensionMap};
pub use header::{FIXED_HEADER_LEN, RtpError, RtpHeader, peek_ssrc};
pub use ids::{MAX_ID_LEN, Mid, Pt, Rid, ShortId, Ssrc};
pub use kind::{PacketKind, classify};
pub use srtp::{OpenedRtp, SrtpError, SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
pub use write::{OutExtensions, OutHeader, WrittenHeader, stamp_u16, stamp_u24};
