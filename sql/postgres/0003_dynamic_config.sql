-- What operators set while the daemons run; a key that is not here has its default.

CREATE TABLE dynamic_config (
    key        text        NOT NULL COLLATE "C" PRIMARY KEY,
    value      json        NOT NULL,
    changed_by text        NOT NULL,
    changed_at timestamptz NOT NULL
);
