-- What was counted, held back and reported (muttd/queue/ledger.py), in one transaction with the ack.
--
--   ledger         kind, key | place in the order of its kind | value, MessagePack
--   ledger_sizes   kind | how many keys it has | how many had to go because it was full

CREATE TABLE ledger (
    kind  TEXT    NOT NULL,
    key   TEXT    NOT NULL,
    place INTEGER NOT NULL,
    value BLOB    NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

CREATE INDEX ledger_by_place ON ledger (kind, place);

CREATE TABLE ledger_sizes (
    kind    TEXT    NOT NULL PRIMARY KEY,
    held    INTEGER NOT NULL DEFAULT 0,
    evicted INTEGER NOT NULL DEFAULT 0
);
INSERT INTO ledger_sizes (kind) VALUES ('groups'), ('repeats'), ('open'), ('later'), ('early'),
    ('judged'), ('seen'), ('silent'), ('due'), ('watch');
