//! Entries of the media plane.

pub mod feedback;
pub mod framing;
pub mod kind;
pub mod rtcp;
pub mod rtp;
pub mod sctp;
pub mod sdp;
pub mod shard;
pub mod signal;
pub mod sniff;
pub mod srtp;
