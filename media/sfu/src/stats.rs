//! Counters of a shard.

use bedrud_transport::DataFigures;

/// Why a datagram or command was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// First byte belongs to no protocol, or too short.
    Malformed,
    /// TURN channel data: not served here.
    Turn,
    /// STUN without a ufrag that routes here, or with a stale epoch.
    UnknownUfrag,
    /// DTLS, RTP or RTCP from an address no check authenticated.
    UnknownAddress,
    /// RTP or RTCP before the keys.
    NoKeys,
    /// RTP or RTCP that does not authenticate, or was seen before.
    Unauthenticated,
    /// RTP of an SSRC that belongs to no track.
    UnknownSsrc,
    /// RTP payload type that was not negotiated.
    UnknownPayloadType,
    /// RTP packet too old for its ring, or there already.
    Late,
    /// RTX without a payload: padding, probing.
    Padding,
    /// RTCP that does not parse.
    BadRtcp,
    /// Command for an id that does not exist.
    StaleCommand,
    /// A limit on transports, tracks or SSRCs.
    Limit,
    /// Video held back by congestion or TCP back-pressure.
    Congested,
    /// An event dropped because nobody took events.
    EventOverflow,
}

/// Number of [`DropReason`] reasons.
pub const DROP_REASONS: usize = DropReason::EventOverflow as usize + 1;

impl DropReason {
    /// Every reason, in order.
    pub const ALL: [Self; DROP_REASONS] = [
        Self::Malformed,
        Self::Turn,
        Self::UnknownUfrag,
        Self::UnknownAddress,
        Self::NoKeys,
        Self::Unauthenticated,
        Self::UnknownSsrc,
        Self::UnknownPayloadType,
        Self::Late,
        Self::Padding,
        Self::BadRtcp,
        Self::StaleCommand,
        Self::Limit,
        Self::Congested,
        Self::EventOverflow,
    ];

    /// Label for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Turn => "turn",
            Self::UnknownUfrag => "unknown_ufrag",
            Self::UnknownAddress => "unknown_address",
            Self::NoKeys => "no_keys",
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownSsrc => "unknown_ssrc",
            Self::UnknownPayloadType => "unknown_payload_type",
            Self::Late => "late",
            Self::Padding => "padding",
            Self::BadRtcp => "bad_rtcp",
            Self::StaleCommand => "stale_command",
            Self::Limit => "limit",
            Self::Congested => "congested",
            Self::EventOverflow => "event_overflow",
        }
    }
}

/// Drops by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops([u64; DROP_REASONS]);

impl Drops {
    /// Count of one reason.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        self.add_many(reason, 1);
    }

    pub(crate) fn add_many(&mut self, reason: DropReason, n: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += n;
        }
    }
}

/// A snapshot of what a shard holds and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Transports open now.
    pub transports: usize,
    /// Up tracks now.
    pub up_tracks: usize,
    /// Down tracks now.
    pub down_tracks: usize,
    /// Learned addresses now.
    pub addresses: usize,
    /// SSRCs with state now.
    pub ssrcs: usize,
    /// Transports with an armed deadline now.
    pub timers: usize,
    /// RTP packets received and accepted.
    pub rtp_in: u64,
    /// RTP payload bytes received and accepted.
    pub rtp_bytes_in: u64,
    /// RTCP compounds received and accepted.
    pub rtcp_in: u64,
    /// RTP packets sent, retransmissions included.
    pub rtp_out: u64,
    /// Of those, packets of our own: silence and padding where a source is muted.
    pub fills_out: u64,
    /// RTP payload bytes sent.
    pub rtp_bytes_out: u64,
    /// RTCP compounds sent.
    pub rtcp_out: u64,
    /// Packets retransmitted to subscribers.
    pub rtx_out: u64,
    /// Payload bytes of these.
    pub rtx_bytes_out: u64,
    /// Packets asked back from publishers.
    pub nacks_out: u64,
    /// Packets publishers sent again.
    pub rtx_in: u64,
    /// Payload bytes of these.
    pub rtx_bytes_in: u64,
    /// Key frame requests sent to publishers.
    pub plis_out: u64,
    /// Packets subscribers asked back.
    pub nacks_in: u64,
    /// Key frame requests of subscribers.
    pub plis_in: u64,
    /// Failures caught inside. Each cost the transport that was being served.
    pub panics: u64,
    /// Data messages.
    pub data: DataFigures,
    /// Transports closed because their client did not take what was sent to it reliably.
    pub slow_consumers: u64,
    /// Drops by reason.
    pub drops: Drops,
}
