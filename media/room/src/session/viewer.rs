//! What a WHEP player receives: tracks of the room on media sections that were negotiated once, for whatever comes.

use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::one_shot::PlayWish;
use crate::room::{Participant, Place, Room};
use crate::timers::Timer;
use bedrud_rtp::{Codec, MediaKind};
use bedrud_sdp::{AnsweredSection, CodecSpec, CodecTable, NegotiatedPayload, Offer, SendTrack};
use livekit_protocol::TrackSource;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes in the room are collected for this long.
const SETTLE: Duration = Duration::from_millis(10);

/// A player's sections and what is on them.
#[derive(Debug)]
pub(crate) struct Viewer {
    wish: PlayWish,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    track: Option<Sid>,
    /// Tracks that turned out to be in a codec the section has not.
    refused: BTreeSet<Sid>,
}

/// A track that could be shown.
#[derive(Debug)]
struct OnShow {
    track: Sid,
    owner: Pid,
    identity: String,
    kind: MediaKind,
    /// Everything it may be sent in.
    codecs: Vec<CodecSpec>,
    muted: bool,
    /// Loudness, in eighths. A publisher that sends no audio levels counts as barely audible all the time.
    level: u8,
    /// Rises with each publication.
    order: u64,
}

impl Viewer {
    pub(super) const fn new(wish: PlayWish) -> Self {
        Self { wish, slots: Vec::new() }
    }

    fn wants(&self, track: &OnShow) -> bool {
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        listed(&self.wish.participants, &track.identity) && listed(&self.wish.tracks, &track.track)
    }
}

impl Slot {
    fn takes(&self, track: &OnShow) -> bool {
        self.place.send.kind == track.kind
            && !self.refused.contains(&track.track)
            && self.place.payloads.iter().any(|p| track.codecs.contains(&p.spec()))
    }
}

impl Room {
    /// Gives every section the player receives on a stream of its own before the offer is answered.
    pub(super) fn prepare_viewer(&mut self, cx: &mut Cx<'_>, pid: Pid, offer: &Offer) {
        let tracks = self.participants.values().flat_map(|p| p.tracks.values());
        let published: Vec<CodecSpec> = tracks.flat_map(|t| t.send_codecs(cx.codecs)).collect();
        let room_sid = self.info.sid.clone();
        let Some(p) = self.get_mut(pid) else { return };
        let mut numbers: BTreeMap<MediaKind, u32> = BTreeMap::new();
        for section in offer.sections.iter().filter(|s| s.receives && !s.payloads.is_empty()) {
            let number = numbers.entry(section.kind).or_default();
            let video = section.kind == MediaKind::Video;
            let mut codecs: Vec<CodecSpec> = section.payloads.iter().map(NegotiatedPayload::spec).collect();
            // Simple players decode the first one only: let it be one that is in use.
            codecs.sort_by_key(|c| (c.codec == Codec::Red, !published.contains(c)));
            let send = SendTrack {
                // The n-th audio and the n-th video section are one stream: players show its first.
                participant_sid: "whep".to_owned(),
                stream_name: Some(number.to_string()),
                track_sid: format!("{}{number}", if video { "video" } else { "audio" }),
                kind: section.kind,
                codecs,
                ssrc: p.take_ssrc(cx),
                rtx_ssrc: video.then(|| p.take_ssrc(cx)),
                cname: room_sid.clone(),
                stereo: false,
            };
            *number += 1;
            p.publisher.answerer.add_track(send.clone());
            if let Some(viewer) = p.one_shot.as_mut().and_then(|o| o.viewer.as_mut()) {
                let place = Place { send, mid: section.mid, payloads: Vec::new() };
                viewer.slots.push(Slot { place, track: None, refused: BTreeSet::new() });
            }
        }
    }

    /// Takes over what the answer says about the sections, and fills them.
    pub(super) fn place_viewer(&mut self, cx: &mut Cx<'_>, pid: Pid, answered: &[AnsweredSection]) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(viewer) = p.one_shot.as_mut().and_then(|o| o.viewer.as_mut()) else { return };
        for slot in &mut viewer.slots {
            let sid = &slot.place.send.track_sid;
            if let Some(section) = answered.iter().find(|s| s.sending.as_ref() == Some(sid)) {
                slot.place.mid = section.mid;
                slot.place.payloads.clone_from(&section.payloads);
            }
        }
        viewer.slots.retain(|s| !s.place.payloads.is_empty());
        let limits = &cx.config.limits;
        let mut numbers: BTreeMap<MediaKind, usize> = BTreeMap::new();
        viewer.slots.retain(|s| {
            let max = match s.place.send.kind {
                MediaKind::Video => limits.subscriptions_video,
                MediaKind::Audio => limits.subscriptions_audio,
            };
            let number = numbers.entry(s.place.send.kind).or_default();
            *number += 1;
            max == 0 || *number <= max
        });
        self.viewers.insert(pid);
        let shown = self.on_show(cx.codecs);
        self.fill_viewer(cx, pid, &shown);
    }

    /// Something about the tracks of the room changed: look soon whether players should get others.
    pub(crate) fn mark_viewers(&self, cx: &mut Cx<'_>) {
        if !self.viewers.is_empty() {
            cx.arm_timer(self.key, None, Timer::Viewers, SETTLE);
        }
    }

