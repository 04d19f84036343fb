//! Connections on which the client offers.

use crate::answer::{self, Answer, AnswerChoices, AnsweredSection, PublishChoice};
use crate::codecs::{ClientQuirks, CodecTable, Use};
use crate::error::SdpError;
use crate::negotiate::{common_payloads, is_data_channel, media_kind, merge_extensions, remote_transport};
use crate::offer::{Offer, OfferedSection, OfferedStream};
use crate::requirement::{Requirement, SectionCounts};
use crate::session::{Direction, MediaSection, Origin, SessionDescription, Setup};
use crate::track::SendTrack;
use crate::transport::LocalTransport;
use crate::transport_write::write_transport;
use crate::work;
use bedrud_rtp::{Extension, ExtensionMap, MediaKind, Mid};
use std::collections::{BTreeMap, HashMap, HashSet};
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

/// One section of the last answered offer, in the order of its `m=` lines.
#[derive(Debug, Clone)]
struct Slot {
    mid: Option<Mid>,
    /// See [`MediaSection`].
    long_mid: Option<Box<str>>,
    kind: Option<MediaKind>,
    rejected: bool,
    /// Client can receive on it and does not send.
    receives: bool,
    /// Track id the client sent on it, in the last answered offer.
    published: Option<String>,
    publishes: bool,
    /// The client sent on it, no longer does, and cannot receive on it.
    ended: bool,
    /// Sid of the track the last answer sent on it. A section changes its track only through an inactive answer:
    /// browsers announce a track when the direction changes, not when its stream ids do.
    sent: Option<String>,
    /// Sid of the track bound to it.
    bound: Option<String>,
}

impl Slot {
    fn mid_text(&self) -> Option<&str> {
        self.long_mid.as_deref().or(self.mid.as_ref().map(Mid::as_str))
    }
}

#[derive(Debug)]
struct Waiting {
    description: SessionDescription,
    offer: Offer,
    /// Position in the offer's sections, by that in the description.
    entries: Vec<Option<usize>>,
    extmaps: HashMap<Mid, Vec<crate::session::ExtMap>>,
}

impl Waiting {
    /// What the offer says of the section at this position of the description.
    fn entry(&self, index: usize) -> Option<&OfferedSection> {
        work::step();
        self.offer.sections.get(self.entries.get(index).copied().flatten()?)
    }
}

/// Sections by their mid.
fn by_mid(slots: &[Slot]) -> HashMap<Mid, &Slot> {
    slots.iter().filter_map(|slot| Some((slot.mid?, slot))).collect()
}

#[derive(Debug)]
struct Track {
    config: SendTrack,
    /// Free sections exist, but the client has none of its codecs.
    unsupported: bool,
}

/// Negotiation state of a connection on which the client offers. Lives as long as the peer connection.
#[derive(Debug)]
pub struct Answerer {
    config: AnswererConfig,
    slots: Vec<Slot>,
    remote_ufrag: Option<String>,
    /// Whether we are the DTLS client, once answered.
    dtls_client: Option<bool>,
    version: u64,
    waiting: Option<Waiting>,
    tracks: Vec<Track>,
    requirement: Requirement,
}

impl Answerer {
    /// A connection without sections.
    #[must_use]
    pub fn new(config: AnswererConfig) -> Self {
        Self {
            config,
            slots: Vec::new(),
            remote_ufrag: None,
            dtls_client: None,
            version: 0,
            waiting: None,
            tracks: Vec::new(),
            requirement: Requirement::default(),
        }
    }

