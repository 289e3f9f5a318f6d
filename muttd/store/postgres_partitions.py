"""Partitions of the event tables: a month of event_audit_log, a day of event_history.

    event_audit_log_2025_03    [2025-03-01, 2025-04-01)      event_history_2025_03_30    one day
    event_audit_log_default    rows that came before their partition; it takes them over

A partition is made beside its table and then attached: unlike CREATE TABLE ... PARTITION OF that
locks the default partition alone, and no record() or search waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from muttd.store.periods import Period, next_start, start_of
from muttd.store.postgres_connection import Connection

AUDIT = "event_audit_log"
HISTORY = "event_history"

# So many periods after the present one. A daemon that was off for as long finds its rows in the
# default partition.
_AHEAD = 3
# More days than that in the default partition are a broken clock; the rest is for the next round.
_MAX_STRAYS = 400


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table and the length of its partitions."""

    table: str
    period: Period
    name_format: str

    def name_of(self, start: datetime) -> str:
        """The partition that begins then."""
        return f"{self.table}_{start.strftime(self.name_format)}"

    def start_of(self, name: str) -> datetime | None:
        """When that partition begins; None: it is none of ours."""
        digits = name.removeprefix(f"{self.table}_")
        if re.fullmatch(r"\d{4}(_\d{2}){1,2}", digits) is None:
            return None
        return datetime.strptime(digits, self.name_format).replace(tzinfo=UTC)


PARTITIONED = (
    Partitioned(AUDIT, Period.MONTH, "%Y_%m"),
    Partitioned(HISTORY, Period.DAY, "%Y_%m_%d"),
)


def existing(connection: Connection, kind: Partitioned) -> dict[datetime, str]:
    """The partitions that there are, by their beginning, oldest first."""
    rows = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = to_regclass(%s)",
        (kind.table,),
    )
    starts = ((kind.start_of(name), name) for (name,) in rows)
    return dict(sorted((start, name) for start, name in starts if start is not None))


def missing(connection: Connection, kind: Partitioned, now: datetime) -> list[datetime]:
    """The partitions that there should be: the present, the next ones, and those of strays."""
    there = existing(connection, kind)
    wanted = set(_ahead(kind.period, now)) | set(_strays(connection, kind))
    return sorted(wanted - set(there))


def _ahead(period: Period, now: datetime) -> Iterator[datetime]:
    start = start_of(period, now)
    for _ in range(_AHEAD + 1):
        yield start
        start = next_start(period, start)


def _strays(connection: Connection, kind: Partitioned) -> list[datetime]:
    rows = connection.execute(
        "SELECT DISTINCT date_trunc(%s, received_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
        f" FROM {kind.table}_default LIMIT %s",
        (kind.period.value, _MAX_STRAYS),
    )
    return [start for (start,) in rows]


def make_partition(connection: Connection, kind: Partitioned, start: datetime) -> int:
    """Make one partition, and move there what waits for it in the default partition.

    Args:
        connection: In a transaction. While it lasts nobody can use the default partition.
        kind: Of which table.
        start: What start_of() gave.

    Returns:
        How many rows were moved.

    Raises:
        psycopg.Error: Among others LockNotAvailable, when a search reads the default partition.
    """
    name, end = kind.name_of(start), next_start(kind.period, start)
    default = f"{kind.table}_default"
    # First of all: a row that came in between moving and attaching would be in the way.
    connection.execute(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    connection.execute(f"CREATE TABLE {name} (LIKE {kind.table} INCLUDING DEFAULTS)")
    moved = connection.execute(
        f"WITH moved AS (DELETE FROM {default} WHERE received_at >= %s AND received_at < %s"
        f" RETURNING *) INSERT INTO {name} SELECT * FROM moved",
        (start, end),
    ).rowcount
    connection.execute(
        f"ALTER TABLE {kind.table} ATTACH PARTITION {name}"
        f" FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )
    return moved


def make_partitions(connection: Connection, now: datetime) -> None:
    """Make everything that is missing, in the caller's transaction."""
    for kind in PARTITIONED:
        for start in missing(connection, kind, now):
            make_partition(connection, kind, start)
