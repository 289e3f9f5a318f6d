-- What the operator decided, and who changed it when.
--
-- rule is the whole rule as JSON; the other columns of alert_rules are there to be searched, and
-- to be read. json and not jsonb: it holds every text that JSON can, NUL included.

CREATE TABLE alert_rules (
    id              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    priority        bigint      NOT NULL,
    revision        bigint      NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    deleted_at      timestamptz,
    is_active       boolean     NOT NULL,
    name            text        NOT NULL COLLATE "C",
    team_assignment text        NOT NULL COLLATE "C",
    searched        text        NOT NULL COLLATE "C",
    rule            json        NOT NULL
);

CREATE INDEX alert_rules_by_priority ON alert_rules (priority, id) WHERE deleted_at IS NULL;

CREATE TABLE rule_revisions (
    rule_id    bigint      NOT NULL,
    revision   bigint      NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text        NOT NULL,
    rule       json        NOT NULL,
    PRIMARY KEY (rule_id, revision)
);

-- One row. Every change to rules, hosts or teams raises it, in the transaction of the change, and
-- says so on the channel muttd_rule_book.
CREATE TABLE rule_book (
    id       smallint NOT NULL PRIMARY KEY CHECK (id = 1),
    revision bigint   NOT NULL
);
INSERT INTO rule_book VALUES (1, 0);

CREATE TABLE development_hosts (
    hostname text NOT NULL COLLATE "C"
);
CREATE UNIQUE INDEX development_hosts_by_name ON development_hosts (lower(hostname));

CREATE TABLE device_teams (
    hostname        text NOT NULL COLLATE "C",
    team_assignment text NOT NULL
);
CREATE UNIQUE INDEX device_teams_by_name ON device_teams (lower(hostname));

CREATE TABLE config_audit_log (
    id             bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    changed_by     text        NOT NULL COLLATE "C",
    operation      text        NOT NULL CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE')),
    table_name     text        NOT NULL COLLATE "C",
    record_id      text        NOT NULL COLLATE "C",
    old_value      json,
    new_value      json,
    reason         text,
    correlation_id text
);

CREATE INDEX config_audit_log_by_time ON config_audit_log (changed_at);

CREATE TABLE api_keys (
    id         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('ingest', 'viewer', 'operator', 'admin')),
    key_hash   bytea       NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- One row, written by ping(): the only proof that a write can be taken is a write.
CREATE TABLE liveness (
    id         smallint    NOT NULL PRIMARY KEY CHECK (id = 1),
    written_at timestamptz NOT NULL
);
INSERT INTO liveness VALUES (1, now());
