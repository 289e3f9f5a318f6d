-- Operators' MIBs and the severities of traps: every daemon names and weighs traps alike.

CREATE TABLE mibs (
    name        text        NOT NULL COLLATE "C" PRIMARY KEY,
    digest      text        NOT NULL,
    octets      integer     NOT NULL,
    uploaded_at timestamptz NOT NULL,
    uploaded_by text        NOT NULL,
    text        bytea       NOT NULL
);

CREATE TABLE trap_severities (
    trap_oid text     NOT NULL COLLATE "C" PRIMARY KEY,
    severity smallint NOT NULL CHECK (severity BETWEEN 0 AND 7)
);
