-- Housekeeping looks for guests that nobody has seen for a while.
CREATE INDEX idx_users_provider_updated_at ON users (provider, updated_at);
