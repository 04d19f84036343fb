//! RoomService of the server API, for one room.

use super::updates::Audience;
use super::visibility::Sight;
use super::{Farewell, Room};
use crate::context::Cx;
use crate::enums::known;
use crate::ids::Pid;
use crate::io::{RoomEvent, ServiceError, ServiceErrorCode, ServiceRequest, ServiceResponse, complaint};
use crate::revoked::Revocation;
use crate::session::By;
use livekit_protocol::leave_request::Action;
use livekit_protocol::{
    DisconnectReason, MuteRoomTrackRequest, MuteTrackRequest, ParticipantPermission, TrackSource,
    UpdateParticipantRequest, UpdateSubscription, UpdateSubscriptionsRequest, signal_response,
};

type Reply = Result<ServiceResponse, ServiceError>;

impl Room {
    /// Everything but CreateRoom and ListRooms.
    pub(crate) fn serve(&mut self, cx: &mut Cx<'_>, request: ServiceRequest) -> Reply {
        match request {
            ServiceRequest::DeleteRoom(_) => {
                self.close(cx, DisconnectReason::RoomDeleted);
                Ok(ServiceResponse::Done)
            }
            ServiceRequest::ListParticipants(_) => {
                let visible = self.participants.values().filter(|p| !p.hidden());
                Ok(ServiceResponse::Participants(visible.map(|p| p.info(&cx.config.region)).collect()))
            }
            ServiceRequest::GetParticipant(r) => {
                let pid = self.find(&r.identity)?;
                self.participant_reply(cx, pid)
            }
            ServiceRequest::RemoveParticipant(r) => {
                let pid = self.find(&r.identity)?;
                let revoked = self.revoke_tokens(cx, pid, r.revoke_token_ts);
                let farewell = Farewell::Leave(Action::Disconnect);
                self.remove(cx, pid, DisconnectReason::ParticipantRemoved, farewell);
                Ok(ServiceResponse::Removed(revoked.map(Box::new)))
            }
            ServiceRequest::MutePublishedTrack(r) => self.serve_mute(cx, &r),
            ServiceRequest::UpdateParticipant(r) => self.serve_update(cx, *r),
            ServiceRequest::UpdateSubscriptions(r) => self.serve_subscriptions(cx, r),
            ServiceRequest::SendData(r) => {
                self.send_data(cx, r)?;
                Ok(ServiceResponse::Done)
            }
            ServiceRequest::UpdateRoomMetadata(r) => {
                let max = cx.config.limits.metadata;
                if max != 0 && r.metadata.len() > max {
                    return Err(ServiceError::too_large(complaint::METADATA, max));
                }
                self.info.metadata = r.metadata;
                self.send_room_update(cx);
                Ok(ServiceResponse::Room(self.info()))
            }
            ServiceRequest::GetConfiguration(_) => {
                Ok(ServiceResponse::Configuration(Box::new(self.configuration())))
            }
            ServiceRequest::CreateRoom(_)
            | ServiceRequest::ListRooms(_)
            | ServiceRequest::ForwardParticipant(_)
            | ServiceRequest::MoveParticipant(_)
            | ServiceRequest::PerformRpc(_)
            | ServiceRequest::OfRoom(..)
            | ServiceRequest::Presence => Err(ServiceError::argument("not a request about one room")),
        }
    }

    fn find(&self, identity: &str) -> Result<Pid, ServiceError> {
        let not_found = || ServiceError::new(ServiceErrorCode::NotFound, "participant does not exist");
        self.by_identity(identity).map(|p| p.pid).ok_or_else(not_found)
    }

    /// A participant that is really here, not only shown.
    fn find_own(&self, identity: &str) -> Result<Pid, ServiceError> {
        let pid = self.find(identity)?;
        if self.get(pid).is_some_and(super::Participant::is_forwarded) {
            let text = "participant is forwarded from another room and is changed there";
            return Err(ServiceError::new(ServiceErrorCode::FailedPrecondition, text));
        }
        Ok(pid)
    }

    /// The tokens of a participant that is about to be removed bring nobody back.
    fn revoke_tokens(&self, cx: &mut Cx<'_>, pid: Pid, explicit: i64) -> Option<Revocation> {
        let p = self.get(pid).filter(|p| !p.is_forwarded())?;
        let mut tokens = p.tokens.clone();
        tokens.extend([Some(&p.sid), p.earlier_sid.as_ref()].into_iter().flatten().map(ToString::to_string));
        tokens.retain(|t| !t.is_empty());
        let now = cx.now.unix_secs();
        let explicit = Some(explicit).filter(|ts| *ts != 0);
        let entry = Revocation::of(self.address(), p.identity(), &p.claims, tokens, explicit, now);
        let entry = cx.revoked.add(entry, now);
        cx.event(RoomEvent::TokensRevoked(entry.clone()));
        Some(entry)
    }

