//! Which codecs, payload types, feedback and header extensions are used.

use crate::error::SdpError;
use crate::payload::CodecSpec;
use bedrud_rtp::Codec;

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
    /// `goog-remb` with `abs-send-time`.
    #[default]
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
    /// Sections whose track was removed may carry another one later (not Safari, protocol ≥ 4, no shared streams).
    pub reuse_sections: bool,
}

impl Default for ClientQuirks {
    fn default() -> Self {
        Self { no_red: false, no_h264_high: false, single_video_codec: false, reuse_sections: true }
    }
}

/// The enabled codecs of a room and how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecTable {
    enabled: Vec<Codec>,
    rtx: bool,
    feedback: SubscriberFeedback,
    playout_delay: bool,
}

impl Default for CodecTable {
    fn default() -> Self {
        Self {
            enabled: vec![
                Codec::Pcmu,
                Codec::Pcma,
                Codec::Opus,
                Codec::Red,
                Codec::Vp8,
                Codec::H264,
                Codec::Vp9,
                Codec::Av1,
                Codec::H265,
            ],
            rtx: true,
            feedback: SubscriberFeedback::default(),
            playout_delay: false,
        }
    }
}

impl CodecTable {
    /// The codecs of a configured list, in its order.
    ///
    /// # Errors
    /// [`SdpError::Unsupported`] when the list leaves no codec.
    pub fn new(settings: &[CodecSetting]) -> Result<Self, SdpError> {
        let enabled: Vec<Codec> = settings.iter().filter_map(|s| Codec::from_name(&s.mime)).collect();
        if enabled.is_empty() {
            return Err(SdpError::Unsupported("no known codec is enabled"));
        }
        Ok(Self { enabled, ..Self::default() })
    }

    /// Chooses the feedback subscribers are asked for.
    #[must_use]
    pub fn with_subscriber_feedback(mut self, feedback: SubscriberFeedback) -> Self {
        self.feedback = feedback;
        self
    }

    /// Offers the playout-delay extension to subscribers.
    #[must_use]
    pub fn with_playout_delay(mut self, on: bool) -> Self {
        self.playout_delay = on;
        self
    }

    /// Media types for `JoinResponse.enabled_publish_codecs`, in configured order, `video/rtx` last.
    #[must_use]
    pub fn enabled_publish_codecs(&self) -> Vec<&'static str> {
        let mut out: Vec<&'static str> = self.enabled.iter().map(|c| c.mime_type()).collect();
        if self.rtx {
            out.push("video/rtx");
        }
        out
    }

    /// True when the codec may be published.
    #[must_use]
    pub fn is_enabled(&self, codec: Codec) -> bool {
        self.enabled.contains(&codec)
    }

    /// The codec list of [`crate::SendTrack::codecs`] for what the publisher sends: upstream codecs first, then Opus
    /// behind RED unless the payload is end-to-end encrypted (then it cannot be unpacked).
    #[must_use]
    pub fn subscribe_codecs(&self, upstream: &[CodecSpec], encrypted: bool) -> Vec<CodecSpec> {
        let mut out = upstream.to_vec();
        if !encrypted && upstream.iter().any(|c| c.codec == Codec::Red) {
            out.push(CodecSpec { codec: Codec::Opus, variant: 0 });
        }
        out
    }
}
