//! Connections on which we offer.

use crate::codecs::{ClientQuirks, CodecTable, Use};
use crate::error::SdpError;
use crate::negotiate::{common_payloads, media_kind, merge_extensions, remote_transport};
use crate::offer_build::{data_section, inactive_section, send_section, stopped_section};
use crate::payload::{CodecSpec, NegotiatedPayload};
use crate::session::{Origin, SessionDescription, Setup};
use crate::track::SendTrack;
use crate::transport::{LocalTransport, RemoteTransport};
use crate::transport_write::write_transport;
use bedrud_rtp::{ExtensionMap, MediaKind, Mid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most sections of one connection.
const MAX_SECTIONS: usize = 512;

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
    /// Id of the offer it answers.
    pub offer_id: u32,
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
    /// Accepted payload types in our order of preference; empty when the client rejected the section or does not
    /// receive on it.
    pub payloads: Vec<NegotiatedPayload>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In no offer under this mid.
    Fresh,
    /// Offered; another track may not take it yet.
    Used,
    /// Inactive in a completed negotiation: free for another track.
    Idle,
    /// To be offered with port 0.
    Stopping,
    /// Port 0 in a completed negotiation: its place is free for a section with a new mid.
    Stopped,
}

#[derive(Debug)]
struct Slot {
    mid: Mid,
    /// `None` for the data channel section.
    kind: Option<MediaKind>,
    state: State,
    track: Option<SendTrack>,
    /// Codecs last offered, kept so that an inactive section stays well-formed.
    codecs: Vec<CodecSpec>,
    /// Mid of the stopped section whose place a fresh one has taken.
    replaced: Option<Mid>,
}

/// What an offer said of one slot.
#[derive(Debug)]
struct Offered {
    mid: Mid,
    track: Option<(String, MediaKind, Vec<CodecSpec>)>,
    stopped: bool,
}

#[derive(Debug)]
struct InFlight {
    text: OfferText,
    slots: Vec<Offered>,
}

/// Negotiation state of a connection on which we offer. Lives as long as the peer connection.
#[derive(Debug)]
pub struct Offerer {
    config: OffererConfig,
    slots: Vec<Slot>,
    next_mid: u32,
    next_id: u32,
    version: u64,
    in_flight: Option<InFlight>,
    dirty: bool,
}

impl Offerer {
    /// A connection with a data channel section only. The first offer is due at once.
    #[must_use]
    pub fn new(config: OffererConfig) -> Self {
        let next_id = config.first_offer_id;
        let mut out = Self {
            config,
            slots: Vec::new(),
            next_mid: 0,
            next_id,
            version: 0,
            in_flight: None,
            dirty: true,
        };
        let data = out.fresh_slot(None, None);
        out.slots.extend(data);
        out
    }

    fn fresh_slot(&mut self, kind: Option<MediaKind>, replaced: Option<Mid>) -> Option<Slot> {
        let mid = Mid::new(&self.next_mid.to_string())?;
        self.next_mid = self.next_mid.checked_add(1)?;
        Some(Slot { mid, kind, state: State::Fresh, track: None, codecs: Vec::new(), replaced })
    }

