//! A session whose signalling is one offer and one answer (WHIP and WHEP): joining, ICE restarts, the end.

use super::publish::describe;
use super::viewer::Viewer;
use crate::context::Cx;
use crate::ids::{Pid, sid};
use crate::io::JoinError;
use crate::join_params::JoinParams;
use crate::one_shot::{OneShotOpened, OneShotReply, OneShotResult, OneShotRole};
use crate::room::{
    Audience, Client, Farewell, Link, Match, Participant, Pending, Publisher, Room, Unmatched,
};
use crate::timers::Timer;
use bedrud_rtp::{MediaKind, Mid};
use bedrud_sdp::{
    AnswerChoices, Answerer, AnswererConfig, Direction, IceFragment, Offer, PublishChoice, RemoteTransport,
    SectionKind, SessionDescription,
};
use bedrud_sfu::Command;
use livekit_protocol::participant_info::State;
use livekit_protocol::{AddTrackRequest, DisconnectReason, TrackSource, TrackType, VideoLayer, VideoQuality};
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A session whose ICE restarted while its path was dead has this long to come back.
const REVIVE: Duration = Duration::from_secs(20);

/// What a one-shot session has besides being a participant.
#[derive(Debug)]
pub(crate) struct OneShot {
    /// The client's side: its certificate stays when ICE restarts.
    remote: RemoteTransport,
    /// Section that carries the transport.
    tag: Option<(MediaKind, Mid)>,
    /// Sections the client sends on, published as far as it is allowed to.
    sections: BTreeMap<Mid, (TrackSource, Unmatched)>,
    /// Sections with stereo audio.
    stereo: BTreeSet<Mid>,
    /// What the client receives.
    pub(super) viewer: Option<Viewer>,
}

impl OneShot {
    /// Whether the client offered data channels.
    pub(crate) const fn has_channels(&self) -> bool {
        self.remote.sctp
    }
}

/// An offer that can be answered.
pub(crate) struct PreparedOffer {
    answerer: Answerer,
    offer: Offer,
    stereo: BTreeSet<Mid>,
}

impl PreparedOffer {
    /// Reads an offer without changing anything.
    pub(crate) fn read(
        cx: &mut Cx<'_>,
        params: &JoinParams,
        role: &OneShotRole,
        sdp: &str,
    ) -> Result<Self, JoinError> {
        let refuse = |text: String| JoinError::new(400, text);
        if sdp.len() > cx.config.limits.sdp {
            return Err(refuse("SDP offer is too large".to_owned()));
        }
        let bad = |error: bedrud_sdp::SdpError| refuse(format!("bad SDP offer: {error}"));
        let mut description = SessionDescription::parse(sdp).map_err(bad)?;
        let stereo = stereo_sections(&description);
        let plays = matches!(role, OneShotRole::Play(_));
        let rewritten = plays.then(|| {
            receive_only(&mut description);
            description.to_string()
        });
        let quirks = Client::new(params.client_info.clone()).quirks();
        let mut answerer = Answerer::new(AnswererConfig {
            codecs: cx.codecs.clone(),
            quirks,
            single_connection: plays,
            session_id: cx.rng.random::<u64>() >> 2,
        });
        let offer = answerer.apply_offer(rewritten.as_deref().unwrap_or(sdp)).map_err(bad)?;
        if offer.sections.len() > cx.config.limits.media_sections.min(cx.config.limits.published_tracks) {
            return Err(refuse("SDP offer has too many media sections".to_owned()));
        }
        let unacceptable = |text: String| JoinError::new(406, text);
        let enabled = cx.codecs.enabled_publish_codecs(&quirks);
        if !plays && let Some(reason) = super::whole::refusal(&description, &offer, &enabled) {
            return Err(unacceptable(format!("SDP offer cannot be accepted: {reason}")));
        }
        let used = |s: &bedrud_sdp::OfferedSection| if plays { s.receives } else { s.sends.is_some() };
        if !offer.sections.iter().any(used) {
            let verb = if plays { "receives" } else { "sends" };
            return Err(refuse(format!("SDP offer {verb} nothing")));
        }
        if !offer.sections.iter().any(|s| used(s) && !s.payloads.is_empty()) {
            let text = "SDP offer receives nothing in a codec that is enabled here";
            return Err(unacceptable(text.to_owned()));
        }
        Ok(Self { answerer, offer, stereo })
    }
}

/// Whatever a player offers to send is not wanted.
fn receive_only(description: &mut SessionDescription) {
    for section in description.media.iter_mut().filter(|s| matches!(s.kind, SectionKind::Media(_))) {
        section.direction = Direction::new(false, section.direction.receives());
        section.msids.clear();
        section.ssrcs.clear();
        section.ssrc_groups.clear();
        section.rids_send.clear();
        section.simulcast_send.clear();
    }
}

