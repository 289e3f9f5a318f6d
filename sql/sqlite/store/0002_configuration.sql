-- What the operator decided, and who changed it when.
-- Times are microseconds since 1970, UTC; values in config_audit_log are JSON.

CREATE TABLE alert_rules (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL,
    match_string    TEXT,
    match_type      TEXT    NOT NULL,
    trap_oid        TEXT,
    syslog_severity INTEGER,
    severity_op     TEXT    NOT NULL,
    host_pattern    TEXT,
    priority        INTEGER NOT NULL,
    prod_handling   TEXT    NOT NULL,
    dev_handling    TEXT    NOT NULL,
    team_assignment TEXT    NOT NULL,
    is_active       INTEGER NOT NULL,
    reason          TEXT,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    deleted_at      INTEGER
);

CREATE INDEX alert_rules_by_priority ON alert_rules (priority, id) WHERE deleted_at IS NULL;

CREATE TABLE rule_revisions (
    rule_id    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    rule       TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL,
    PRIMARY KEY (rule_id, revision)
) WITHOUT ROWID;

-- One row. Every change to rules, hosts or teams raises it, in the transaction of the change.
CREATE TABLE rule_book (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
);
INSERT INTO rule_book VALUES (1, 0);

CREATE TABLE development_hosts (
    hostname TEXT NOT NULL COLLATE NOCASE PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE device_teams (
    hostname        TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
    team_assignment TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE config_audit_log (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    changed_at     INTEGER NOT NULL,
    changed_by     TEXT    NOT NULL,
    operation      TEXT    NOT NULL CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE')),
    table_name     TEXT    NOT NULL,
    record_id      TEXT    NOT NULL,
    old_value      TEXT,
    new_value      TEXT,
    reason         TEXT,
    correlation_id TEXT
);

CREATE TABLE api_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('ingest', 'viewer', 'operator', 'admin')),
    key_hash   BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
);

-- One row, written by ping(): the only proof that a write can be taken is a write.
CREATE TABLE liveness (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    written_at INTEGER NOT NULL
);
INSERT INTO liveness VALUES (1, 0);
