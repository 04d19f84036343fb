//! What happens in the rooms, and the jobs that follow from it.

use super::Dispatcher;
use super::io::{News, Now, Output, Snapshot};
use super::jobs::{AGENT_LEFT, Phase};
use super::rooms::RoomState;
use super::workers::{Group, check_deployment};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message;
use livekit_protocol::{DisconnectReason, JobType};
use std::collections::BTreeSet;

impl Dispatcher {
    /// Something happened in a room.
    pub(crate) fn news(&mut self, now: Now, news: News) {
        match news {
            News::RoomStarted { room, agents } => {
                let sid = self.note_room(room);
                self.start_room(now, &sid, agents);
            }
            News::AgentsChanged { room, agents } => {
                let sid = self.note_room(room);
                self.change_agents(now, &sid, agents);
            }
            News::RoomFinished { sid } => self.finish_room(&sid),
            News::Joined { room, participant } => {
                let sid = self.note_room(room);
                self.on_joined(now, &sid, participant);
            }
            News::Published { room, participant } => {
                let sid = self.note_room(room);
                self.on_published(now, &sid, participant);
            }
            News::Left { room, participant } => {
                if let Some(known) = self.rooms.get_mut(&room.sid) {
                    known.info = room;
                    let sid = known.info.sid.clone();
                    self.on_left(now, &sid, &participant);
                }
            }
        }
    }

    /// Makes up for news that were missed: this is all there is now.
    pub(crate) fn resync(&mut self, now: Now, rooms: Vec<Snapshot>) {
        let open: BTreeSet<&str> = rooms.iter().map(|r| r.room.sid.as_str()).collect();
        let gone: Vec<String> =
            self.rooms.keys().filter(|sid| !open.contains(sid.as_str())).cloned().collect();
        for sid in gone {
            self.finish_room(&sid);
        }
        for Snapshot { room, agents, participants } in rooms {
            let sid = self.note_room(room);
            let here: BTreeSet<&str> = participants.iter().map(|p| p.sid.as_str()).collect();
            let known = self.rooms.get(&sid).into_iter().flat_map(|r| &r.participants);
            let left: Vec<proto::ParticipantInfo> = known
                .filter(|(sid, _)| !here.contains(sid.as_str()))
                .map(|(sid, p)| proto::ParticipantInfo {
                    sid: sid.clone(),
                    identity: p.identity.clone(),
                    ..proto::ParticipantInfo::default()
                })
                .collect();
            for participant in left {
                self.on_left(now, &sid, &participant);
            }
            self.start_room(now, &sid, agents);
            for participant in participants {
                self.on_joined(now, &sid, participant);
            }
        }
    }

    /// Takes note of a room and returns its sid.
    pub(super) fn note_room(&mut self, room: proto::Room) -> String {
        let sid = room.sid.clone();
        if let Some(known) = self.rooms.get_mut(&sid) {
            known.info = room;
        } else {
            let named = self.names.get(&room.name).and_then(|sid| self.rooms.get(sid));
            if named.is_none_or(|r| r.info.creation_time_ms <= room.creation_time_ms) {
                self.names.insert(room.name.clone(), sid.clone());
            }
            self.rooms.insert(sid.clone(), RoomState::new(room));
        }
        sid
    }

    fn start_room(&mut self, now: Now, sid: &str, mut agents: Vec<proto::RoomAgentDispatch>) {
        let Some(room) = self.rooms.get_mut(sid).filter(|r| !r.started) else { return };
        room.started = true;
        if agents.is_empty() {
            // Agents without a name join every room that asks for no other.
            agents.push(proto::RoomAgentDispatch::default());
        }
        self.dispatch_all(now, sid, agents);
    }

