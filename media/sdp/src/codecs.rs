//! Which codecs, payload types, feedback and header extensions are used.

use crate::error::SdpError;
use crate::fmtp;
use crate::payload::{CodecSpec, H264Profile};
use bedrud_rtp::{Codec, Extension, MediaKind, Pt};

/// An entry of the configured codec list (`room.enabled_codecs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecSetting {
    /// Media type, e.g. `video/VP8`, ignoring case; `video/rtx` and `audio/red` are entries too.
    pub mime: String,
    /// Restricts the entry to one parameter set, e.g. an H.264 profile.
    pub fmtp: Option<String>,
}

/// How a client reports what it receives from us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SubscriberFeedback {
    /// Both are offered: a client that knows transport-wide feedback uses it, others send their own estimate.
    #[default]
    Both,
    /// `goog-remb` with `abs-send-time`.
    Remb,
    /// `transport-cc` with transport-wide sequence numbers.
    TransportCc,
}

/// What a client's software needs, beyond what its SDP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientQuirks {
    /// Never negotiate RED (Firefox).
    pub no_red: bool,
    /// Never negotiate H.264 High profile in either direction (Firefox).
    pub no_h264_high: bool,
    /// Answer a publisher with its preferred video codec only (Firefox on Linux and Android).
    pub single_video_codec: bool,
    /// Never negotiate these in either direction.
    pub refused: &'static [Codec],
    /// Never negotiate these for publishing: encoders that do not work.
    pub refused_publish: &'static [Codec],
    /// Sections whose track was removed may carry another one later (not Safari, not the Rust core, protocol ≥ 4, no shared
    /// streams). Otherwise they are stopped, and their place is taken by a section with a new mid.
    pub reuse_sections: bool,
    /// Answers reject sections whose track the client removed, so that its next track takes their place. Stacks that
    /// never put another track there would otherwise grow by a section with each one.
    pub recycle_sections: bool,
}

impl Default for ClientQuirks {
    fn default() -> Self {
        Self {
            no_red: false,
            no_h264_high: false,
            single_video_codec: false,
            refused: &[],
            refused_publish: &[],
            reuse_sections: true,
            recycle_sections: true,
        }
    }
}

/// A codec of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) spec: CodecSpec,
    /// Payload type in our offers.
    pub(crate) pt: Pt,
    /// RTX payload type in our offers.
    pub(crate) rtx: Option<Pt>,
    pub(crate) fmtp: Option<&'static str>,
}

/// What a section is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The client sends.
    Publish,
    /// We send.
    Subscribe,
}

/// The enabled codecs of a room and how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecTable {
    entries: Vec<TableEntry>,
    /// H.264 is enabled by its name alone: an encoder that knows only other profiles than those of the table may publish.
    any_h264: bool,
    rtx: bool,
    feedback: SubscriberFeedback,
}

macro_rules! h264 {
    ($mode:literal, $profile:literal) => {
        concat!("level-asymmetry-allowed=1;packetization-mode=", $mode, ";profile-level-id=", $profile)
    };
}

