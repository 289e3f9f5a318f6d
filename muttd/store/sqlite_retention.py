"""Retention in the embedded store.

Each thousand rows are a transaction of their own, so that the events that come in meanwhile are
recorded between two of them.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from muttd.sqlite_file import SqliteFile, from_microseconds, to_microseconds
from muttd.store.archive import open_archive
from muttd.store.contract import Retention
from muttd.store.periods import Period, first_id_at, months_before, next_start, start_of
from muttd.store.sqlite_events import ADD_TO_COUNT, AUDIT, HISTORY

# Deleted in one transaction: some ten milliseconds in which nobody else writes.
_AT_ONCE = 1000
# An archive of a month is written in the background, and nobody waits for it.
_ARCHIVE_DEADLINE_S = 3600.0

_SETTLED_ALERTS = "alert_id < ? AND state NOT IN ('queued', 'retrying')"


class SqliteRetention:
    """The forgetting part of the embedded store."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def maintain(self, retention: Retention, *, now: datetime) -> list[str]:
        """Forget what is old."""
        months = start_of(Period.MONTH, months_before(now, retention.event_retention_months))
        done = []
        if retention.archive_dir is not None:
            done += await self._archive(months, retention.archive_dir)
        history = await self._expire(HISTORY, now - timedelta(days=retention.history_days))
        audit = await self._expire(AUDIT, months)
        alerts = await self._expire_alerts(first_id_at(months))
        changes = await self._expire_changes(now - timedelta(days=retention.config_audit_days))
        for count, what in (
            (history, "unmatched events"),
            (audit, "matched events"),
            (alerts, "alerts"),
            (changes, "configuration changes"),
        ):
            if count:
                done.append(f"{count} {what} forgotten")
        return done

    async def _expire(self, table: str, before: datetime) -> int:
        def expire_some(connection: sqlite3.Connection) -> int:
            gone = connection.execute(
                f"DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM {table}"
                " WHERE received_at < ? ORDER BY received_at LIMIT ?)",
                (to_microseconds(before), _AT_ONCE),
            ).rowcount
            connection.execute(ADD_TO_COUNT, (-gone, table))
            return gone

        expired = 0
        while gone := await self._file.write(expire_some, durable=False):
            expired += gone
        return expired

    async def _expire_alerts(self, before_id: str) -> int:
        def expire_some(connection: sqlite3.Connection) -> int:
            ids = connection.execute(
                f"SELECT alert_id FROM alerts WHERE {_SETTLED_ALERTS} ORDER BY alert_id LIMIT ?",
                (before_id, _AT_ONCE),
            ).fetchall()
            connection.executemany("DELETE FROM deliveries WHERE alert_id = ?", ids)
            connection.executemany("DELETE FROM alerts WHERE alert_id = ?", ids)
            return len(ids)

        expired = 0
        while gone := await self._file.write(expire_some, durable=False):
            expired += gone
        return expired

    async def _expire_changes(self, before: datetime) -> int:
        return await self._file.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM config_audit_log WHERE changed_at < ?", (to_microseconds(before),)
                ).rowcount
            ),
            durable=False,
        )

    async def _archive(self, before: datetime, directory: Path) -> list[str]:
        done = []
        while (month := await self._file.read(_oldest_month)) is not None and month < before:
            write = partial(_archive_month, month=month, directory=directory)
            count = await self._file.read(write, deadline_s=_ARCHIVE_DEADLINE_S)
            await self._expire(AUDIT, next_start(Period.MONTH, month))
            done.append(f"{count} matched events of {month:%Y-%m} archived and forgotten")
        return done


def _oldest_month(connection: sqlite3.Connection) -> datetime | None:
    (oldest,) = connection.execute(f"SELECT min(received_at) FROM {AUDIT}").fetchone()
    return None if oldest is None else start_of(Period.MONTH, from_microseconds(oldest))


def _archive_month(connection: sqlite3.Connection, month: datetime, directory: Path) -> int:
    rows = connection.execute(
        f"SELECT * FROM {AUDIT} WHERE received_at >= ? AND received_at < ? ORDER BY event_id",
        (to_microseconds(month), to_microseconds(next_start(Period.MONTH, month))),
    )
    count = 0
    with (
        open_archive(directory, f"{AUDIT}_{month:%Y_%m}") as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text)
        writer.writerow(column[0] for column in rows.description)
        for row in rows:
            # Octets as PostgreSQL writes them.
            writer.writerow(f"\\x{v.hex()}" if isinstance(v, bytes) else v for v in row)
            count += 1
    return count
