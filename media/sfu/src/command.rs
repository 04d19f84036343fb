//! What the control plane asks of a shard. Every command is one-way and idempotent where that is possible; a command
//! for an unknown or stale id is counted and ignored, because the other side may have closed meanwhile.

use crate::ids::{DownTrackId, TransportId, UpTrackId};
use bedrud_rtp::{Codec, ExtensionMap, MediaKind, Mid, PlayoutDelay, Pt, Rid, Ssrc};
pub use bedrud_transport::{DataChannel, IceCredentials, RemoteTransport};
use bytes::Bytes;

/// One payload type as negotiated on an m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadType {
    /// Payload type of the media.
    pub pt: Pt,
    /// Its codec.
    pub codec: Codec,
    /// H.264 `packetization-mode=1` and profile, VP9 profile: a value that must match between publisher and subscriber,
    /// 0 where it does not matter. Two payload types with equal `(codec, variant)` are interchangeable.
    pub variant: u32,
    /// Payload type of its RTX stream (RFC 4588), if negotiated.
    pub rtx: Option<Pt>,
    /// Generic NACK negotiated.
    pub nack: bool,
}

/// One simulcast layer of an up track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpLayer {
    /// Spatial index, 0 = smallest. Equals the position in [`UpTrackConfig::layers`].
    pub spatial: u8,
    /// `rid`, absent when the track is not simulcast.
    pub rid: Option<Rid>,
    /// SSRC when SDP declares it (no rid); otherwise learned from the mid/rid extensions.
    pub ssrc: Option<Ssrc>,
    /// RTX SSRC when SDP declares it (`a=ssrc-group:FID`).
    pub rtx_ssrc: Option<Ssrc>,
}

/// A published m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpTrackConfig {
    /// Chosen by the control plane.
    pub id: UpTrackId,
    /// Transport it arrives on.
    pub transport: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// `a=mid`.
    pub mid: Mid,
    /// Negotiated payload types.
    pub payload_types: Vec<PayloadType>,
    /// Layers from smallest to largest; at least one.
    pub layers: Vec<UpLayer>,
}

/// What a subscriber wants of a track now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownTrackSettings {
    /// Nothing is sent while true (subscriber disabled it, or the publisher is muted).
    pub paused: bool,
    /// Highest spatial layer wanted; the best live layer at or below it is sent.
    pub max_spatial: u8,
    /// Highest temporal layer wanted, 0..=3.
    pub max_temporal: u8,
    /// Congestion may stop the video altogether; otherwise its smallest layer is always sent.
    pub may_pause: bool,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownTrackConfig {
    /// Chosen by the control plane.
    pub id: DownTrackId,
    /// Transport it leaves on.
    pub transport: TransportId,
    /// What it forwards.
    pub source: UpTrackId,
    /// `a=mid` on the subscriber's connection.
    pub mid: Mid,
    /// SSRC of the outgoing stream, as written in SDP.
    pub ssrc: Ssrc,
    /// SSRC of its RTX stream, as written in SDP.
    pub rtx_ssrc: Option<Ssrc>,
    /// `a=ssrc … cname`, also sent in SDES.
    pub cname: String,
    /// Payload types accepted by the subscriber, by preference.
    pub payload_types: Vec<PayloadType>,
    /// Initial settings.
    pub settings: DownTrackSettings,
    /// The publisher appends metadata to its frames that this subscriber cannot read: it is cut off.
    pub strip_trailer: bool,
    /// Ends frames the server makes itself, so that a receiver of an encrypted track does not try to decrypt them. Empty
    /// for tracks in the clear.
    pub frame_trailer: Bytes,
    /// The client learns of a stream by its first packet, so a muted one is shown to it by packets of our own.
    pub announce: bool,
    /// Limits of the receiver's play-out delay, said in the first packets.
    pub playout_delay: Option<PlayoutDelay>,
}

/// Master keys and salts of a relay: random bytes, used once.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayKey(pub [u8; 56]);

impl std::fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelayKey")
    }
}

