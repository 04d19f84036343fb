//! A dispatcher with workers and rooms at the other end.

use super::super::*;
use crate::auth::media_token::Claims;
use livekit_protocol::worker_message::Message as Said;
use livekit_protocol::{DisconnectReason, JobStatus, JobType};
use std::time::Duration;

pub(super) struct World {
    pub(super) dispatcher: Dispatcher,
    pub(super) now: Now,
    pub(super) out: Vec<Output>,
    next: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Limits::default(), 1)
    }

    pub(super) fn with(limits: Limits, seed: u8) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a starting point; the test moves time itself")]
        let mono = Instant::now();
        let server = proto::ServerInfo { version: "1.2.3".into(), ..proto::ServerInfo::default() };
        Self {
            dispatcher: Dispatcher::new(limits, server, [seed; 32]),
            now: Now { mono, unix_nanos: 1_800_000_000_000_000_000 },
            out: Vec::new(),
            next: 1,
        }
    }

    /// What was put out since the last look.
    pub(super) fn take(&mut self) -> Vec<Output> {
        self.out.extend(std::iter::from_fn(|| self.dispatcher.poll()));
        std::mem::take(&mut self.out)
    }

    /// Messages to this worker since the last look; what is for others stays.
    pub(super) fn told(&mut self, conn: Conn) -> Vec<Message> {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.take().into_iter().partition(|o| matches!(o, Output::Send { conn: c, .. } if *c == conn));
        self.out = rest;
        mine.into_iter()
            .filter_map(|o| if let Output::Send { message, .. } = o { Some(*message) } else { None })
            .collect()
    }

    /// Jobs this worker was asked about since the last look.
    pub(super) fn asked(&mut self, conn: Conn) -> Vec<proto::AvailabilityRequest> {
        let told = self.told(conn);
        told.into_iter()
            .filter_map(|m| if let Message::Availability(a) = m { Some(a) } else { None })
            .collect()
    }

    /// The only job this worker was asked about.
    pub(super) fn asked_one(&mut self, conn: Conn) -> proto::Job {
        let mut asked = self.asked(conn);
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0).job.unwrap()
    }

    /// Jobs whose end this worker was told since the last look.
    pub(super) fn terminated(&mut self, conn: Conn) -> Vec<String> {
        let told = self.told(conn);
        told.into_iter()
            .filter_map(|m| if let Message::Termination(t) = m { Some(t.job_id) } else { None })
            .collect()
    }

    pub(super) fn removed(&mut self) -> Vec<(String, String)> {
        let out = self.take();
        out.into_iter()
            .filter_map(
                |o| if let Output::Remove { room, identity } = o { Some((room, identity)) } else { None },
            )
            .collect()
    }

    pub(super) fn connect(&mut self) -> Conn {
        let conn = Conn(self.next);
        self.next += 1;
        self.dispatcher.open(self.now, conn, "devkey".into());
        conn
    }

    pub(super) fn say(&mut self, conn: Conn, said: Said) {
        self.dispatcher.message(self.now, conn, proto::WorkerMessage { message: Some(said) });
    }

    pub(super) fn register(&mut self, request: proto::RegisterWorkerRequest) -> Conn {
        let conn = self.connect();
        self.say(conn, Said::Register(request));
        conn
    }

    /// A registered worker; its registration is read.
    pub(super) fn worker(&mut self, name: &str, kind: JobType) -> Conn {
        let conn = self.register(proto::RegisterWorkerRequest {
            r#type: kind as i32,
            agent_name: name.into(),
            ..Default::default()
        });
        let told: Vec<Output> = self.take();
        let registered = told.iter().any(|o| matches!(o, Output::Send { conn: c, message } if *c == conn && matches!(**message, Message::Register(_))));
        assert!(registered, "{told:?}");
        self.out = told;
        conn
    }

    pub(super) fn answer(&mut self, conn: Conn, job: &str, available: bool) {
        self.say(
            conn,
            Said::Availability(proto::AvailabilityResponse {
                job_id: job.into(),
                available,
                ..Default::default()
            }),
        );
    }

    /// Takes the only job it was asked about and returns job and claims.
    pub(super) fn accept(&mut self, conn: Conn) -> (proto::Job, Claims) {
        let job = self.asked_one(conn);
        self.answer(conn, &job.id, true);
        self.assigned(conn)
    }

    pub(super) fn assigned(&mut self, conn: Conn) -> (proto::Job, Claims) {
        let out = self.take();
        let found = out.into_iter().find_map(|o| match o {
            Output::Assign { conn: c, job, claims } if c == conn => Some((*job, *claims)),
            _ => None,
        });
        found.expect("an assignment")
    }

    pub(super) fn status(&mut self, conn: Conn, available: bool, load: f32) {
        let status = if available { proto::WorkerStatus::WsAvailable } else { proto::WorkerStatus::WsFull };
        self.say(
            conn,
            Said::UpdateWorker(proto::UpdateWorkerStatus {
                status: Some(status as i32),
                load,
                ..Default::default()
            }),
        );
    }

    pub(super) fn report(&mut self, conn: Conn, job: &str, status: JobStatus) {
        self.say(
            conn,
            Said::UpdateJob(proto::UpdateJobStatus {
                job_id: job.into(),
                status: status as i32,
                error: String::new(),
            }),
        );
    }

    pub(super) fn close(&mut self, conn: Conn) {
        self.dispatcher.closed(self.now, conn);
    }

    pub(super) fn news(&mut self, news: News) {
        self.dispatcher.news(self.now, news);
    }

    pub(super) fn open_room(&mut self, name: &str, agents: &[&str]) -> proto::Room {
        let room = room(name);
        let agents = agents.iter().map(|a| named(a)).collect();
        self.news(News::RoomStarted { room: room.clone(), agents });
        room
    }

    pub(super) fn join(&mut self, room: &proto::Room, identity: &str) {
        self.news(News::Joined { room: room.clone(), participant: person(identity) });
    }

    pub(super) fn publish(&mut self, room: &proto::Room, identity: &str) {
        self.news(News::Published { room: room.clone(), participant: person(identity) });
    }

    pub(super) fn leave(&mut self, room: &proto::Room, identity: &str, reason: DisconnectReason) {
        let mut participant = person(identity);
        participant.disconnect_reason = reason as i32;
        self.news(News::Left { room: room.clone(), participant });
    }

    pub(super) fn agent_joins(&mut self, room: &proto::Room, identity: &str) {
        let participant =
            proto::ParticipantInfo { kind: proto::participant_info::Kind::Agent as i32, ..person(identity) };
        self.news(News::Joined { room: room.clone(), participant });
    }

    /// Time passes, timers included.
    pub(super) fn pass(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(at) = self.dispatcher.deadline().filter(|at| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            self.dispatcher.timeout(self.now);
        }
        self.now.mono = end;
        self.now.unix_nanos += i64::try_from(seconds).unwrap() * 1_000_000_000;
        self.dispatcher.timeout(self.now);
    }

    pub(super) fn dispatches(&self, room: &str) -> Vec<proto::AgentDispatch> {
        self.dispatcher.list(room, "").unwrap()
    }

    /// Status and error of all jobs of a room.
    pub(super) fn jobs(&self, room: &str) -> Vec<(JobStatus, String)> {
        let states = self.dispatches(room).into_iter().flat_map(|d| d.state.unwrap_or_default().jobs);
        states.map(|j| j.state.unwrap()).map(|s| (s.status(), s.error)).collect()
    }

    pub(super) fn create(&mut self, room: &proto::Room, agent: &str) -> proto::AgentDispatch {
        let request = proto::CreateAgentDispatchRequest {
            agent_name: agent.into(),
            room: room.name.clone(),
            ..Default::default()
        };
        self.dispatcher.create(self.now, room.clone(), request).unwrap()
    }
}

pub(super) fn named(agent: &str) -> proto::RoomAgentDispatch {
    proto::RoomAgentDispatch { agent_name: agent.into(), ..Default::default() }
}

pub(super) fn room(name: &str) -> proto::Room {
    proto::Room {
        sid: format!("RM_{name}"),
        name: name.into(),
        creation_time_ms: 1,
        ..proto::Room::default()
    }
}

pub(super) fn person(identity: &str) -> proto::ParticipantInfo {
    proto::ParticipantInfo { sid: format!("PA_{identity}"), identity: identity.into(), ..Default::default() }
}