    /// Adds what is new. What was dispatched before stays: a call for one agent does not send another away.
    fn change_agents(&mut self, now: Now, sid: &str, mut agents: Vec<proto::RoomAgentDispatch>) {
        let Some(room) = self.rooms.get(sid).filter(|r| r.started) else {
            return self.start_room(now, sid, agents);
        };
        agents.retain(|a| {
            let same = |d: &super::rooms::Dispatch| {
                d.info.agent_name == a.agent_name && d.info.deployment == a.deployment
            };
            !room.dispatches.iter().any(same)
        });
        self.dispatch_all(now, sid, agents);
    }

    fn dispatch_all(&mut self, now: Now, sid: &str, agents: Vec<proto::RoomAgentDispatch>) {
        for agent in agents {
            if check_deployment(&agent.deployment).is_err() {
                tracing::warn!(
                    room = sid,
                    "an agent of the room's configuration has an impossible deployment"
                );
                continue;
            }
            match self.add_dispatch(now, sid, agent) {
                Ok(dispatch) => self.launch_dispatch(now, sid, &dispatch),
                Err(error) => tracing::warn!(room = sid, %error, "agents of the room's configuration"),
            }
        }
    }

    fn finish_room(&mut self, sid: &str) {
        let Some(room) = self.rooms.remove(sid) else { return };
        if self.names.get(&room.info.name).is_some_and(|s| s == sid) {
            self.names.remove(&room.info.name);
        }
        let jobs: Vec<String> =
            self.jobs.iter().filter(|(_, job)| job.room == sid).map(|(id, _)| id.clone()).collect();
        for job_id in jobs {
            if let Some(Phase::Running { conn: Some(conn), .. }) = self.jobs.get(&job_id).map(|j| j.phase) {
                self.send(conn, Message::Termination(proto::JobTermination { job_id: job_id.clone() }));
            }
            if self.jobs.get(&job_id).is_some_and(super::jobs::Job::is_running) {
                self.counters.room_closed += 1;
            }
            self.cancel(&job_id);
        }
    }

    fn on_joined(&mut self, now: Now, sid: &str, participant: proto::ParticipantInfo) {
        let Some(room) = self.rooms.get_mut(sid) else { return };
        let who = participant.sid.clone();
        let identity = participant.identity.clone();
        room.note(participant);
        if let Some(agent) = room.agents.get_mut(&identity) {
            agent.sid = Some(who.clone());
        } else if room.leaving.get(&identity).is_some_and(|l| l.due) {
            room.leaving.remove(&identity);
            let room = room.info.name.clone();
            self.out.push_back(Output::Remove { room, identity });
            return;
        }
        self.launch_participant(now, sid, &who, JobType::JtParticipant);
        self.launch_participant(now, sid, &who, JobType::JtPublisher);
    }

    fn on_published(&mut self, now: Now, sid: &str, participant: proto::ParticipantInfo) {
        let Some(room) = self.rooms.get_mut(sid) else { return };
        let who = participant.sid.clone();
        room.note(participant);
        if let Some(present) = room.participants.get_mut(&who) {
            present.publisher = true;
        }
        self.launch_participant(now, sid, &who, JobType::JtPublisher);
    }

