//! Workers that lose their connection.

use super::super::*;
use super::world::World;
use livekit_protocol::{DisconnectReason, JobStatus, JobType};

/// A worker with a job in `den`, another one in reserve, and the job's agent.
fn running(joined: bool) -> (World, Conn, Conn, proto::Job, String) {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let (job, claims) = w.accept(worker);
    if joined {
        w.agent_joins(&den, &claims.sub);
    }
    let reserve = w.worker("", JobType::JtRoom);
    w.take();
    (w, worker, reserve, job, claims.sub)
}

#[test]
fn an_unanswered_request_of_a_lost_worker_goes_to_another_at_once() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let job = w.asked_one(worker).id;
    let reserve = w.worker("", JobType::JtRoom);
    w.close(worker);
    let asked = w.asked(reserve);
    assert_eq!((asked[0].job.as_ref().unwrap().id.as_str(), asked[0].resuming), (job.as_str(), false));
}

#[test]
fn the_job_of_a_lost_worker_whose_agent_is_not_there_goes_to_another() {
    let (mut w, worker, reserve, job, _) = running(false);
    w.close(worker);
    w.pass(9);
    assert!(w.asked(reserve).is_empty(), "it may come back");
    w.pass(1);
    let asked = w.asked(reserve);
    assert_eq!((asked[0].job.as_ref().unwrap().id.as_str(), asked[0].resuming), (job.id.as_str(), true));
    w.answer(reserve, &job.id, true);
    let (again, _) = w.assigned(reserve);
    assert_eq!(again.id, job.id);
    assert_eq!(w.jobs("den"), [(JobStatus::JsRunning, String::new())]);
}

#[test]
fn an_agent_in_the_room_keeps_its_job_while_its_worker_is_away() {
    let (mut w, worker, reserve, job, _) = running(true);
    w.close(worker);
    w.pass(600);
    assert!(w.asked(reserve).is_empty());
    let back = w.worker("", JobType::JtRoom);
    w.report(back, &job.id, JobStatus::JsRunning);
    assert!(w.terminated(back).is_empty());
    w.report(back, &job.id, JobStatus::JsSuccess);
    assert_eq!(w.jobs("den"), [(JobStatus::JsSuccess, String::new())]);
}

#[test]
fn an_agent_that_vanishes_with_its_worker_is_replaced() {
    let (mut w, worker, reserve, job, agent) = running(true);
    let den = super::world::room("den");
    w.close(worker);
    w.leave(&den, &agent, DisconnectReason::ConnectionTimeout);
    let asked = w.asked(reserve);
    assert_eq!((asked[0].job.as_ref().unwrap().id.as_str(), asked[0].resuming), (job.id.as_str(), true));
    // The first worker lives after all and thinks that it still has the job.
    let back = w.worker("", JobType::JtRoom);
    w.report(back, &job.id, JobStatus::JsRunning);
    assert_eq!(w.terminated(back), [job.id.as_str()]);
}

#[test]
fn an_agent_that_leaves_on_purpose_or_is_removed_is_not_replaced() {
    for (reason, ended) in [
        (DisconnectReason::ClientInitiated, (JobStatus::JsSuccess, String::new())),
        (
            DisconnectReason::ParticipantRemoved,
            (JobStatus::JsFailed, "agent worker left the room".to_owned()),
        ),
    ] {
        let (mut w, worker, reserve, _, agent) = running(true);
        w.close(worker);
        w.leave(&super::world::room("den"), &agent, reason);
        w.pass(60);
        assert!(w.asked(reserve).is_empty());
        assert_eq!(w.jobs("den"), [ended]);
    }
}

#[test]
fn a_dispatch_that_says_never_is_not_handed_over() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let reserve = w.worker("helper", JobType::JtRoom);
    w.take();
    let den = w.open_room("den", &["x"]);
    let request = proto::CreateAgentDispatchRequest {
        agent_name: "helper".into(),
        room: "den".into(),
        restart_policy: proto::JobRestartPolicy::JrpNever as i32,
        ..Default::default()
    };
    w.dispatcher.create(w.now, den, request).unwrap();
    let (first, second) = if w.asked(worker).is_empty() { (reserve, worker) } else { (worker, reserve) };
    let job = w.dispatcher.jobs.keys().next().unwrap().clone();
    w.answer(first, &job, true);
    w.close(first);
    w.pass(10);
    assert!(w.asked(second).is_empty());
    assert_eq!(w.jobs("den"), [(JobStatus::JsFailed, "agent worker disconnected".into())]);
}

#[test]
fn a_job_that_kills_its_workers_is_given_up_in_the_end() {
    let mut w = World::with(Limits { attempts: 3, ..Limits::default() }, 1);
    w.open_room("den", &[]);
    for _ in 0..3 {
        let worker = w.worker("", JobType::JtRoom);
        w.accept(worker);
        w.close(worker);
        w.pass(10);
    }
    let worker = w.worker("", JobType::JtRoom);
    assert!(w.asked(worker).is_empty());
    assert!(w.dispatcher.jobs.is_empty());
}
