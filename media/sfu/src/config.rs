//! Limits and intervals of a shard.

use std::time::Duration;

/// Everything a shard can be told at start. [`ShardConfig::default`] suits a server on the public Internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardConfig {
    /// Number of this shard, as in [`crate::TransportId::shard`].
    pub shard: u16,
    /// Most transports at a time; further ones are refused.
    pub max_transports: usize,
    /// Most SSRCs of one transport that belong to no known track yet.
    pub max_unknown_ssrcs: usize,
    /// Packets kept per video stream for retransmission, a power of two.
    pub video_ring: usize,
    /// Packets kept per audio stream, a power of two.
    pub audio_ring: usize,
    /// A transport without a remote description after this time is closed. The limits of connected transports are
    /// those of the transport configuration.
    pub connect_timeout: Duration,
    /// Distance of transport-wide feedback messages.
    pub twcc_interval: Duration,
    /// Distance of receiver reports.
    pub report_interval: Duration,
    /// Distance of sender reports.
    pub sender_report_interval: Duration,
    /// Least distance of key frame requests to one published track.
    pub key_frame_interval: Duration,
    /// A key frame that did not come is asked for again after this time.
    pub key_frame_retry: Duration,
    /// A layer without packets for this time is not live.
    pub layer_timeout: Duration,
    /// Distance of [`crate::Event::AudioLevels`].
    pub audio_interval: Duration,
    /// Audio at least this loud is active, -dBov.
    pub active_level: u8,
    /// An interval counts as speech when at least this share of its packets is active, per cent.
    pub active_percent: u8,
    /// Intervals over which loudness is averaged; 0 is as 1.
    pub smooth_intervals: u32,
    /// Distance of [`crate::Event::Stats`].
    pub stats_interval: Duration,
    /// Retransmitted bytes allowed, per cent of the bytes sent.
    pub rtx_percent: u32,
    /// Egress estimate of a new transport, bits per second.
    pub start_bitrate: u64,
    /// Highest egress estimate, bits per second.
    pub max_bitrate: u64,
    /// Lowest egress estimate, bits per second.
    pub min_bitrate: u64,
    /// Most messages waiting for [`crate::Shard::poll_event`]. Beyond it statistics and levels are dropped, and transports
    /// that sent more than others are not listened to until some are taken.
    pub max_events: usize,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            shard: 0,
            max_transports: 20_000,
            max_unknown_ssrcs: 32,
            video_ring: 512,
            audio_ring: 128,
            connect_timeout: Duration::from_secs(30),
            twcc_interval: Duration::from_millis(50),
            report_interval: Duration::from_secs(1),
            sender_report_interval: Duration::from_secs(3),
            key_frame_interval: Duration::from_millis(500),
            key_frame_retry: Duration::from_secs(1),
            layer_timeout: Duration::from_millis(1500),
            audio_interval: Duration::from_millis(400),
            active_level: 35,
            active_percent: 40,
            smooth_intervals: 2,
            stats_interval: Duration::from_secs(5),
            rtx_percent: 10,
            start_bitrate: 5_000_000,
            max_bitrate: 100_000_000,
            min_bitrate: 100_000,
            max_events: 65_536,
        }
    }
}
