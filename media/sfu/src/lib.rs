//! The shard: a sans-IO selective forwarding unit.

mod command;
mod event;
mod ids;

pub use command::{
    Command, DataChannel, DownTrackConfig, DownTrackSettings, IceCredentials, PayloadType, RemoteTransport,
    UpLayer, UpTrackConfig,
};
pub use event::{AudioLevel, CloseReason, Event, SelectedPath, TrackStats};
pub use ids::{DownTrackId, TransportId, UpTrackId};
