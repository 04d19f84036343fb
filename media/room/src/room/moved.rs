//! A participant goes from one room to another and keeps its connections (MoveParticipant).

use super::updates::Audience;
use super::{Participant, Room, update};
use crate::context::Cx;
use crate::ids::{Pid, Sid, sid};
use crate::io::{Output, RoomEvent};
use livekit_protocol::participant_info::State;
use livekit_protocol::{DisconnectReason, RoomMovedResponse};

impl Room {
    /// Takes a participant out with its connections and tracks. Here it has left.
    pub(crate) fn release(&mut self, cx: &mut Cx<'_>, pid: Pid) -> Option<Participant> {
        self.end_calls(cx, pid);
        self.let_go(cx, pid);
        let p = self.get(pid)?;
        let tracks: Vec<Sid> = p.tracks.keys().cloned().collect();
        for track in &tracks {
            self.withdraw(cx, pid, track);
        }
        let wishes: Vec<Sid> = self.get(pid)?.subscriptions.keys().cloned().collect();
        for track in &wishes {
            self.unsubscribe(cx, pid, track);
        }
        let mut p = self.participants.remove(&pid)?;
        self.reconcile_data_tracks(cx);
        self.mark_viewers(cx);
        let (state, version) = (p.state, p.version);
        // As the others see it: it published nothing any more when it left.
        let tracks = std::mem::take(&mut p.tracks);
        self.after_departure(cx, &mut p, DisconnectReason::Migration);
        p.tracks = tracks;
        (p.state, p.version) = (state, version);
        p.settings.clear();
        p.declined.clear();
        p.data_tracks.forget_subscriptions();
        p.data.flow.forget_room();
        p.speaking = 0;
        p.quality = None;
        Some(p)
    }

    /// Ends all subscriptions to a track whose stream goes on.
    fn withdraw(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &Sid) {
        self.hush(cx, pid, track);
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        let info = std::mem::take(&mut t.reported).then(|| t.info.clone());
        t.elsewhere.clear();
        self.owners.remove(track);
        let Some(t) = self.get_mut(pid).and_then(|p| p.tracks.get_mut(track)) else { return };
        for subscriber in std::mem::take(&mut t.subscribers) {
            self.detach(cx, subscriber, track);
            if let Some(s) = self.get_mut(subscriber) {
                s.subscriptions.remove(track);
                s.settings.remove(track);
            }
            self.fill_places(cx, subscriber);
        }
        if let Some((p, track)) = self.get(pid).zip(info) {
            let participant = p.info(&cx.config.region);
            cx.event(RoomEvent::TrackUnpublished { room: self.info(), participant, track });
        }
    }

    /// Takes in a participant that another room released, and tells it where it is.
    pub(crate) fn receive(&mut self, cx: &mut Cx<'_>, mut p: Participant) {
        let pid = p.pid;
        p.earlier_sid = Some(std::mem::replace(&mut p.sid, sid(cx.rng, "PA_")));
        p.joined_at_ms = cx.now.unix_ms;
        p.claims.room_id.clone_from(&self.id);
        if let Some(video) = &mut p.claims.video {
            video.room.clone_from(&self.info.name);
        }
        p.touch();
        for link in p.links().filter(|l| !l.closed) {
            cx.routes.transports.insert(link.id, (self.key, pid));
        }
        for (track, t) in &p.tracks {
            for feed in t.feeds() {
                cx.routes.ups.insert(feed.config.id, (self.key, pid, track.clone()));
            }
            self.owners.insert(track.clone(), pid);
        }
        self.admit(cx, p);
        self.send_moved(cx, pid);
        self.announce(cx, pid, Audience::Others, true);
        self.tell_arrival(cx, pid);
        let tracks: Vec<Sid> = self.get(pid).map(|p| p.tracks.keys().cloned().collect()).unwrap_or_default();
        for track in &tracks {
            self.offer_track(cx, pid, track);
            self.weigh_demand(cx, track);
        }
        let auto = self.get(pid).is_some_and(|p| p.auto_subscribe && p.permission.can_subscribe);
        if auto {
            self.subscribe_to_all(cx, pid);
        }
        self.reconcile_data_tracks(cx);
        self.send_data_handles(cx, pid);
        self.mark_viewers(cx);
    }

    fn send_moved(&self, cx: &mut Cx<'_>, pid: Pid) {
        let Some((p, conn)) = self.get(pid).and_then(|p| Some((p, p.conn?))) else { return };
        let (other_participants, more) = self.introduce(cx, pid, self.info.metadata.len() + p.profile_size());
        let response = RoomMovedResponse {
            room: Some(self.info()),
            token: String::new(),
            participant: Some(p.info(&cx.config.region)),
            other_participants,
        };
        let claims = Box::new(p.reconnect_claims());
        cx.out.push_back(Output::Moved { conn, response: Box::new(response), claims });
        for batch in more {
            p.send(cx, update(batch));
        }
    }

    fn tell_arrival(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid).filter(|p| p.state == State::Active) else { return };
        let participant = p.info(&cx.config.region);
        cx.event(RoomEvent::ParticipantJoined { id: self.id.clone(), room: self.info(), participant });
        self.report_tracks(cx, pid);
    }
}
