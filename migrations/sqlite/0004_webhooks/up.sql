-- Webhook events on their way, one row per receiver. Delivered rows are deleted; dead ones are kept for the operator.
-- state: pending; dead: given up; again: the operator wants a dead one sent once more.
CREATE TABLE webhook_deliveries (
    id integer PRIMARY KEY AUTOINCREMENT,
    event_id varchar(32) NOT NULL,
    event varchar(64) NOT NULL,
    url text NOT NULL,
    room text NOT NULL,
    body text NOT NULL,
    state varchar(8) NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead', 'again')),
    attempts bigint NOT NULL DEFAULT 0,
    next_at datetime NOT NULL,
    last_error text NOT NULL DEFAULT '',
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE INDEX idx_webhook_deliveries_state ON webhook_deliveries (state, id);
