-- One row per entry and one per payload, under the same seq. They are apart because SQLite
-- rewrites a whole row when a column changes its size, and taking an entry must not rewrite
-- the batch it holds.
--
--   entries    seq | stream | item_count | appended_at | deliveries | consumer | touched_s
--   payloads   seq | payload
--
-- seq is never given twice (AUTOINCREMENT): an ack that comes late must not hit a newer entry.
-- Times that end in _at are microseconds since 1970, UTC. touched_s is the monotonic clock of
-- the daemon that lives now; no row keeps one across a restart.

CREATE TABLE entries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    stream      TEXT    NOT NULL,
    item_count  INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    deliveries  INTEGER NOT NULL DEFAULT 0,
    consumer    TEXT,
    touched_s   REAL
);

CREATE INDEX entries_ready ON entries (stream, seq) WHERE consumer IS NULL;
CREATE INDEX entries_pending ON entries (stream, seq) WHERE consumer IS NOT NULL;

CREATE TABLE payloads (
    seq     INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
);

CREATE TABLE dead_letters (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    letter_id       TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    item_id         TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    error           TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    first_failed_at INTEGER NOT NULL,
    last_failed_at  INTEGER NOT NULL,
    origin          TEXT    NOT NULL,
    payload         BLOB    NOT NULL
);

CREATE INDEX dead_letters_by_kind ON dead_letters (kind, seq);

-- One row, written by ping(): the only proof that a write can be taken is a write.
CREATE TABLE liveness (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    written_at INTEGER NOT NULL
);
INSERT INTO liveness VALUES (1, 0);
