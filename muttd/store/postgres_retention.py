"""Retention in PostgreSQL: partitions made ahead, old ones archived and dropped whole.

    lock -- make what is missing -- drop what is old -- delete what has no partitions

Each step is a transaction of its own that takes the retention lock; whoever does not get it leaves
the step to the daemon that has it. A step that would hold up searches or record() for longer than
_LOCK_WAIT_MS gives way, and is done in the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from psycopg import errors

from muttd.store.archive import open_archive
from muttd.store.contract import Retention
from muttd.store.periods import Period, first_id_at, months_before, next_start, start_of
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_link import PostgresLink
from muttd.store.postgres_partitions import (
    AUDIT,
    HISTORY,
    PARTITIONED,
    Partitioned,
    existing,
    make_partition,
    missing,
)
from muttd.store.postgres_schema import Lock, try_lock

# Who waits for an exclusive lock holds up all that come after; a second is no time on a page.
_LOCK_WAIT_MS = 1000
# Deleted in one transaction.
_AT_ONCE = 5000

_DELETE_ALERTS = """
    WITH old AS (
        SELECT alert_id FROM alerts
        WHERE alert_id < %s AND state NOT IN ('queued', 'retrying') ORDER BY alert_id LIMIT %s
    ), gone AS (
        DELETE FROM deliveries USING old WHERE deliveries.alert_id = old.alert_id
    )
    DELETE FROM alerts USING old WHERE alerts.alert_id = old.alert_id
"""
_DELETE_CHANGES = """
    DELETE FROM config_audit_log WHERE id IN (
        SELECT id FROM config_audit_log WHERE changed_at < %s ORDER BY changed_at LIMIT %s
    )
"""
_WHAT = {AUDIT: "matched events", HISTORY: "unmatched events"}

_IN_USE = "partitions are in use; they are made or dropped later"

Step = Callable[[Connection], str | None]


class PostgresRetention:
    """The housekeeping part of the store in PostgreSQL."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def maintain(self, retention: Retention, *, now: datetime) -> list[str]:
        """Make partitions ahead, and forget what is old."""
        limits = {
            AUDIT: months_before(now, retention.event_retention_months),
            HISTORY: now - timedelta(days=retention.history_days),
        }
        done: list[str | None] = []
        for kind in PARTITIONED:
            wanted = await self._link.keep(partial(missing, kind=kind, now=now))
            steps: list[Step] = [partial(_make, kind=kind, start=start) for start in wanted]
            done += await self._run(steps)
            archive_dir = retention.archive_dir if kind.table == AUDIT else None
            there = await self._link.keep(partial(existing, kind=kind))
            steps = [
                partial(_drop, kind=kind, start=start, archive_dir=archive_dir)
                for start in there
                if next_start(kind.period, start) <= limits[kind.table]
            ]
            done += await self._run(steps)
        first_kept = first_id_at(start_of(Period.MONTH, limits[AUDIT]))
        done.append(await self._delete("alerts", _DELETE_ALERTS, first_kept))
        oldest_change = now - timedelta(days=retention.config_audit_days)
        done.append(await self._delete("configuration changes", _DELETE_CHANGES, oldest_change))
        return [line for line in done if line is not None]

    async def _run(self, steps: Sequence[Step]) -> list[str | None]:
        done: list[str | None] = []
        for step in steps:
            done.append(await self._step(step))
            # Whoever is in the way of one is in the way of all; each try holds others up.
            if done[-1] == _IN_USE:
                break
        return done

    async def _step(self, step: Step) -> str | None:
        def locked(connection: Connection) -> str | None:
            connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
            if not try_lock(connection, Lock.RETENTION):
                return None
            try:
                return step(connection)
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                # The COMMIT that follows rolls a failed transaction back.
                return _IN_USE

        return await self._link.keep(locked)

    async def _delete(self, what: str, statement: str, before: object) -> str | None:
        def delete_some(connection: Connection) -> int:
            if not try_lock(connection, Lock.RETENTION):
                return 0
            return connection.execute(statement, (before, _AT_ONCE)).rowcount

        deleted = 0
        while gone := await self._link.keep(delete_some):
            deleted += gone
        return f"{deleted} {what} forgotten" if deleted else None


def _make(connection: Connection, *, kind: Partitioned, start: datetime) -> str | None:
    # Whoever had the lock before may have made it.
    if start in existing(connection, kind):
        return None
    moved = make_partition(connection, kind, start)
    with_rows = f" for {moved} rows that waited for it" if moved else ""
    return f"{kind.name_of(start)} made{with_rows}"


def _drop(
    connection: Connection, *, kind: Partitioned, start: datetime, archive_dir: Path | None
) -> str | None:
    if start not in existing(connection, kind):
        return None
    name = kind.name_of(start)
    archived = ""
    if archive_dir is not None and _has_rows(connection, name):
        _archive(connection, name, archive_dir)
        archived = "archived and "
    connection.execute(f"DROP TABLE {name}")
    [(count,)] = connection.execute(
        "WITH gone AS (DELETE FROM row_counts WHERE table_name = %s AND period = %s"
        " RETURNING row_count) SELECT coalesce(sum(row_count), 0) FROM gone",
        (kind.table, start),
    ).fetchall()
    return f"{name} {archived}dropped with {count} {_WHAT[kind.table]}"


def _has_rows(connection: Connection, name: str) -> bool:
    # Whoever wants to add a row waits from here on; readers do not.
    connection.execute(f"LOCK TABLE {name} IN SHARE MODE")
    return connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is not None


def _archive(connection: Connection, name: str, directory: Path) -> None:
    with (
        open_archive(directory, name) as file,
        connection.cursor().copy(f"COPY {name} TO STDOUT (FORMAT CSV, HEADER)") as copy,
    ):
        for block in copy:
            file.write(block)
