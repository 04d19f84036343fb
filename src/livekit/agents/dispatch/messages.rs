//! What workers say.

use super::io::{Conn, Now};
use super::jobs::{Job, Phase};
use super::workers::{Group, Registration};
use super::{Dispatcher, id};
use crate::auth::media_token::{Claims, VideoGrant};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message;
use livekit_protocol::worker_message::Message as Said;
use std::collections::HashMap;

/// Participants can tell agents by this attribute.
const AGENT_NAME: &str = "lk.agent_name";
/// Life of an agent's token, seconds. The media server refreshes it while the agent is connected.
const TOKEN_LIFE: i64 = 3600;

/// Who an agent wants to be.
pub(super) struct AgentIdentity {
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
}

impl AgentIdentity {
    /// Claims of its token.
    pub(super) fn claims(self, now: Now, api_key: &str, room: String, registration: &Registration) -> Claims {
        let rights = &registration.permissions;
        // Whatever else a worker allows its agents, they are agents, and they do not count as recorders.
        let mut video = VideoGrant { room_join: true, room, ..VideoGrant::default() };
        #[allow(deprecated, reason = "the grants live on in tokens")]
        video.set_permission(&proto::ParticipantPermission {
            agent: true,
            recorder: false,
            can_manage_agent_session: false,
            ..rights.clone()
        });
        video.can_manage_agent_session = None;
        let mut attributes = self.attributes;
        attributes.insert(AGENT_NAME.to_owned(), registration.group.agent_name.clone());
        let seconds = now.unix_nanos / 1_000_000_000;
        Claims {
            iss: Some(api_key.to_owned()),
            sub: self.identity,
            nbf: Some(seconds),
            exp: Some(seconds + TOKEN_LIFE),
            name: self.name,
            metadata: self.metadata,
            attributes,
            kind: "agent".to_owned(),
            video: Some(video),
            ..Claims::default()
        }
    }
}

impl Dispatcher {
    /// A worker said something.
    pub(crate) fn message(&mut self, now: Now, conn: Conn, message: proto::WorkerMessage) {
        let Some(worker) = self.workers.get(&conn) else { return };
        match (message.message, worker.registration.is_some()) {
            (Some(Said::Ping(ping)), _) => {
                let pong = proto::WorkerPong {
                    last_timestamp: ping.timestamp,
                    timestamp: now.unix_nanos / 1_000_000,
                };
                self.send(conn, Message::Pong(pong));
            }
            (Some(Said::Register(request)), false) => self.on_register(now, conn, request),
            (Some(Said::Register(_)), true) => self.expel(now, conn, "registered already"),
            (Some(_), false) => self.expel(now, conn, "not registered"),
            (None, _) => self.expel(now, conn, "unknown message"),
            (Some(Said::Availability(answer)), true) => self.on_availability(now, conn, answer),
            (Some(Said::UpdateWorker(update)), true) => self.on_update_worker(now, conn, update),
            (Some(Said::UpdateJob(update)), true) => self.on_update_job(now, conn, &update),
            (Some(Said::SimulateJob(request)), true) => self.on_simulate_job(now, conn, request),
            // As in the reference server: jobs stay where they are.
            (Some(Said::MigrateJob(_)), true) => {}
        }
    }

    fn on_register(&mut self, now: Now, conn: Conn, request: proto::RegisterWorkerRequest) {
        let registration = match Registration::read(request, self.limits.name) {
            Ok(registration) => registration,
            Err(reason) => return self.expel(now, conn, reason),
        };
        let group = registration.group.clone();
        let Some(worker) = self.workers.get_mut(&conn) else { return };
        worker.registration = Some(registration);
        let worker_id = worker.id.clone();
        tracing::info!(worker = worker_id, agent = group.agent_name, "agent worker registered");
        let response = proto::RegisterWorkerResponse {
            worker_id,
            server_info: Some(self.server.clone()),
            ..proto::RegisterWorkerResponse::default()
        };
        self.send(conn, Message::Register(response));
        self.retry(now, conn);
        self.launch_group(now, &group);
    }

