-- Who is missed when he is silent: exact names, globs and CIDRs. Part of the rule book.

CREATE TABLE expected_sources (
    hostname        TEXT    NOT NULL COLLATE NOCASE PRIMARY KEY,
    expect_every_s  INTEGER NOT NULL,
    team_assignment TEXT,
    severity        INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 7)
) WITHOUT ROWID;
