//! The server offers (dual connections), or asks the client to offer (single connection).

use crate::context::Cx;
use crate::ids::Pid;
use crate::room::Room;
use crate::timers::Timer;
use bedrud_sfu::Command;
use livekit_protocol::{MediaSectionsRequirement, SessionDescription, signal_response};
use std::time::Duration;

/// Wait for more changes after an idle time, and between negotiations.
const IDLE_DEBOUNCE: Duration = Duration::from_millis(10);
const BUSY_DEBOUNCE: Duration = Duration::from_millis(150);
/// A resumed single-connection client offers within this.
const RESUMED_OFFER: Duration = Duration::from_secs(1);

impl Room {
    /// Something to negotiate came up: collect more for a moment.
    pub(crate) fn schedule_negotiation(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let room = self.key;
        let now = cx.now.mono;
        let Some(p) = self.get(pid) else { return };
        let since = p.subscriber.as_ref().and_then(|s| s.offered_at);
        let busy = since.map(|at| BUSY_DEBOUNCE.saturating_sub(now.saturating_duration_since(at)));
        let delay = busy.unwrap_or_default().max(IDLE_DEBOUNCE);
        cx.arm_timer(room, Some(pid), Timer::Negotiate, delay);
    }

    /// Negotiates what is outstanding, if anything and if it is possible now.
    pub(crate) fn negotiate(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid).filter(|p| p.conn.is_some()) else { return };
        cx.cancel_timer(self.key, Some(pid), Timer::Negotiate);
        if p.single_pc {
            self.ask_for_offer(cx, pid);
        } else {
            self.send_offer(cx, pid);
        }
    }

    fn ask_for_offer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        // Before its first offer the client needs no invitation.
        if p.publisher.link.is_none() {
            return;
        }
        let Some(counts) = p.publisher.answerer.take_requirement() else { return };
        let requirement = MediaSectionsRequirement { num_audios: counts.audios, num_videos: counts.videos };
        p.send(cx, signal_response::Message::MediaSectionsRequirement(requirement));
        cx.set_timer(room, Some(pid), Timer::Answer, cx.config.timeouts.negotiation);
    }

    fn send_offer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let (room, now) = (self.key, cx.now.mono);
        let Some(p) = self.get_mut(pid) else { return };
        let Some(s) = &mut p.subscriber else { return };
        if s.link.closed || s.offerer.in_flight().is_some() {
            return;
        }
        if std::mem::take(&mut s.restart_ice) {
            s.link.restart_ice(cx);
            s.offerer.request_offer();
        }
        if !s.offerer.needs_offer() {
            return;
        }
        let local = s.link.local(cx);
        let offer = match s.offerer.create_offer(&local) {
            Ok(offer) => offer,
            Err(error) => {
                tracing::warn!(participant = %p.sid, %error, "cannot offer");
                self.negotiation_failed(cx, pid);
                return;
            }
        };
        s.offered_at = Some(now);
        p.send(cx, offer_message(offer));
        cx.set_timer(room, Some(pid), Timer::Answer, cx.config.timeouts.negotiation);
    }

    /// Sends the unanswered offer once more, or a new one, after the client's signalling came back.
    pub(super) fn repeat_offer(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let room = self.key;
        let Some(p) = self.get_mut(pid) else { return };
        if p.single_pc {
            // It offers by itself now; what it was asked for before may never have reached it. If it does not, ask.
            p.publisher.answerer.reset_requirement();
            cx.set_timer(room, Some(pid), Timer::Negotiate, RESUMED_OFFER);
            return;
        }
        let Some(s) = &mut p.subscriber else { return };
        s.restart_ice = true;
        if let Some(offer) = s.offerer.in_flight().cloned() {
            p.send(cx, offer_message(offer));
            cx.set_timer(room, Some(pid), Timer::Answer, cx.config.timeouts.negotiation);
        } else {
            self.negotiate(cx, pid);
        }
    }

    pub(crate) fn on_answer(&mut self, cx: &mut Cx<'_>, pid: Pid, description: &SessionDescription) {
        let shard = self.shard;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(s) = p.subscriber.as_mut().filter(|s| s.offerer.in_flight().is_some()) else { return };
        let answer = if description.sdp.len() > cx.config.limits.sdp {
            None
        } else {
            let result = s.offerer.apply_answer(&description.sdp);
            result.inspect_err(|error| tracing::info!(participant = %p.sid, %error, "answer refused")).ok()
        };
        let Some(answer) = answer else {
            self.negotiation_failed(cx, pid);
            return;
        };
        s.link.set_remote(cx, answer.transport);
        let id = s.link.id;
        cx.command(shard, Command::SetExtensions { id, map: answer.extensions });
        let again = s.restart_ice || s.offerer.needs_offer();
        // A track that was given up and taken again meanwhile has got another section: its answer is still to come.
        let mut sections = answer.sections;
        sections.retain(|a| s.offerer.mid_of(&a.track_sid) == Some(a.mid));
        cx.cancel_timer(self.key, Some(pid), Timer::Answer);
        for section in sections {
            if section.payloads.is_empty() {
                self.codec_unsupported(cx, pid, &section.track_sid);
            } else {
                self.bind(cx, pid, &section.track_sid, section.mid, section.payloads);
            }
        }
        if again {
            self.schedule_negotiation(cx, pid);
        }
    }

    /// The client did not answer. While its socket is down that is no wonder: it is asked again when it resumes.
    pub(crate) fn on_answer_timeout(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid).filter(|p| p.conn.is_some()) else { return };
        if p.single_pc {
            p.publisher.answerer.reset_requirement();
            self.negotiate(cx, pid);
            return;
        }
        tracing::info!(participant = %p.sid, "offer was not answered");
        self.negotiation_failed(cx, pid);
    }
}

fn offer_message(offer: bedrud_sdp::OfferText) -> signal_response::Message {
    signal_response::Message::Offer(SessionDescription {
        r#type: "offer".to_owned(),
        sdp: offer.sdp,
        id: offer.id,
        mid_to_track_id: offer.mid_to_track_id.into_iter().collect(),
    })
}
