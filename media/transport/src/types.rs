//! What both ends of a transport are told about each other.

/// ICE credentials of one side (RFC 8445).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`
    pub ufrag: String,
    /// `a=ice-pwd`
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// The remote description of a transport, from the client's offer or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTransport {
    /// Remote ICE credentials; a changed ufrag is an ICE restart.
    pub ice: IceCredentials,
    /// `a=fingerprint`, algorithm and hex as in SDP, e.g. `sha-256 AB:CD:…`.
    pub fingerprint: String,
    /// True when the client has an application m-line, so SCTP must run.
    pub sctp: bool,
    /// True when the client is the DTLS server (`a=setup:passive`, RFC 8842). Counts only before DTLS has started.
    pub dtls_server: bool,
}

/// The data channels of the LiveKit protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataChannel {
    /// `_reliable`: ordered, reliable.
    Reliable,
    /// `_lossy`: unordered, no retransmission.
    Lossy,
    /// `_data_track`: as lossy.
    DataTrack,
    /// Any other label: bytes of the application, in channels that clients open. Treated as reliable.
    Unlabelled,
}

impl DataChannel {
    /// Those with a label of their own.
    pub const ALL: [Self; 3] = [Self::Reliable, Self::Lossy, Self::DataTrack];

    /// SCTP channel label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
            Self::DataTrack => "_data_track",
            Self::Unlabelled => "",
        }
    }

    /// Channel behind a label.
    #[must_use]
    pub fn from_label(label: &str) -> Self {
        Self::ALL.into_iter().find(|c| c.label() == label).unwrap_or(Self::Unlabelled)
    }

    /// Whether a message must arrive, and waits rather than being dropped.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Reliable | Self::Unlabelled)
    }
}

/// What carries a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proto {
    /// One UDP datagram.
    Udp,
    /// One RFC 4571 frame of an ICE/TCP connection, without its length prefix.
    Tcp,
    /// Memory, from one shard of the process to another. No ICE and no DTLS here.
    Relay,
}