/// Every codec known, with the payload types of our offers; the last column is "enabled when only its name is listed".
const KNOWN: [(CodecSpec, Pt, Option<&str>, bool); 16] = [
    (CodecSpec::plain(Codec::Pcmu), 0, None, true),
    (CodecSpec::plain(Codec::Pcma), 8, None, true),
    (CodecSpec::plain(Codec::Opus), 111, Some("minptime=10;useinbandfec=1"), true),
    (CodecSpec::plain(Codec::Red), 63, Some("111/111"), true),
    (CodecSpec::plain(Codec::Vp8), 96, None, true),
    (CodecSpec { codec: Codec::Vp9, variant: 0 }, 98, Some("profile-id=0"), true),
    (CodecSpec { codec: Codec::Vp9, variant: 1 }, 100, Some("profile-id=1"), true),
    (CodecSpec::h264(H264Profile::ConstrainedBaseline, true), 108, Some(h264!("1", "42e01f")), true),
    (CodecSpec::h264(H264Profile::ConstrainedBaseline, false), 125, Some(h264!("0", "42e01f")), true),
    (CodecSpec::h264(H264Profile::High, true), 123, Some(h264!("1", "640032")), true),
    (CodecSpec::h264(H264Profile::Baseline, true), 102, Some(h264!("1", "42001f")), false),
    (CodecSpec::h264(H264Profile::Baseline, false), 104, Some(h264!("0", "42001f")), false),
    (CodecSpec::h264(H264Profile::Main, true), 106, Some(h264!("1", "4d001f")), false),
    (CodecSpec::h264(H264Profile::Main, false), 39, Some(h264!("0", "4d001f")), false),
    (CodecSpec { codec: Codec::Av1, variant: 0 }, 35, None, true),
    (CodecSpec { codec: Codec::H265, variant: 1 }, 116, None, true),
];

impl Default for CodecTable {
    fn default() -> Self {
        let mut table = Self::empty();
        for codec in [
            Codec::Pcmu,
            Codec::Pcma,
            Codec::Opus,
            Codec::Red,
            Codec::Vp8,
            Codec::H264,
            Codec::Vp9,
            Codec::Av1,
            Codec::H265,
        ] {
            table.enable(codec, None);
        }
        table.rtx = true;
        table
    }
}

impl CodecTable {
    fn empty() -> Self {
        Self { entries: Vec::new(), any_h264: false, rtx: false, feedback: SubscriberFeedback::default() }
    }

    fn enable(&mut self, codec: Codec, fmtp: Option<&str>) {
        let wanted = fmtp.and_then(|f| fmtp::spec(codec, Some(f)));
        self.any_h264 |= codec == Codec::H264 && fmtp.is_none();
        for (spec, pt, fmtp_line, by_name) in KNOWN {
            let selected = match (fmtp, wanted) {
                (Some(_), Some(wanted)) => spec == wanted,
                (Some(_), None) => false,
                (None, _) => spec.codec == codec && by_name,
            };
            if selected && !self.entries.iter().any(|e| e.spec == spec) {
                let rtx = (codec.kind() == MediaKind::Video).then_some(pt.saturating_add(1));
                self.entries.push(TableEntry { spec, pt, rtx, fmtp: fmtp_line });
            }
        }
    }

    /// The codecs of a configured list, in its order. RED needs Opus; unknown entries are skipped, as are parameter
    /// sets that are not known. RTX is on when `video/rtx` is listed.
    ///
    /// # Errors
    /// [`SdpError::Unsupported`] when the list leaves no codec.
    pub fn new(settings: &[CodecSetting]) -> Result<Self, SdpError> {
        let mut table = Self::empty();
        for setting in settings {
            if setting.mime.eq_ignore_ascii_case("video/rtx") {
                table.rtx = true;
            }
            let codec =
                Codec::from_name(&setting.mime).filter(|c| c.mime_type().eq_ignore_ascii_case(&setting.mime));
            if let Some(codec) = codec {
                table.enable(codec, setting.fmtp.as_deref().filter(|f| !f.trim().is_empty()));
            }
        }
        if !table.is_enabled(Codec::Opus) {
            table.entries.retain(|e| e.spec.codec != Codec::Red);
        }
        // What cannot be sent to anybody is not taken from anybody.
        let dead: Vec<_> =
            table.entries.iter().map(|e| e.spec).filter(|s| table.carriers(*s).is_empty()).collect();
        table.entries.retain(|e| !dead.contains(&e.spec));
        if table.entries.is_empty() {
            return Err(SdpError::Unsupported("no known codec is enabled"));
        }
        Ok(table)
    }

    /// Chooses the feedback subscribers are asked for.
    #[must_use]
    pub fn with_subscriber_feedback(mut self, feedback: SubscriberFeedback) -> Self {
        self.feedback = feedback;
        self
    }