    fn on_left(&mut self, now: Now, sid: &str, participant: &proto::ParticipantInfo) {
        let Some(room) = self.rooms.get_mut(sid) else { return };
        if room.participants.remove(&participant.sid).is_some() {
            room.leaving.remove(&participant.identity);
        }
        for dispatch in &mut room.dispatches {
            dispatch.served.retain(|slot| slot.participant != participant.sid);
        }
        let agent = room.agents.get(&participant.identity);
        let agent = agent.filter(|a| a.sid.as_ref() == Some(&participant.sid)).map(|a| a.job.clone());
        // Nobody is sent after somebody who is gone; agents that are there see it themselves.
        let about = |slot: &super::rooms::Slot| slot.participant == participant.sid;
        let moot: Vec<String> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.room == sid && !job.is_running())
            .filter(|(_, job)| job.dispatch.as_ref().is_some_and(|(_, slot)| about(slot)))
            .map(|(id, _)| id.clone())
            .collect();
        for job in moot {
            self.cancel(&job);
        }
        if let Some(job) = agent {
            self.agent_left(now, &job, participant.disconnect_reason());
        }
    }

    fn agent_left(&mut self, now: Now, id: &str, reason: DisconnectReason) {
        let Some(Phase::Running { conn, .. }) = self.jobs.get(id).map(|j| j.phase) else { return };
        match conn {
            Some(conn) => {
                let job_id = id.to_owned();
                self.send(conn, Message::Termination(proto::JobTermination { job_id }));
                self.end(now, id, proto::JobStatus::JsFailed, AGENT_LEFT);
            }
            None if reason == DisconnectReason::ClientInitiated => {
                self.end(now, id, proto::JobStatus::JsSuccess, "");
            }
            None if was_lost(reason) => self.hand_over(now, id),
            None => self.end(now, id, proto::JobStatus::JsFailed, AGENT_LEFT),
        }
    }

    /// Looks for workers for everything in the room that this dispatch is for.
    pub(super) fn launch_dispatch(&mut self, now: Now, room: &str, dispatch: &str) {
        for group in self.groups(None) {
            self.launch(now, room, dispatch, &group);
        }
    }

    /// Jobs that waited for workers of this group to exist at all.
    pub(super) fn launch_group(&mut self, now: Now, group: &Group) {
        let mut rooms: Vec<&RoomState> = self.rooms.values().collect();
        rooms.sort_by(|a, b| {
            (a.info.creation_time_ms, &a.info.sid).cmp(&(b.info.creation_time_ms, &b.info.sid))
        });
        let each = |r: &RoomState| {
            let sid = r.info.sid.clone();
            r.dispatches.iter().map(move |d| (sid.clone(), d.info.id.clone())).collect::<Vec<_>>()
        };
        let dispatches: Vec<(String, String)> = rooms.into_iter().flat_map(each).collect();
        for (room, dispatch) in dispatches {
            self.launch(now, &room, &dispatch, group);
        }
    }

    fn launch(&mut self, now: Now, room: &str, dispatch: &str, group: &Group) {
        let Some(state) = self.rooms.get_mut(room) else { return };
        let Some(wish) = state.dispatch(dispatch).map(|d| &d.info) else { return };
        if wish.agent_name != group.agent_name || wish.deployment != group.deployment {
            return;
        }
        let targets = JobType::try_from(group.kind).map(|kind| state.targets(kind)).unwrap_or_default();
        for target in targets {
            self.want(now, room, dispatch, group, &target);
        }
    }

    fn launch_participant(&mut self, now: Now, room: &str, who: &str, kind: JobType) {
        let groups = self.groups(Some(kind));
        let Some(state) = self.rooms.get(room).filter(|_| !groups.is_empty()) else { return };
        if !state.wants(kind, who) {
            return;
        }
        let names = |d: &super::rooms::Dispatch| {
            (d.info.id.clone(), d.info.agent_name.clone(), d.info.deployment.clone())
        };
        let dispatches: Vec<_> = state.dispatches.iter().map(names).collect();
        for (id, name, deployment) in dispatches {
            for group in groups.iter().filter(|g| g.agent_name == name && g.deployment == deployment) {
                self.want(now, room, &id, group, who);
            }
        }
    }

    /// Groups that have a worker now.
    fn groups(&self, kind: Option<JobType>) -> BTreeSet<Group> {
        let groups = self.workers.values().filter_map(|w| w.group());
        groups.filter(|g| kind.is_none_or(|k| g.kind == k as i32)).cloned().collect()
    }
}

/// The agent did not mean to go.
fn was_lost(reason: DisconnectReason) -> bool {
    matches!(
        reason,
        DisconnectReason::UnknownReason
            | DisconnectReason::SignalClose
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure
            | DisconnectReason::StateMismatch
            | DisconnectReason::JoinFailure
    )
}
