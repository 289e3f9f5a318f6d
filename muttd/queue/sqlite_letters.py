"""The SQL of the embedded queue's dead letters; see sqlite_entries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from muttd.queue.contract import Batch, DeadLetter, LetterKind, Stream
from muttd.sqlite_file import from_microseconds, to_microseconds

STREAM_OF = {LetterKind.EVENT: Stream.INGEST, LetterKind.ALERT: Stream.ALERT}

_COLUMNS = (
    "letter_id, kind, item_id, reason, error, attempts,"
    " first_failed_at, last_failed_at, origin, payload"
)


def keep(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep dead letters; one that is kept already is left as it is."""
    connection.executemany(
        f"INSERT OR IGNORE INTO dead_letters ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",
        [
            (
                letter.letter_id,
                letter.kind,
                letter.item_id,
                letter.reason,
                letter.error,
                letter.attempts,
                to_microseconds(letter.first_failed_at),
                to_microseconds(letter.last_failed_at),
                letter.origin,
                letter.payload,
            )
            for letter in letters
        ],
    )


def newest(
    connection: sqlite3.Connection, kind: LetterKind | None, offset: int, limit: int
) -> list[DeadLetter]:
    """Dead letters, the one buried last first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM dead_letters WHERE ?1 IS NULL OR kind = ?1"
        " ORDER BY seq DESC LIMIT ?2 OFFSET ?3",
        (kind, limit, offset),
    )
    return [
        DeadLetter(
            letter_id=row[0],
            kind=LetterKind(row[1]),
            item_id=row[2],
            reason=row[3],
            error=row[4],
            attempts=row[5],
            first_failed_at=from_microseconds(row[6]),
            last_failed_at=from_microseconds(row[7]),
            origin=row[8],
            payload=row[9],
        )
        for row in rows
    ]


def count(connection: sqlite3.Connection, kind: LetterKind) -> int:
    """How many dead letters of that kind there are."""
    row = connection.execute("SELECT count(*) FROM dead_letters WHERE kind = ?", (kind,)).fetchone()
    return int(row[0])


def pull(connection: sqlite3.Connection, letter_ids: Sequence[str]) -> list[tuple[Stream, Batch]]:
    """Forget dead letters and return what they held, in the order they were buried."""
    rows = connection.execute(
        "SELECT kind, payload FROM dead_letters"
        " WHERE letter_id IN (SELECT value FROM json_each(?)) ORDER BY seq",
        (json.dumps(list(letter_ids)),),
    ).fetchall()
    discard(connection, letter_ids)
    return [(STREAM_OF[LetterKind(kind)], Batch(payload, 1)) for kind, payload in rows]


def discard(connection: sqlite3.Connection, letter_ids: Sequence[str]) -> int:
    """Forget dead letters. Returns how many there were."""
    return connection.execute(
        "DELETE FROM dead_letters WHERE letter_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(letter_ids)),),
    ).rowcount