    /// Codecs for `JoinResponse.enabled_publish_codecs` and `SubscribedQualityUpdate`: VP8, H.264, other video, then
    /// audio (some clients read the first entry as their default). RTX is not a codec and is not listed.
    #[must_use]
    pub fn enabled_publish_codecs(&self, quirks: &ClientQuirks) -> Vec<Codec> {
        let mut out: Vec<Codec> = Vec::new();
        for entry in &self.entries {
            let codec = entry.spec.codec;
            if !out.contains(&codec) && self.allows(entry.spec, Use::Publish, quirks) {
                out.push(codec);
            }
        }
        out.sort_by_key(|codec| match codec {
            Codec::Vp8 => 0,
            Codec::H264 => 1,
            c if c.kind() == MediaKind::Video => 2,
            _ => 3,
        });
        out
    }

    /// Every parameter set of a codec that may be sent to subscribers, by preference: for a codec that is not yet
    /// published, when it is not known which one it will be.
    #[must_use]
    pub fn variants(&self, codec: Codec) -> Vec<CodecSpec> {
        let specs = self.entries.iter().map(|e| e.spec).filter(|s| s.codec == codec);
        specs.filter(|s| !s.is_h264_high()).collect()
    }

    /// True when the codec may be published.
    #[must_use]
    pub fn is_enabled(&self, codec: Codec) -> bool {
        self.entries.iter().any(|e| e.spec.codec == codec)
    }

    /// The parameter sets as which a stream may be sent to subscribers, by preference; empty when there is none. A decoder
    /// of H.264 reads the profile from the stream, not from the SDP, and clients list few: a stream whose own profile is
    /// not on offer goes as Constrained Baseline. Single NAL units are a part of the non-interleaved mode (RFC 6184
    /// section 6.3), so mode 0 also goes where only mode 1 was agreed on, but not the other way round.
    #[must_use]
    pub fn carriers(&self, stream: CodecSpec) -> Vec<CodecSpec> {
        let all = match stream.h264_mode() {
            None => vec![stream],
            Some(mode) => {
                let baseline = |mode| CodecSpec::h264(H264Profile::ConstrainedBaseline, mode);
                let own = CodecSpec { variant: stream.variant | 1, ..stream };
                let mut all = vec![stream, baseline(mode)];
                if !mode {
                    all.extend([own, baseline(true)]);
                }
                all
            }
        };
        let mut out: Vec<CodecSpec> = Vec::new();
        for spec in all {
            if !out.contains(&spec) && !spec.is_h264_high() && self.entry(spec).is_some() {
                out.push(spec);
            }
        }
        out
    }

    /// The codec list of [`crate::SendTrack::codecs`] for what the publisher sends: what carries the upstream codecs
    /// first, then Opus behind RED unless the payload is end-to-end encrypted (then it cannot be unpacked).
    #[must_use]
    pub fn subscribe_codecs(&self, upstream: &[CodecSpec], encrypted: bool) -> Vec<CodecSpec> {
        let opus = CodecSpec::plain(Codec::Opus);
        let mut out: Vec<CodecSpec> = Vec::new();
        // Opus is sent as itself only when it arrives as itself.
        for spec in upstream.iter().flat_map(|s| self.carriers(*s)) {
            if !out.contains(&spec) {
                out.push(spec);
            }
        }
        let red = out.iter().any(|c| c.codec == Codec::Red);
        if red && !encrypted && !out.contains(&opus) {
            out.push(opus);
        }
        out
    }

    pub(crate) fn entry(&self, spec: CodecSpec) -> Option<&TableEntry> {
        self.entries.iter().find(|e| e.spec == spec)
    }

    /// Position in the table: the order among variants of one codec.
    pub(crate) fn rank(&self, spec: CodecSpec) -> usize {
        self.entries.iter().position(|e| e.spec == spec).unwrap_or(usize::MAX)
    }

