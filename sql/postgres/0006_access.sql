-- Who may come in. Keys and session tokens are kept as SHA-256 digests only.

ALTER TABLE api_keys ADD COLUMN created_by text NOT NULL DEFAULT '';

-- A session lives as long as the key that it was opened with is valid, and no longer than it says.
CREATE TABLE sessions (
    token_hash bytea       NOT NULL PRIMARY KEY,
    key_hash   bytea       NOT NULL,
    opened_at  timestamptz NOT NULL,
    used_at    timestamptz NOT NULL
);

-- One row. A key that is made or revoked and a session that is closed raise it, in the transaction
-- of the change.
CREATE TABLE access_book (
    id       smallint NOT NULL PRIMARY KEY CHECK (id = 1),
    revision bigint   NOT NULL
);
INSERT INTO access_book VALUES (1, 0);
