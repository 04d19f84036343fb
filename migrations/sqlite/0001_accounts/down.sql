DROP TABLE setup_tokens;
DROP TABLE user_preferences;
DROP TABLE invite_tokens;
DROP TABLE blocked_refresh_tokens;
DROP TABLE sessions;
DROP TABLE users;
