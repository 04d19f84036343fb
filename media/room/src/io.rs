//! What goes into the [`crate::Hub`] and what comes out.

use crate::grants::Claims;
use crate::join_params::JoinParams;
use crate::member::Restrictions;
use crate::message::ServerMessage;
use crate::one_shot::{OneShotRequest, OneShotResult};
use crate::revoked::Revocation;
use bedrud_sfu::{Command, Event};
use livekit_protocol as proto;
use std::sync::Arc;
use std::time::Instant;

/// One signalling socket. Chosen by the owner of the sockets, never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// One request of the server API in progress. Chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u64);

/// Index of a shard, `0..HubConfig::shards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// The time, read once at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Instant,
    /// For what people and protocols see, milliseconds since the epoch.
    pub unix_ms: u64,
}

/// What happened outside.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "inputs are handed over by value and not stored")]
pub enum Input {
    /// A client asks to join or to resume. Answered by [`Output::Signal`] with the first message (upgrade then), or by
    /// [`Output::Refuse`].
    Join {
        /// Its socket.
        conn: ConnId,
        /// What it wants. Boxed: it is large and rare.
        params: Box<JoinParams>,
    },
    /// The dry run of a join. Answered by [`Output::Validated`].
    Validate {
        /// Names the answer.
        id: ServiceId,
        /// What would be joined.
        params: Box<JoinParams>,
    },
    /// A message from a client.
    Signal {
        /// Its socket.
        conn: ConnId,
        /// The message.
        request: proto::SignalRequest,
    },
    /// A socket ended without our doing.
    SignalClosed {
        /// Which.
        conn: ConnId,
    },
    /// News from a shard.
    Shard {
        /// Which.
        shard: ShardId,
        /// The news.
        event: Event,
    },
    /// A call of the server API. The caller has checked the grant.
    Service {
        /// Names the answer.
        id: ServiceId,
        /// The call.
        request: ServiceRequest,
    },
    /// A request of WHIP or WHEP. Answered by [`Output::OneShotReply`].
    OneShot {
        /// Names the answer.
        id: ServiceId,
        /// The request.
        request: OneShotRequest,
    },
    /// [`crate::Hub::poll_deadline`] has passed (harmless at any time).
    Timeout,
    /// No room may open from now on. Those that are open go on, and can be joined.
    Drain,
    /// Tell everyone goodbye and close all rooms; joins are refused from now on.
    Shutdown,
}

/// What should happen outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message. The first one on a connection means that the join was accepted.
    Signal {
        /// Socket.
        conn: ConnId,
        /// Message.
        response: Arc<ServerMessage>,
    },
    /// Send one message to many.
    Broadcast {
        /// Sockets.
        conns: Vec<ConnId>,
        /// Message.
        response: Arc<ServerMessage>,
    },
    /// Close a socket after flushing what was sent. The hub has forgotten it.
    CloseSignal {
        /// Socket.
        conn: ConnId,
        /// True: close code 1000. False: end it without the closing handshake (or with another code), so that the
        /// client reconnects at once.
        clean: bool,
    },
    /// A join failed before anything was sent: answer it as plain HTTP. The hub has forgotten the connection.
    Refuse {
        /// Socket.
        conn: ConnId,
        /// Status and text.
        error: JoinError,
    },
    /// Answer of [`Input::Validate`].
    Validated {
        /// As asked.
        id: ServiceId,
        /// Refusal, if it would be refused.
        result: Result<(), JoinError>,
    },
    /// Sign these claims and send the token to the client as `refresh_token`. The new token lives
    /// `max(10 min, remaining life of the old one)`; `claims.exp` is the old one's.
    RefreshToken {
        /// Socket.
        conn: ConnId,
        /// Claims of the new token.
        claims: Box<Claims>,
    },
    /// Fill in `token` with these claims signed, as for [`Output::RefreshToken`], and send the message: the client is
    /// in another room now.
    Moved {
        /// Socket.
        conn: ConnId,
        /// Message without its token.
        response: Box<proto::RoomMovedResponse>,
        /// Claims of the new token.
        claims: Box<Claims>,
    },
    /// Hand a command to a shard.
    Command {
        /// Which.
        shard: ShardId,
        /// Command.
        command: Command,
    },
    /// News for the platform.
    Event(Box<RoomEvent>),
    /// Answer of [`Input::Service`].
    ServiceReply {
        /// As asked.
        id: ServiceId,
        /// Result.
        result: Result<ServiceResponse, ServiceError>,
    },
    /// Answer of [`Input::OneShot`].
    OneShotReply {
        /// As asked.
        id: ServiceId,
        /// Result.
        result: OneShotResult,
    },
}

