//! Fields of the messages of AgentDispatchService.

use super::fields::{Fields, PARTICIPANT, ROOM, Shape};

const JOB_STATE: Fields = &[
    ("status", Shape::Enum("JS_PENDING")),
    ("error", Shape::Text),
    ("started_at", Shape::Long),
    ("ended_at", Shape::Long),
    ("updated_at", Shape::Long),
    ("participant_identity", Shape::Text),
    ("worker_id", Shape::Text),
    ("agent_id", Shape::Text),
];

const JOB: Fields = &[
    ("id", Shape::Text),
    ("dispatch_id", Shape::Text),
    ("type", Shape::Enum("JT_ROOM")),
    ("room", Shape::Message(ROOM)),
    ("participant", Shape::Message(PARTICIPANT)),
    ("namespace", Shape::Text),
    ("metadata", Shape::Text),
    ("agent_name", Shape::Text),
    ("state", Shape::Message(JOB_STATE)),
    ("enable_recording", Shape::Bool),
    ("deployment", Shape::Text),
    ("attributes", Shape::Map),
    ("enable_redaction", Shape::Bool),
];

const DISPATCH_STATE: Fields =
    &[("jobs", Shape::Messages(JOB)), ("created_at", Shape::Long), ("deleted_at", Shape::Long)];

/// `livekit.AgentDispatch`
pub(super) const DISPATCH: Fields = &[
    ("id", Shape::Text),
    ("agent_name", Shape::Text),
    ("room", Shape::Text),
    ("metadata", Shape::Text),
    ("state", Shape::Message(DISPATCH_STATE)),
    ("restart_policy", Shape::Enum("JRP_ON_FAILURE")),
    ("deployment", Shape::Text),
    ("attributes", Shape::Map),
];

/// `livekit.ListAgentDispatchResponse`
pub(super) const DISPATCHES: Fields = &[("agent_dispatches", Shape::Messages(DISPATCH))];

#[cfg(test)]
mod tests {
    use super::super::fields::complete;
    use super::*;
    use livekit_protocol as proto;
    use serde_json::json;

    #[test]
    fn a_running_job_is_shown_with_every_field() {
        let job = proto::Job {
            id: "AJ_1".into(),
            r#type: proto::JobType::JtPublisher as i32,
            room: Some(proto::Room { name: "den".into(), ..proto::Room::default() }),
            attributes: [("aB".to_owned(), "c".to_owned())].into(),
            state: Some(proto::JobState { started_at: 7, ..proto::JobState::default() }),
            ..proto::Job::default()
        };
        let state = proto::AgentDispatchState { jobs: vec![job], ..proto::AgentDispatchState::default() };
        let dispatch = proto::AgentDispatch { state: Some(state), ..proto::AgentDispatch::default() };
        let list = proto::ListAgentDispatchResponse { agent_dispatches: vec![dispatch] };
        let value = complete(serde_json::to_value(list).unwrap(), DISPATCHES);
        let dispatch = &value["agent_dispatches"][0];
        assert_eq!(dispatch["restart_policy"], "JRP_ON_FAILURE");
        assert_eq!(dispatch["state"]["deleted_at"], "0");
        let job = &dispatch["state"]["jobs"][0];
        assert_eq!((&job["type"], &job["room"]["name"]), (&json!("JT_PUBLISHER"), &json!("den")));
        assert_eq!((&job["participant"], &job["attributes"]), (&json!(null), &json!({ "aB": "c" })));
        assert_eq!(
            (&job["state"]["status"], &job["state"]["started_at"]),
            (&json!("JS_PENDING"), &json!("7"))
        );
        assert_eq!(job.as_object().unwrap().len(), JOB.len());
    }

    #[test]
    fn enum_defaults_are_the_names_of_zero() {
        assert_eq!(proto::JobStatus::try_from(0).unwrap().as_str_name(), "JS_PENDING");
        assert_eq!(proto::JobType::try_from(0).unwrap().as_str_name(), "JT_ROOM");
        assert_eq!(proto::JobRestartPolicy::try_from(0).unwrap().as_str_name(), "JRP_ON_FAILURE");
    }
}
