//! Making a room.

use crate::{
    db::{
        Conflict, DbError, participants,
        participants::Participant,
        rooms::{self, Room},
        users::User,
    },
    domain::{
        Platform, access, effective,
        names::{self, RoomNameError},
    },
};

/// Tries to find a free name before giving up.
const NAME_TRIES: usize = 4;

/// Switches of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "seven independent switches of the contract")]
pub struct RoomFlags {
    /// Chat is offered.
    pub allow_chat: bool,
    /// Cameras are offered.
    pub allow_video: bool,
    /// Microphones are offered.
    pub allow_audio: bool,
    /// Joining wants approval.
    pub require_approval: bool,
    /// End-to-end encryption is wanted.
    pub e2ee: bool,
    /// Never closes by itself.
    pub is_persistent: bool,
    /// May be recorded.
    pub recordings_allowed: bool,
}

impl RoomFlags {
    /// Everything people do in a meeting, and nothing else.
    pub const OPEN: Self = Self {
        allow_chat: true,
        allow_video: true,
        allow_audio: true,
        require_approval: false,
        e2ee: false,
        is_persistent: false,
        recordings_allowed: true,
    };

    /// The switches of a room.
    #[must_use]
    pub fn of(room: &Room) -> Self {
        Self {
            allow_chat: room.settings_allow_chat,
            allow_video: room.settings_allow_video,
            allow_audio: room.settings_allow_audio,
            require_approval: room.settings_require_approval,
            e2ee: room.settings_e2_ee,
            is_persistent: room.settings_is_persistent,
            recordings_allowed: room.settings_recordings_allowed,
        }
    }

    /// Sets the switches of a room.
    pub(super) fn put(self, room: &mut Room) {
        room.settings_allow_chat = self.allow_chat;
        room.settings_allow_video = self.allow_video;
        room.settings_allow_audio = self.allow_audio;
        room.settings_require_approval = self.require_approval;
        room.settings_e2_ee = self.e2ee;
        room.settings_is_persistent = self.is_persistent;
        room.settings_recordings_allowed = self.recordings_allowed;
    }
}

/// What is wanted of a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRoom {
    /// Name; empty means: pick one.
    pub name: String,
    /// Capacity; 0 and less mean no bound.
    pub max_participants: i64,
    /// Anyone with the link may join.
    pub is_public: bool,
    /// `standard` (also when empty), `webinar` or `broadcast`.
    pub mode: String,
    /// Switches.
    pub flags: RoomFlags,
}

/// Why there is no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] RoomNameError),
    /// Too many places.
    #[error("maxParticipants must be at most {0}")]
    TooLarge(i64),
    /// No such mode.
    #[error("Invalid room mode")]
    Mode,
    /// Too many rooms.
    #[error("Room limit reached (max {0} active rooms)")]
    TooMany(i64),
    /// An active room has the name.
    #[error("a room with this name already exists")]
    NameTaken,
    /// Not the caller's fault.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for CreateError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(Conflict::RoomName) => Self::NameTaken,
            other => Self::Db(other),
        }
    }
}

/// Makes a room that `user` runs.
///
/// # Errors
/// [`CreateError`].
pub async fn create(platform: &Platform, user: &User, wish: NewRoom) -> Result<Room, CreateError> {
    if !wish.name.trim().is_empty() {
        let name = names::room_name(&wish.name)?;
        return store(platform, user, &wish, name).await;
    }
    let mut result = Err(CreateError::NameTaken);
    for _ in 0..NAME_TRIES {
        result = store(platform, user, &wish, names::random_room_name(&platform.entropy)).await;
        if result != Err(CreateError::NameTaken) {
            break;
        }
    }
    result
}

async fn store(platform: &Platform, user: &User, wish: &NewRoom, name: String) -> Result<Room, CreateError> {
    let mode = match wish.mode.as_str() {
        "" | "standard" => "standard",
        mode @ ("webinar" | "broadcast") => mode,
        _ => return Err(CreateError::Mode),
    };
    let now = platform.now();
    let superadmin = access::at_least(&user.accesses.0, access::SUPERADMIN);
    let mut room = Room {
        id: platform.entropy.uuid(),
        name,
        created_by: user.id.clone(),
        is_active: true,
        max_participants: wish.max_participants.max(0),
        created_at: now,
        updated_at: now,
        expires_at: now.plus(platform.settings.limits.room_idle),
        admin_id: user.id.clone(),
        is_public: wish.is_public,
        settings_allow_chat: false,
        settings_allow_video: false,
        settings_allow_audio: false,
        settings_require_approval: false,
        settings_e2_ee: false,
        settings_is_persistent: false,
        settings_recordings_allowed: false,
        mode: mode.to_owned(),
        last_activity_at: Some(now),
        deleted_at: None,
    };
    let persistent = wish.flags.is_persistent && superadmin;
    RoomFlags { recordings_allowed: true, is_persistent: persistent, ..wish.flags }.put(&mut room);
    let creator = Participant {
        id: platform.entropy.uuid(),
        room_id: room.id.clone(),
        user_id: user.id.clone(),
        joined_at: now,
        // Known to the room, but not on the way: making a room takes no place.
        left_at: Some(now),
        is_active: false,
        is_approved: true,
        is_muted: false,
        is_video_off: false,
        is_chat_blocked: false,
        is_banned: false,
        is_on_stage: true,
        is_moderator: false,
        media_sid: String::new(),
    };
    let settings = platform.settings.clone();
    platform
        .store
        .write(move |c| {
            let limits = effective::load(c, &settings)?.limits;
            if room.max_participants > limits.max_participants {
                return Err(CreateError::TooLarge(limits.max_participants));
            }
            let bound = limits.max_rooms_per_user;
            if !superadmin && bound > 0 && rooms::count_active_of(c, &room.created_by)? >= bound {
                return Err(CreateError::TooMany(bound));
            }
            rooms::insert(c, &room)?;
            participants::let_in(c, &creator)?;
            Ok(room)
        })
        .await
}