/// Sections whose Opus is announced as stereo (RFC 7587 section 6.1).
fn stereo_sections(description: &SessionDescription) -> BTreeSet<Mid> {
    let says = |fmtp: &str| fmtp.split(';').map(str::trim).any(|p| p == "sprop-stereo=1" || p == "stereo=1");
    let stereo = |s: &&bedrud_sdp::MediaSection| {
        let opus = |p: &&bedrud_sdp::PayloadFormat| p.name.eq_ignore_ascii_case("opus");
        s.payloads.iter().filter(opus).any(|p| p.fmtp.as_deref().is_some_and(says))
    };
    description.media.iter().filter(stereo).filter_map(|s| s.mid).collect()
}

impl Room {
    /// Takes a participant in and answers its offer. Limits and duplicates have been dealt with.
    pub(crate) fn open_one_shot(
        &mut self,
        cx: &mut Cx<'_>,
        params: &JoinParams,
        role: OneShotRole,
        prepared: PreparedOffer,
    ) -> Result<OneShotOpened, JoinError> {
        let PreparedOffer { answerer, offer, stereo } = prepared;
        let room_shard = self.shard;
        // Signalling never follows, so that everything it would time out is left alone.
        let mut settled = params.clone();
        settled.single_pc = true;
        settled.auto_subscribe = false;
        settled.auto_subscribe_data_track = false;
        settled.adaptive_stream = false;
        settled.subscriber_allow_pause = Some(false);
        let client = Client::new(settled.client_info.clone());
        let publisher = Publisher { link: None, answerer };
        let sid = sid(cx.rng, "PA_");
        let mut participant = Participant::new(cx, sid.clone(), None, &settled, client, publisher, false);
        participant.state = State::Joined;
        let viewer = match role {
            OneShotRole::Publish => None,
            OneShotRole::Play(wish) => Some(Viewer::new(wish)),
        };
        let plays = viewer.is_some();
        participant.one_shot = Some(Box::new(OneShot {
            remote: offer.transport.clone(),
            tag: None,
            sections: BTreeMap::new(),
            stereo,
            viewer,
        }));
        let pid = self.admit(cx, participant);
        let Some(link) = Link::open(cx, self.key, pid, room_shard, false) else {
            self.remove(cx, pid, DisconnectReason::JoinFailure, Farewell::Silent);
            return Err(JoinError::new(503, "no capacity for another connection"));
        };
        link.set_remote(cx, offer.transport.clone());
        let (id, local) = (link.id, link.local(cx));
        if let Some(p) = self.get_mut(pid) {
            p.publisher.link = Some(link);
        }
        cx.set_timer(self.key, Some(pid), Timer::Join, cx.config.timeouts.join);
        self.announce(cx, pid, Audience::Others, false);
        let choices = if plays {
            self.prepare_viewer(cx, pid, &offer);
            AnswerChoices::new()
        } else {
            self.publish_choices(pid, &offer)
        };
        let answer = self.get_mut(pid).map(|p| p.publisher.answerer.answer(&local, &choices));
        let Some(Ok(answer)) = answer else {
            self.remove(cx, pid, DisconnectReason::JoinFailure, Farewell::Silent);
            return Err(JoinError::new(500, "cannot answer the offer"));
        };
        cx.command(id.shard, Command::SetExtensions { id, map: answer.extensions });
        if let Some(one_shot) = self.get_mut(pid).and_then(|p| p.one_shot.as_mut()) {
            let live = answer.sections.iter().find(|s| !s.payloads.is_empty());
            one_shot.tag = live.map(|s| (s.kind, s.mid));
        }
        if plays {
            self.place_viewer(cx, pid, &answer.sections);
        } else {
            self.keep_sections(pid, offer, &answer.sections);
            self.publish_sections(cx, pid);
        }
        Ok(OneShotOpened {
            sid: sid.to_string(),
            answer: answer.sdp,
            ice_session: local.ice.ufrag,
            ice_servers: cx.config.ice_servers.clone(),
        })
    }

    fn publish_choices(&self, pid: Pid, offer: &Offer) -> AnswerChoices {
        let stereo = |mid: &Mid| {
            self.get(pid).and_then(|p| p.one_shot.as_ref()).is_some_and(|o| o.stereo.contains(mid))
        };
        let choice =
            |mid: &Mid| PublishChoice { stereo: stereo(mid), dtx: !stereo(mid), ..PublishChoice::default() };
        offer.sections.iter().map(|s| (s.mid, choice(&s.mid))).collect()
    }

