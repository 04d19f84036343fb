//! What goes into the [`super::Dispatcher`] and what comes out.

use crate::auth::media_token::Claims;
use livekit_protocol as proto;
use std::time::{Duration, Instant};

/// The time, read once at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// For timers.
    pub(crate) mono: Instant,
    /// For what people and protocols see, nanoseconds since the epoch.
    pub(crate) unix_nanos: i64,
}

/// One worker socket. Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Conn(pub(crate) u64);

/// Bounds and times of a [`super::Dispatcher`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Sockets of workers, registered or not.
    pub(crate) workers: usize,
    /// Jobs that run or look for a worker.
    pub(crate) jobs: usize,
    /// Dispatches of one room.
    pub(crate) dispatches: usize,
    /// Availability requests one worker has not answered yet.
    pub(crate) open_requests: usize,
    /// Workers asked for one job before it is given up.
    pub(crate) attempts: u32,
    /// Finished jobs remembered per dispatch.
    pub(crate) finished_jobs: usize,
    /// Bytes of each text a worker names itself or its agent with.
    pub(crate) name: usize,
    /// Bytes of an agent's metadata; 0 means no limit.
    pub(crate) metadata: usize,
    /// Bytes of an agent's attributes, keys and values together; 0 means no limit.
    pub(crate) attributes: usize,
    /// A socket must register within this.
    pub(crate) register: Duration,
    /// A worker must answer an availability request within this.
    pub(crate) answer: Duration,
    /// An agent whose job was ended may stay for this long.
    pub(crate) leave: Duration,
    /// An ended agent that joins only now is removed; later its token is as good as any other.
    pub(crate) late_join: Duration,
    /// A worker that lost its connection may come back for its jobs within this, where no agent is in the room.
    pub(crate) return_: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 4096,
            jobs: 16_384,
            dispatches: 128,
            open_requests: 64,
            attempts: 32,
            finished_jobs: 100,
            name: 256,
            metadata: 512 * 1024,
            attributes: 64 * 1024,
            register: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            leave: Duration::from_secs(3),
            late_join: Duration::from_secs(60),
            return_: Duration::from_secs(10),
        }
    }
}

/// What happened in the rooms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// A room opened.
    RoomStarted {
        /// The room.
        room: proto::Room,
        /// Its dispatches; none means agents without a name.
        agents: Vec<proto::RoomAgentDispatch>,
    },
    /// A call named agents for an open room.
    AgentsChanged {
        /// The room.
        room: proto::Room,
        /// Its dispatches now.
        agents: Vec<proto::RoomAgentDispatch>,
    },
    /// A room closed.
    RoomFinished {
        /// Its sid.
        sid: String,
    },
    /// Somebody joined.
    Joined {
        /// Room.
        room: proto::Room,
        /// Participant.
        participant: proto::ParticipantInfo,
    },
    /// Somebody published a track.
    Published {
        /// Room.
        room: proto::Room,
        /// Publisher.
        participant: proto::ParticipantInfo,
    },
    /// Somebody left; `disconnect_reason` says why.
    Left {
        /// Room.
        room: proto::Room,
        /// Participant.
        participant: proto::ParticipantInfo,
    },
}

/// A room as it is now, for a dispatcher that missed news.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// The room.
    pub(crate) room: proto::Room,
    /// Its dispatches, as at its start.
    pub(crate) agents: Vec<proto::RoomAgentDispatch>,
    /// Who is there.
    pub(crate) participants: Vec<proto::ParticipantInfo>,
}

/// What should happen outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// Send a message to a worker.
    Send {
        /// Its socket.
        conn: Conn,
        /// The message.
        message: Box<proto::server_message::Message>,
    },
    /// Sign the claims with the key that they name, and send job and token to the worker.
    Assign {
        /// Its socket.
        conn: Conn,
        /// The job.
        job: Box<proto::Job>,
        /// Claims of the agent's token; `iss` is the API key to sign with.
        claims: Box<Claims>,
    },
    /// Close a worker's socket. The dispatcher has forgotten it.
    Close {
        /// Its socket.
        conn: Conn,
        /// For the close frame.
        reason: &'static str,
    },
    /// Remove an agent that did not leave by itself.
    Remove {
        /// Name of the room.
        room: String,
        /// Identity of the agent.
        identity: String,
    },
}

/// Why a dispatch was not made, deleted or listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DispatchError {
    /// No such room.
    #[error("requested room does not exist")]
    NoRoom,
    /// No such dispatch in this room.
    #[error("dispatch ID not found")]
    NoDispatch,
    /// [`Limits::dispatches`] is reached.
    #[error("the room has too many agent dispatches")]
    TooMany,
}
