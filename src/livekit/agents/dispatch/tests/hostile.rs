//! Workers that do not keep to the protocol.

use super::super::*;
use super::world::{World, person, room};
use livekit_protocol::worker_message::Message as Said;
use livekit_protocol::{JobStatus, JobType};
use proptest::prelude::*;

fn closed(w: &mut World, conn: Conn) -> Option<&'static str> {
    let out = w.take();
    out.into_iter().find_map(|o| match o {
        Output::Close { conn: c, reason } if c == conn => Some(reason),
        _ => None,
    })
}

#[test]
fn registration_comes_first_once_and_in_time() {
    let mut w = World::new();
    let silent = w.connect();
    w.pass(9);
    assert_eq!(closed(&mut w, silent), None);
    w.pass(1);
    assert_eq!(closed(&mut w, silent), Some("no registration in time"));

    let hasty = w.connect();
    w.status(hasty, true, 0.0);
    assert_eq!(closed(&mut w, hasty), Some("not registered"));

    let twice = w.worker("", JobType::JtRoom);
    w.say(twice, Said::Register(proto::RegisterWorkerRequest::default()));
    assert_eq!(closed(&mut w, twice), Some("registered already"));

    let empty = w.worker("", JobType::JtRoom);
    w.dispatcher.message(w.now, empty, proto::WorkerMessage::default());
    assert_eq!(closed(&mut w, empty), Some("unknown message"));
    w.open_room("den", &[]);
    assert!(w.take().is_empty(), "none of them is asked any more");
}

#[test]
fn impossible_registrations_are_refused_with_a_reason() {
    let mut w = World::new();
    let register = |change: fn(&mut proto::RegisterWorkerRequest)| {
        let mut request = proto::RegisterWorkerRequest::default();
        change(&mut request);
        request
    };
    for (request, reason) in [
        (register(|r| r.r#type = 9), "unknown job type"),
        (register(|r| r.agent_name = "x".repeat(257)), "agent name too long"),
        (register(|r| r.deployment = "x".repeat(65)), "deployment exceeds 64 bytes"),
        (register(|r| r.deployment = "a_b".into()), "deployment contains the reserved character '_'"),
        (register(|r| r.deployment = "a b".into()), "deployment contains white space or a control character"),
    ] {
        let conn = w.register(request);
        assert_eq!(closed(&mut w, conn), Some(reason));
    }
}

#[test]
fn a_ping_is_answered_even_before_registration() {
    let mut w = World::new();
    let conn = w.connect();
    w.say(conn, Said::Ping(proto::WorkerPing { timestamp: 42 }));
    let pong = proto::WorkerPong { last_timestamp: 42, timestamp: w.now.unix_nanos / 1_000_000 };
    assert_eq!(w.told(conn), [Message::Pong(pong)]);
}

#[test]
fn more_sockets_than_allowed_are_refused() {
    let mut w = World::with(Limits { workers: 2, ..Limits::default() }, 1);
    let first = w.connect();
    w.connect();
    let third = w.connect();
    assert_eq!(closed(&mut w, third), Some("too many workers"));
    w.close(first);
    let fourth = w.connect();
    assert_eq!(closed(&mut w, fourth), None);
}

#[test]
fn the_number_of_jobs_is_bounded() {
    let mut w = World::with(Limits { jobs: 3, ..Limits::default() }, 1);
    let worker = w.worker("", JobType::JtRoom);
    for i in 0..5 {
        w.open_room(&format!("room-{i}"), &[]);
    }
    w.say(
        worker,
        Said::SimulateJob(proto::SimulateJobRequest { room: Some(room("lab")), ..Default::default() }),
    );
    assert_eq!(w.asked(worker).len(), 3);
}

#[test]
fn one_worker_cannot_take_all_places_with_simulated_jobs() {
    let mut w = World::with(Limits { open_requests: 2, ..Limits::default() }, 1);
    let worker = w.worker("", JobType::JtRoom);
    for _ in 0..5 {
        let request = proto::SimulateJobRequest { room: Some(room("lab")), ..Default::default() };
        w.say(worker, Said::SimulateJob(request));
    }
    assert_eq!(w.asked(worker).len(), 2);
}

#[test]
fn others_jobs_cannot_be_answered_or_ended() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let thief = w.worker("thief", JobType::JtRoom);
    w.open_room("den", &[]);
    let job = w.asked_one(worker).id;
    w.take();
    w.answer(thief, &job, true);
    w.report(thief, &job, JobStatus::JsFailed);
    assert!(w.take().is_empty());
    w.answer(worker, &job, true);
    w.assigned(worker);
    w.report(thief, &job, JobStatus::JsFailed);
    w.close(worker);
    w.report(thief, &job, JobStatus::JsRunning);
    assert_eq!(w.terminated(thief), [job.as_str()], "it never had this job");
    assert_eq!(w.jobs("den"), [(JobStatus::JsRunning, String::new())]);
}

#[test]
fn an_agent_that_could_not_join_counts_as_a_refusal() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let job_id = w.asked_one(worker).id;
    let participant_identity = "x".repeat(257);
    let answer =
        proto::AvailabilityResponse { job_id, available: true, participant_identity, ..Default::default() };
    w.say(worker, Said::Availability(answer));
    assert!(w.take().is_empty());
    assert!(w.jobs("den").is_empty());
}

