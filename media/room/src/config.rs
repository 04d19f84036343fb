//! Settings of the control plane.

use crate::context::PROTOCOL_VERSION;
use bedrud_rtp::Codec;
use livekit_protocol::{IceServer, RoomConfiguration, ServerInfo};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The LiveKit server whose behaviour clients may count on. SDKs compare it: RPC needs 1.8.0, for one.
const COMPATIBLE_VERSION: &str = "1.11.0";

/// Size limits; 0 means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Room or participant metadata, bytes.
    pub metadata: usize,
    /// Sum of attribute keys and values, bytes.
    pub attributes: usize,
    /// Room name, bytes.
    pub room_name: usize,
    /// Participant identity, bytes.
    pub identity: usize,
    /// Participant display name, bytes.
    pub participant_name: usize,
    /// Tracks added but not yet seen in SDP, per participant.
    pub pending_tracks: usize,
    /// Requests waiting for a track of the same client id.
    pub queued_per_cid: usize,
    /// Session description, bytes.
    pub sdp: usize,
    /// Media sections of one connection.
    pub media_sections: usize,
    /// Tracks one participant may have published.
    pub published_tracks: usize,
    /// Participants of all rooms together.
    pub participants: usize,
    /// Tracks published and subscriptions carried on this node; a join beyond is refused.
    pub tracks: usize,
    /// Media this node carries in both directions, bytes per second; a join beyond is refused.
    pub bytes_per_second: u64,
    /// Signalling messages a client may send at once; 0 means as many as it likes.
    pub signal_burst: u32,
    /// Signalling messages per second a client may send in the long run.
    pub signals_per_second: u32,
    /// Data messages times their receivers, per second, that one participant may send in the long run; it may send twice
    /// as many at once. Reliable messages beyond it wait, and their sender with them; lossy ones are dropped.
    pub data_deliveries_per_second: u64,
    /// Bytes of data messages times their receivers, per second, that one participant may send in the long run, and at
    /// once.
    pub data_delivered_bytes_per_second: u64,
    /// Key of a data blob, bytes.
    pub data_blob_key: usize,
    /// All data blobs of a participant, keys included, bytes.
    pub data_blobs: usize,
    /// Video tracks one participant may receive at a time.
    pub subscriptions_video: usize,
    /// Audio tracks one participant may receive at a time.
    pub subscriptions_audio: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata: 512 * 1024,
            attributes: 64 * 1024,
            room_name: 256,
            identity: 256,
            participant_name: 256,
            pending_tracks: 20,
            queued_per_cid: 3,
            sdp: 2 << 20,
            media_sections: 1024,
            published_tracks: 128,
            participants: 0,
            tracks: 0,
            bytes_per_second: 0,
            signal_burst: 2000,
            signals_per_second: 200,
            data_deliveries_per_second: 20_000,
            data_delivered_bytes_per_second: 128 << 20,
            data_blob_key: 256,
            data_blobs: 64_000,
            subscriptions_video: 0,
            subscriptions_audio: 0,
        }
    }
}

/// Time limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// A room nobody ever joined closes after this.
    pub empty: Duration,
    /// A room closes this long after its last participant left.
    pub departure: Duration,
    /// A participant whose connection never comes up is removed after this.
    pub join: Duration,
    /// A participant whose connection failed may resume for this long.
    pub resume: Duration,
    /// A client must answer an offer within this.
    pub negotiation: Duration,
    /// A publisher may stop sending what nobody has watched for this long.
    pub dynacast_pause: Duration,
    /// Interval of refreshed tokens.
    pub token_refresh: Duration,
    /// Interval at which clients ping.
    pub ping_interval: Duration,
    /// A client that hears nothing for this long reconnects.
    pub ping_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            empty: Duration::from_secs(300),
            departure: Duration::from_secs(20),
            join: Duration::from_secs(60),
            resume: Duration::from_secs(5),
            negotiation: Duration::from_secs(15),
            dynacast_pause: Duration::from_secs(5),
            token_refresh: Duration::from_secs(300),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(15),
        }
    }
}

