-- Who is missed when he is silent: exact names, globs and CIDRs. Part of the rule book.

CREATE TABLE expected_sources (
    hostname        text     NOT NULL COLLATE "C",
    expect_every_s  bigint   NOT NULL,
    team_assignment text     COLLATE "C",
    severity        smallint NOT NULL CHECK (severity BETWEEN 0 AND 7)
);
CREATE UNIQUE INDEX expected_sources_by_name ON expected_sources (lower(hostname));