/// A request to a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Creates a transport that waits for a client. Ignored if the slot and epoch exist.
    OpenTransport {
        /// Its id; `local_ice.ufrag` must be one of [`TransportId::ufrag`].
        id: TransportId,
        /// Our credentials, as written in our SDP.
        local_ice: IceCredentials,
    },
    /// Opens one end of a link to a transport of another shard of this process, and connects it at once. What one end
    /// sends on its down tracks arrives at the other as up tracks of the same SSRCs.
    OpenRelay {
        /// This end.
        id: TransportId,
        /// The other end.
        peer: TransportId,
        /// The same for both ends.
        key: RelayKey,
    },
    /// Sets or replaces what the client said about its side, and starts DTLS in the role it leaves to us.
    SetRemote {
        /// Which transport.
        id: TransportId,
        /// The client's side.
        remote: RemoteTransport,
    },
    /// New local credentials: the local half of an ICE restart. Both old and new ufrag route here.
    SetLocalIce {
        /// Which transport.
        id: TransportId,
        /// New credentials.
        local_ice: IceCredentials,
    },
    /// Header extension ids negotiated on the connection (one map per bundle).
    SetExtensions {
        /// Which transport.
        id: TransportId,
        /// Ids for both directions.
        map: ExtensionMap,
    },
    /// Restricts the transport to ICE/TCP: checks over UDP are not answered (`switch_candidate_protocol`).
    SetTcpOnly {
        /// Which transport.
        id: TransportId,
        /// On or off.
        tcp_only: bool,
    },
    /// Opens a data channel from our side (subscriber-primary connections). May precede the handshake.
    OpenDataChannel {
        /// Which transport.
        id: TransportId,
        /// Which channel.
        channel: DataChannel,
    },
    /// Sends one message to many. Refused messages are queued up to the configured limit (reliable) or dropped (lossy).
    SendData {
        /// Which transports.
        to: Vec<TransportId>,
        /// Which channel.
        channel: DataChannel,
        /// Message.
        payload: Bytes,
    },
    /// Sends one packet of a data track to its subscribers.
    SendDataTrack {
        /// Which transports, and the handle by which each knows the track.
        to: Vec<(TransportId, u16)>,
        /// Packet; bytes 2 and 3 are the handle's place.
        packet: Bytes,
    },
    /// The control plane takes so many bytes more of what the client sends reliably. Without it the client is held back.
    GrantData {
        /// Which transport.
        id: TransportId,
        /// As [`crate::charge`] counts them.
        bytes: u64,
    },
    /// Closes a transport, its tracks and its channels, sending DTLS close_notify.
    CloseTransport {
        /// Which transport.
        id: TransportId,
    },
    /// Adds a published m-line, or updates the payload types, layers and SSRCs of a known one.
    SetUpTrack(UpTrackConfig),
    /// Ends a published m-line and all its down tracks.
    RemoveUpTrack {
        /// Which track.
        id: UpTrackId,
    },
    /// Marks an up track muted: its down tracks pause and its audio level is silence; nothing is renegotiated.
    MuteUpTrack {
        /// Which track.
        id: UpTrackId,
        /// On or off.
        muted: bool,
    },
    /// Adds a subscription. Forwarding starts with the next key frame (video) or packet (audio).
    AddDownTrack(DownTrackConfig),
    /// Changes what a subscriber wants.
    SetDownTrack {
        /// Which track.
        id: DownTrackId,
        /// New settings.
        settings: DownTrackSettings,
    },
    /// Ends a subscription.
    RemoveDownTrack {
        /// Which track.
        id: DownTrackId,
    },
    /// Asks the publisher for a key frame (rate-limited by the shard).
    RequestKeyFrame {
        /// Which track.
        id: UpTrackId,
    },
    /// Caps what is sent to a subscriber, bits per second (simulated bandwidth, or a configured limit).
    SetEgressCap {
        /// Which transport.
        id: TransportId,
        /// `None` removes the cap.
        bits_per_second: Option<u64>,
    },
}

impl Command {
    /// The shard the command belongs to, when it names a transport. Track commands go to the room's shard.
    #[must_use]
    pub fn transport(&self) -> Option<TransportId> {
        match self {
            Self::OpenTransport { id, .. }
            | Self::OpenRelay { id, .. }
            | Self::SetRemote { id, .. }
            | Self::SetLocalIce { id, .. }
            | Self::SetExtensions { id, .. }
            | Self::SetTcpOnly { id, .. }
            | Self::OpenDataChannel { id, .. }
            | Self::GrantData { id, .. }
            | Self::CloseTransport { id }
            | Self::SetEgressCap { id, .. } => Some(*id),
            Self::SendData { to, .. } => to.first().copied(),
            Self::SendDataTrack { to, .. } => to.first().map(|(id, _)| *id),
            Self::SetUpTrack(c) => Some(c.transport),
            Self::AddDownTrack(c) => Some(c.transport),
            _ => None,
        }
    }
}
