-- What came in and what the rules made of it.
--
-- Both event tables are partitioned by received_at, which is ours and never changes: so
-- (received_at, event_id) is as unique as event_id alone, and it is the order of every list.
-- event is the whole event as MessagePack; the other columns are there to be searched:
--   hostname         in lower case
--   message          NUL, which PostgreSQL cannot hold in a text, is U+2400 here
--   message_folded   in folded case, where the message has anything but ASCII
-- Partitions are made ahead by the daemon (event_audit_log_2025_03, event_history_2025_03_30);
-- a row that has none waits in the default partition.

CREATE TABLE event_audit_log (
    received_at    timestamptz NOT NULL,
    event_id       uuid        NOT NULL,
    rule_id        bigint      NOT NULL,
    rule_revision  bigint,
    severity       smallint    NOT NULL,
    hostname       text        NOT NULL COLLATE "C",
    transport      text        NOT NULL COLLATE "C",
    trap_oid       text        COLLATE "C",
    environment    text        NOT NULL COLLATE "C",
    message        text        NOT NULL COLLATE "C",
    message_folded text        COLLATE "C",
    event          bytea       NOT NULL,
    rule_name      text        COLLATE "C",
    handling       text        COLLATE "C",
    team           text        COLLATE "C",
    PRIMARY KEY (received_at, event_id)
) PARTITION BY RANGE (received_at);

CREATE INDEX event_audit_log_by_id ON event_audit_log (event_id);
CREATE INDEX event_audit_log_by_host ON event_audit_log (hostname, received_at);
CREATE INDEX event_audit_log_by_rule ON event_audit_log (rule_id, received_at);
CREATE TABLE event_audit_log_default PARTITION OF event_audit_log DEFAULT;

CREATE TABLE event_history (
    received_at    timestamptz NOT NULL,
    event_id       uuid        NOT NULL,
    severity       smallint    NOT NULL,
    hostname       text        NOT NULL COLLATE "C",
    transport      text        NOT NULL COLLATE "C",
    trap_oid       text        COLLATE "C",
    environment    text        NOT NULL COLLATE "C",
    message        text        NOT NULL COLLATE "C",
    message_folded text        COLLATE "C",
    event          bytea       NOT NULL,
    PRIMARY KEY (received_at, event_id)
) PARTITION BY RANGE (received_at);

CREATE INDEX event_history_by_id ON event_history (event_id);
CREATE TABLE event_history_default PARTITION OF event_history DEFAULT;

-- Counting millions of rows for every page shown would be the dearest part of showing it. Each
-- batch adds to one of some slots, so that the batches of several daemons need not wait for each
-- other; the sum counts. period is the month or day that the rows are dropped with.
CREATE TABLE row_counts (
    table_name text        NOT NULL COLLATE "C",
    period     timestamptz NOT NULL,
    slot       smallint    NOT NULL,
    row_count  bigint      NOT NULL,
    PRIMARY KEY (table_name, period, slot)
) WITH (fillfactor = 50);

CREATE TABLE alerts (
    alert_id   text        NOT NULL COLLATE "C" PRIMARY KEY,
    event_id   uuid        NOT NULL,
    attempts   bigint      NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL,
    hostname   text        NOT NULL COLLATE "C",
    state      text        NOT NULL COLLATE "C",
    last_error text        COLLATE "C",
    alert      bytea       NOT NULL
);

CREATE INDEX alerts_by_state ON alerts (state, alert_id);
CREATE INDEX alerts_by_host ON alerts (hostname, alert_id);

CREATE TABLE deliveries (
    alert_id     text             NOT NULL COLLATE "C",
    attempt      bigint           NOT NULL,
    attempted_at timestamptz      NOT NULL,
    duration_s   double precision NOT NULL,
    status       bigint,
    outcome      text             NOT NULL COLLATE "C",
    error        text             COLLATE "C",
    PRIMARY KEY (alert_id, attempt)
);
