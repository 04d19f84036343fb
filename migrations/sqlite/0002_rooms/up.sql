CREATE TABLE rooms (
    id varchar(36) PRIMARY KEY,
    name varchar(255) NOT NULL,
    created_by varchar(36) NOT NULL REFERENCES users (id),
    is_active boolean NOT NULL DEFAULT 1,
    max_participants integer NOT NULL DEFAULT 20 CHECK (max_participants >= 0),
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    expires_at datetime NOT NULL,
    admin_id varchar(36) NOT NULL REFERENCES users (id),
    is_public boolean NOT NULL DEFAULT 0,
    settings_allow_chat boolean NOT NULL DEFAULT 1,
    settings_allow_video boolean NOT NULL DEFAULT 1,
    settings_allow_audio boolean NOT NULL DEFAULT 1,
    settings_require_approval boolean NOT NULL DEFAULT 0,
    settings_e2_ee boolean NOT NULL DEFAULT 0,
    settings_is_persistent boolean NOT NULL DEFAULT 0,
    settings_recordings_allowed boolean NOT NULL DEFAULT 0,
    mode varchar(20) NOT NULL DEFAULT 'standard' CHECK (mode IN ('standard', 'webinar', 'broadcast')),
    last_activity_at datetime,
    deleted_at datetime
);
CREATE INDEX idx_rooms_name ON rooms (name);
CREATE UNIQUE INDEX idx_rooms_active_name ON rooms (name) WHERE is_active;
CREATE INDEX idx_rooms_created_by ON rooms (created_by);
CREATE INDEX idx_rooms_expires_at ON rooms (expires_at);
CREATE INDEX idx_rooms_last_activity_at ON rooms (last_activity_at);
CREATE INDEX idx_rooms_deleted_at ON rooms (deleted_at);

-- is_active: connected to the media server now, as the participant that media_sid names there.
-- left_at null and not active: let in, not connected yet.
CREATE TABLE room_participants (
    id varchar(36) PRIMARY KEY,
    room_id varchar(36) NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    user_id varchar(36) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at datetime NOT NULL,
    left_at datetime,
    is_active boolean NOT NULL DEFAULT 0,
    is_approved boolean NOT NULL DEFAULT 0,
    is_muted boolean NOT NULL DEFAULT 0,
    is_video_off boolean NOT NULL DEFAULT 0,
    is_chat_blocked boolean NOT NULL DEFAULT 0,
    is_banned boolean NOT NULL DEFAULT 0,
    is_on_stage boolean NOT NULL DEFAULT 0,
    is_moderator boolean NOT NULL DEFAULT 0,
    media_sid varchar(64) NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX idx_room_user ON room_participants (room_id, user_id);
CREATE INDEX idx_room_participants_user_id ON room_participants (user_id);
CREATE INDEX idx_room_participants_active ON room_participants (room_id) WHERE is_active;