    pub(crate) fn fill_viewers(&mut self, cx: &mut Cx<'_>) {
        let shown = self.on_show(cx.codecs);
        for pid in self.viewers.iter().copied().collect::<Vec<_>>() {
            self.fill_viewer(cx, pid, &shown);
        }
    }

    /// A section cannot carry this track after all.
    pub(crate) fn refuse_for_viewer(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(viewer) = p.one_shot.as_mut().and_then(|o| o.viewer.as_mut()) else { return };
        for slot in viewer.slots.iter_mut().filter(|s| s.track.as_deref() == Some(track)) {
            slot.refused.extend(slot.track.take());
        }
        self.mark_viewers(cx);
    }

    /// Tracks anybody may see. Encrypted ones are of no use without the key.
    fn on_show(&self, table: &CodecTable) -> Vec<OnShow> {
        let visible = self.participants.values().filter(|p| !p.hidden());
        let tracks = visible.flat_map(|p| p.tracks.iter().map(move |(sid, t)| (p, sid, t)));
        let show = |(p, sid, t): (&Participant, &Sid, &crate::room::Published)| {
            let speech = t.info.source != TrackSource::ScreenShareAudio as i32;
            let level = if t.info.muted || t.kind == MediaKind::Video {
                0
            } else if t.metered {
                if speech { p.speaking } else { 0 }
            } else {
                u8::from(t.primary.heard)
            };
            OnShow {
                track: sid.clone(),
                owner: p.pid,
                identity: p.identity().to_owned(),
                kind: t.kind,
                codecs: t.send_codecs(table),
                muted: t.info.muted,
                level,
                order: t.primary.config.id.0,
            }
        };
        tracks.filter(|(_, _, t)| !t.encrypted()).map(show).collect()
    }

    fn fill_viewer(&mut self, cx: &mut Cx<'_>, pid: Pid, shown: &[OnShow]) {
        let viewer = self.get_mut(pid).and_then(|p| p.one_shot.as_mut()?.viewer.as_mut());
        for slot in viewer.into_iter().flat_map(|v| &mut v.slots).filter(|s| !s.refused.is_empty()) {
            slot.refused.retain(|track| shown.iter().any(|t| t.track == *track));
        }
        let Some(p) = self.get(pid) else { return };
        let Some(viewer) = p.one_shot.as_ref().and_then(|o| o.viewer.as_ref()) else { return };
        let may = |t: &&OnShow| {
            p.permission.can_subscribe
                && t.owner != pid
                && viewer.wants(t)
                && self.is_audience(t.owner, &t.track, pid)
        };
        let choice: Vec<&OnShow> = shown.iter().filter(may).collect();
        let carried = |slot: &Slot| {
            let track = slot.track.clone()?;
            p.is_carried(&track).then_some(track)
        };
        let before: Vec<Option<Sid>> = viewer.slots.iter().map(carried).collect();
        let after = assign(&viewer.slots, &choice, &before);
        let changes: Vec<(usize, Option<Sid>)> =
            after.into_iter().enumerate().filter(|(i, t)| before.get(*i) != Some(t)).collect();
        for (index, _) in &changes {
            if let Some(Some(old)) = before.get(*index) {
                self.unsubscribe(cx, pid, old);
            }
        }
        for (index, track) in changes {
            let slot =
                self.get_mut(pid).and_then(|p| p.one_shot.as_mut()?.viewer.as_mut()?.slots.get_mut(index));
            let Some(slot) = slot else { continue };
            slot.track.clone_from(&track);
            if let Some(track) = track {
                let place = slot.place.clone();
                self.carry(cx, pid, &track, &place);
            }
        }
    }
}

/// Decides what is on each section. What is there stays, unless it has nothing to show while something else has.
fn assign(slots: &[Slot], choice: &[&OnShow], before: &[Option<Sid>]) -> Vec<Option<Sid>> {
    let find =
        |sid: &Option<Sid>| sid.as_ref().and_then(|sid| choice.iter().find(|t| t.track == *sid).copied());
    let mut now: Vec<Option<&OnShow>> = before.iter().map(find).collect();
    let mut waiting: Vec<&OnShow> = choice.to_vec();
    // The loudest first, then what is not muted, then the newest.
    waiting.sort_by_key(|t| std::cmp::Reverse((t.level, !t.muted, t.order)));
    for track in waiting {
        if now.iter().flatten().any(|t| t.track == track.track) {
            continue;
        }
        let usable = slots.iter().zip(now.iter()).enumerate().filter(|(_, (slot, _))| slot.takes(track));
        let free = usable.clone().find(|(_, (_, held))| held.is_none());
        let weakest = || {
            let held = usable.clone().filter_map(|(i, (_, held))| held.map(|t| (i, t)));
            let poor = held.filter(|(_, t)| t.muted && !track.muted || t.level == 0 && track.level > 0);
            poor.min_by_key(|(_, t)| (!t.muted, t.order)).map(|(i, _)| i)
        };
        let index = free.map(|(i, _)| i).or_else(weakest);
        if let Some(slot) = index.and_then(|i| now.get_mut(i)) {
            *slot = Some(track);
        }
    }
    now.into_iter().map(|t| t.map(|t| t.track.clone())).collect()
}