    /// Remembers what the client sends. The first video section is its camera, a second one its screen, and likewise for
    /// audio.
    fn keep_sections(&mut self, pid: Pid, offer: Offer, answered: &[bedrud_sdp::AnsweredSection]) {
        let Some(one_shot) = self.get_mut(pid).and_then(|p| p.one_shot.as_mut()) else { return };
        let mut streams: BTreeMap<Mid, _> = offer.sections.into_iter().map(|s| (s.mid, s.sends)).collect();
        let (mut audios, mut videos) = (0, 0);
        for section in answered.iter().filter(|s| s.receiving && !s.payloads.is_empty()) {
            let Some(stream) = streams.remove(&section.mid).flatten() else { continue };
            let (count, first, more) = match section.kind {
                MediaKind::Audio => (&mut audios, TrackSource::Microphone, TrackSource::ScreenShareAudio),
                MediaKind::Video => (&mut videos, TrackSource::Camera, TrackSource::ScreenShare),
            };
            let source = if *count == 0 { first } else { more };
            *count += 1;
            let unmatched = Unmatched { kind: section.kind, stream, payloads: section.payloads.clone() };
            one_shot.sections.insert(section.mid, (source, unmatched));
        }
    }

    /// Publishes every section that is not, as far as the participant may: after the answer, and again when it is allowed
    /// more.
    pub(crate) fn publish_sections(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        let Some(one_shot) = p.one_shot.as_ref() else { return };
        let open =
            |mid: &Mid, source: TrackSource| p.may_publish(source as i32) && p.track_on(*mid).is_none();
        let sections = one_shot.sections.iter().filter(|(mid, (source, _))| open(mid, *source));
        let missing: Vec<_> =
            sections.map(|(mid, s)| (*mid, s.clone(), one_shot.stereo.contains(mid))).collect();
        let enabled = p.client.publish_codecs(cx.codecs);
        for (mid, (source, section), stereo) in missing {
            let request = request(mid, source, &section, stereo);
            let info = describe(&enabled, cx.rng, &request);
            self.publish(
                cx,
                pid,
                Match { pending: Pending { cid: request.cid, info, adds: None }, mid, section },
            );
        }
    }

    /// Candidates, or new credentials of the client: an ICE restart.
    pub(crate) fn patch_one_shot(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        if_match: &str,
        fragment: &str,
    ) -> OneShotResult {
        let gone = || JoinError::new(404, "session does not exist");
        let room = self.key;
        let p = self.get_mut(pid).ok_or_else(gone)?;
        let active = p.is_active();
        let one_shot = p.one_shot.as_mut().ok_or_else(gone)?;
        let link = p.publisher.link.as_mut().filter(|l| !l.closed).ok_or_else(gone)?;
        let current = link.local(cx).ice.ufrag;
        let any = if_match.trim() == "*";
        if !any && !entity_tags(if_match).any(|tag| tag == current) {
            return Err(JoinError::new(412, "the ICE session has been replaced"));
        }
        let fragment = IceFragment::parse(fragment)
            .map_err(|error| JoinError::new(400, format!("bad SDP fragment: {error}")))?;
        if !any || fragment.ice.ufrag == one_shot.remote.ice.ufrag {
            return Ok(OneShotReply::Trickled);
        }
        one_shot.remote.ice = fragment.ice;
        link.restart_ice(cx);
        link.set_remote(cx, one_shot.remote.clone());
        let local = link.local(cx);
        let silent = link.silent;
        let tag = one_shot.tag.and_then(|(kind, mid)| Some((kind, p.publisher.answerer.mid_text(mid)?)));
        let fragment = tag.map(|(kind, mid)| local.fragment(kind, mid)).unwrap_or_default();
        if silent && active {
            cx.cancel_timer(room, Some(pid), Timer::Failed);
            cx.set_timer(room, Some(pid), Timer::Resume, REVIVE);
        }
        Ok(OneShotReply::Restarted { fragment, ice_session: local.ice.ufrag })
    }

    pub(crate) fn close_one_shot(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::ClientInitiated, Farewell::Silent);
    }
}

/// `If-Match` as RFC 9110 writes it, and bare as some clients do.
fn entity_tags(if_match: &str) -> impl Iterator<Item = &str> {
    if_match.split(',').map(|tag| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
    })
}

/// What an SDK would have announced.
fn request(mid: Mid, source: TrackSource, section: &Unmatched, stereo: bool) -> AddTrackRequest {
    let video = section.kind == MediaKind::Video;
    let qualities: &[VideoQuality] = match section.stream.layers.len() {
        0 | 1 => &[VideoQuality::High],
        2 => &[VideoQuality::Low, VideoQuality::Medium],
        _ => &[VideoQuality::Low, VideoQuality::Medium, VideoQuality::High],
    };
    let layer = |q: &VideoQuality| VideoLayer { quality: *q as i32, ..VideoLayer::default() };
    let cid = section.stream.track_id.clone().filter(|id| id.len() <= 256);
    AddTrackRequest {
        cid: cid.unwrap_or_else(|| mid.to_string()),
        r#type: if video { TrackType::Video } else { TrackType::Audio } as i32,
        source: source as i32,
        layers: if video { qualities.iter().map(layer).collect() } else { Vec::new() },
        stereo: stereo && !video,
        disable_dtx: stereo && !video,
        ..AddTrackRequest::default()
    }
}
