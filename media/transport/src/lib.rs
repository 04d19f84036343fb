//! One WebRTC transport: ICE-lite, DTLS and SCTP by a media-less str0m, SRTP keys by wrapping its DTLS provider.
//!
//! A [`Transport`] is one peer connection without its media. It owns no socket and reads no clock: STUN and DTLS
//! datagrams and the time go in, datagrams to send, SRTP keys and data channel messages come out. RTP and RTCP never
//! enter; they travel beside it, to [`Transport::destination`], under the keys of [`TransportOutput::Connected`].

mod bucket;
mod channels;
mod config;
mod context;
mod dtls;
mod error;
mod inbound;
mod keying;
mod output;
mod paths;
mod transport;
mod types;

pub use bedrud_rtp::SrtpProfile;
pub use bucket::TokenBucket;
pub use config::TransportConfig;
pub use context::{Certificate, TransportContext};
#[cfg(feature = "test-util")]
pub use dtls::plain;
pub use dtls::{SctpStats, SctpViolation};
pub use error::TransportError;
pub use inbound::{MESSAGE_OVERHEAD, charge};
pub use keying::SrtpKeying;
pub use output::{CloseReason, DataFigures, TransportOutput, TransportStats};
pub use transport::Transport;
pub use types::{DataChannel, IceCredentials, Proto, RemoteTransport};