    fn on_availability(&mut self, now: Now, conn: Conn, answer: proto::AvailabilityResponse) {
        let Some(job) = self.jobs.get(&answer.job_id) else { return };
        if !matches!(job.phase, Phase::Asking { conn: c, .. } if c == conn) {
            return;
        }
        if answer.terminate {
            let job = answer.job_id;
            self.end(now, &job, proto::JobStatus::JsSuccess, "");
        } else if answer.available && self.is_acceptable(&answer) {
            self.assign(now, conn, answer);
        } else {
            self.declined(now, &answer.job_id, conn);
            return;
        }
        self.retry(now, conn);
    }

    /// A token with more than this could not join.
    fn is_acceptable(&self, answer: &proto::AvailabilityResponse) -> bool {
        let limits = &self.limits;
        let within = |len: usize, max: usize| max == 0 || len <= max;
        let attributes = answer.participant_attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
        let fits = within(answer.participant_identity.len(), limits.name)
            && within(answer.participant_name.len(), limits.name)
            && within(answer.participant_metadata.len(), limits.metadata)
            && within(attributes, limits.attributes);
        if !fits {
            tracing::warn!(job = answer.job_id, "what an agent calls itself exceeds the limits");
        }
        fits
    }

    fn on_update_worker(&mut self, now: Now, conn: Conn, update: proto::UpdateWorkerStatus) {
        let Some(worker) = self.workers.get_mut(&conn) else { return };
        worker.load = update.load;
        if let Some(status) = update.status {
            worker.available = status == proto::WorkerStatus::WsAvailable as i32;
        }
        self.retry(now, conn);
    }

    fn on_update_job(&mut self, now: Now, conn: Conn, update: &proto::UpdateJobStatus) {
        let Ok(status) = proto::JobStatus::try_from(update.status) else { return };
        let Some(worker) = self.workers.get(&conn) else { return };
        let Some(job) = self.jobs.get_mut(&update.job_id) else { return };
        let number = match job.phase {
            Phase::Running { conn: Some(c), number } if c == conn => number,
            Phase::Running { conn: None, number } if worker.group() == Some(&Group::of(&job.info)) => number,
            Phase::Asking { conn: c, .. } if c == conn => return,
            _ => {
                // It comes back for a job that somebody else has by now.
                if status == proto::JobStatus::JsRunning {
                    let job_id = update.job_id.clone();
                    self.send(conn, Message::Termination(proto::JobTermination { job_id }));
                }
                return;
            }
        };
        if matches!(status, proto::JobStatus::JsSuccess | proto::JobStatus::JsFailed) {
            let error: String = update.error.chars().take(self.limits.name).collect();
            self.end(now, &update.job_id, status, &error);
            return;
        }
        job.phase = Phase::Running { conn: Some(conn), number };
        if let Some(state) = &mut job.info.state {
            state.status = update.status;
            state.updated_at = now.unix_nanos;
            state.worker_id.clone_from(&worker.id);
        }
    }

    /// A worker under development asks for a job for itself.
    fn on_simulate_job(&mut self, now: Now, conn: Conn, request: proto::SimulateJobRequest) {
        let group = self.workers.get(&conn).and_then(|w| w.group()).cloned();
        let Some((group, asked)) = group.zip(request.room).filter(|(_, r)| !r.name.is_empty()) else {
            return;
        };
        let simulated = self.jobs.values().filter(|j| j.pinned == Some(conn)).count();
        if self.jobs.len() >= self.limits.jobs || simulated >= self.limits.open_requests {
            return;
        }
        let sid = self.names.get(&asked.name).cloned().unwrap_or_default();
        let room = self.rooms.get(&sid).map_or(asked, |r| r.info.clone());
        let kind = match request.participant {
            Some(_) => proto::JobType::JtPublisher,
            None => proto::JobType::JtRoom,
        };
        let job_id = id(&mut self.rng, "AJ_");
        #[allow(deprecated, reason = "older workers register with a namespace")]
        let info = proto::Job {
            id: job_id.clone(),
            r#type: kind as i32,
            room: Some(room),
            participant: request.participant,
            namespace: group.namespace,
            agent_name: group.agent_name,
            deployment: group.deployment,
            ..proto::Job::default()
        };
        let mut job = Job::new(info, sid, None);
        job.pinned = Some(conn);
        self.jobs.insert(job_id.clone(), job);
        self.search(now, &job_id);
    }
}
