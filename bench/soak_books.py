"""What a daemon stored, taken out as it comes, so that hours need no more disk than minutes.

    rows --older than some seconds--> taken out --> their numbers: each once?

Numbers are nearly in order: what has to be kept in mind is little.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

TABLES = ("event_audit_log", "event_history")
_NUMBER_FROM = 4
_LOOK_S = 0.01
_BUSY_S = 30.0

# (number, when it was stored)
Stored = list[tuple[int, float]]


@dataclass
class Numbers:
    """Which numbers were seen: all below `low`, and those `above`."""

    low: int = 0
    above: set[int] = field(default_factory=set)
    doubled: int = 0

    def add(self, number: int) -> None:
        """One more."""
        if number < self.low or number in self.above:
            self.doubled += 1
            return
        self.above.add(number)
        while self.low in self.above:
            self.above.remove(self.low)
            self.low += 1


class Taker(Protocol):
    """Takes rows out of a store."""

    def take(self, older_than_s: float) -> list[int]:
        """The numbers of rows that were received so long ago; they are in the store no more."""

    def stored(self) -> Stored:
        """When some of the rows since the last call were stored."""

    def close(self) -> None:
        """Look no more."""


def _floor_of_ids(moment: float) -> str:
    """Below every event id of that moment (RFC 9562, 5.7: they begin with milliseconds)."""
    digits = f"{int(moment * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


class PostgresTaker:
    """Out of PostgreSQL, which knows when a row was committed (track_commit_timestamp)."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._stored: Stored = []

    def take(self, older_than_s: float) -> list[int]:
        """See Taker."""
        numbers: list[int] = []
        for table in TABLES:
            rows = self._connection.execute(
                f"DELETE FROM {table} WHERE event_id < %s AND strpos(message, 'seq=') > 0"
                f" RETURNING substr(message, strpos(message, 'seq=') + {_NUMBER_FROM}, 9)::int,"
                " extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8",
                [_floor_of_ids(time.time() - older_than_s)],
            ).fetchall()
            self._stored += rows
            numbers += [number for number, _ in rows]
        return numbers

    def stored(self) -> Stored:
        """See Taker."""
        seen, self._stored = self._stored, []
        return seen

    def close(self) -> None:
        """See Taker."""
        self._connection.close()


class SqliteTaker:
    """Out of SQLite, which is looked into every ten milliseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
        self._over = threading.Event()
        self._stored: Stored = []
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def take(self, older_than_s: float) -> list[int]:
        """See Taker. A little at a time: the daemon waits while somebody else writes."""
        floor = _floor_of_ids(time.time() - older_than_s)
        numbers: list[int] = []
        for table in TABLES:
            while rows := self._connection.execute(
                f"DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM {table}"
                f" WHERE event_id < ? AND instr(message, 'seq=') LIMIT 500) RETURNING"
                f" CAST(substr(message, instr(message, 'seq=') + {_NUMBER_FROM}, 9) AS INTEGER)",
                [floor],
            ).fetchall():
                numbers += [number for (number,) in rows]
        return numbers

    def stored(self) -> Stored:
        """See Taker."""
        seen, self._stored = self._stored, []
        return seen

    def close(self) -> None:
        """See Taker."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        last = dict.fromkeys(TABLES, _floor_of_ids(time.time()))
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        while not self._over.wait(_LOOK_S):
            for table in TABLES:
                rows = connection.execute(
                    f"SELECT CAST(substr(message, instr(message, 'seq=') + {_NUMBER_FROM}, 9)"
                    f" AS INTEGER), event_id FROM {table}"
                    " WHERE event_id > ? AND instr(message, 'seq=') ORDER BY event_id",
                    [last[table]],
                ).fetchall()
                now = time.time()
                self._stored += [(number, now) for number, _ in rows]
                if rows:
                    last[table] = rows[-1][1]
        connection.close()
