//! The control plane: rooms, participants, tracks and LiveKit signalling sessions as state machines.
//!
//! Nothing here does I/O or reads a clock. The owner feeds a [`Hub`] with [`Input`]s and the time, then drains
//! [`Output`]s: messages for signalling sockets, commands for shards, news for the platform.

#![allow(deprecated, reason = "the protocol's deprecated fields are what older clients read")]

mod accounts;
mod arrivals;
mod codec;
mod config;
mod context;
mod device;
mod enums;
mod forward;
mod grants;
mod hub;
mod ids;
mod io;
mod join_params;
mod member;
mod message;
mod metrics;
mod one_shot;
mod relay;
mod revoked;
mod room;
mod session;
mod timers;
mod user_agent;

pub use codec::{
    Format, Frame, MAX_JOIN_REQUEST, MAX_SIGNAL_MESSAGE, SignalCodecError, decode_join_request,
    decode_request, decode_request_within, encode_response,
};
pub use config::{HubConfig, Limits, Timeouts};
pub use grants::{Claims, VideoGrant};
pub use hub::{Hub, HubStats};
pub use io::{
    ConnId, Input, JoinError, Now, Output, Present, RoomEvent, RoomRequest, ServiceError, ServiceErrorCode,
    ServiceId, ServiceRequest, ServiceResponse, ShardId,
};
pub use join_params::{ClientContext, JoinParams, Reconnect, SignalPath};
pub use member::{Member, Restrictions};
pub use message::ServerMessage;
pub use metrics::{ByKind, Histogram, HubCounters, HubMetrics, HubTimings, RoomMetrics, Snapshot, Traffic};
pub use one_shot::{
    OneShotOpened, OneShotReply, OneShotRequest, OneShotResult, OneShotRole, OneShotSession, PlayWish,
};
pub use revoked::Revocation;
pub use room::DataCounters;
pub use room::rpc_timeout;