    /// Reads an offer. The negotiated state changes only in [`Answerer::answer`], which must follow; a newer offer
    /// replaces an unanswered one.
    ///
    /// # Errors
    /// [`SdpError`]; the state is unchanged and an earlier offer can still be answered.
    pub fn apply_offer(&mut self, sdp: &str) -> Result<Offer, SdpError> {
        let description = SessionDescription::parse(sdp)?;
        self.check_continuity(&description)?;
        let transport = remote_transport(&description, Setup::ActPass)?;
        let mut extensions = ExtensionMap::default();
        let mut extmaps = HashMap::new();
        let mut sections = Vec::new();
        let mut entries = vec![None; description.media.len()];
        let known = by_mid(&self.slots);
        for (section, entry) in description.media.iter().zip(&mut entries) {
            work::step();
            let (Some(kind), Some(mid)) = (media_kind(section), section.mid) else { continue };
            if section.is_rejected() || !section.bundled {
                continue;
            }
            let slot = known.get(&mid).copied();
            let sends = section.direction.sends().then(|| OfferedStream::of(section));
            let receives = section.direction.receives() && self.config.single_connection;
            let usage = if sends.is_none() && receives { Use::Subscribe } else { Use::Publish };
            // Browsers never again offer what an answer left out, in no section of that kind: on the only connection a
            // receiving section keeps what a later publishing one needs (rid for simulcast, above all).
            let single = self.config.single_connection;
            let mut wanted = self.config.codecs.extensions(kind, Use::Publish, single);
            if single {
                wanted.extend(self.config.codecs.extensions(kind, Use::Subscribe, single));
            }
            wanted.retain(|e| match e {
                Extension::Mid => section.long_mid.is_none(),
                Extension::Rid | Extension::RepairedRid => !section.long_rids,
                _ => true,
            });
            extmaps.insert(mid, merge_extensions(section, &wanted, &mut extensions));
            let started = sends
                .as_ref()
                .is_some_and(|stream| slot.is_none_or(|s| !s.publishes || s.published != stream.track_id));
            *entry = Some(sections.len());
            sections.push(OfferedSection {
                mid,
                kind,
                payloads: self.common(section, usage),
                sends,
                started,
                receives,
                assigned: slot.and_then(|s| s.bound.clone()).filter(|_| receives),
            });
        }
        let ice_restart = self.remote_ufrag.as_ref().is_some_and(|old| *old != transport.ice.ufrag);
        let offer = Offer { transport, ice_restart, extensions, sections };
        self.waiting = Some(Waiting { description, offer: offer.clone(), entries, extmaps });
        Ok(offer)
    }

    /// Sections never disappear, and keep their mid unless they were stopped (RFC 8829 section 5.2.2).
    fn check_continuity(&self, description: &SessionDescription) -> Result<(), SdpError> {
        if description.media.len() < self.slots.len() {
            return Err(SdpError::Inconsistent("fewer media sections than before"));
        }
        for (slot, section) in self.slots.iter().zip(&description.media) {
            if slot.mid != section.mid && !slot.rejected {
                return Err(SdpError::Inconsistent("a live section changed its mid"));
            }
        }
        if description.media.iter().any(|s| s.mid.is_none() && !s.is_rejected()) {
            return Err(SdpError::Missing("a=mid"));
        }
        Ok(())
    }

    fn common(&self, section: &MediaSection, usage: Use) -> Vec<crate::payload::NegotiatedPayload> {
        let mut out = common_payloads(section, &self.config.codecs, &self.config.quirks, usage);
        // Our answer switches NACK on for audio although clients do not offer it (they honour it all the same).
        for payload in out.iter_mut().filter(|p| p.codec.kind() == MediaKind::Audio) {
            payload.nack = true;
        }
        out
    }

    /// Answers the last offer: binds waiting tracks to free sections and writes the SDP.
    ///
    /// # Errors
    /// [`SdpError::State`] when there is no offer to answer.
    pub fn answer(&mut self, local: &LocalTransport, choices: &AnswerChoices) -> Result<Answer, SdpError> {
        let waiting = self.waiting.take().ok_or(SdpError::State("no offer to answer"))?;
        let before = std::mem::take(&mut self.slots);
        let added = self.take_slots(&waiting, &before);
        self.bind_tracks(&waiting);
        let mut out = SessionDescription {
            extmap_allow_mixed: waiting.description.extmap_allow_mixed,
            ..SessionDescription::default()
        };
        let mut sections = Vec::new();
        for (index, offered) in waiting.description.media.iter().enumerate() {
            let (mut section, answered) = self.answer_section(index, offered, &waiting, choices);
            section.long_mid.clone_from(&offered.long_mid);
            sections.extend(answered);
            out.media.push(section);
        }
        let live: HashSet<Mid> =
            out.media.iter().filter(|s| !s.is_rejected()).filter_map(|s| s.mid).collect();
        out.bundle = waiting.description.bundle.iter().copied().filter(|mid| live.contains(mid)).collect();
        self.version = self.version.saturating_add(1);
        let origin =
            Origin { username: "-".into(), session_id: self.config.session_id, version: self.version };
        // The role stays what the first answer made it.
        let client = *self.dtls_client.get_or_insert(waiting.offer.transport.dtls_server);
        write_transport(&mut out, local, if client { Setup::Active } else { Setup::Passive }, origin);
        self.remote_ufrag = Some(waiting.offer.transport.ice.ufrag.clone());
        self.requirement.answered(added);
        Ok(Answer {
            sdp: out.to_string(),
            mid_to_track_id: self.mid_to_track_id(),
            extensions: waiting.offer.extensions,
            sections,
            unsupported: self
                .tracks
                .iter()
                .filter(|t| t.unsupported)
                .map(|t| t.config.track_sid.clone())
                .collect(),
        })
    }

