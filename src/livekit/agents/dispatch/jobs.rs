//! The life of a job: wanted, offered, running, over.

use super::io::{Conn, Now, Output};
use super::rooms::{Agent, Leaving, Slot};
use super::timers::Timer;
use super::workers::{Group, choose};
use super::{Dispatcher, id};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message;
use std::collections::BTreeSet;

/// Told about jobs whose agent is gone while its worker is not.
pub(super) const AGENT_LEFT: &str = "agent worker left the room";
const WORKER_LOST: &str = "agent worker disconnected";

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No worker to ask now.
    Waiting,
    /// A worker was asked.
    Asking { conn: Conn, number: u64 },
    /// A worker has it; none is connected when it lost its connection and may be back. The number is that of the loss.
    Running { conn: Option<Conn>, number: u64 },
}

/// A job that is not over.
#[derive(Debug)]
pub(super) struct Job {
    /// As workers and the API see it.
    pub(super) info: proto::Job,
    pub(super) phase: Phase,
    /// Room sid.
    pub(super) room: String,
    /// What it was dispatched for; `None` for simulated jobs.
    pub(super) dispatch: Option<(String, Slot)>,
    /// The only worker it is for.
    pub(super) pinned: Option<Conn>,
    tried: BTreeSet<Conn>,
    attempts: u32,
    resuming: bool,
}

