//! RTP, RTCP and SRTP without I/O and without a clock.
//!
//! This crate knows bytes on the wire: headers, header extensions, RTCP packets, protection contexts and the few
//! payload bits an SFU must see (key frames, temporal layers, picture ids). It opens no socket, reads no clock and
//! decodes no media.

mod codec;
mod extmap;
mod ids;

pub use codec::{Codec, MediaKind};
pub use extmap::{Extension, ExtensionMap};
pub use ids::{MAX_ID_LEN, Mid, Pt, Rid, ShortId, Ssrc};
