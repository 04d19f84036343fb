//! A participant of another room, shown here with its tracks (ForwardParticipant). It has no connection of its own: the
//! hub keeps it in line with the original. Its tracks name the original's streams, which a shard forwards to any transport
//! it has, or what arrives of them over a relay from another shard.

use super::track::{Demand, Feed, Published};
use super::updates::Audience;
use super::visibility::Sight;
use super::{Client, Farewell, Participant, Publisher, Room};
use crate::context::Cx;
use crate::ids::{Pid, RoomKey, Sid, sid};
use crate::io::RoomEvent;
use crate::join_params::JoinParams;
use crate::relay::Relay;
use bedrud_sdp::{Answerer, AnswererConfig};
use livekit_protocol::participant_info::{KindDetail, State};
use livekit_protocol::{DisconnectReason, TrackSubscribed, signal_response};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Published {
    /// The same stream in another room. Of what a relay does not carry nothing can be subscribed to.
    fn lent(&self, relay: Option<&Relay>) -> Self {
        let here = |feed: &Feed| Feed {
            config: relay.and_then(|r| r.arriving(feed.config.id)).unwrap_or(&feed.config).clone(),
            ..feed.clone()
        };
        Self {
            primary: here(&self.primary),
            backups: self.backups.iter().map(here).collect(),
            subscribers: BTreeSet::new(),
            reported: true,
            noticed: false,
            dynacast: super::track::Dynacast::default(),
            borrowed: true,
            elsewhere: BTreeMap::new(),
            ..self.clone()
        }
    }
}

impl Room {
    /// Nobody here has a transport, so the room may still change its shard.
    pub(crate) fn is_unbound(&self) -> bool {
        self.participants.is_empty()
    }

    /// Shows a participant of another room.
    pub(crate) fn show(
        &mut self,
        cx: &mut Cx<'_>,
        from: RoomKey,
        source: &Participant,
        relay: Option<&Relay>,
    ) -> Pid {
        let mut claims = source.claims.clone();
        let detail = KindDetail::Forwarded.as_str_name().to_ascii_lowercase();
        claims.kind_details.push(detail);
        let client = Client::new(source.client.info.clone());
        let answerer = Answerer::new(AnswererConfig {
            codecs: cx.codecs.clone(),
            quirks: client.quirks(),
            single_connection: true,
            session_id: 0,
        });
        let params = JoinParams { claims, single_pc: true, ..JoinParams::default() };
        let publisher = Publisher { link: None, answerer };
        let sid = sid(cx.rng, "PA_");
        let mut shown = Participant::new(cx, sid, None, &params, client, publisher, false);
        shown.origin = Some((from, source.pid));
        shown.state = State::Active;
        shown.permission = source.permission.clone();
        let pid = self.admit(cx, shown);
        self.announce(cx, pid, Audience::Others, true);
        if let Some(p) = self.get(pid) {
            let participant = p.info(&cx.config.region);
            cx.event(RoomEvent::ParticipantJoined { id: self.id.clone(), room: self.info(), participant });
        }
        self.mirror(cx, pid, source, relay);
        pid
    }

    /// Ends the showing.
    pub(crate) fn end_showing(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.remove(cx, pid, DisconnectReason::ClientInitiated, Farewell::Silent);
    }

