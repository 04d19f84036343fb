//! Which worker is asked.

use super::super::*;
use super::world::World;
use livekit_protocol::JobType;
use std::collections::BTreeMap;

/// How many of many rooms went to each worker.
fn spread(loads: &[f32], seed: u8) -> Vec<usize> {
    let mut w = World::with(Limits { open_requests: 10_000, ..Limits::default() }, seed);
    let workers: Vec<Conn> = loads.iter().map(|_| w.worker("", JobType::JtRoom)).collect();
    for (conn, load) in workers.iter().zip(loads) {
        w.status(*conn, true, *load);
    }
    for i in 0..1000 {
        w.open_room(&format!("room-{i}"), &[]);
    }
    workers.iter().map(|conn| w.asked(*conn).len()).collect()
}

#[test]
fn the_less_loaded_a_worker_the_more_jobs_it_gets() {
    let got = spread(&[0.0, 0.5, 0.9], 7);
    assert_eq!(got.iter().sum::<usize>(), 1000);
    // Expected 625, 312, 63.
    assert!(
        (550..700).contains(&got[0]) && (250..380).contains(&got[1]) && (30..110).contains(&got[2]),
        "{got:?}"
    );
}

#[test]
fn the_choice_depends_on_nothing_but_the_seed() {
    assert_eq!(spread(&[0.1, 0.2, 0.3], 3), spread(&[0.1, 0.2, 0.3], 3));
    assert_ne!(spread(&[0.1, 0.2, 0.3], 3), spread(&[0.1, 0.2, 0.3], 4));
}

#[test]
fn impossible_loads_count_as_full_but_an_available_worker_is_reachable() {
    let got = spread(&[f32::NAN, f32::INFINITY, -3.0, 7.0, 0.0], 1);
    assert_eq!(got.iter().sum::<usize>(), 1000);
    assert!(got[2] > 400 && got[4] > 400 && got[0] + got[1] + got[3] < 60, "{got:?}");
    assert_eq!(spread(&[1.0], 1), [1000]);
}

#[test]
fn deployments_and_job_types_are_kept_apart() {
    let mut w = World::new();
    let with = |kind: JobType, deployment: &str| proto::RegisterWorkerRequest {
        r#type: kind as i32,
        agent_name: "helper".into(),
        deployment: deployment.into(),
        ..Default::default()
    };
    let plain = w.register(with(JobType::JtRoom, ""));
    let canary = w.register(with(JobType::JtRoom, "canary"));
    let greeter = w.register(with(JobType::JtParticipant, "canary"));
    w.take();
    let agents = vec![proto::RoomAgentDispatch {
        agent_name: "helper".into(),
        deployment: "canary".into(),
        ..Default::default()
    }];
    w.news(News::RoomStarted { room: super::world::room("den"), agents });
    let asked: BTreeMap<_, _> = [plain, canary, greeter].map(|c| (c, w.asked(c).len())).into();
    assert_eq!(asked, [(plain, 0), (canary, 1), (greeter, 0)].into());
}

#[test]
fn a_worker_that_does_not_answer_is_not_flooded() {
    let mut w = World::with(Limits { open_requests: 2, ..Limits::default() }, 1);
    let worker = w.worker("", JobType::JtRoom);
    for i in 0..5 {
        w.open_room(&format!("room-{i}"), &[]);
    }
    let first = w.asked(worker);
    assert_eq!(first.len(), 2);
    w.answer(worker, &first[0].job.as_ref().unwrap().id, true);
    assert_eq!(w.asked(worker).len(), 1, "one answered, one more asked");
}
