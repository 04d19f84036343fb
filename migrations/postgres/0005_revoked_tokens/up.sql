-- Media tokens that open a room no more, because their holder was removed from it. A row either names one token (by digest
-- or id), or, with an empty name, refuses all tokens issued before not_before (seconds since the epoch).
-- After expires_at the tokens have ended by themselves.
CREATE TABLE revoked_tokens (
    room text NOT NULL,
    identity text NOT NULL,
    token text NOT NULL DEFAULT '',
    not_before bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (room, identity, token)
);
CREATE INDEX idx_revoked_tokens_expires_at ON revoked_tokens (expires_at);
