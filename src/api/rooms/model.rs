//! Wire shapes of rooms.

use serde::{Deserialize, Serialize};

use crate::{
    api::auth::TokensBody,
    db::{Moment, participants::Present, rooms::Room},
    domain::rooms::{GuestJoined, NewRoom, RoomChange, RoomFlags},
};

/// Switches of a room.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the contract")]
pub(super) struct FlagsBody {
    allow_chat: bool,
    allow_video: bool,
    allow_audio: bool,
    require_approval: bool,
    e2ee: bool,
    is_persistent: bool,
    recordings_allowed: bool,
}

impl From<RoomFlags> for FlagsBody {
    fn from(flags: RoomFlags) -> Self {
        Self {
            allow_chat: flags.allow_chat,
            allow_video: flags.allow_video,
            allow_audio: flags.allow_audio,
            require_approval: flags.require_approval,
            e2ee: flags.e2ee,
            is_persistent: flags.is_persistent,
            recordings_allowed: flags.recordings_allowed,
        }
    }
}

/// A room in full.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomBody {
    id: String,
    name: String,
    created_by: String,
    is_active: bool,
    max_participants: i64,
    created_at: Moment,
    updated_at: Moment,
    expires_at: Moment,
    admin_id: String,
    is_public: bool,
    settings: FlagsBody,
    mode: String,
    last_activity_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Moment>,
}

impl From<Room> for RoomBody {
    fn from(room: Room) -> Self {
        Self {
            settings: RoomFlags::of(&room).into(),
            id: room.id,
            name: room.name,
            created_by: room.created_by,
            is_active: room.is_active,
            max_participants: room.max_participants,
            created_at: room.created_at,
            updated_at: room.updated_at,
            expires_at: room.expires_at,
            admin_id: room.admin_id,
            is_public: room.is_public,
            mode: room.mode,
            last_activity_at: room.last_activity_at,
            deleted_at: room.deleted_at,
        }
    }
}

/// Answer to making a room.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedBody {
    id: String,
    name: String,
    created_by: String,
    is_active: bool,
    is_public: bool,
    max_participants: i64,
    settings: FlagsBody,
    livekit_host: String,
    mode: String,
}

impl CreatedBody {
    pub(super) fn new(room: Room, livekit_host: String) -> Self {
        Self {
            settings: RoomFlags::of(&room).into(),
            id: room.id,
            name: room.name,
            created_by: room.created_by,
            is_active: room.is_active,
            is_public: room.is_public,
            max_participants: room.max_participants,
            livekit_host,
            mode: room.mode,
        }
    }
}

/// Answer to entering a room.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinedBody {
    id: String,
    name: String,
    token: String,
    created_by: String,
    admin_id: String,
    is_active: bool,
    is_public: bool,
    max_participants: i64,
    expires_at: Moment,
    settings: FlagsBody,
    livekit_host: String,
    mode: String,
    /// Recordings are not made yet; clients want the key.
    active_recording_id: &'static str,
}

impl JoinedBody {
    pub(super) fn new(room: Room, token: String, livekit_host: String) -> Self {
        Self {
            settings: RoomFlags::of(&room).into(),
            admin_id: admin_of(&room),
            id: room.id,
            name: room.name,
            token,
            created_by: room.created_by,
            is_active: room.is_active,
            is_public: room.is_public,
            max_participants: room.max_participants,
            expires_at: room.expires_at,
            livekit_host,
            mode: room.mode,
            active_recording_id: "",
        }
    }
}

/// Answer to the creator of a room that is over: enough to make it again, and its id to open it as it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverBody {
    status: &'static str,
    id: String,
    name: String,
    mode: String,
    is_public: bool,
    max_participants: i64,
    settings: FlagsBody,
}

impl From<Room> for OverBody {
    fn from(room: Room) -> Self {
        Self {
            status: "archived_owned",
            settings: RoomFlags::of(&room).into(),
            id: room.id,
            name: room.name,
            mode: room.mode,
            is_public: room.is_public,
            max_participants: room.max_participants,
        }
    }
}

/// Answer to a guest by link. The API tokens stand there twice, as clients differ.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GuestJoinedBody {
    id: String,
    name: String,
    token: String,
    admin_id: String,
    is_public: bool,
    settings: FlagsBody,
    mode: String,
    livekit_host: String,
    active_recording_id: &'static str,
    access_token: String,
    refresh_token: String,
    tokens: TokensBody,
}

impl GuestJoinedBody {
    pub(super) fn new(joined: GuestJoined, livekit_host: String) -> Self {
        let GuestJoined { room, token, session, .. } = joined;
        Self {
            settings: RoomFlags::of(&room).into(),
            admin_id: admin_of(&room),
            id: room.id,
            name: room.name,
            token,
            is_public: room.is_public,
            mode: room.mode,
            livekit_host,
            active_recording_id: "",
            access_token: session.access_token.clone(),
            refresh_token: session.refresh_token.clone(),
            tokens: TokensBody { access_token: session.access_token, refresh_token: session.refresh_token },
        }
    }
}

