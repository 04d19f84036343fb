CREATE TABLE users (
    id varchar(36) PRIMARY KEY,
    email varchar(255) NOT NULL,
    name varchar(255) NOT NULL,
    provider varchar(20) NOT NULL DEFAULT 'local',
    avatar_url varchar(255) NOT NULL DEFAULT '',
    password text NOT NULL DEFAULT '',
    accesses text NOT NULL DEFAULT '[]',
    is_active boolean NOT NULL DEFAULT true,
    email_verified_at timestamptz,
    password_changed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX idx_email_provider ON users (email, provider);
CREATE INDEX idx_users_email_verified_at ON users (email_verified_at);

-- One row per sign-in: the chain of refresh tokens that grew from it. token_hash is the SHA-256 of the newest one.
CREATE TABLE sessions (
    id varchar(36) PRIMARY KEY,
    user_id varchar(36) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash varchar(64) NOT NULL,
    created_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX idx_sessions_token_hash ON sessions (token_hash);
CREATE INDEX idx_sessions_user_id ON sessions (user_id);
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

-- Refresh tokens that were exchanged: seeing one again means that somebody else has a copy.
CREATE TABLE blocked_refresh_tokens (
    id varchar(36) PRIMARY KEY,
    token varchar(64) NOT NULL,
    user_id varchar(36) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id varchar(36),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX idx_blocked_refresh_tokens_token ON blocked_refresh_tokens (token);
CREATE INDEX idx_blocked_refresh_tokens_user_id ON blocked_refresh_tokens (user_id);
CREATE INDEX idx_blocked_refresh_tokens_expires_at ON blocked_refresh_tokens (expires_at);

CREATE TABLE invite_tokens (
    id varchar(36) PRIMARY KEY,
    token varchar(64) NOT NULL,
    email varchar(255) NOT NULL DEFAULT '',
    created_by varchar(36),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    used_by varchar(36),
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX idx_invite_tokens_token ON invite_tokens (token);

CREATE TABLE user_preferences (
    user_id varchar(36) PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    preferences_json text NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL
);

-- The link that makes the first administrator. At most one row; the token itself is never stored.
CREATE TABLE setup_tokens (
    id varchar(36) PRIMARY KEY,
    token_hash varchar(64) NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