    /// Brings a shown participant in line with the original.
    pub(crate) fn mirror(&mut self, cx: &mut Cx<'_>, pid: Pid, source: &Participant, relay: Option<&Relay>) {
        let Some(p) = self.get(pid) else { return };
        let ended: Vec<Sid> = p.tracks.keys().filter(|t| !source.tracks.contains_key(*t)).cloned().collect();
        for track in &ended {
            self.drop_track(cx, pid, track);
        }
        let Some(p) = self.get_mut(pid) else { return };
        let same_rules = match (&p.audience, &source.audience) {
            (Some(own), Some(original)) => Arc::ptr_eq(own, original),
            (own, original) => own.is_none() && original.is_none(),
        };
        let sight = Sight::of(p, source.hidden());
        if sight == Sight::Vanishes {
            self.vanish(cx, pid);
        }
        let Some(p) = self.get_mut(pid) else { return };
        let mut changed = !ended.is_empty() | copy_profile(p, source);
        let mut started = Vec::new();
        let mut recoded = Vec::new();
        for (track, original) in &source.tracks {
            let lent = original.lent(relay);
            let Some(own) = p.tracks.get_mut(track) else {
                p.tracks.insert(track.clone(), lent);
                started.push(track.clone());
                continue;
            };
            let feeds = |t: &Published| -> Vec<_> { t.feeds().map(|f| (f.config.id, f.codec)).collect() };
            if own.regressed != lent.regressed || feeds(own) != feeds(&lent) {
                recoded.push(track.clone());
            }
            changed |= own.info != original.info;
            let told = (std::mem::take(&mut own.subscribers), own.noticed);
            *own = Published { subscribers: told.0, noticed: told.1, ..lent };
        }
        changed |= !started.is_empty();
        if changed {
            p.touch();
        }
        for track in &started {
            self.owners.insert(track.clone(), pid);
        }
        if changed {
            self.announce(cx, pid, Audience::Others, true);
            self.mark_counters(cx);
        }
        if sight == Sight::Appears {
            self.appear(cx, pid);
        }
        for track in &recoded {
            self.refresh_codecs(cx, pid, track);
            self.route_all(cx, track);
        }
        for track in &started {
            let described = self
                .get(pid)
                .and_then(|p| Some((p.info(&cx.config.region), p.tracks.get(track)?.info.clone())));
            if let Some((participant, track)) = described {
                cx.event(RoomEvent::TrackPublished { room: self.info(), participant, track });
            }
            self.offer_track(cx, pid, track);
        }
        if !same_rules {
            self.refresh_audience(cx, pid);
        }
        self.mark_viewers(cx);
    }

    /// What changes without the original's description changing.
    pub(crate) fn mirror_activity(&mut self, cx: &mut Cx<'_>, pid: Pid, source: &Participant) {
        self.show_speaking(cx, pid, source.speaking);
        let Some(p) = self.get_mut(pid) else { return };
        for (track, original) in &source.tracks {
            if let Some(own) = p.tracks.get_mut(track) {
                own.score = original.score;
            }
        }
    }

    /// Tracks of a shown participant, with what is watched of them and whether anybody ever received them.
    pub(crate) fn demands_on(&self, pid: Pid) -> Vec<(Sid, Demand, bool)> {
        let Some(p) = self.get(pid) else { return Vec::new() };
        p.tracks.iter().map(|(track, t)| (track.clone(), self.demand(track, t), t.noticed)).collect()
    }

    /// Takes in what another room, to which a track is forwarded, wants of it.
    pub(crate) fn set_demand_elsewhere(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        track: &str,
        room: RoomKey,
        demand: Demand,
        noticed: bool,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        let knows = p.client.knows_new_messages();
        let Some(t) = p.tracks.get_mut(track) else { return };
        if noticed && !std::mem::replace(&mut t.noticed, true) && knows {
            let message = TrackSubscribed { track_sid: track.to_owned() };
            p.send(cx, signal_response::Message::TrackSubscribed(message));
        }
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        let nothing = demand.iter().all(|(_, quality)| quality.is_none());
        let before = t.elsewhere.remove(&room).unwrap_or_default();
        let changed = if nothing {
            !before.is_empty()
        } else {
            let changed = before != demand;
            t.elsewhere.insert(room, demand);
            changed
        };
        if changed {
            self.weigh_demand(cx, track);
        }
    }

    /// A track is not forwarded to that room any more.
    pub(crate) fn forget_demand_elsewhere(&mut self, cx: &mut Cx<'_>, pid: Pid, room: RoomKey) {
        let Some(p) = self.get(pid) else { return };
        for track in p.tracks.keys().cloned().collect::<Vec<_>>() {
            self.set_demand_elsewhere(cx, pid, &track, room, Vec::new(), false);
        }
    }
}

/// True when others see a difference.
fn copy_profile(p: &mut Participant, source: &Participant) -> bool {
    fn copy<T: Clone + PartialEq>(own: &mut T, original: &T) -> bool {
        let differs = own != original;
        if differs {
            own.clone_from(original);
        }
        differs
    }
    p.audience.clone_from(&source.audience);
    copy(&mut p.claims.name, &source.claims.name)
        | copy(&mut p.claims.metadata, &source.claims.metadata)
        | copy(&mut p.claims.attributes, &source.claims.attributes)
        | copy(&mut p.permission, &source.permission)
        | copy(&mut p.is_publisher, &source.is_publisher)
}