fn step(w: &mut World, conns: &mut Vec<Conn>, (what, a, b): (u8, u8, u8)) {
    let name = |n: u8| ["", "a", "b"][usize::from(n % 3)];
    let den = room(["r", "s"][usize::from(b % 2)]);
    let who = ["ada", "bob", "eve"][usize::from(a % 3)];
    let conn = conns.get(usize::from(a) % conns.len().max(1)).copied().unwrap_or(Conn(999));
    let job = w.dispatcher.jobs.keys().nth(usize::from(b) % w.dispatcher.jobs.len().max(1)).cloned();
    let job = job.unwrap_or_default();
    match what % 16 {
        0 => conns.push(w.connect()),
        1 => {
            let kind = i32::from(b % 4);
            let request = proto::RegisterWorkerRequest {
                r#type: kind,
                agent_name: name(b).into(),
                ..Default::default()
            };
            w.say(conn, Said::Register(request));
        }
        2 | 3 => w.answer(conn, &job, b % 4 != 0),
        4 => w.status(conn, b % 3 != 0, f32::from(a) / 100.0),
        5 => w.report(conn, &job, JobStatus::try_from(i32::from(b % 4)).unwrap_or_default()),
        6 => w.close(conn),
        7 => w.news(News::RoomStarted { room: den, agents: vec![super::world::named(name(a))] }),
        8 => w.news(News::RoomFinished { sid: den.sid }),
        9 => w.join(&den, who),
        10 => w.publish(&den, who),
        11 => w.leave(
            &den,
            who,
            livekit_protocol::DisconnectReason::try_from(i32::from(b % 16)).unwrap_or_default(),
        ),
        12 => {
            let request =
                proto::CreateAgentDispatchRequest { agent_name: name(a).into(), ..Default::default() };
            let _ = w.dispatcher.create(w.now, den, request);
        }
        13 => {
            let id = w.dispatcher.list(&den.name, "").ok().and_then(|d| Some(d.first()?.id.clone()));
            let _ = w.dispatcher.delete(w.now, &den.name, &id.unwrap_or_default());
        }
        14 => w.pass(u64::from(a % 12)),
        _ => {
            let participants = vec![person(who)];
            w.dispatcher.resync(w.now, vec![Snapshot { room: den, agents: Vec::new(), participants }]);
        }
    }
}

/// What must hold after every step.
fn check(d: &Dispatcher) {
    for (id, job) in &d.jobs {
        assert_eq!(job.phase == Phase::Waiting, d.waiting.contains(id), "{id}: {job:?}");
        if let Phase::Asking { conn, .. } = job.phase {
            assert!(d.workers[&conn].asked.contains(id), "{id}: {job:?}");
        }
        if let Phase::Running { conn: Some(conn), .. } = job.phase {
            assert!(d.workers.contains_key(&conn), "{id}: {job:?}");
        }
        assert!(d.rooms.contains_key(&job.room), "{id}: {job:?}");
    }
    for worker in d.workers.values() {
        assert!(worker.asked.iter().all(|id| d.jobs.contains_key(id)), "{worker:?}");
    }
    for room in d.rooms.values() {
        assert!(room.agents.values().all(|a| d.jobs.contains_key(&a.job)), "{room:?}");
        for dispatch in &room.dispatches {
            assert!(dispatch.jobs.iter().all(|id| d.jobs.contains_key(id)), "{dispatch:?}");
        }
    }
    assert!(d.waiting.iter().all(|id| d.jobs.contains_key(id)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_the_books_straight(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..120)) {
        let mut w = World::new();
        let mut conns = Vec::new();
        for s in steps {
            step(&mut w, &mut conns, s);
            check(&w.dispatcher);
            w.take();
        }
    }
}