/// A refused join, as HTTP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JoinError {
    /// HTTP status.
    pub status: u16,
    /// Plain text body. SDKs look at some of these texts.
    pub message: String,
}

impl JoinError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// What happened in the rooms.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomEvent {
    /// A room opened.
    RoomStarted {
        /// The room.
        room: proto::Room,
        /// Its configuration: the agents to dispatch (none named means the nameless one), tags, the preset's name.
        config: Box<proto::RoomConfiguration>,
    },
    /// A call changed which agents an open room should have.
    RoomAgentsChanged {
        /// The room.
        room: proto::Room,
        /// Its configuration now.
        config: Box<proto::RoomConfiguration>,
    },
    /// A room closed.
    RoomFinished {
        /// The embedder's id of the room ([`Claims::room_id`]); may be empty.
        id: String,
        /// Its last state.
        room: proto::Room,
    },
    /// A participant's media connection came up.
    ParticipantJoined {
        /// The embedder's id of the room ([`Claims::room_id`]); may be empty.
        id: String,
        /// Room.
        room: proto::Room,
        /// Participant.
        participant: proto::ParticipantInfo,
    },
    /// A participant that had joined is gone; `participant.disconnect_reason` says why.
    ParticipantLeft {
        /// The embedder's id of the room ([`Claims::room_id`]); may be empty.
        id: String,
        /// Room.
        room: proto::Room,
        /// Participant.
        participant: proto::ParticipantInfo,
    },
    /// A participant is gone whose media connection never came up.
    ParticipantConnectionAborted {
        /// The embedder's id of the room ([`Claims::room_id`]); may be empty.
        id: String,
        /// Room.
        room: proto::Room,
        /// Participant.
        participant: proto::ParticipantInfo,
    },
    /// Tokens must not be accepted any more, on this server or after a restart ([`crate::Hub::restore_revocations`]).
    TokensRevoked(Revocation),
    /// A track can be subscribed to.
    TrackPublished {
        /// Room.
        room: proto::Room,
        /// Publisher.
        participant: proto::ParticipantInfo,
        /// Track.
        track: proto::TrackInfo,
    },
    /// A track ended.
    TrackUnpublished {
        /// Room.
        room: proto::Room,
        /// Publisher.
        participant: proto::ParticipantInfo,
        /// Track.
        track: proto::TrackInfo,
    },
}

/// RoomService of the server API.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant carries LiveKit's request of the same name")]
pub enum ServiceRequest {
    CreateRoom(Box<proto::CreateRoomRequest>),
    ListRooms(proto::ListRoomsRequest),
    DeleteRoom(proto::DeleteRoomRequest),
    ListParticipants(proto::ListParticipantsRequest),
    GetParticipant(proto::RoomParticipantIdentity),
    RemoveParticipant(proto::RoomParticipantIdentity),
    MutePublishedTrack(proto::MuteRoomTrackRequest),
    UpdateParticipant(Box<proto::UpdateParticipantRequest>),
    UpdateSubscriptions(proto::UpdateSubscriptionsRequest),
    SendData(proto::SendDataRequest),
    UpdateRoomMetadata(proto::UpdateRoomMetadataRequest),
    /// Not in LiveKit's service: how the room of this name is configured now.
    GetConfiguration(String),
    ForwardParticipant(proto::ForwardParticipantRequest),
    MoveParticipant(proto::MoveParticipantRequest),
    PerformRpc(proto::PerformRpcRequest),
    /// Not in LiveKit's service: what concerns the room of this id ([`Claims::room_id`]).
    OfRoom(String, RoomRequest),
    /// Not in LiveKit's service: everybody who came by way of the embedder.
    Presence,
}

