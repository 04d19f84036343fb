//! A job from wish to end.

use super::super::*;
use super::world::{World, person, room};
use livekit_protocol::worker_message::Message as Said;
use livekit_protocol::{DisconnectReason, JobStatus, JobType};

#[test]
fn a_worker_without_name_joins_every_room() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    for name in ["den", "hall"] {
        w.open_room(name, &[]);
        let (job, claims) = w.accept(worker);
        assert_eq!(job.room.unwrap().name, name);
        assert!(job.id.starts_with("AJ_") && job.dispatch_id.starts_with("AD_"));
        let video = claims.video.unwrap();
        assert_eq!((video.room.as_str(), video.room_join, video.agent), (name, true, true));
    }
}

#[test]
fn registration_answers_with_id_and_server() {
    let mut w = World::new();
    let worker = w.register(proto::RegisterWorkerRequest::default());
    let told = w.told(worker);
    let [Message::Register(response)] = told.as_slice() else { panic!("{told:?}") };
    assert!(response.worker_id.starts_with("AW_"));
    assert_eq!(response.server_info.as_ref().unwrap().version, "1.2.3");
}

#[test]
fn a_named_agent_comes_only_where_it_is_named() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    w.open_room("den", &[]);
    w.open_room("hall", &["other"]);
    assert_eq!(w.asked(worker).len(), 0);
    w.open_room("attic", &["helper", "other"]);
    assert_eq!(w.asked_one(worker).room.unwrap().name, "attic");
}

#[test]
fn named_agents_replace_the_nameless_ones() {
    let mut w = World::new();
    let nameless = w.worker("", JobType::JtRoom);
    w.open_room("den", &["helper"]);
    assert_eq!(w.asked(nameless).len(), 0);
}

#[test]
fn the_request_carries_what_was_dispatched() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &["x"]);
    let request = proto::CreateAgentDispatchRequest {
        agent_name: "helper".into(),
        room: "den".into(),
        metadata: "be kind".into(),
        attributes: [("a".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    let dispatch = w.dispatcher.create(w.now, den, request).unwrap();
    let job = w.asked_one(worker);
    assert_eq!((job.metadata.as_str(), job.attributes["a"].as_str()), ("be kind", "b"));
    assert_eq!(job.dispatch_id, dispatch.id);
    let state = job.state.unwrap();
    assert_eq!((state.status(), state.started_at), (JobStatus::JsRunning, w.now.unix_nanos));
    assert!(state.worker_id.starts_with("AW_"));
}

#[test]
fn the_token_is_what_the_worker_asked_for_and_no_more() {
    let mut w = World::new();
    let permissions = proto::ParticipantPermission {
        can_subscribe: true,
        hidden: true,
        can_publish_sources: vec![proto::TrackSource::Microphone as i32],
        can_manage_agent_session: true,
        ..Default::default()
    };
    let worker = w.register(proto::RegisterWorkerRequest {
        agent_name: "helper".into(),
        allowed_permissions: Some(permissions),
        ..Default::default()
    });
    w.open_room("den", &["helper"]);
    let job = w.asked_one(worker);
    w.say(
        worker,
        Said::Availability(proto::AvailabilityResponse {
            job_id: job.id.clone(),
            available: true,
            participant_identity: "helper-1".into(),
            participant_name: "Helper".into(),
            participant_metadata: "m".into(),
            participant_attributes: [
                ("lk.agent_name".to_owned(), "liar".to_owned()),
                ("k".into(), "v".into()),
            ]
            .into(),
            ..Default::default()
        }),
    );
    let (job, claims) = w.assigned(worker);
    assert_eq!(job.state.unwrap().participant_identity, "helper-1");
    assert_eq!((claims.iss.as_deref(), claims.kind.as_str()), (Some("devkey"), "agent"));
    assert_eq!(
        (claims.sub.as_str(), claims.name.as_str(), claims.metadata.as_str()),
        ("helper-1", "Helper", "m")
    );
    assert_eq!(
        (claims.attributes["lk.agent_name"].as_str(), claims.attributes["k"].as_str()),
        ("helper", "v")
    );
    assert_eq!(claims.exp.unwrap() - claims.nbf.unwrap(), 3600);
    let video = claims.video.unwrap();
    assert_eq!((video.can_publish, video.can_subscribe, video.hidden), (Some(false), Some(true), true));
    assert_eq!(video.can_publish_sources, ["microphone"]);
    assert!(!video.room_admin && !video.room_create && !video.recorder);
    assert_eq!(video.can_manage_agent_session, None);
}

#[test]
fn an_agent_that_names_no_identity_gets_one() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let (job, claims) = w.accept(worker);
    assert_eq!(claims.sub, format!("agent-{}", job.id));
}

#[test]
fn a_refusal_or_silence_moves_on_to_the_next_worker() {
    let mut w = World::new();
    let workers =
        [w.worker("", JobType::JtRoom), w.worker("", JobType::JtRoom), w.worker("", JobType::JtRoom)];
    w.take();
    w.open_room("den", &[]);
    let asked = |w: &mut World| {
        let out = w.take();
        let conn = out.iter().find_map(|o| match o {
            Output::Send { conn, message } if matches!(**message, Message::Availability(_)) => Some(*conn),
            _ => None,
        });
        w.out = out;
        conn.unwrap()
    };
    let first = asked(&mut w);
    let job = w.asked_one(first).id;
    w.answer(first, &job, false);
    let second = asked(&mut w);
    assert_eq!(w.asked_one(second).id, job);
    w.pass(9);
    assert!(w.take().is_empty());
    w.pass(1);
    let third = asked(&mut w);
    let mut all = [first, second, third];
    all.sort();
    assert_eq!(all, workers);
    w.accept(third);
    // The late answer of the second changes nothing.
    w.answer(second, &job, true);
    assert!(w.take().is_empty());
    assert_eq!(w.jobs("den"), [(JobStatus::JsRunning, String::new())]);
}

#[test]
fn a_job_nobody_takes_waits_for_a_new_worker_and_asks_nobody_twice() {
    let mut w = World::new();
    let unwilling = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let job = w.asked_one(unwilling).id;
    w.answer(unwilling, &job, false);
    w.status(unwilling, true, 0.0);
    w.pass(60);
    assert!(w.asked(unwilling).is_empty());
    let willing = w.worker("", JobType::JtRoom);
    assert_eq!(w.asked_one(willing).id, job);
}

#[test]
fn rooms_that_were_open_before_get_their_agent_when_a_worker_comes() {
    let mut w = World::new();
    let den = w.open_room("den", &["helper"]);
    w.join(&den, "ada");
    let worker = w.worker("helper", JobType::JtRoom);
    assert_eq!(w.accept(worker).0.room.unwrap().name, "den");
    let second = w.worker("helper", JobType::JtRoom);
    assert!(w.asked(second).is_empty(), "one agent is enough");
}

#[test]
fn a_full_worker_is_asked_when_it_has_room_again() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.status(worker, false, 0.9);
    w.open_room("den", &[]);
    assert!(w.asked(worker).is_empty());
    w.status(worker, true, 0.2);
    assert_eq!(w.asked(worker).len(), 1);
}

