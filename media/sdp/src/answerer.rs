//! Connections on which the client offers.

use crate::codecs::{ClientQuirks, CodecTable};
use crate::error::SdpError;
use crate::payload::NegotiatedPayload;
use crate::session::SessionDescription;
use crate::track::SendTrack;
use crate::transport::{LocalTransport, RemoteTransport};
use bedrud_rtp::{Codec, ExtensionMap, MediaKind, Mid, Rid, Ssrc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fixed properties of an [`Answerer`].
#[derive(Debug, Clone)]
pub struct AnswererConfig {
    /// Codecs.
    pub codecs: Arc<CodecTable>,
    /// What the client's software needs.
    pub quirks: ClientQuirks,
    /// True when this is the client's only connection, so that it also receives on it.
    pub single_connection: bool,
    /// `o=` session id, random, below 2^62.
    pub session_id: u64,
}

/// What a client's offer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its side of the transport.
    pub transport: RemoteTransport,
    /// The remote ufrag differs from the previous offer's: answer with new local credentials.
    pub ice_restart: bool,
    /// Header extension ids, only of extensions the answer will accept.
    pub extensions: ExtensionMap,
    /// Audio and video sections in order. A mid published before that is absent or no longer `sends` is unpublished.
    pub sections: Vec<OfferedSection>,
}

/// One audio or video section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSection {
    /// `a=mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// Common payload types in the client's order.
    pub payloads: Vec<NegotiatedPayload>,
    /// What the client sends on it; `None` when it is receive-only, inactive or stopped.
    pub sends: Option<OfferedStream>,
    /// `sends` is new: the section is new, did not send before, or carries another track id.
    pub started: bool,
    /// The client can receive on it.
    pub receives: bool,
    /// Track we have bound to it.
    pub assigned: Option<String>,
}

/// What a client sends on a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedStream {
    /// First token of `a=msid`; `None` when absent or `-`.
    pub stream_id: Option<String>,
    /// Second token of `a=msid`, or the only one: the `cid` of `AddTrackRequest`, unless the stack changed it.
    pub track_id: Option<String>,
    /// Simulcast layers in the order of `a=simulcast:send`; empty when the section is not simulcast.
    pub layers: Vec<OfferedLayer>,
    /// Declared media SSRCs without RTX ones, in order; empty when only the mid and rid extensions identify streams.
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
}

/// A simulcast layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedLayer {
    /// `a=rid`.
    pub rid: Rid,
    /// Written with `~`: not sent at the start. Accepted all the same.
    pub paused: bool,
}

/// How to answer one section the client sends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishChoice {
    /// Codec to put first: of the matched `AddTrackRequest`.
    pub codec: Option<Codec>,
    /// `TF_STEREO`: `stereo=1;maxaveragebitrate=510000`.
    pub stereo: bool,
    /// Not `TF_NO_DTX`: `usedtx=1`.
    pub dtx: bool,
    /// False when the track disables RED.
    pub red: bool,
}

impl Default for PublishChoice {
    fn default() -> Self {
        Self { codec: None, stereo: false, dtx: true, red: true }
    }
}

/// Choices by mid; sections without an entry are answered with the default.
pub type AnswerChoices = BTreeMap<Mid, PublishChoice>;

/// An answer to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// SDP text.
    pub sdp: String,
    /// `SessionDescription.mid_to_track_id`: the sections we send on.
    pub mid_to_track_id: BTreeMap<String, String>,
    /// Audio and video sections in order.
    pub sections: Vec<AnsweredSection>,
}

/// One section of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredSection {
    /// `a=mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// The client may send on it: configure an up track when one is published.
    pub receiving: bool,
    /// Track we send on it. Absent too when the client accepts none of its codecs.
    pub sending: Option<String>,
    /// Negotiated payload types by preference; the first is what the client sends. Empty when the section is rejected.
    pub payloads: Vec<NegotiatedPayload>,
}

/// Numbers of audio and video sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SectionCounts {
    /// Audio.
    pub audios: u32,
    /// Video.
    pub videos: u32,
}

/// Negotiation state of a connection on which the client offers. Lives as long as the peer connection.
#[derive(Debug)]
pub struct Answerer {
    config: AnswererConfig,
    tracks: Vec<SendTrack>,
    dirty: bool,
}

impl Answerer {
    /// A connection without sections.
    #[must_use]
    pub fn new(config: AnswererConfig) -> Self {
        Self { config, tracks: Vec::new(), dirty: false }
    }

    /// Reads an offer. State changes only in [`Answerer::answer`], which must follow; a newer offer replaces an
    /// unanswered one.
    ///
    /// # Errors
    /// [`SdpError`]; the state is unchanged.
    pub fn apply_offer(&mut self, sdp: &str) -> Result<Offer, SdpError> {
        let _ = SessionDescription::parse(sdp)?;
        Err(SdpError::Unsupported("offers"))
    }

    /// Answers the last offer: binds waiting tracks to free sections and writes the SDP.
    ///
    /// # Errors
    /// [`SdpError::State`] when there is no offer to answer.
    pub fn answer(&mut self, _local: &LocalTransport, _choices: &AnswerChoices) -> Result<Answer, SdpError> {
        self.dirty = false;
        Err(SdpError::State("no offer to answer"))
    }

    /// Adds a track to send (single connection). It is bound to a section the client receives on by the next answer;
    /// until then it waits. Replaces a track of the same sid, keeping its section.
    pub fn add_track(&mut self, track: SendTrack) {
        self.remove_track(&track.track_sid);
        self.tracks.push(track);
        self.dirty = true;
    }

    /// Stops sending a track: its section is inactive from the next answer on, then free for another track.
    /// Returns whether it was known.
    pub fn remove_track(&mut self, track_sid: &str) -> bool {
        let before = self.tracks.len();
        self.tracks.retain(|t| t.track_sid != track_sid);
        let removed = before != self.tracks.len();
        self.dirty |= removed;
        removed
    }

    /// What to send as `media_sections_requirement`, if anything: `Some` when tracks were added, changed or removed
    /// since the last answer and the client has not been asked yet. Counts are the sections to add beyond those already
    /// free or asked for, `{0, 0}` when an offer alone is enough. Calling it marks them as asked for.
    pub fn take_requirement(&mut self) -> Option<SectionCounts> {
        if self.config.single_connection && std::mem::take(&mut self.dirty) {
            Some(SectionCounts::default())
        } else {
            None
        }
    }

    /// Forgets what the client was asked for, after it did not react.
    pub fn reset_requirement(&mut self) {
        self.dirty = true;
    }

    /// Tracks without a section.
    #[must_use]
    pub fn missing_sections(&self) -> SectionCounts {
        SectionCounts::default()
    }

    /// Section a track is bound to.
    #[must_use]
    pub fn mid_of(&self, _track_sid: &str) -> Option<Mid> {
        None
    }

    /// Mid to track sid of the sections we send on.
    #[must_use]
    pub fn mid_to_track_id(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