    /// Takes over the sections of an offer; returns how many new ones the client can receive on.
    fn take_slots(&mut self, waiting: &Waiting, before: &[Slot]) -> SectionCounts {
        let mut added = SectionCounts::default();
        let known = by_mid(before);
        for (index, section) in waiting.description.media.iter().enumerate() {
            let offered = waiting.entry(index);
            let old = section.mid.and_then(|mid| known.get(&mid).copied());
            let receives = offered.is_some_and(|s| s.receives);
            let stream = offered.and_then(|s| s.sends.as_ref());
            let used = old.is_some_and(|s| s.publishes || s.ended);
            let slot = Slot {
                mid: section.mid,
                long_mid: section.long_mid.clone(),
                kind: offered.map(|s| s.kind),
                rejected: section.is_rejected(),
                receives,
                published: stream.and_then(|s| s.track_id.clone()),
                publishes: stream.is_some(),
                ended: used && stream.is_none() && !receives,
                sent: old.and_then(|s| s.sent.clone()),
                bound: old.and_then(|s| s.bound.clone()).filter(|_| receives),
            };
            if receives && old.is_none_or(|s| !s.receives) && stream.is_none() {
                added.add(slot.kind);
            }
            self.slots.push(slot);
        }
        added
    }

    /// Binds tracks without a section to free ones, in the order they were added.
    fn bind_tracks(&mut self, waiting: &Waiting) {
        for track in &mut self.tracks {
            track.unsupported = false;
            let sid = &track.config.track_sid;
            let fits = |index: usize| {
                waiting.entry(index).is_some_and(|s| answer::has_codec_of(&s.payloads, &track.config))
            };
            let mut slots = self.slots.iter_mut().enumerate();
            if let Some((index, bound)) = slots.find(|(_, s)| s.bound.as_ref() == Some(sid)) {
                if bound.publishes || fits(index) {
                    continue;
                }
                bound.bound = None;
            }
            let free = |(_, s): &(usize, &mut Slot)| {
                s.receives && !s.publishes && s.bound.is_none() && s.kind == Some(track.config.kind)
            };
            let mut refused = false;
            let mut chosen = None;
            for (index, slot) in self.slots.iter_mut().enumerate().filter(free) {
                if !fits(index) {
                    refused = true;
                } else if slot.sent.is_none() {
                    chosen = Some(slot);
                    break;
                } else {
                    // Usable after this answer has made it inactive, also for the track it carried: a client that gave
                    // the track up hears of it again only when the direction changes.
                    refused = false;
                    break;
                }
            }
            match chosen {
                Some(slot) => slot.bound = Some(sid.clone()),
                None => track.unsupported = refused,
            }
        }
    }

    fn answer_section(
        &mut self,
        index: usize,
        offered: &MediaSection,
        waiting: &Waiting,
        choices: &AnswerChoices,
    ) -> (MediaSection, Option<AnsweredSection>) {
        let (Some(entry), Some(slot)) = (waiting.entry(index), self.slots.get_mut(index)) else {
            if let Some(mid) =
                offered.mid.filter(|_| !offered.is_rejected() && is_data_channel(offered) && offered.bundled)
            {
                return (answer::data_section(mid, &offered.protocol), None);
            }
            if let Some(slot) = self.slots.get_mut(index) {
                slot.rejected = true;
                slot.sent = None;
            }
            return (answer::rejected(offered), None);
        };
        // The first section of the bundle carries its transport: it stays.
        let is_tag = waiting.description.bundle.first() == Some(&entry.mid);
        if slot.ended && self.config.quirks.recycle_sections && !is_tag {
            slot.rejected = true;
            slot.sent = None;
            let answered = AnsweredSection {
                mid: entry.mid,
                kind: entry.kind,
                receiving: false,
                sending: None,
                payloads: Vec::new(),
            };
            return (answer::rejected(offered), Some(answered));
        }
        let table = &self.config.codecs;
        let choice = choices.get(&entry.mid).copied().unwrap_or_else(PublishChoice::default);
        let track =
            slot.bound.as_ref().and_then(|sid| self.tracks.iter().find(|t| t.config.track_sid == *sid));
        let usage = if entry.sends.is_none() && entry.receives { Use::Subscribe } else { Use::Publish };
        let payloads = match (&entry.sends, track) {
            (None, Some(track)) => answer::order_subscribed(&entry.payloads, &track.config),
            (None, None) => entry.payloads.clone(),
            (Some(_), _) => {
                let single = self.config.quirks.single_video_codec;
                answer::order_published(entry.payloads.clone(), table, &choice, single)
            }
        };
        let receiving = entry.sends.is_some() && !payloads.is_empty();
        slot.sent = track.filter(|_| !payloads.is_empty()).map(|t| t.config.track_sid.clone());
        slot.rejected = payloads.is_empty();
        let answered = AnsweredSection {
            mid: entry.mid,
            kind: entry.kind,
            receiving,
            sending: slot.sent.clone(),
            payloads,
        };
        if slot.rejected {
            return (answer::rejected(offered), Some(answered));
        }
        let extmap = waiting.extmaps.get(&entry.mid).cloned().unwrap_or_default();
        let mut out = answer::accepted(offered, Direction::new(slot.sent.is_some(), receiving), extmap);
        let mode = (usage, self.config.single_connection);
        answer::write_payloads(&mut out, offered, &answered.payloads, table, mode, &choice);
        if let Some(stream) = &entry.sends {
            answer::write_layers(&mut out, offered, stream);
        }
        if let Some(track) = track {
            answer::write_track(&mut out, &track.config, answered.payloads.iter().any(|p| p.rtx.is_some()));
        }
        (out, Some(answered))
    }