    pub(crate) const fn rtx_enabled(&self) -> bool {
        self.rtx
    }

    /// Enabled, and usable in this direction by this client.
    pub(crate) fn allows(&self, spec: CodecSpec, usage: Use, quirks: &ClientQuirks) -> bool {
        let refused = (spec.codec == Codec::Red && quirks.no_red)
            || (spec.is_h264_high() && (quirks.no_h264_high || usage == Use::Subscribe))
            || quirks.refused.contains(&spec.codec)
            || (usage == Use::Publish && quirks.refused_publish.contains(&spec.codec));
        !refused && self.entry(spec).is_some()
    }

    /// As [`CodecTable::allows`] for publishing, of a client that offers H.264 in none of the profiles of the table: hardware
    /// encoders write Main and High, and FFmpeg says plain Baseline. Baseline counts as Constrained Baseline, because
    /// nobody writes the parts of it (FMO, ASO, redundant slices) that the latter leaves out.
    pub(crate) fn tolerates(&self, spec: CodecSpec, quirks: &ClientQuirks) -> bool {
        let refused = (spec.is_h264_high() && quirks.no_h264_high)
            || quirks.refused.contains(&spec.codec)
            || quirks.refused_publish.contains(&spec.codec);
        let profile = self.any_h264 || spec.is_h264_baseline();
        spec.codec == Codec::H264 && profile && !refused && !self.carriers(spec).is_empty()
    }

    /// Feedback values of video; audio has only `nack`.
    pub(crate) fn video_feedback(&self, usage: Use, single_connection: bool) -> &'static [&'static str] {
        match (usage, self.feedback) {
            // One set of header extensions serves both directions there, so the client may answer either way.
            _ if single_connection => &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"],
            (Use::Subscribe, SubscriberFeedback::Both) => {
                &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]
            }
            (Use::Subscribe, SubscriberFeedback::Remb) => &["goog-remb", "ccm fir", "nack", "nack pli"],
            _ => &["transport-cc", "ccm fir", "nack", "nack pli"],
        }
    }

    /// Header extensions of a section.
    pub(crate) fn extensions(&self, kind: MediaKind, usage: Use, single_connection: bool) -> Vec<Extension> {
        use Extension as E;
        match (usage, kind) {
            (Use::Publish, MediaKind::Audio) => vec![E::Mid, E::Rid, E::AudioLevel, E::AbsCaptureTime],
            (Use::Publish, MediaKind::Video) => {
                let mut out = vec![
                    E::Mid,
                    E::Rid,
                    E::RepairedRid,
                    E::TransportCc,
                    E::DependencyDescriptor,
                    E::AbsCaptureTime,
                ];
                if single_connection {
                    out.push(E::AbsSendTime);
                }
                out
            }
            (Use::Subscribe, MediaKind::Audio) => vec![E::AbsCaptureTime],
            (Use::Subscribe, MediaKind::Video) => {
                let mut out = vec![E::DependencyDescriptor, E::AbsCaptureTime, E::PlayoutDelay];
                if self.feedback != SubscriberFeedback::TransportCc {
                    out.push(E::AbsSendTime);
                }
                if self.feedback != SubscriberFeedback::Remb {
                    out.push(E::TransportCc);
                }
                out
            }
        }
    }
}

/// Header extension ids of our offers, all below 15 so that the one-byte form serves (RFC 8285).
pub(crate) const fn offer_extension_id(extension: Extension) -> u8 {
    match extension {
        Extension::AudioLevel => 1,
        Extension::AbsSendTime => 2,
        Extension::TransportCc => 3,
        Extension::Mid => 4,
        Extension::PlayoutDelay => 5,
        Extension::AbsCaptureTime => 6,
        Extension::Rid => 10,
        Extension::RepairedRid => 11,
        Extension::DependencyDescriptor => 12,
    }
}
