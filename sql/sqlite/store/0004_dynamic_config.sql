-- What operators set while the daemons run; a key that is not here has its default.
-- value is JSON; changed_at is microseconds since 1970, UTC.

CREATE TABLE dynamic_config (
    key        TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    changed_by TEXT    NOT NULL,
    changed_at INTEGER NOT NULL
) WITHOUT ROWID;
