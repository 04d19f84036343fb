//! Figures follow what happens.

use super::super::*;
use super::world::World;
use livekit_protocol::{JobStatus, JobType};
use stats::{DispatchStats, JobCounters};

#[test]
fn workers_and_jobs_are_counted_where_they_are() {
    let mut w = World::new();
    let helper = w.worker("helper", JobType::JtRoom);
    let other = w.worker("other", JobType::JtRoom);
    w.connect();
    w.status(other, false, 1.0);
    for name in ["den", "hall", "attic"] {
        w.open_room(name, &["helper", "other"]);
    }
    let mut asked = w.asked(helper).into_iter().map(|a| a.job.unwrap().id);
    let (first, second) = (asked.next().unwrap(), asked.next().unwrap());
    w.answer(helper, &first, true);
    w.answer(helper, &second, true);
    w.report(helper, &first, JobStatus::JsSuccess);
    let jobs = JobCounters { assigned: 2, succeeded: 1, ..JobCounters::default() };
    let wanted = DispatchStats {
        workers_available: 1,
        workers_full: 1,
        workers_unregistered: 1,
        jobs_waiting: 3,
        jobs_offered: 1,
        jobs_running: 1,
        jobs_orphaned: 0,
        dispatches: 6,
        jobs,
    };
    assert_eq!(w.dispatcher.stats(), wanted);

    w.close(helper);
    let stats = w.dispatcher.stats();
    assert_eq!((stats.jobs_orphaned, stats.jobs_running, stats.jobs_waiting), (1, 0, 4));
    for name in ["den", "hall", "attic"] {
        w.news(News::RoomFinished { sid: format!("RM_{name}") });
    }
    let stats = w.dispatcher.stats();
    assert_eq!((stats.jobs_orphaned, stats.jobs_waiting, stats.dispatches), (0, 0, 0));
    assert_eq!(stats.jobs, JobCounters { room_closed: 1, ..jobs }, "the others had not begun");
}

#[test]
fn jobs_that_fail_or_find_nobody_are_counted() {
    let mut w = World::with(Limits { attempts: 1, ..Limits::default() }, 1);
    let worker = w.worker("", JobType::JtRoom);
    w.open_room("den", &[]);
    let (job, _) = w.accept(worker);
    w.report(worker, &job.id, JobStatus::JsFailed);
    w.open_room("hall", &[]);
    let job = w.asked_one(worker);
    w.answer(worker, &job.id, false);
    let jobs = w.dispatcher.stats().jobs;
    assert_eq!(jobs, JobCounters { assigned: 1, failed: 1, given_up: 1, ..JobCounters::default() });
}
