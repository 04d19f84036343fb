//! CreateDispatch, DeleteDispatch, ListDispatch.

use super::super::*;
use super::world::{World, room};
use livekit_protocol::{DisconnectReason, JobStatus, JobType};

#[test]
fn a_new_dispatch_finds_who_is_there_already() {
    let mut w = World::new();
    let den = w.open_room("den", &["x"]);
    w.join(&den, "ada");
    w.join(&den, "bob");
    w.publish(&den, "bob");
    let host = w.worker("helper", JobType::JtRoom);
    let greeter = w.worker("helper", JobType::JtParticipant);
    let listener = w.worker("helper", JobType::JtPublisher);
    let dispatch = w.create(&den, "helper");
    assert!(dispatch.id.starts_with("AD_"));
    assert_eq!(dispatch.state.unwrap().created_at, w.now.unix_nanos);
    let mut about = |conn| {
        let asked = w.asked(conn).into_iter().map(|a| a.job.unwrap());
        asked.map(|j| j.participant.map(|p| p.identity).unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(about(host), [""]);
    assert_eq!(about(greeter), ["ada", "bob"]);
    assert_eq!(about(listener), ["bob"]);
}

#[test]
fn a_dispatch_may_come_before_the_news_of_its_room() {
    let mut w = World::new();
    let nameless = w.worker("", JobType::JtRoom);
    let helper = w.worker("helper", JobType::JtRoom);
    let den = room("den");
    w.create(&den, "helper");
    assert_eq!(w.asked(helper).len(), 1);
    w.news(News::RoomStarted { room: den, agents: Vec::new() });
    assert_eq!(w.asked(nameless).len(), 1);
    assert_eq!(w.dispatches("den").len(), 2);
}

#[test]
fn lists_show_one_or_all_with_the_jobs_that_were_taken() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &["x"]);
    let id = w.create(&den, "helper").id;
    assert_eq!(w.dispatches("den").len(), 2);
    let one = w.dispatcher.list("den", &id).unwrap();
    assert_eq!((one.len(), one[0].state.as_ref().unwrap().jobs.len()), (1, 0), "nobody has taken it yet");
    w.accept(worker);
    let one = w.dispatcher.list("den", &id).unwrap();
    assert_eq!(one[0].state.as_ref().unwrap().jobs[0].state.as_ref().unwrap().status(), JobStatus::JsRunning);
    assert_eq!(w.dispatcher.list("den", "AD_none"), Ok(Vec::new()));
    assert_eq!(w.dispatcher.list("attic", ""), Err(DispatchError::NoRoom));
}

#[test]
fn deleting_ends_the_jobs_and_removes_an_agent_that_stays() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &["helper"]);
    let id = w.dispatches("den")[0].id.clone();
    let (job, claims) = w.accept(worker);
    w.agent_joins(&den, &claims.sub);
    let deleted = w.dispatcher.delete(w.now, "den", &id).unwrap();
    assert_eq!(deleted.state.unwrap().deleted_at, w.now.unix_nanos);
    assert_eq!(w.terminated(worker), [job.id]);
    w.pass(2);
    assert!(w.removed().is_empty());
    w.pass(1);
    assert_eq!(w.removed(), [("den".to_owned(), claims.sub.clone())]);
    // Its departure is nobody's failure any more.
    w.leave(&den, &claims.sub, DisconnectReason::ParticipantRemoved);
    assert!(w.take().is_empty());
    assert_eq!(w.dispatcher.delete(w.now, "den", &id), Err(DispatchError::NoDispatch));
    assert_eq!(w.dispatcher.delete(w.now, "attic", &id), Err(DispatchError::NoRoom));
}

#[test]
fn an_agent_that_leaves_in_time_is_left_alone() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &["helper"]);
    let id = w.dispatches("den")[0].id.clone();
    let (_, claims) = w.accept(worker);
    w.agent_joins(&den, &claims.sub);
    w.dispatcher.delete(w.now, "den", &id).unwrap();
    w.leave(&den, &claims.sub, DisconnectReason::ClientInitiated);
    // Somebody else of that identity is no concern of the deleted dispatch.
    w.join(&den, &claims.sub);
    w.pass(60);
    assert!(w.removed().is_empty());
}

#[test]
fn an_agent_that_joins_after_its_end_is_removed_as_well() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &["helper"]);
    let id = w.dispatches("den")[0].id.clone();
    let (_, claims) = w.accept(worker);
    w.dispatcher.delete(w.now, "den", &id).unwrap();
    w.pass(5);
    w.agent_joins(&den, &claims.sub);
    assert_eq!(w.removed(), [("den".to_owned(), claims.sub)]);
}

#[test]
fn deleting_recalls_a_request_nobody_has_answered() {
    let mut w = World::new();
    let worker = w.worker("helper", JobType::JtRoom);
    w.open_room("den", &["helper"]);
    let id = w.dispatches("den")[0].id.clone();
    let job = w.asked_one(worker).id;
    w.dispatcher.delete(w.now, "den", &id).unwrap();
    w.answer(worker, &job, true);
    assert!(w.take().is_empty());
    assert!(w.dispatcher.jobs.is_empty());
}

#[test]
fn a_room_has_a_bounded_number_of_dispatches() {
    let mut w = World::with(Limits { dispatches: 3, ..Limits::default() }, 1);
    let den = w.open_room("den", &["a", "b", "c", "d"]);
    assert_eq!(w.dispatches("den").len(), 3);
    let refused = w.dispatcher.create(w.now, den, proto::CreateAgentDispatchRequest::default());
    assert_eq!(refused, Err(DispatchError::TooMany));
}

#[test]
fn finished_jobs_are_remembered_up_to_a_bound() {
    let mut w = World::with(Limits { finished_jobs: 2, ..Limits::default() }, 1);
    let greeter = w.worker("", JobType::JtParticipant);
    let den = w.open_room("den", &[]);
    let mut last = Vec::new();
    for name in ["a", "b", "c"] {
        w.join(&den, name);
        let (job, _) = w.accept(greeter);
        w.report(greeter, &job.id, JobStatus::JsSuccess);
        last.push(job.id);
    }
    let shown: Vec<String> =
        w.dispatches("den")[0].state.as_ref().unwrap().jobs.iter().map(|j| j.id.clone()).collect();
    assert_eq!(shown, last[1..]);
}
