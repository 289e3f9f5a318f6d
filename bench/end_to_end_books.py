"""What a daemon stored, by sequence number, and when: in PostgreSQL and in SQLite.

In PostgreSQL the time of a row is that of its commit (track_commit_timestamp). SQLite keeps none,
so it is looked into every ten milliseconds, by somebody whose time is not the daemon's.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg

_TABLES = ("event_audit_log", "event_history")
_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Books:
    """What is stored.

    Attributes:
        rows: How many events.
        missing: Numbers that are not there.
        doubled: How many rows say what another one says.
        times: (number, when it was stored), of some.
    """

    rows: int
    missing: list[int]
    doubled: int
    times: list[tuple[int, float]]


def _books(numbers: Sequence[int], sent: int, times: list[tuple[int, float]]) -> Books:
    known = set(numbers)
    missing = [] if len(known) == sent else sorted(set(range(sent)) - known)
    return Books(len(numbers), missing, len(numbers) - len(known), times)


class PostgresBooks:
    """Of a daemon whose store is PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self) -> None:
        """Nothing has to be watched: rows know when they were committed."""

    def read(self, sent: int) -> Books:
        """Everything that is stored."""
        number = "substr(message, strpos(message, 'seq=') + 4, 9)::int"
        parts = [
            f"SELECT {number}, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
            f" FROM {table} WHERE strpos(message, 'seq=') > 0"
            for table in _TABLES
        ]
        with (
            psycopg.connect(self._url) as connection,
            connection.cursor().copy(f"COPY ({' UNION ALL '.join(parts)}) TO STDOUT") as copy,
        ):
            copy.set_types(["int4", "float8"])
            rows = list(copy.rows())
        return _books([row[0] for row in rows], sent, rows)


class SqliteBooks:
    """Of an embedded daemon."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._seen: list[tuple[int, float]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def read(self, sent: int) -> Books:
        """Everything that is stored; looks no more."""
        self._over.set()
        self._thread.join()
        with sqlite3.connect(self._path) as connection:
            numbers = [n for table in _TABLES for n, _ in _after(connection, table, "")]
        return _books(numbers, sent, self._seen)

    def _watch(self) -> None:
        last = dict.fromkeys(_TABLES, "")
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as connection:
            while not self._over.wait(_LOOK_S):
                for table in _TABLES:
                    rows = _after(connection, table, last[table])
                    now = time.time()
                    self._seen += [(number, now) for number, _ in rows]
                    if rows:
                        last[table] = rows[-1][1]


def _after(connection: sqlite3.Connection, table: str, event_id: str) -> list[tuple[int, str]]:
    return connection.execute(
        f"SELECT CAST(substr(message, instr(message, 'seq=') + 4, 9) AS INTEGER), event_id"
        f" FROM {table} WHERE event_id > ? AND instr(message, 'seq=') ORDER BY event_id",
        (event_id,),
    ).fetchall()


def ranges_of(numbers: Iterable[int]) -> str:
    """Numbers as people write them: 3-7, 12; the first dozen of the ranges."""
    ordered = sorted(numbers)
    cuts = [at for at, (one, two) in enumerate(pairwise(ordered), start=1) if two != one + 1]
    parts = [
        ordered[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(ordered)], strict=True)
        if start < end
    ]
    shown = [f"{p[0]}" if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts[:12]]
    return ", ".join(shown) + (", ..." if len(parts) > 12 else "")
