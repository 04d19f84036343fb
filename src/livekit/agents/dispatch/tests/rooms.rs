//! Who is in the rooms decides about participant and publisher jobs.

use super::super::*;
use super::world::{World, named, person, room};
use livekit_protocol::{DisconnectReason, JobType};

#[test]
fn participant_jobs_follow_joins_and_publisher_jobs_the_first_track() {
    let mut w = World::new();
    let greeter = w.worker("", JobType::JtParticipant);
    let listener = w.worker("", JobType::JtPublisher);
    let den = w.open_room("den", &[]);
    w.join(&den, "ada");
    let job = w.asked_one(greeter);
    assert_eq!((job.r#type(), job.participant.unwrap().identity), (JobType::JtParticipant, "ada".into()));
    assert!(w.asked(listener).is_empty());
    w.publish(&den, "ada");
    let job = w.asked_one(listener);
    assert_eq!((job.r#type(), job.participant.unwrap().identity), (JobType::JtPublisher, "ada".into()));
    w.publish(&den, "ada");
    w.join(&den, "ada");
    assert!(w.asked(listener).is_empty() && w.asked(greeter).is_empty(), "once each");
}

#[test]
fn who_comes_back_is_somebody_new() {
    let mut w = World::new();
    let greeter = w.worker("", JobType::JtParticipant);
    let den = w.open_room("den", &[]);
    w.join(&den, "ada");
    w.accept(greeter);
    w.leave(&den, "ada", DisconnectReason::ClientInitiated);
    let again = proto::ParticipantInfo { sid: "PA_ada2".into(), ..person("ada") };
    w.news(News::Joined { room: den, participant: again });
    assert_eq!(w.asked_one(greeter).participant.unwrap().sid, "PA_ada2");
}

#[test]
fn agents_and_recorders_start_nothing() {
    let mut w = World::new();
    let greeter = w.worker("", JobType::JtParticipant);
    let listener = w.worker("", JobType::JtPublisher);
    let den = w.open_room("den", &[]);
    #[allow(deprecated, reason = "tokens still carry the grants")]
    let granted =
        |agent, recorder| Some(proto::ParticipantPermission { agent, recorder, ..Default::default() });
    for (kind, permission) in [
        (proto::participant_info::Kind::Agent, None),
        (proto::participant_info::Kind::Egress, None),
        (proto::participant_info::Kind::Standard, granted(true, false)),
        (proto::participant_info::Kind::Standard, granted(false, true)),
    ] {
        let participant = proto::ParticipantInfo { kind: kind as i32, permission, ..person("bot") };
        w.news(News::Joined { room: den.clone(), participant: participant.clone() });
        w.news(News::Published { room: den.clone(), participant });
        assert!(w.asked(greeter).is_empty() && w.asked(listener).is_empty(), "{kind:?}");
        w.leave(&den, "bot", DisconnectReason::ClientInitiated);
    }
    let caller =
        proto::ParticipantInfo { kind: proto::participant_info::Kind::Sip as i32, ..person("phone") };
    w.news(News::Joined { room: den, participant: caller });
    assert_eq!(w.asked(greeter).len(), 1);
}

#[test]
fn a_job_about_somebody_who_left_is_not_offered_on() {
    let mut w = World::new();
    let greeter = w.worker("", JobType::JtParticipant);
    let den = w.open_room("den", &[]);
    w.join(&den, "ada");
    let job = w.asked_one(greeter).id;
    w.leave(&den, "ada", DisconnectReason::ClientInitiated);
    w.answer(greeter, &job, true);
    assert!(w.take().is_empty());
    let second = w.worker("", JobType::JtParticipant);
    assert!(w.asked(second).is_empty());
}

#[test]
fn the_end_of_a_room_ends_its_jobs_and_a_new_room_of_the_name_starts_its_own() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let (job, _) = w.accept(worker);
    let newer = proto::Room { sid: "RM_newer".into(), creation_time_ms: 2, ..den.clone() };
    w.news(News::RoomStarted { room: newer, agents: Vec::new() });
    let second = w.asked_one(worker);
    w.news(News::RoomFinished { sid: den.sid });
    assert_eq!(w.terminated(worker), [job.id]);
    assert_eq!(w.dispatches("den").len(), 1, "the newer room is still there");
    w.answer(worker, &second.id, true);
    assert_eq!(w.assigned(worker).0.room.unwrap().sid, "RM_newer");
    w.news(News::RoomFinished { sid: "RM_newer".into() });
    assert_eq!(w.dispatcher.list("den", ""), Err(DispatchError::NoRoom));
}

#[test]
fn an_answer_for_a_room_that_closed_meanwhile_is_ignored() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    let job = w.asked_one(worker).id;
    w.news(News::RoomFinished { sid: den.sid });
    w.answer(worker, &job, true);
    assert!(w.take().is_empty());
}

#[test]
fn agents_named_later_are_added_and_none_is_sent_away() {
    let mut w = World::new();
    let nameless = w.worker("", JobType::JtRoom);
    let helper = w.worker("helper", JobType::JtRoom);
    let den = w.open_room("den", &[]);
    w.accept(nameless);
    for _ in 0..2 {
        w.news(News::AgentsChanged { room: den.clone(), agents: vec![named("helper")] });
    }
    assert_eq!(w.asked(helper).len(), 1);
    assert!(w.terminated(nameless).is_empty());
    assert_eq!(w.dispatches("den").len(), 2);
}

#[test]
fn missed_news_are_made_up_for() {
    let mut w = World::new();
    let worker = w.worker("", JobType::JtRoom);
    let greeter = w.worker("", JobType::JtParticipant);
    let closed = w.open_room("closed", &[]);
    let (closed_job, _) = w.accept(worker);
    let kept = w.open_room("kept", &[]);
    let (_, agent) = w.accept(worker);
    w.agent_joins(&kept, &agent.sub);
    w.join(&kept, "ada");
    w.accept(greeter);
    w.dispatcher.resync(
        w.now,
        vec![
            Snapshot { room: kept, agents: Vec::new(), participants: vec![person("bob")] },
            Snapshot { room: room("new"), agents: vec![named("")], participants: vec![person("eve")] },
        ],
    );
    let mut ended = w.terminated(worker);
    ended.sort();
    let mut expected = vec![closed_job.id];
    expected.extend(
        w.dispatches("kept")[0]
            .state
            .as_ref()
            .unwrap()
            .jobs
            .iter()
            .filter(|j| j.r#type() == JobType::JtRoom)
            .map(|j| j.id.clone()),
    );
    expected.sort();
    assert_eq!(ended, expected, "the closed room's job, and that of the agent that is gone");
    assert_eq!(w.dispatcher.list(&closed.name, ""), Err(DispatchError::NoRoom));
    // The old news that were still queued arrive after and start nothing twice.
    w.open_room("new", &[]);
    w.join(&room("new"), "eve");
    assert_eq!(w.dispatches("new").len(), 1);
    let greeted: Vec<String> =
        w.asked(greeter).into_iter().map(|a| a.job.unwrap().participant.unwrap().identity).collect();
    assert_eq!(greeted, ["bob", "eve"]);
}

#[test]
fn each_namespace_of_a_group_gets_its_own_job() {
    let mut w = World::new();
    let in_namespace = |namespace: &str| proto::RegisterWorkerRequest {
        namespace: Some(namespace.into()),
        ..Default::default()
    };
    let a = w.register(in_namespace("a"));
    let b = w.register(in_namespace("b"));
    w.open_room("den", &[]);
    assert_eq!((w.asked(a).len(), w.asked(b).len()), (1, 1));
}