    fn participant_reply(&self, cx: &Cx<'_>, pid: Pid) -> Reply {
        let info = self.get(pid).map(|p| Box::new(p.info(&cx.config.region)));
        info.map(ServiceResponse::Participant)
            .ok_or_else(|| ServiceError::new(ServiceErrorCode::NotFound, "participant does not exist"))
    }

    fn serve_mute(&mut self, cx: &mut Cx<'_>, r: &MuteRoomTrackRequest) -> Reply {
        let pid = self.find_own(&r.identity)?;
        // Who has no signalling cannot unmute itself.
        let own_way = self.get(pid).is_none_or(|p| p.one_shot.is_none());
        if !r.muted && !cx.config.remote_unmute && own_way {
            return Err(ServiceError::new(ServiceErrorCode::FailedPrecondition, "remote unmute not enabled"));
        }
        let known = |p: &super::Participant| {
            p.tracks.contains_key(&*r.track_sid) || p.pending.iter().any(|t| t.info.sid == r.track_sid)
        };
        if let Some(p) = self.get(pid).filter(|p| known(p)) {
            let mute = MuteTrackRequest { sid: r.track_sid.clone(), muted: r.muted };
            p.send(cx, signal_response::Message::Mute(mute));
        }
        let track = self.set_muted(cx, pid, &r.track_sid, r.muted);
        Ok(ServiceResponse::Track(track.map(Box::new)))
    }

    fn serve_update(&mut self, cx: &mut Cx<'_>, r: UpdateParticipantRequest) -> Reply {
        let limits = &cx.config.limits;
        let attributes: usize = r.attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
        for (what, len, max) in [
            (complaint::NAME, r.name.len(), limits.participant_name),
            (complaint::METADATA, r.metadata.len(), limits.metadata),
            (complaint::ATTRIBUTES, attributes, limits.attributes),
        ] {
            if max != 0 && len > max {
                return Err(ServiceError::too_large(what, max));
            }
        }
        let pid = self.find_own(&r.identity)?;
        if let Some(member) = self.get_mut(pid).and_then(|p| p.member.as_mut()) {
            member.adopt(&r.metadata);
        }
        // With those it has, the new ones may be too much.
        if self.change_profile(cx, pid, &r.name, &r.metadata, r.attributes, By::Server).is_err() {
            return Err(ServiceError::too_large(complaint::ATTRIBUTES, cx.config.limits.attributes));
        }
        let told = r.permission.is_some_and(|permission| self.set_permission(cx, pid, permission));
        if !told {
            self.refresh_token(cx, pid);
        }
        self.participant_reply(cx, pid)
    }

    fn serve_subscriptions(&mut self, cx: &mut Cx<'_>, r: UpdateSubscriptionsRequest) -> Reply {
        let pid = self.find_own(&r.identity)?;
        let update = UpdateSubscription {
            track_sids: r.track_sids,
            subscribe: r.subscribe,
            participant_tracks: r.participant_tracks,
        };
        self.on_subscription(cx, pid, update);
        Ok(ServiceResponse::Done)
    }

    /// Replaces all rights of a participant, makes them true and refreshes its token. False when nothing changed.
    pub(crate) fn set_permission(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        mut permission: ParticipantPermission,
    ) -> bool {
        // A source we do not know is one that nobody can publish, not no limit.
        permission.can_publish_sources.iter_mut().for_each(|s| *s = known::<TrackSource>(*s));
        let Some(p) = self.get_mut(pid) else { return false };
        if p.permission == permission {
            return false;
        }
        let sight = Sight::of(p, permission.hidden);
        if sight == Sight::Vanishes {
            self.vanish(cx, pid);
        }
        let Some(p) = self.get_mut(pid) else { return false };
        let lost_data = p.permission.can_publish_data && !permission.can_publish_data;
        if let Some(grant) = &mut p.claims.video {
            grant.set_permission(&permission);
        }
        p.permission = permission;
        p.touch();
        self.announce(cx, pid, Audience::Everyone, true);
        self.refresh_token(cx, pid);
        self.revoke_forbidden(cx, pid);
        self.publish_sections(cx, pid);
        self.mark_viewers(cx);
        if lost_data {
            self.drop_all_data_tracks(cx, pid);
            self.announce(cx, pid, Audience::Others, true);
        }
        if sight == Sight::Appears {
            self.appear(cx, pid);
        }
        if self.get(pid).is_some_and(|p| p.auto_subscribe && p.permission.can_subscribe) {
            self.subscribe_to_all(cx, pid);
        }
        self.reconcile_all(cx, pid);
        self.reconcile_data_tracks(cx);
        self.watch_idleness(cx);
        self.mark_counters(cx);
        true
    }
}
