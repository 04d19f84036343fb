//! Rooms as the dispatcher knows them: who is there, and what was dispatched to them.

use livekit_protocol as proto;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What a dispatch can have a job for, once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// `JobType`.
    pub(super) kind: i32,
    /// Participant sid; empty for the room.
    pub(super) participant: String,
    /// Namespace of the workers.
    pub(super) namespace: String,
}

/// An explicit or automatic dispatch.
#[derive(Debug)]
pub(super) struct Dispatch {
    /// As answered, without its jobs.
    pub(super) info: proto::AgentDispatch,
    /// Slots that have or had a job.
    pub(super) served: BTreeSet<Slot>,
    /// Jobs that are not over, oldest first.
    pub(super) jobs: Vec<String>,
    /// Jobs that are over, oldest first.
    pub(super) finished: VecDeque<proto::Job>,
}

/// A participant.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) identity: String,
    pub(super) publisher: bool,
    /// For jobs about this participant; agents and recorders have none.
    pub(super) info: Option<Box<proto::ParticipantInfo>>,
}

/// The agent of a running job.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) job: String,
    /// Its participant sid while it is in the room.
    pub(super) sid: Option<String>,
}

/// An agent whose job was ended from here.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) number: u64,
    /// It has had its time: remove it when it is seen.
    pub(super) due: bool,
}

/// One room.
#[derive(Debug)]
pub(super) struct RoomState {
    pub(super) info: proto::Room,
    /// The dispatches of its configuration were made.
    pub(super) started: bool,
    /// By sid.
    pub(super) participants: BTreeMap<String, Present>,
    /// Oldest first.
    pub(super) dispatches: Vec<Dispatch>,
    /// By identity.
    pub(super) agents: HashMap<String, Agent>,
    /// By identity.
    pub(super) leaving: HashMap<String, Leaving>,
}

impl RoomState {
    pub(super) fn new(info: proto::Room) -> Self {
        Self {
            info,
            started: false,
            participants: BTreeMap::new(),
            dispatches: Vec::new(),
            agents: HashMap::new(),
            leaving: HashMap::new(),
        }
    }

    pub(super) fn dispatch(&mut self, id: &str) -> Option<&mut Dispatch> {
        self.dispatches.iter_mut().find(|d| d.info.id == id)
    }

    pub(super) fn is_present(&self, identity: &str) -> bool {
        self.participants.values().any(|p| p.identity == identity)
    }

    /// Takes note of a participant. The publisher mark stays once it is set.
    pub(super) fn note(&mut self, participant: proto::ParticipantInfo) {
        let publisher = participant.is_publisher || !participant.tracks.is_empty();
        let present = self.participants.entry(participant.sid.clone()).or_insert_with(|| Present {
            identity: participant.identity.clone(),
            publisher: false,
            info: None,
        });
        present.publisher |= publisher;
        present.info = (!is_dependent(&participant)).then(|| Box::new(participant));
    }

    /// Whether a job of this kind is for this participant.
    pub(super) fn wants(&self, kind: proto::JobType, sid: &str) -> bool {
        let publishers = kind == proto::JobType::JtPublisher;
        self.participants.get(sid).is_some_and(|p| p.info.is_some() && (p.publisher || !publishers))
    }

    /// Participants a job of this kind is for; an empty sid stands for the room.
    pub(super) fn targets(&self, kind: proto::JobType) -> Vec<String> {
        match kind {
            proto::JobType::JtRoom => vec![String::new()],
            proto::JobType::JtParticipant => self.people(false),
            proto::JobType::JtPublisher => self.people(true),
        }
    }

    fn people(&self, publishers: bool) -> Vec<String> {
        let wanted = |p: &Present| p.info.is_some() && (p.publisher || !publishers);
        self.participants.iter().filter(|(_, p)| wanted(p)).map(|(sid, _)| sid.clone()).collect()
    }
}

/// Agents and recorders: nobody is sent after them.
#[allow(deprecated, reason = "the grants live on in tokens")]
fn is_dependent(participant: &proto::ParticipantInfo) -> bool {
    use proto::participant_info::Kind;
    matches!(participant.kind(), Kind::Agent | Kind::Egress)
        || participant.permission.as_ref().is_some_and(|p| p.agent || p.recorder)
}