impl Job {
    pub(super) fn new(info: proto::Job, room: String, dispatch: Option<(String, Slot)>) -> Self {
        Self {
            info,
            phase: Phase::Waiting,
            room,
            dispatch,
            pinned: None,
            tried: BTreeSet::new(),
            attempts: 0,
            resuming: false,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Identity of its agent, once it is known.
    pub(super) fn identity(&self) -> &str {
        self.info.state.as_ref().map_or("", |s| s.participant_identity.as_str())
    }

    pub(super) fn is_tried(&self, conn: Conn) -> bool {
        self.tried.contains(&conn)
    }
}

impl Dispatcher {
    /// Makes a job of a dispatch for one group of workers, unless there is or was one.
    pub(super) fn want(&mut self, now: Now, room: &str, dispatch: &str, group: &Group, participant: &str) {
        if self.jobs.len() >= self.limits.jobs {
            tracing::warn!(room, dispatch, "too many agent jobs; this one is not started");
            return;
        }
        let slot = Slot {
            kind: group.kind,
            participant: participant.to_owned(),
            namespace: group.namespace.clone(),
        };
        let Some(state) = self.rooms.get_mut(room) else { return };
        let info = state.info.clone();
        let target = state.participants.get(participant).and_then(|p| p.info.as_deref().cloned());
        let Some(wish) = state.dispatch(dispatch) else { return };
        if !wish.served.insert(slot.clone()) {
            return;
        }
        let id = id(&mut self.rng, "AJ_");
        #[allow(deprecated, reason = "older workers register with a namespace")]
        let job = proto::Job {
            id: id.clone(),
            dispatch_id: dispatch.to_owned(),
            r#type: group.kind,
            room: Some(info),
            participant: target,
            namespace: group.namespace.clone(),
            metadata: wish.info.metadata.clone(),
            agent_name: group.agent_name.clone(),
            deployment: group.deployment.clone(),
            attributes: wish.info.attributes.clone(),
            ..proto::Job::default()
        };
        wish.jobs.push(id.clone());
        self.jobs.insert(id.clone(), Job::new(job, room.to_owned(), Some((dispatch.to_owned(), slot))));
        self.search(now, &id);
    }

    /// Asks the next worker for a job, or lets it wait for one.
    pub(super) fn search(&mut self, now: Now, id: &str) {
        let number = self.number();
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.attempts >= self.limits.attempts {
            tracing::warn!(job = id, "no agent worker takes this job; it is given up");
            self.counters.given_up += 1;
            self.cancel(id);
            return;
        }
        let open = self.limits.open_requests;
        let found = match job.pinned {
            Some(conn) => (!job.tried.contains(&conn)).then_some(conn),
            None => choose(&self.workers, &Group::of(&job.info), &job.tried, open, &mut self.rng),
        };
        let Some((conn, worker)) = found.and_then(|c| Some((c, self.workers.get_mut(&c)?))) else {
            if job.pinned.is_some() {
                self.cancel(id);
                return;
            }
            job.phase = Phase::Waiting;
            self.waiting.insert(id.to_owned());
            return;
        };
        worker.asked.insert(id.to_owned());
        job.attempts += 1;
        job.phase = Phase::Asking { conn, number };
        // The state the job will have when the worker takes it.
        job.info.state = Some(proto::JobState {
            status: proto::JobStatus::JsRunning as i32,
            started_at: now.unix_nanos,
            updated_at: now.unix_nanos,
            worker_id: worker.id.clone(),
            ..proto::JobState::default()
        });
        let request = proto::AvailabilityRequest { job: Some(job.info.clone()), resuming: job.resuming };
        self.waiting.remove(id);
        self.timers.set(now.mono + self.limits.answer, Timer::Answer(id.to_owned(), number));
        self.send(conn, Message::Availability(request));
    }

    /// The worker did not answer.
    pub(super) fn unanswered(&mut self, now: Now, id: &str, number: u64) {
        if let Some(Phase::Asking { conn, number: n }) = self.jobs.get(id).map(|j| j.phase)
            && n == number
        {
            tracing::info!(job = id, "agent worker did not answer in time");
            self.declined(now, id, conn);
        }
    }

    /// This worker will not have the job: on to the next.
    pub(super) fn declined(&mut self, now: Now, id: &str, conn: Conn) {
        if let Some(worker) = self.workers.get_mut(&conn) {
            worker.asked.remove(id);
        }
        if let Some(job) = self.jobs.get_mut(id) {
            job.tried.insert(conn);
        }
        self.search(now, id);
        self.retry(now, conn);
    }

    /// Offers waiting jobs to a worker that has room again.
    pub(super) fn retry(&mut self, now: Now, conn: Conn) {
        if self.waiting.is_empty() {
            return;
        }
        let Some(worker) = self.workers.get(&conn).filter(|w| w.available) else { return };
        let Some(group) = worker.group() else { return };
        let free = self.limits.open_requests.saturating_sub(worker.asked.len());
        let fits = |id: &&String| {
            self.jobs.get(*id).is_some_and(|j| !j.is_tried(conn) && Group::of(&j.info) == *group)
        };
        let jobs: Vec<String> = self.waiting.iter().filter(fits).take(free).cloned().collect();
        for job in jobs {
            self.search(now, &job);
        }
    }

    /// The worker takes the job: it gets a token for the room.
    pub(super) fn assign(&mut self, now: Now, conn: Conn, answer: proto::AvailabilityResponse) {
        let number = self.number();
        let id = answer.job_id.clone();
        let (Some(job), Some(worker)) = (self.jobs.get_mut(&id), self.workers.get_mut(&conn)) else { return };
        let Some(registration) = &worker.registration else { return };
        let identity = match answer.participant_identity.as_str() {
            "" => format!("agent-{id}"),
            given => given.to_owned(),
        };
        worker.asked.remove(&id);
        job.phase = Phase::Running { conn: Some(conn), number };
        if let Some(state) = &mut job.info.state {
            state.participant_identity.clone_from(&identity);
            state.updated_at = now.unix_nanos;
        }
        let room = job.info.room.as_ref().map(|r| r.name.clone()).unwrap_or_default();
        let who = super::messages::AgentIdentity {
            identity: identity.clone(),
            name: answer.participant_name,
            metadata: answer.participant_metadata,
            attributes: answer.participant_attributes,
        };
        let claims = who.claims(now, &worker.api_key, room, registration);
        let output = Output::Assign { conn, job: Box::new(job.info.clone()), claims: Box::new(claims) };
        if let Some(room) = self.rooms.get_mut(&job.room) {
            room.leaving.remove(&identity);
            room.agents.insert(identity, Agent { job: id.clone(), sid: None });
        }
        tracing::info!(job = id, worker = worker.id, "agent job assigned");
        self.counters.assigned += 1;
        self.out.push_back(output);
    }

    /// The worker of a running job lost its connection.
    pub(super) fn orphan(&mut self, now: Now, id: &str) {
        let number = self.number();
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.pinned.is_some() {
            self.end(now, id, proto::JobStatus::JsFailed, WORKER_LOST);
            return;
        }
        job.phase = Phase::Running { conn: None, number };
        self.timers.set(now.mono + self.limits.return_, Timer::Return(id.to_owned(), number));
    }

    /// The worker of an orphan is not back. An agent in the room shows that it lives.
    pub(super) fn not_returned(&mut self, now: Now, id: &str, number: u64) {
        let Some(job) = self.jobs.get(id) else { return };
        if job.phase != (Phase::Running { conn: None, number }) {
            return;
        }
        let here = self.rooms.get(&job.room).is_some_and(|r| r.is_present(job.identity()));
        if !here {
            self.hand_over(now, id);
        }
    }

    /// Gives the job of a lost worker to another one, unless its dispatch says never to.
    pub(super) fn hand_over(&mut self, now: Now, id: &str) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let room = self.rooms.get_mut(&job.room);
        let never = proto::JobRestartPolicy::JrpNever as i32;
        let restart = match (&room, &job.dispatch) {
            (Some(room), Some((dispatch, _))) => {
                room.dispatches.iter().any(|d| d.info.id == *dispatch && d.info.restart_policy != never)
            }
            _ => false,
        };
        if !restart {
            self.end(now, id, proto::JobStatus::JsFailed, WORKER_LOST);
            return;
        }
        if let Some(room) = room
            && room.agents.get(job.identity()).is_some_and(|a| a.job == id)
        {
            room.agents.remove(job.identity());
        }
        tracing::info!(job = id, "agent worker lost; its job goes to another");
        job.info.state = None;
        job.tried.clear();
        job.resuming = true;
        self.search(now, id);
    }

    /// A running job is over.
    pub(super) fn end(&mut self, now: Now, id: &str, status: proto::JobStatus, error: &str) {
        let Some(mut job) = self.forget(id) else { return };
        match status {
            proto::JobStatus::JsFailed => self.counters.failed += 1,
            _ => self.counters.succeeded += 1,
        }
        let state = job.info.state.get_or_insert_default();
        state.status = status as i32;
        error.clone_into(&mut state.error);
        state.ended_at = now.unix_nanos;
        state.updated_at = now.unix_nanos;
        let Some(room) = self.rooms.get_mut(&job.room) else { return };
        if room.agents.get(&state.participant_identity).is_some_and(|a| a.job == id) {
            room.agents.remove(&state.participant_identity);
        }
        if let Some((dispatch, _)) = &job.dispatch
            && let Some(dispatch) = room.dispatch(dispatch)
        {
            if dispatch.finished.len() >= self.limits.finished_jobs {
                dispatch.finished.pop_front();
            }
            dispatch.finished.push_back(job.info);
        }
        tracing::info!(job = id, status = status.as_str_name(), "agent job ended");
    }

    /// Ends a running job from here: the worker is told, and the agent has to leave.
    pub(super) fn dismiss(&mut self, now: Now, id: &str) {
        let number = self.number();
        let Some(job) = self.jobs.get(id) else { return };
        let Phase::Running { conn, .. } = job.phase else {
            self.cancel(id);
            return;
        };
        let (room, identity) = (job.room.clone(), job.identity().to_owned());
        if let Some(conn) = conn {
            self.send(conn, Message::Termination(proto::JobTermination { job_id: id.to_owned() }));
        }
        self.end(now, id, proto::JobStatus::JsSuccess, "");
        if let Some(state) = self.rooms.get_mut(&room) {
            state.leaving.insert(identity.clone(), Leaving { number, due: false });
            let leave = Timer::Leave(room.clone(), identity.clone(), number);
            self.timers.set(now.mono + self.limits.leave, leave);
            self.timers.set(now.mono + self.limits.late_join, Timer::Forget(room, identity, number));
        }
    }

    /// The agent of an ended job has had its time.
    pub(super) fn not_left(&mut self, room: &str, identity: &str, number: u64) {
        let Some(room) = self.rooms.get_mut(room) else { return };
        let present = room.is_present(identity);
        let Some(leaving) = room.leaving.get_mut(identity).filter(|l| l.number == number) else { return };
        leaving.due = true;
        if present {
            room.leaving.remove(identity);
            let room = room.info.name.clone();
            self.out.push_back(Output::Remove { room, identity: identity.to_owned() });
        }
    }

    /// Drops a job that no worker has.
    pub(super) fn cancel(&mut self, id: &str) {
        self.forget(id);
    }

    fn forget(&mut self, id: &str) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        self.waiting.remove(id);
        if let Phase::Asking { conn, .. } = job.phase
            && let Some(worker) = self.workers.get_mut(&conn)
        {
            worker.asked.remove(id);
        }
        if let (Some(room), Some((dispatch, _))) = (self.rooms.get_mut(&job.room), &job.dispatch)
            && let Some(dispatch) = room.dispatch(dispatch)
        {
            dispatch.jobs.retain(|j| j != id);
        }
        Some(job)
    }
}
