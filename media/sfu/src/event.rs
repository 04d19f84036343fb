//! What a shard tells the control plane.

use crate::command::DataChannel;
use crate::ids::{DownTrackId, TransportId, UpTrackId};
use bedrud_rtp::{Codec, Ssrc};
use bytes::Bytes;
use std::net::SocketAddr;

pub use bedrud_transport::{CloseReason, SctpViolation};

/// How a transport reaches its client now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectedPath {
    /// True for ICE/TCP.
    pub tcp: bool,
    /// Client address.
    pub remote: SocketAddr,
}

/// Loudness of one audio track over the last interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Which track.
    pub track: UpTrackId,
    /// Loudest smoothed level in -dBov, 0 (loudest) ..= 127 (silence).
    pub level: u8,
    /// Share of the interval's packets louder than the activity threshold, per cent.
    pub active_percent: u8,
}

/// Reception figures of one layer of an up track, or of one down track as its receiver reports, over one interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrackStats {
    /// Packets of the interval.
    pub packets: u64,
    /// Payload bytes of the interval.
    pub bytes: u64,
    /// Packets lost (before repair).
    pub lost: u64,
    /// Interarrival jitter, milliseconds.
    pub jitter_ms: f32,
    /// Round-trip time, milliseconds, if known.
    pub rtt_ms: Option<f32>,
    /// PLI and FIR of the interval.
    pub plis: u32,
    /// NACKed packets of the interval.
    pub nacks: u32,
}

/// News from a shard.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// ICE and DTLS are up; SRTP keys are in place. Sent once per transport.
    Connected {
        /// Which transport.
        id: TransportId,
        /// Path in use.
        path: SelectedPath,
    },
    /// The path changed (ICE restart, roaming, UDP to TCP).
    PathChanged {
        /// Which transport.
        id: TransportId,
        /// Path in use.
        path: SelectedPath,
    },
    /// No authenticated check for the disconnect time. The transport stays usable: an ICE restart revives it.
    Disconnected {
        /// Which transport.
        id: TransportId,
    },
    /// Checks arrive again after [`Event::Disconnected`].
    Reconnected {
        /// Which transport.
        id: TransportId,
    },
    /// The transport is gone; its tracks are removed.
    Closed {
        /// Which transport.
        id: TransportId,
        /// Why.
        reason: CloseReason,
    },
    /// A labelled channel is open in both directions, whoever opened it.
    ChannelOpen {
        /// Which transport.
        id: TransportId,
        /// Which channel.
        channel: DataChannel,
    },
    /// The peer closed a channel.
    ChannelClosed {
        /// Which transport.
        id: TransportId,
        /// Which channel.
        channel: DataChannel,
    },
    /// A message from the client.
    Data {
        /// Which transport.
        id: TransportId,
        /// Which channel.
        channel: DataChannel,
        /// Message.
        payload: Bytes,
    },
    /// More reliable messages wait for the client than it takes, or it has caught up. Who sends to it should be slowed
    /// down meanwhile.
    DataCongested {
        /// Which transport.
        id: TransportId,
        /// True when it is behind.
        congested: bool,
    },
    /// First packet of a layer: its SSRC and codec are now known. Sent again when either changes.
    UpLayerStarted {
        /// Which track.
        track: UpTrackId,
        /// Spatial index.
        spatial: u8,
        /// Media SSRC.
        ssrc: Ssrc,
        /// Codec in use.
        codec: Codec,
    },
    /// A layer stopped (no packets for the activity window) or came back.
    UpLayerActivity {
        /// Which track.
        track: UpTrackId,
        /// Spatial index.
        spatial: u8,
        /// Live or not.
        live: bool,
    },
    /// First packet forwarded to this subscriber.
    DownTrackStarted {
        /// Which track.
        track: DownTrackId,
    },
    /// No payload type of the subscriber matches what the publisher sends.
    DownTrackUnsupported {
        /// Which track.
        track: DownTrackId,
        /// Codec on the publisher's side.
        codec: Codec,
    },
    /// Congestion stopped or resumed a down track.
    DownTrackCongested {
        /// Which track.
        track: DownTrackId,
        /// True when stopped.
        paused: bool,
    },
    /// Every audio interval (400 ms by default), only tracks that had packets or just fell silent.
    AudioLevels(Vec<AudioLevel>),
    /// Every statistics interval (5 s by default).
    Stats {
        /// Per up track and layer.
        up: Vec<(UpTrackId, u8, TrackStats)>,
        /// Per down track.
        down: Vec<(DownTrackId, TrackStats)>,
    },
}
