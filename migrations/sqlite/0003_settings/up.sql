-- Settings changed at run time, one row per key; the value is JSON. What is absent comes from the configuration.
CREATE TABLE settings (
    key varchar(64) PRIMARY KEY,
    value text NOT NULL,
    updated_at datetime NOT NULL
);
