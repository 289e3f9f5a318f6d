-- Operators' MIBs and the severities of traps: every daemon names and weighs traps alike.

CREATE TABLE mibs (
    name        TEXT    NOT NULL PRIMARY KEY,
    digest      TEXT    NOT NULL,
    octets      INTEGER NOT NULL,
    uploaded_at INTEGER NOT NULL,
    uploaded_by TEXT    NOT NULL,
    text        BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE trap_severities (
    trap_oid TEXT    NOT NULL PRIMARY KEY,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 7)
) WITHOUT ROWID;