fn admin_of(room: &Room) -> String {
    if room.admin_id.is_empty() { room.created_by.clone() } else { room.admin_id.clone() }
}

/// Answer to looking a name up.
#[derive(Debug, Serialize)]
pub(super) struct CheckBody {
    pub(super) exists: bool,
    pub(super) name: String,
}

/// A new media token.
#[derive(Debug, Serialize)]
pub(super) struct TokenBody {
    pub(super) token: String,
}

/// A page of archived rooms.
#[derive(Debug, Serialize)]
pub(super) struct ArchivedBody {
    pub(super) rooms: Vec<ArchivedRoom>,
    pub(super) total: i64,
    pub(super) page: i64,
    pub(super) limit: i64,
}

/// An archived room.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedRoom {
    id: String,
    name: String,
    created_at: Moment,
    deleted_at: Option<Moment>,
    recording_count: i64,
}

impl From<Room> for ArchivedRoom {
    fn from(room: Room) -> Self {
        Self {
            id: room.id,
            name: room.name,
            created_at: room.created_at,
            deleted_at: room.deleted_at,
            recording_count: 0,
        }
    }
}

/// Who is inside.
#[derive(Debug, Serialize)]
pub(super) struct PresenceBody {
    participants: Vec<PresentBody>,
}

impl From<Vec<Present>> for PresenceBody {
    fn from(present: Vec<Present>) -> Self {
        Self { participants: present.into_iter().map(PresentBody::from).collect() }
    }
}

/// One of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PresentBody {
    identity: String,
    name: String,
    avatar_url: String,
}

impl From<Present> for PresentBody {
    fn from(present: Present) -> Self {
        Self { identity: present.identity, name: present.name, avatar_url: present.avatar_url }
    }
}

/// How many are inside.
#[derive(Debug, Serialize)]
pub(super) struct CountBody {
    pub(super) count: i64,
}

/// Switches as sent; a missing one is off.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the contract")]
pub(super) struct FlagsInput {
    #[serde(rename = "allowchat")]
    allow_chat: bool,
    #[serde(rename = "allowvideo")]
    allow_video: bool,
    #[serde(rename = "allowaudio")]
    allow_audio: bool,
    #[serde(rename = "requireapproval")]
    require_approval: bool,
    e2ee: bool,
    #[serde(rename = "ispersistent")]
    is_persistent: bool,
    #[serde(rename = "recordingsallowed")]
    recordings_allowed: bool,
}

impl From<FlagsInput> for RoomFlags {
    fn from(input: FlagsInput) -> Self {
        Self {
            allow_chat: input.allow_chat,
            allow_video: input.allow_video,
            allow_audio: input.allow_audio,
            require_approval: input.require_approval,
            e2ee: input.e2ee,
            is_persistent: input.is_persistent,
            recordings_allowed: input.recordings_allowed,
        }
    }
}

/// A room to be made. Without `settings` people can speak, show themselves and write.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateInput {
    name: String,
    #[serde(rename = "maxparticipants")]
    max_participants: i64,
    #[serde(rename = "ispublic")]
    is_public: bool,
    mode: String,
    settings: Option<FlagsInput>,
}

impl From<CreateInput> for NewRoom {
    fn from(input: CreateInput) -> Self {
        Self {
            name: input.name,
            max_participants: input.max_participants,
            is_public: input.is_public,
            mode: input.mode,
            flags: input.settings.map_or(RoomFlags::OPEN, RoomFlags::from),
        }
    }
}

/// A change of a room. The iOS app sends the switches at the top instead of in `settings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateInput {
    #[serde(rename = "ispublic")]
    is_public: Option<bool>,
    #[serde(rename = "maxparticipants")]
    max_participants: Option<i64>,
    settings: Option<FlagsInput>,
    #[serde(rename = "allowchat")]
    allow_chat: Option<bool>,
    #[serde(rename = "allowvideo")]
    allow_video: Option<bool>,
    #[serde(rename = "allowaudio")]
    allow_audio: Option<bool>,
    #[serde(rename = "requireapproval")]
    require_approval: Option<bool>,
    e2ee: Option<bool>,
}

impl From<UpdateInput> for RoomChange {
    fn from(input: UpdateInput) -> Self {
        let top =
            [input.allow_chat, input.allow_video, input.allow_audio, input.require_approval, input.e2ee];
        let [allow_chat, allow_video, allow_audio, require_approval, e2ee] =
            top.map(Option::unwrap_or_default);
        let flat = top.iter().any(Option::is_some).then_some(RoomFlags {
            allow_chat,
            allow_video,
            allow_audio,
            require_approval,
            e2ee,
            is_persistent: false,
            recordings_allowed: true,
        });
        Self {
            is_public: input.is_public,
            max_participants: input.max_participants,
            flags: input.settings.map(RoomFlags::from).or(flat),
        }
    }
}

/// A room by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RoomNameInput {
    #[serde(rename = "roomname")]
    pub(super) room_name: String,
}

/// A guest by link.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GuestInput {
    #[serde(rename = "roomname")]
    pub(super) room_name: String,
    #[serde(rename = "guestname")]
    pub(super) guest_name: String,
}
