-- Who may come in. Keys and session tokens are kept as SHA-256 digests only.
-- Times are microseconds since 1970, UTC.

ALTER TABLE api_keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';

-- A session lives as long as the key that it was opened with is valid, and no longer than it says.
CREATE TABLE sessions (
    token_hash BLOB    NOT NULL PRIMARY KEY,
    key_hash   BLOB    NOT NULL,
    opened_at  INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- One row. A key that is made or revoked and a session that is closed raise it, in the transaction
-- of the change.
CREATE TABLE access_book (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
);
INSERT INTO access_book VALUES (1, 0);