/// What an embedder asks of a room that it knows by its own id.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomRequest {
    /// As DeleteRoom.
    Delete,
    /// As SendData; the name in the request is not looked at.
    SendData(proto::SendDataRequest),
    /// Removes the participant of this sid. Its tokens are the embedder's matter.
    Remove {
        /// Participant sid.
        sid: String,
    },
    /// Changes what members ([`crate::Member`]) may not do, for those who are there.
    Restrict(Restrictions),
}

/// Somebody who is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The embedder's id of the room; may be empty.
    pub room_id: String,
    /// Room name.
    pub room: String,
    /// Identity of the token. That of a secondary connection has a suffix here.
    pub identity: String,
    /// Participant sid.
    pub sid: String,
    /// [`Claims::session_id`]
    pub session_id: String,
    /// Its media connection has come up.
    pub active: bool,
}

/// Result of a [`ServiceRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceResponse {
    /// CreateRoom, UpdateRoomMetadata.
    Room(proto::Room),
    /// ListRooms.
    Rooms(Vec<proto::Room>),
    /// GetParticipant, UpdateParticipant.
    Participant(Box<proto::ParticipantInfo>),
    /// ListParticipants.
    Participants(Vec<proto::ParticipantInfo>),
    /// GetConfiguration.
    Configuration(Box<proto::RoomConfiguration>),
    /// MutePublishedTrack; `None` when the track is unknown.
    Track(Option<Box<proto::TrackInfo>>),
    /// PerformRpc.
    RpcPayload(String),
    /// Presence.
    Presence(Vec<Present>),
    /// RemoveParticipant, and which tokens are refused from now on; `None` for one that was only forwarded here.
    Removed(Option<Box<Revocation>>),
    /// Everything else.
    Done,
}

/// Twirp error codes used by the room service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceErrorCode {
    /// 404
    NotFound,
    /// 400
    InvalidArgument,
    /// 412
    FailedPrecondition,
    /// 503
    Unavailable,
    /// 409
    AlreadyExists,
    /// 429
    ResourceExhausted,
    /// 408
    Canceled,
    /// 500
    Internal,
    /// 400
    Malformed,
    /// 501
    Unimplemented,
}

/// A failed [`ServiceRequest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    /// Code.
    pub code: ServiceErrorCode,
    /// Text, as the reference server words it.
    pub message: String,
    /// The complaint without its details, where Twirp has it as `meta.argument`.
    pub argument: Option<&'static str>,
}

impl ServiceError {
    /// A code with its text.
    pub fn new(code: ServiceErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), argument: None }
    }

    /// A request that is refused for one of its fields.
    pub(crate) fn argument(complaint: &'static str) -> Self {
        Self { argument: Some(complaint), ..Self::new(ServiceErrorCode::InvalidArgument, complaint) }
    }

    /// A field that is too large. The text names what is allowed.
    pub(crate) fn too_large(complaint: &'static str, max: usize) -> Self {
        Self { message: format!("{complaint} {max}"), ..Self::argument(complaint) }
    }
}

/// Complaints about sizes, as the reference server words them.
pub(crate) mod complaint {
    pub(crate) const ROOM_NAME: &str = "room name length exceeds limits";
    pub(crate) const NAME: &str = "name length exceeds limits";
    pub(crate) const METADATA: &str = "metadata size exceeds limits";
    pub(crate) const ATTRIBUTES: &str = "attribute size exceeds limits";
}
