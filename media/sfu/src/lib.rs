//! The shard: a sans-IO selective forwarding unit.

mod batch;
mod command;
mod config;
mod event;
mod ids;
mod path;
mod shard;
mod stats;

pub use batch::{MAX_RUN_BYTES, MAX_RUN_SEGMENTS, RunRef, SendBatch};
pub use command::{
    Command, DataChannel, DownTrackConfig, DownTrackSettings, IceCredentials, PayloadType, RemoteTransport,
    UpLayer, UpTrackConfig,
};
pub use config::ShardConfig;
pub use event::{AudioLevel, CloseReason, Event, SelectedPath, TrackStats};
pub use ids::{DownTrackId, TransportId, UpTrackId};
pub use path::{Path, Proto};
pub use shard::Shard;
pub use stats::{DROP_REASONS, DropReason, Drops, ShardStats};
