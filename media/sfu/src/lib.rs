//! The shard: a sans-IO selective forwarding unit.
//!
//! [`Shard`] owns transports (ICE, DTLS, SCTP by `bedrud-transport`; SRTP by `bedrud-rtp`), published tracks and
//! subscriptions. Commands and datagrams go in with the time; datagrams in a [`SendBatch`] and [`Event`]s come out. It
//! opens no socket, reads no clock, takes no lock and allocates nothing per packet once its buffers have grown.

mod arena;
mod batch;
mod command;
mod config;
mod demux;
mod downtrack;
mod egress;
mod event;
mod event_queue;
mod feedback;
mod hash;
mod ids;
mod path;
mod peer;
mod shard;
mod slots;
mod stats;
#[cfg(any(test, feature = "test-util"))]
pub mod test_util;
mod timers;
mod upstream;

pub use batch::{MAX_RUN_BYTES, MAX_RUN_SEGMENTS, RunRef, SendBatch};
pub use bedrud_transport::{DataFigures, MESSAGE_OVERHEAD, TokenBucket, charge};
pub use command::{
    Command, DataChannel, DownTrackConfig, DownTrackSettings, IceCredentials, PayloadType, RelayKey,
    RemoteTransport, UpLayer, UpTrackConfig,
};
pub use config::ShardConfig;
pub use event::{AudioLevel, CloseReason, Event, SctpViolation, SelectedPath, TrackStats};
pub use ids::{DownTrackId, TransportId, UpTrackId};
pub use path::{Path, Proto};
pub use shard::Shard;
pub use stats::{DROP_REASONS, DropReason, Drops, ShardStats};

/// The start of virtual time: an `Instant` can only come from the clock.
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant can only come from the clock")]
fn test_clock() -> std::time::Instant {
    std::time::Instant::now()
}
