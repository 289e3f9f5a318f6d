"""The embedded queue's dead letters: the SQL, and the Letters that run it; see sqlite_entries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from muttd.queue import sqlite_entries
from muttd.queue.contract import Batch, stream_of
from muttd.queue.letters import ANY_LETTER, DeadLetter, LetterKind, LetterQuery
from muttd.queue.sqlite_entries import Tallies
from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds

_COLUMNS = (
    "letter_id, kind, item_id, reason, error, attempts,"
    " first_failed_at, last_failed_at, origin, payload, destination, replays"
)
_NAMED = "letter_id IN (SELECT value FROM json_each(?))"
# A parameter for each condition, NULL for any.
_WHERE = (
    "(?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR reason = ?2)"
    " AND (?3 IS NULL OR destination = ?3)"
    " AND (?4 IS NULL OR replays >= ?4) AND (?5 IS NULL OR replays <= ?5)"
)

T = TypeVar("T")
_Row = tuple[Any, ...]

_encode = msgspec.msgpack.Encoder().encode


class Change(Protocol):
    """Runs a change of the file and of the tallies, as one transaction."""

    def __call__(
        self, work: Callable[[sqlite3.Connection, Tallies], T], /, *, durable: bool = True
    ) -> Awaitable[T]:
        """Run it; a power cut may undo it unless it is durable."""
        ...


def keep(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep dead letters; one that is kept already is left as it is."""
    connection.executemany(
        f"INSERT OR IGNORE INTO dead_letters ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
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
                letter.destination,
                letter.replays,
            )
            for letter in letters
        ],
    )


def _letter(row: _Row) -> DeadLetter:
    return DeadLetter(
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
        destination=row[10],
        replays=row[11],
    )


def _conditions(query: LetterQuery) -> tuple[object, ...]:
    return (query.kind, query.reason, query.destination, query.least_replays, query.most_replays)


def _put_back(
    connection: sqlite3.Connection, letter_ids: Sequence[str], tallies: Tallies, now: int
) -> list[DeadLetter]:
    """Turn letters into entries, in the order they were buried."""
    ids = json.dumps(list(letter_ids))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM dead_letters WHERE {_NAMED} ORDER BY seq", (ids,)
    ).fetchall()
    letters = [_letter(row) for row in rows]
    for letter in letters:
        stream, batch = stream_of(letter), Batch(letter.payload, 1)
        tallies[stream] = sqlite_entries.append(
            connection, stream, [batch], tallies[stream], now, past=_encode(letter.past)
        )
    connection.execute(f"DELETE FROM dead_letters WHERE {_NAMED}", (ids,))
    return letters


def _discard(connection: sqlite3.Connection, letter_ids: Sequence[str]) -> list[str]:
    ids = json.dumps(list(letter_ids))
    # Not DELETE ... RETURNING: SQLite has it since 3.35.
    rows = connection.execute(f"SELECT letter_id FROM dead_letters WHERE {_NAMED}", (ids,))
    there = [row[0] for row in rows]
    connection.execute(f"DELETE FROM dead_letters WHERE {_NAMED}", (ids,))
    return there


class SqliteLetters:
    """Letters, in the queue's file.

    Args:
        file: The queue's.
        change: Changes it along with the tallies.
        wake: Tells whoever waits for entries of a stream.
        now: Microseconds since 1970.
    """

    def __init__(
        self,
        file: SqliteFile,
        change: Change,
        wake: Callable[[str], None],
        now: Callable[[], int],
    ) -> None:
        self._file = file
        self._change = change
        self._wake = wake
        self._now = now

    async def find(
        self,
        query: LetterQuery = ANY_LETTER,
        *,
        offset: int = 0,
        limit: int = 50,
        oldest_first: bool = False,
    ) -> list[DeadLetter]:
        """Dead letters, the one buried last first unless asked otherwise."""
        order = "ASC" if oldest_first else "DESC"
        rows = await self._file.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM dead_letters WHERE {_WHERE}"
                f" ORDER BY seq {order} LIMIT ?6 OFFSET ?7",
                (*_conditions(query), limit, offset),
            ).fetchall()
        )
        return [_letter(row) for row in rows]

    async def count(self, query: LetterQuery = ANY_LETTER) -> int:
        """How many there are."""
        row = await self._file.read(
            lambda connection: connection.execute(
                f"SELECT count(*) FROM dead_letters WHERE {_WHERE}", _conditions(query)
            ).fetchone()
        )
        return int(row[0])

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One of them."""
        row = await self._file.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM dead_letters WHERE letter_id = ?", (letter_id,)
            ).fetchone()
        )
        return None if row is None else _letter(row)

    async def edit(self, letter_id: str, payload: bytes) -> bool:
        """Give a letter another payload; its replays are counted anew. False: there is none."""

        def work(connection: sqlite3.Connection) -> bool:
            done = connection.execute(
                "UPDATE dead_letters SET payload = ?, replays = 0 WHERE letter_id = ?",
                (payload, letter_id),
            )
            return done.rowcount > 0

        return await self._file.write(work)

    async def replay(self, letter_ids: Sequence[str]) -> list[str]:
        """Put letters back into the streams they came from and forget them."""
        letters = await self._change(
            lambda connection, tallies: _put_back(connection, letter_ids, tallies, self._now())
        )
        for stream in {stream_of(letter) for letter in letters}:
            self._wake(stream)
        return [letter.letter_id for letter in letters]

    async def discard(self, letter_ids: Sequence[str]) -> list[str]:
        """Forget letters. Returns the ids of those that were there."""
        return await self._file.write(lambda connection: _discard(connection, letter_ids))

    async def forget(self, *, failed_before: datetime) -> int:
        """Forget letters that failed last before that moment. Returns how many."""

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM dead_letters WHERE last_failed_at < ?",
                (to_microseconds(failed_before),),
            ).rowcount

        return await self._file.write(work)