#[test]
fn terminate_in_the_answer_ends_the_job_without_an_agent() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let job_id = w.asked_one(worker).id;
    w.say(
        worker,
        Said::Availability(proto::AvailabilityResponse { job_id, terminate: true, ..Default::default() }),
    );
    assert_eq!(w.jobs("den"), [(JobStatus::JsSuccess, String::new())]);
    assert!(w.take().is_empty());
}

#[test]
fn the_worker_reports_how_a_job_ended() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let (job, _) = w.accept(worker);
    w.report(worker, &job.id, JobStatus::JsRunning);
    w.pass(5);
    w.say(
        worker,
        Said::UpdateJob(proto::UpdateJobStatus {
            job_id: job.id.clone(),
            status: JobStatus::JsFailed as i32,
            error: "boom".into(),
        }),
    );
    assert_eq!(w.jobs("den"), [(JobStatus::JsFailed, "boom".into())]);
    let dispatches = w.dispatches("den");
    let state = dispatches[0].state.as_ref().unwrap().jobs[0].state.as_ref().unwrap();
    assert_eq!(state.ended_at - state.started_at, 5_000_000_000);
    let other = w.worker("", JobType::JtRoom);
    assert!(w.asked(other).is_empty(), "a job that ended is not started again");
}

#[test]
fn an_agent_that_leaves_fails_its_job() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let (job, claims) = w.accept(worker);
    w.agent_joins(&den, &claims.sub);
    w.leave(&den, &claims.sub, DisconnectReason::ClientInitiated);
    assert_eq!(w.terminated(worker), [job.id]);
    assert_eq!(w.jobs("den"), [(JobStatus::JsFailed, "agent worker left the room".into())]);
}

#[test]
fn an_agent_that_leaves_after_its_end_changes_nothing() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let (job, claims) = w.accept(worker);
    w.agent_joins(&den, &claims.sub);
    w.report(worker, &job.id, JobStatus::JsSuccess);
    w.leave(&den, &claims.sub, DisconnectReason::ClientInitiated);
    assert!(w.terminated(worker).is_empty());
    assert_eq!(w.jobs("den"), [(JobStatus::JsSuccess, String::new())]);
}

#[test]
fn an_older_participant_of_the_agents_identity_is_not_the_agent() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let (_, claims) = w.accept(worker);
    let old = proto::ParticipantInfo { sid: "PA_old".into(), ..person(&claims.sub) };
    w.news(News::Left { room: den.clone(), participant: old });
    assert!(w.terminated(worker).is_empty());
    assert_eq!(w.jobs("den"), [(JobStatus::JsRunning, String::new())]);
}

#[test]
fn simulated_jobs_go_to_the_worker_that_asked() {
    let mut w = World::new();
    let others = w.worker("", JobType::JtRoom);
    let worker = w.worker("helper", JobType::JtRoom);
    w.say(
        worker,
        Said::SimulateJob(proto::SimulateJobRequest { room: Some(room("lab")), ..Default::default() }),
    );
    assert!(w.asked(others).is_empty());
    let (job, claims) = w.accept(worker);
    assert_eq!((job.agent_name.as_str(), job.dispatch_id.as_str()), ("helper", ""));
    assert_eq!(claims.video.unwrap().room, "lab");
    w.report(worker, &job.id, JobStatus::JsSuccess);
    w.say(worker, Said::SimulateJob(proto::SimulateJobRequest::default()));
    assert!(w.take().is_empty(), "no room, no job");
}