    /// Adds a track and returns its section, which the next offer contains. A track of the same sid is replaced and
    /// keeps its section.
    ///
    /// # Errors
    /// [`SdpError::TooMany`] when the connection has no room for another section.
    pub fn add_track(&mut self, track: SendTrack) -> Result<Mid, SdpError> {
        if let Some(slot) = self.slot_of(&track.track_sid) {
            if slot.track.as_ref() != Some(&track) {
                slot.track = Some(track);
                let mid = slot.mid;
                self.dirty = true;
                return Ok(mid);
            }
            return Ok(slot.mid);
        }
        let kind = Some(track.kind);
        let position =
            |state| self.slots.iter().position(|s| s.kind == kind && s.state == state && s.track.is_none());
        let (idle, stopped) = (position(State::Idle), position(State::Stopped));
        if idle.is_none() && stopped.is_none() && self.slots.len() >= MAX_SECTIONS {
            return Err(SdpError::TooMany { what: "media sections", limit: MAX_SECTIONS });
        }
        let mid_space = SdpError::TooMany { what: "media section ids", limit: usize::MAX };
        let index = match (idle, stopped) {
            (Some(index), _) => {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.state = State::Used;
                }
                index
            }
            (None, Some(index)) => {
                let replaced = self.slots.get(index).map(|s| s.mid);
                let fresh = self.fresh_slot(kind, replaced).ok_or(mid_space.clone())?;
                if let Some(slot) = self.slots.get_mut(index) {
                    *slot = fresh;
                }
                index
            }
            (None, None) => {
                let fresh = self.fresh_slot(kind, None).ok_or(mid_space.clone())?;
                self.slots.push(fresh);
                self.slots.len().saturating_sub(1)
            }
        };
        self.dirty = true;
        let slot = self.slots.get_mut(index).ok_or(mid_space)?;
        slot.track = Some(track);
        Ok(slot.mid)
    }

    /// Removes a track: its section is inactive in the next offer, or gone when no offer has carried it yet.
    /// Returns whether it was known.
    pub fn remove_track(&mut self, track_sid: &str) -> bool {
        let Some(index) = self.slots.iter().position(|s| s.is_of(track_sid)) else { return false };
        let reuse = self.config.quirks.reuse_sections;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.track = None;
            match (slot.state, slot.replaced.take()) {
                (State::Fresh, Some(mid)) => {
                    slot.mid = mid;
                    slot.state = State::Stopped;
                }
                // Never offered, so neither was anything behind it: the place itself goes.
                (State::Fresh, None) => {
                    self.slots.remove(index);
                }
                (State::Used, _) if !reuse => slot.state = State::Stopping,
                _ => {}
            }
        }
        self.dirty = true;
        true
    }

    fn slot_of(&mut self, track_sid: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| s.is_of(track_sid))
    }

    /// Section of a track.
    #[must_use]
    pub fn mid_of(&self, track_sid: &str) -> Option<Mid> {
        self.slots.iter().find(|s| s.is_of(track_sid)).map(|s| s.mid)
    }

    /// Asks for another offer though no track changed: an ICE restart with new local credentials.
    pub const fn request_offer(&mut self) {
        self.dirty = true;
    }

    /// Something changed that no offer carries yet.
    #[must_use]
    pub const fn needs_offer(&self) -> bool {
        self.dirty
    }

    /// The offer that waits for its answer, to be sent again after a signalling resume.
    #[must_use]
    pub fn in_flight(&self) -> Option<&OfferText> {
        self.in_flight.as_ref().map(|f| &f.text)
    }

    /// Writes the next offer.
    ///
    /// # Errors
    /// [`SdpError::State`] while an offer is in flight.
    pub fn create_offer(&mut self, local: &LocalTransport) -> Result<OfferText, SdpError> {
        if self.in_flight.is_some() {
            return Err(SdpError::State("an offer is in flight"));
        }
        let table = &self.config.codecs;
        let mut out = SessionDescription { extmap_allow_mixed: true, ..SessionDescription::default() };
        let mut offered = Vec::new();
        for slot in &mut self.slots {
            let stopped = matches!(slot.state, State::Stopping | State::Stopped);
            if let Some(track) = &slot.track {
                slot.codecs.clone_from(&track.codecs);
            }
            let section = match (slot.kind, &slot.track) {
                (None, _) => data_section(slot.mid),
                (Some(kind), _) if stopped => stopped_section(slot.mid, kind, &slot.codecs, table),
                (Some(_), Some(track)) => send_section(slot.mid, track, table, &self.config.quirks),
                (Some(kind), None) => inactive_section(slot.mid, kind, &slot.codecs, table),
            };
            if !section.is_rejected() {
                out.bundle.push(slot.mid);
            }
            out.media.push(section);
            let track = slot.track.as_ref().filter(|_| !stopped);
            let track = track.map(|t| (t.track_sid.clone(), t.kind, t.codecs.clone()));
            offered.push(Offered { mid: slot.mid, track, stopped });
            if slot.state == State::Fresh {
                slot.state = State::Used;
                slot.replaced = None;
            }
        }
        self.version = self.version.saturating_add(1);
        let origin =
            Origin { username: "-".into(), session_id: self.config.session_id, version: self.version };
        write_transport(&mut out, local, Setup::ActPass, origin);
        let mid_to_track_id =
            offered.iter().filter_map(|o| Some((o.mid.to_string(), o.track.as_ref()?.0.clone()))).collect();
        let text = OfferText { id: self.next_id, sdp: out.to_string(), mid_to_track_id };
        // 0 means "no id" to clients.
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.in_flight = Some(InFlight { text: text.clone(), slots: offered });
        self.dirty = false;
        Ok(text)
    }

    /// Reads the answer to the offer in flight.
    ///
    /// # Errors
    /// [`SdpError`]; the offer stays in flight.
    pub fn apply_answer(&mut self, sdp: &str) -> Result<AnswerSummary, SdpError> {
        let in_flight = self.in_flight.as_ref().ok_or(SdpError::State("no offer in flight"))?;
        let description = SessionDescription::parse(sdp)?;
        if description.media.len() != in_flight.slots.len() {
            return Err(SdpError::Inconsistent(
                "the answer has another number of media sections than the offer",
            ));
        }
        let mut pairs = description.media.iter().zip(&in_flight.slots);
        if pairs.any(|(section, offered)| section.mid.is_some_and(|mid| mid != offered.mid)) {
            return Err(SdpError::Inconsistent("the answer's mids are not the offer's"));
        }
        let transport = remote_transport(&description, Setup::Active)?;
        let table = &self.config.codecs;
        let mut extensions = ExtensionMap::default();
        let mut sections = Vec::new();
        for ((section, offered), slot) in description.media.iter().zip(&in_flight.slots).zip(&mut self.slots)
        {
            let refused = section.is_rejected() && slot.kind.is_some();
            slot.state = match slot.state {
                // Its place was given away while this offer was in flight.
                state if slot.mid != offered.mid => state,
                _ if refused => State::Stopped,
                // It carried no track in this offer and still carries none.
                State::Used if offered.track.is_none() && !offered.stopped && slot.track.is_none() => {
                    State::Idle
                }
                state => state,
            };
            let Some((track_sid, kind, codecs)) = &offered.track else { continue };
            let mut payloads = Vec::new();
            if !refused && section.direction.receives() && media_kind(section).is_some() {
                let wanted = table.extensions(*kind, Use::Subscribe, false);
                merge_extensions(section, &wanted, &mut extensions);
                let accepted = common_payloads(section, table, &self.config.quirks, Use::Subscribe);
                payloads.extend(
                    codecs.iter().filter_map(|spec| accepted.iter().find(|p| p.spec() == *spec)).copied(),
                );
            }
            sections.push(AcceptedSection {
                mid: offered.mid,
                track_sid: track_sid.clone(),
                kind: *kind,
                payloads,
            });
        }
        let offer_id = in_flight.text.id;
        self.in_flight = None;
        Ok(AnswerSummary { offer_id, transport, extensions, sections })
    }
}

impl Slot {
    fn is_of(&self, track_sid: &str) -> bool {
        self.track.as_ref().is_some_and(|t| t.track_sid == track_sid)
    }
}
