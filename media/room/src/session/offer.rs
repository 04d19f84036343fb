//! The client offers: what it publishes, and in single-connection mode the room it has for what it receives.

use crate::context::Cx;
use crate::ids::{Pid, Sid};
use crate::room::{Farewell, Link, Match, Participant, Pending, Room, Unmatched};
use crate::timers::Timer;
use bedrud_rtp::Mid;
use bedrud_sdp::{Answer, AnswerChoices, Offer, OfferedSection};
use bedrud_sfu::Command;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{DisconnectReason, SessionDescription, signal_response};
use std::collections::BTreeMap;

/// What becomes of the sections a client sends on.
#[derive(Default)]
struct Plan {
    ended: Vec<Sid>,
    /// Further codecs of tracks that go on without them.
    ended_backups: Vec<(Sid, Mid)>,
    continued: BTreeMap<Mid, Sid>,
    started: BTreeMap<Mid, Pending>,
}

impl Room {
    pub(crate) fn on_offer(&mut self, cx: &mut Cx<'_>, pid: Pid, description: &SessionDescription) {
        let Some(p) = self.get_mut(pid) else { return };
        p.early_offer = None;
        if description.sdp.len() > cx.config.limits.sdp {
            tracing::info!(participant = %p.sid, bytes = description.sdp.len(), "offer is too large");
            self.negotiation_failed(cx, pid);
            return;
        }
        let offer = match p.publisher.answerer.apply_offer(&description.sdp) {
            Ok(offer) => offer,
            Err(error) => {
                tracing::info!(participant = %p.sid, %error, "offer refused");
                self.negotiation_failed(cx, pid);
                return;
            }
        };
        if offer.sections.len() > cx.config.limits.media_sections {
            self.negotiation_failed(cx, pid);
            return;
        }
        if !self.connect_publisher(cx, pid, &offer) {
            return;
        }
        let Some(p) = self.get_mut(pid) else { return };
        let plan = plan(p, &offer);
        for track in &plan.ended {
            self.unpublish(cx, pid, track);
        }
        for (track, mid) in &plan.ended_backups {
            self.drop_backup(cx, pid, track, *mid);
        }
        let Some(p) = self.get_mut(pid) else { return };
        let mut choices: AnswerChoices = plan.started.iter().map(|(mid, t)| (*mid, t.choice())).collect();
        for (mid, track) in &plan.continued {
            if let Some(t) = p.tracks.get(track) {
                choices.insert(*mid, t.choice(*mid));
            }
        }
        let Some(local) = p.publisher.link.as_ref().map(|l| l.local(cx)) else { return };
        let answer = match p.publisher.answerer.answer(&local, &choices) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(participant = %p.sid, %error, "cannot answer an offer");
                self.negotiation_failed(cx, pid);
                return;
            }
        };
        let reply = SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer.sdp.clone(),
            id: description.id,
            mid_to_track_id: answer.mid_to_track_id.clone().into_iter().collect(),
        };
        p.send(cx, signal_response::Message::Answer(reply));
        self.after_answer(cx, pid, offer, answer, plan);
    }

    /// Opens the transport, restarts its ICE when the client did, and hands over the client's side.
    fn connect_publisher(&mut self, cx: &mut Cx<'_>, pid: Pid, offer: &Offer) -> bool {
        let (room, shard) = (self.key, self.shard);
        let Some(p) = self.get_mut(pid) else { return false };
        let opened = p.publisher.link.is_none();
        if opened {
            p.publisher.link = Link::open(cx, room, pid, shard, p.tcp_only);
        }
        let Some(link) = p.publisher.link.as_mut().filter(|l| !l.closed) else {
            // The shard is full, or has given the connection up: an offer cannot revive it.
            let reason = if opened { DisconnectReason::JoinFailure } else { DisconnectReason::StateMismatch };
            let action = if opened { Action::Disconnect } else { Action::Reconnect };
            self.remove(cx, pid, reason, Farewell::Leave(action));
            return false;
        };
        if offer.ice_restart && !opened {
            link.restart_ice(cx);
        }
        link.set_remote(cx, offer.transport.clone());
        true
    }

    fn after_answer(&mut self, cx: &mut Cx<'_>, pid: Pid, offer: Offer, answer: Answer, mut plan: Plan) {
        let mut sections: BTreeMap<Mid, OfferedSection> =
            offer.sections.into_iter().map(|s| (s.mid, s)).collect();
        if let Some(id) = self.get(pid).and_then(|p| p.publisher.link.as_ref()).map(|l| l.id) {
            cx.command(id.shard, Command::SetExtensions { id, map: answer.extensions });
        }
        let mut received: Vec<(Mid, Unmatched)> = Vec::new();
        let mut sent = Vec::new();
        for section in answer.sections {
            if let Some(track) = section.sending {
                sent.push((track, section.mid, section.payloads.clone()));
            }
            let stream = sections.remove(&section.mid).and_then(|s| s.sends);
            if let Some(stream) = stream.filter(|_| section.receiving && !section.payloads.is_empty()) {
                let payloads = section.payloads;
                received.push((section.mid, Unmatched { kind: section.kind, stream, payloads }));
            }
        }
        for (mid, section) in received {
            if let Some(track) = plan.continued.get(&mid) {
                self.update_section(cx, pid, (track, mid), &section);
            } else if let Some(pending) = plan.started.remove(&mid) {
                self.publish(cx, pid, Match { pending, mid, section });
            } else if let Some(p) = self.get_mut(pid) {
                // A track that took the place of one that ended with this offer.
                let id = section.stream.track_id.clone().unwrap_or_default();
                match take_pending(p, |t| t.kind() == section.kind && t.has_cid(&id)) {
                    Some(pending) => self.publish(cx, pid, Match { pending, mid, section }),
                    None => drop(p.unmatched.insert(mid, section)),
                }
            }
        }
        if let Some(p) = self.get_mut(pid) {
            // Their sections were rejected: they keep waiting for better ones.
            p.pending.extend(plan.started.into_values());
        }
        if self.get(pid).is_some_and(|p| p.single_pc) {
            self.bind_answered(cx, pid, sent, &answer.unsupported);
        }
    }

    fn bind_answered(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        sent: Vec<(String, Mid, Vec<bedrud_sdp::NegotiatedPayload>)>,
        unsupported: &[String],
    ) {
        for (track, mid, payloads) in sent {
            self.bind(cx, pid, &track, mid, payloads);
        }
        for track in unsupported {
            self.codec_unsupported(cx, pid, track);
        }
        cx.cancel_timer(self.key, Some(pid), Timer::Answer);
        self.negotiate(cx, pid);
    }
}

