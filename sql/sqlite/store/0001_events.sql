-- What came in and what the rules made of it.
--
-- event_id is a UUIDv7: the primary key is the order of receipt, and inserting is appending.
-- event is the whole event as MessagePack; the other columns are there to be searched.
-- Times are microseconds since 1970, UTC.

CREATE TABLE event_audit_log (
    event_id      TEXT    NOT NULL PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    hostname      TEXT    NOT NULL COLLATE NOCASE,
    severity      INTEGER NOT NULL,
    transport     TEXT    NOT NULL,
    trap_oid      TEXT,
    rule_id       INTEGER NOT NULL,
    rule_name     TEXT,
    rule_revision INTEGER,
    handling      TEXT,
    environment   TEXT    NOT NULL,
    team          TEXT,
    message       TEXT    NOT NULL,
    event         BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX event_audit_log_by_time ON event_audit_log (received_at);
CREATE INDEX event_audit_log_by_rule ON event_audit_log (rule_id);

CREATE TABLE event_history (
    event_id      TEXT    NOT NULL PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    hostname      TEXT    NOT NULL COLLATE NOCASE,
    severity      INTEGER NOT NULL,
    transport     TEXT    NOT NULL,
    trap_oid      TEXT,
    environment   TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    event         BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX event_history_by_time ON event_history (received_at);
-- No index by host on either table: under a flood each batch would touch as many of its pages as it has
-- hosts, which doubled the CPU time and tripled the disk writes of an event. A search by host
-- walks the key instead; a range of time keeps that short.

-- Counting millions of rows for every page shown would be the dearest part of showing it.
CREATE TABLE row_counts (
    table_name TEXT    NOT NULL PRIMARY KEY,
    row_count  INTEGER NOT NULL
);
INSERT INTO row_counts VALUES ('event_audit_log', 0), ('event_history', 0);

CREATE TABLE alerts (
    alert_id   TEXT    NOT NULL PRIMARY KEY,
    event_id   TEXT    NOT NULL,
    hostname   TEXT    NOT NULL COLLATE NOCASE,
    state      TEXT    NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    last_error TEXT,
    alert      BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX alerts_by_state ON alerts (state);

CREATE TABLE deliveries (
    alert_id     TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    attempted_at INTEGER NOT NULL,
    outcome      TEXT    NOT NULL,
    status       INTEGER,
    error        TEXT,
    duration_s   REAL    NOT NULL,
    PRIMARY KEY (alert_id, attempt)
) WITHOUT ROWID;
