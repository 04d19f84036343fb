//! An embeddable LiveKit-compatible media server.
//!
//! [`Sfu::start`] opens the media port and runs everything on threads of its own. The embedder owns the outer edge: it
//! verifies access tokens, accepts WebSockets and moves [`livekit_protocol`] messages between them and a [`Session`],
//! hands ICE/TCP connections over ([`sniff`], [`Sfu::adopt_tcp`]), calls the room service and follows [`Sfu::events`].
//! It may use any async runtime, or none.

mod config;
mod control;
mod error;
mod events;
mod outbox;
mod session;
mod sfu;
mod stats;

pub use config::SfuConfig;
pub use error::{SessionClosed, StartError, Unhealthy};
pub use events::{EventReceiver, SfuEvent};
pub use session::{Session, SessionOutput};
pub use sfu::Sfu;
pub use stats::{SfuMetrics, SfuStats};

pub use bedrud_net::memory;
pub use bedrud_net::{
    AdoptError, IpNetwork, LocalAddress, NetConfig, NetCounters, SNIFF_BYTES, ShardReport, Sniff, TcpLimits,
    UdpMode, candidate_ips, local_addresses, local_ips, sniff,
};
pub use bedrud_room::{
    ByKind, Claims, ClientContext, DataCounters, Format, Frame, Histogram, HubConfig, HubCounters,
    HubMetrics, HubTimings, JoinError, JoinParams, Limits, MAX_JOIN_REQUEST, MAX_SIGNAL_MESSAGE, Member,
    OneShotOpened, OneShotReply, OneShotRequest, OneShotResult, OneShotRole, OneShotSession, PlayWish,
    Present, Reconnect, Restrictions, Revocation, RoomEvent, RoomMetrics, RoomRequest, ServerMessage,
    ServiceError, ServiceErrorCode, ServiceRequest, ServiceResponse, SignalCodecError, SignalPath, Snapshot,
    Timeouts, Traffic, VideoGrant, decode_join_request, decode_request, decode_request_within,
    encode_response, rpc_timeout,
};
pub use bedrud_rtp::{Codec, MediaKind};
pub use bedrud_sfu::{DataFigures, DropReason, ShardConfig, ShardStats};
pub use bedrud_transport::{Certificate, TransportConfig};
pub use livekit_protocol as protocol;