/// Decides which tracks end, go on and start.
fn plan(p: &mut Participant, offer: &Offer) -> Plan {
    let mut plan = Plan::default();
    let present: Vec<Mid> = offer.sections.iter().filter(|s| s.sends.is_some()).map(|s| s.mid).collect();
    for (sid, t) in &p.tracks {
        if present.contains(&t.primary.config.mid) {
            let gone = t.backups.iter().map(|f| f.config.mid).filter(|mid| !present.contains(mid));
            plan.ended_backups.extend(gone.map(|mid| (sid.clone(), mid)));
        } else {
            plan.ended.push(sid.clone());
        }
    }
    p.unmatched.retain(|mid, _| present.contains(mid));
    // Names first: a track whose id the client's stack changed must not take the place of one that kept it.
    let mut open = Vec::new();
    for section in &offer.sections {
        let Some(stream) = &section.sends else { continue };
        let id = stream.track_id.as_deref().unwrap_or_default();
        if let Some(track) = p.track_on(section.mid) {
            let known = p.tracks.get(&track);
            let same = known
                .is_some_and(|t| t.cid == id || t.info.codecs.iter().any(|c| c.cid == id || c.sdp_cid == id));
            if !section.started || same {
                plan.continued.insert(section.mid, track);
                continue;
            }
            if known.is_some_and(|t| t.primary.config.mid == section.mid) {
                plan.ended.push(track);
            } else {
                plan.ended_backups.push((track, section.mid));
            }
        }
        match take_pending(p, |t| t.kind() == section.kind && t.has_cid(id)) {
            Some(pending) => drop(plan.started.insert(section.mid, pending)),
            None => open.push((section.mid, section.kind)),
        }
    }
    for (mid, kind) in open {
        let track = take_pending(p, |t| t.kind() == kind && t.adds.is_none());
        if let Some(pending) = track.or_else(|| take_pending(p, |t| t.kind() == kind)) {
            plan.started.insert(mid, pending);
        }
    }
    for mid in plan.started.keys() {
        p.unmatched.remove(mid);
    }
    plan
}

fn take_pending(p: &mut Participant, which: impl Fn(&Pending) -> bool) -> Option<Pending> {
    let index = p.pending.iter().position(which)?;
    Some(p.pending.remove(index))
}
