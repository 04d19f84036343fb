//! One WebRTC transport: ICE-lite, DTLS and SCTP by a media-less str0m, SRTP keys by wrapping its DTLS provider.

mod types;

pub use types::{DataChannel, IceCredentials, RemoteTransport};
