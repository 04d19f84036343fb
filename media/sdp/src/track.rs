//! A track we send to a client.

use crate::payload::CodecSpec;
use bedrud_rtp::{MediaKind, Ssrc};

/// A track to be sent on one section of a client's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendTrack {
    /// `PA_…` of the publisher.
    pub participant_sid: String,
    /// `TR_…`
    pub track_sid: String,
    /// Second half of the stream id instead of the track sid, so that tracks share one MediaStream (`sync_streams`).
    pub stream_name: Option<String>,
    /// Audio or video.
    pub kind: MediaKind,
    /// Codecs we can send, by preference: see [`crate::CodecTable::subscribe_codecs`].
    pub codecs: Vec<CodecSpec>,
    /// SSRC of the stream, unique on the connection.
    pub ssrc: Ssrc,
    /// SSRC of its RTX stream (video).
    pub rtx_ssrc: Option<Ssrc>,
    /// `a=ssrc … cname`, also sent in RTCP SDES. Equal for tracks that are played in sync.
    pub cname: String,
    /// Stereo audio: writes `sprop-stereo=1`.
    pub stereo: bool,
}

impl SendTrack {
    /// MediaStream id: `PA_x|TR_y`, or `PA_x|name` for shared streams. Clients read the participant from it.
    #[must_use]
    pub fn stream_id(&self) -> String {
        format!("{}|{}", self.participant_sid, self.stream_name.as_deref().unwrap_or(&self.track_sid))
    }
}