    /// Adds a track to send (single connection). The next answer binds it to a section the client receives on; until
    /// then it waits. A track of the same sid is replaced and keeps its section.
    pub fn add_track(&mut self, track: SendTrack) {
        let bound = self.mid_of(&track.track_sid).is_some();
        match self.tracks.iter_mut().find(|t| t.config.track_sid == track.track_sid) {
            Some(old) if old.config == track => {}
            Some(old) => {
                *old = Track { config: track, unsupported: false };
                if bound {
                    self.requirement.change();
                }
            }
            None => self.tracks.push(Track { config: track, unsupported: false }),
        }
    }

    /// Stops sending a track: its section is inactive from the next answer on, then free for another track.
    /// Returns whether it was known.
    pub fn remove_track(&mut self, track_sid: &str) -> bool {
        let before = self.tracks.len();
        self.tracks.retain(|t| t.config.track_sid != track_sid);
        if let Some(slot) = self.slots.iter_mut().find(|s| s.bound.as_deref() == Some(track_sid)) {
            slot.bound = None;
            self.requirement.change();
        }
        before != self.tracks.len()
    }

    /// What to send as `media_sections_requirement`, if anything: `Some` when tracks were added, changed or removed
    /// since the last answer and the client has not been asked yet. Counts are the sections to add beyond those free
    /// or asked for already, `{0, 0}` when an offer alone is enough. Calling it marks them as asked for.
    pub fn take_requirement(&mut self) -> Option<SectionCounts> {
        if !self.config.single_connection {
            return None;
        }
        let (waiting, free) = (self.waiting_tracks(), self.free_sections());
        self.requirement.take(waiting, free)
    }

    /// Forgets what the client was asked for, after it did not react.
    pub fn reset_requirement(&mut self) {
        self.requirement.reset();
    }

    /// Tracks without a section, beyond the free sections.
    #[must_use]
    pub fn missing_sections(&self) -> SectionCounts {
        self.waiting_tracks().minus(self.free_sections())
    }

    fn waiting_tracks(&self) -> SectionCounts {
        let mut out = SectionCounts::default();
        for track in
            self.tracks.iter().filter(|t| !t.unsupported && self.mid_of(&t.config.track_sid).is_none())
        {
            out.add(Some(track.config.kind));
        }
        out
    }

    fn free_sections(&self) -> SectionCounts {
        let mut out = SectionCounts::default();
        for slot in
            self.slots.iter().filter(|s| s.receives && !s.publishes && !s.rejected && s.bound.is_none())
        {
            out.add(slot.kind);
        }
        out
    }

    /// Section a track is bound to.
    #[must_use]
    pub fn mid_of(&self, track_sid: &str) -> Option<Mid> {
        self.slots.iter().find(|s| s.bound.as_deref() == Some(track_sid)).and_then(|s| s.mid)
    }

    /// Mid to track sid of the sections we send on, as in the last answer.
    #[must_use]
    pub fn mid_to_track_id(&self) -> BTreeMap<String, String> {
        self.slots.iter().filter_map(|s| Some((s.mid_text()?.to_owned(), s.sent.clone()?))).collect()
    }

    /// `a=mid` of a section as the client wrote it.
    #[must_use]
    pub fn mid_text(&self, mid: Mid) -> Option<&str> {
        self.slots.iter().find(|s| s.mid == Some(mid)).and_then(Slot::mid_text)
    }
}
