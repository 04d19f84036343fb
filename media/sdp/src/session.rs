//! The parsed form of a description: typed where the negotiation looks, dropped where nobody does.

use bedrud_rtp::{MediaKind, Mid, Pt, Rid, Ssrc};

/// A parsed session description (RFC 8866), or one being built. `Display` writes it as SDP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// `o=` line.
    pub origin: Origin,
    /// `a=ice-lite`
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed` for the whole session.
    pub extmap_allow_mixed: bool,
    /// Members of the first `a=group:BUNDLE`, in order; the first is the tag.
    pub bundle: Vec<Mid>,
    /// ICE and DTLS attributes at session level.
    pub transport: TransportAttributes,
    /// `m=` sections in order.
    pub media: Vec<MediaSection>,
}

/// The parts of `o=` that carry meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, usually `-`.
    pub username: String,
    /// Session id.
    pub session_id: u64,
    /// Version, rising with each description of the session.
    pub version: u64,
}

impl Default for Origin {
    fn default() -> Self {
        Self { username: "-".into(), session_id: 0, version: 0 }
    }
}

/// ICE and DTLS attributes, at session or section level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransportAttributes {
    /// `a=ice-ufrag` and `a=ice-pwd`, when both are present.
    pub ice: Option<crate::transport::IceCredentials>,
    /// `a=ice-options` tokens.
    pub ice_options: Vec<String>,
    /// `a=fingerprint` values, algorithm in lower case, digits in upper case.
    pub fingerprints: Vec<String>,
    /// `a=setup`
    pub setup: Option<Setup>,
}

/// DTLS role (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// DTLS client.
    Active,
    /// DTLS server.
    Passive,
    /// Either, in offers.
    ActPass,
}

/// What an `m=` line carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// RTP audio or video.
    Media(MediaKind),
    /// SCTP over DTLS.
    Application,
    /// Anything else: always rejected.
    Other,
}

/// Direction as seen by the side that wrote the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// `a=sendrecv`, also when no direction is written.
    #[default]
    SendRecv,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    RecvOnly,
    /// `a=inactive`
    Inactive,
}

impl Direction {
    /// Direction with these two halves.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same as seen by the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(crate) fn from_str(text: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.as_str() == text)
    }
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSection {
    /// Audio, video, application or other.
    pub kind: SectionKind,
    /// First token of the `m=` line, as written.
    pub media: String,
    /// Port; 0 means rejected or stopped, unless `bundle_only`.
    pub port: u16,
    /// Transport protocol, e.g. `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// Formats as written, when the section is not audio or video.
    pub formats: Vec<String>,
    /// Payload types in the order of the `m=` line.
    pub payloads: Vec<PayloadFormat>,
    /// `a=mid`, or what stands for it when it is longer than a header extension carries.
    pub mid: Option<Mid>,
    /// `a=mid` as written, when it is long.
    pub(crate) long_mid: Option<Box<str>>,
    /// Direction.
    pub direction: Direction,
    /// `a=extmap`
    pub extmap: Vec<ExtMap>,
    /// `a=extmap-allow-mixed`
    pub extmap_allow_mixed: bool,
    /// `a=msid`, one per stream; taken from `a=ssrc … msid` when absent.
    pub msids: Vec<Msid>,
    /// `a=ssrc`
    pub ssrcs: Vec<SsrcAttributes>,
    /// `a=ssrc-group`
    pub ssrc_groups: Vec<SsrcGroup>,
    /// Rids were left out because they are too long for a header extension.
    pub(crate) long_rids: bool,
    /// `a=rid` with direction `send`.
    pub rids_send: Vec<Rid>,
    /// `a=rid` with direction `recv`.
    pub rids_recv: Vec<Rid>,
    /// `send` half of `a=simulcast`.
    pub simulcast_send: Vec<SimulcastStream>,
    /// `recv` half of `a=simulcast`.
    pub simulcast_recv: Vec<SimulcastStream>,
    /// `a=rtcp-mux`
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize`
    pub rtcp_rsize: bool,
    /// `a=bundle-only`
    pub bundle_only: bool,
    /// Takes part in the bundled transport of a description that was read: named in its group, or its only section.
    pub(crate) bundled: bool,
    /// `a=sctp-port`
    pub sctp_port: Option<u16>,
    /// `a=max-message-size`
    pub max_message_size: Option<u64>,
    /// ICE and DTLS attributes.
    pub transport: TransportAttributes,
    /// `a=candidate` values, with the `candidate:` prefix.
    pub candidates: Vec<String>,
    /// `a=end-of-candidates`
    pub end_of_candidates: bool,
}

impl MediaSection {
    /// An empty section of a kind, bidirectional, port 9.
    #[must_use]
    pub fn new(kind: SectionKind) -> Self {
        let (media, protocol) = match kind {
            SectionKind::Media(MediaKind::Audio) => ("audio", "UDP/TLS/RTP/SAVPF"),
            SectionKind::Media(MediaKind::Video) => ("video", "UDP/TLS/RTP/SAVPF"),
            SectionKind::Application | SectionKind::Other => ("application", "UDP/DTLS/SCTP"),
        };
        Self {
            kind,
            media: media.into(),
            port: 9,
            protocol: protocol.into(),
            formats: Vec::new(),
            payloads: Vec::new(),
            mid: None,
            long_mid: None,
            direction: Direction::SendRecv,
            extmap: Vec::new(),
            extmap_allow_mixed: false,
            msids: Vec::new(),
            ssrcs: Vec::new(),
            ssrc_groups: Vec::new(),
            long_rids: false,
            rids_send: Vec::new(),
            rids_recv: Vec::new(),
            simulcast_send: Vec::new(),
            simulcast_recv: Vec::new(),
            rtcp_mux: false,
            rtcp_rsize: false,
            bundle_only: false,
            bundled: false,
            sctp_port: None,
            max_message_size: None,
            transport: TransportAttributes::default(),
            candidates: Vec::new(),
            end_of_candidates: false,
        }
    }

    /// Rejected in an answer, or stopped by its owner in an offer (RFC 8829 section 5.2.2, RFC 9143 section 6).
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// The format of a payload type.
    #[must_use]
    pub fn payload(&self, pt: Pt) -> Option<&PayloadFormat> {
        self.payloads.iter().find(|p| p.pt == pt)
    }
}

/// One payload type: `a=rtpmap`, `a=fmtp`, `a=rtcp-fb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFormat {
    /// Payload type, 0..=127.
    pub pt: Pt,
    /// Encoding name as written; empty when there is no `a=rtpmap` and the type is not static.
    pub name: String,
    /// Clock rate, hertz.
    pub clock_rate: u32,
    /// Channels, when written.
    pub channels: Option<u8>,
    /// `a=fmtp` parameters as written.
    pub fmtp: Option<String>,
    /// `a=rtcp-fb` values, e.g. `nack pli`.
    pub feedback: Vec<String>,
}

impl PayloadFormat {
    /// True when the feedback type is listed.
    #[must_use]
    pub fn has_feedback(&self, value: &str) -> bool {
        self.feedback.iter().any(|f| f == value)
    }
}

/// `a=extmap` (RFC 8285).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtMap {
    /// Identifier.
    pub id: u8,
    /// Restriction to one direction.
    pub direction: Option<Direction>,
    /// Extension URI.
    pub uri: String,
}

/// `a=msid` (RFC 8830).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msid {
    /// Stream id, `-` for none.
    pub stream: String,
    /// Track id.
    pub track: Option<String>,
}

/// What `a=ssrc` says of one SSRC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsrcAttributes {
    /// SSRC.
    pub ssrc: Ssrc,
    /// `cname:`
    pub cname: Option<String>,
    /// `msid:`
    pub msid: Option<Msid>,
}

/// `a=ssrc-group` (RFC 5576).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsrcGroup {
    /// `FID`, `SIM`, …
    pub semantics: String,
    /// Members.
    pub ssrcs: Vec<Ssrc>,
}

/// One stream of `a=simulcast` (RFC 8853); of alternatives the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulcastStream {
    /// Its rid.
    pub rid: Rid,
    /// Written with `~`.
    pub paused: bool,
}