/// Settings of a [`crate::Hub`].
#[derive(Debug, Clone, PartialEq)]
pub struct HubConfig {
    /// UDP addresses where clients reach the shards.
    pub udp_candidates: Vec<SocketAddr>,
    /// TCP addresses for ICE/TCP (passive).
    pub tcp_candidates: Vec<SocketAddr>,
    /// DTLS certificate fingerprint as in `a=fingerprint`, e.g. `sha-256 AB:CD:…`.
    pub fingerprint: String,
    /// Number of shards; rooms are spread over them.
    pub shards: u16,
    /// Size limits.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Codecs clients may publish and receive, by preference.
    pub codecs: Vec<Codec>,
    /// Rooms come into being when the first participant joins.
    pub auto_create: bool,
    /// Participants per room unless the room says otherwise; 0 means no limit.
    pub max_participants: u32,
    /// In rooms with fewer participants a backup codec replaces the preferred one for everybody as soon as one
    /// subscriber needs it (unless the publisher decides otherwise); 0 means in every room.
    pub codec_regression_threshold: usize,
    /// Congestion may stop the video of subscribers altogether, unless their client says otherwise.
    pub allow_pause: bool,
    /// Loudness from which somebody counts as speaking, -dBov.
    pub active_level: u8,
    /// Moderators may unmute.
    pub remote_unmute: bool,
    /// Participants may store data blobs.
    pub data_blobs: bool,
    /// Participants may publish data tracks.
    pub data_tracks: bool,
    /// Updates about many participants are sent in messages of about this size, bytes; 0 means in one.
    pub update_batch_bytes: usize,
    /// Tracks of one participant share a media stream, so that browsers play them in sync.
    pub sync_streams: bool,
    /// Lowest and highest play-out delay of rooms that ask for none, milliseconds; zeros leave it to the receivers.
    pub playout_delay: (u32, u32),
    /// Named room configurations, for `room_preset` of calls and tokens.
    pub room_presets: BTreeMap<String, RoomConfiguration>,
    /// STUN and TURN servers told to clients.
    pub ice_servers: Vec<IceServer>,
    /// Region told to clients.
    pub region: String,
    /// Node id told to clients; empty: drawn at the start.
    pub node_id: String,
    /// LiveKit server version told to clients, `x.y.z`.
    pub version: String,
}

impl HubConfig {
    /// Defaults with the addresses and the certificate of this node.
    #[must_use]
    pub fn new(udp: Vec<SocketAddr>, tcp: Vec<SocketAddr>, fingerprint: impl Into<String>) -> Self {
        Self {
            udp_candidates: udp,
            tcp_candidates: tcp,
            fingerprint: fingerprint.into(),
            shards: 1,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            codecs: vec![
                Codec::Vp8,
                Codec::H264,
                Codec::Vp9,
                Codec::Av1,
                Codec::H265,
                Codec::Opus,
                Codec::Red,
                Codec::Pcmu,
                Codec::Pcma,
            ],
            auto_create: true,
            max_participants: 0,
            codec_regression_threshold: 5,
            allow_pause: false,
            active_level: 35,
            remote_unmute: false,
            data_blobs: false,
            data_tracks: true,
            update_batch_bytes: 128 * 1024,
            sync_streams: false,
            playout_delay: (0, 0),
            room_presets: BTreeMap::new(),
            ice_servers: Vec::new(),
            region: String::new(),
            node_id: String::new(),
            version: COMPATIBLE_VERSION.to_owned(),
        }
    }

    /// What clients and agent workers are told about this server.
    #[must_use]
    pub fn server_info(&self) -> ServerInfo {
        ServerInfo {
            version: self.version.clone(),
            protocol: PROTOCOL_VERSION,
            region: self.region.clone(),
            node_id: self.node_id.clone(),
            agent_protocol: 1,
            ..ServerInfo::default()
        }
    }
}
