"""The schema in PostgreSQL: applied by one, awaited by the others, refused when it is newer.

    lock -- read schema_migrations -- apply what is missing -- make the first partitions -- commit

All in one transaction: a migration is there whole or not at all. Of several daemons that start at
once on an empty database one gets the lock; the others then find the work done.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from muttd.errors import StoreRefused
from muttd.migrations import Migration, find_sql_dir, pending_migrations, read_migrations
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_partitions import make_partitions

# Who waits for a lock waits for the holder's transaction; the numbers must only differ.
_OUR_LOCKS = 0x6D757474


class Lock(enum.IntEnum):
    """Advisory locks, one set per schema; each is held until its transaction ends."""

    MIGRATION = 0
    RETENTION = 1


# Schemas of one database are independent of each other.
_LOCK_KEYS = f"{_OUR_LOCKS} + %s, hashtext(current_schema())"
_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer     NOT NULL PRIMARY KEY,
        name       text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


def take_lock(connection: Connection, lock: Lock) -> None:
    """Wait for a lock."""
    connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK_KEYS})", (int(lock),))


def try_lock(connection: Connection, lock: Lock) -> bool:
    """Take a lock unless another has it."""
    row = connection.execute(
        f"SELECT pg_try_advisory_xact_lock({_LOCK_KEYS})", (int(lock),)
    ).fetchone()
    return row is not None and bool(row[0])


def known_migrations(sql_dir: Path | None = None) -> Sequence[Migration]:
    """Every migration that this program knows."""
    return read_migrations((sql_dir or find_sql_dir()) / "postgres")


def migrate(
    connection: Connection, known: Sequence[Migration], *, apply: bool, now: datetime
) -> Sequence[Migration]:
    """Bring the schema up to date.

    Args:
        connection: In no transaction.
        known: What known_migrations() gave.
        apply: False: only look.
        now: The first partitions are made for this time and what follows it.

    Returns:
        What was applied.

    Raises:
        StoreRefused: The schema is newer than this program, or older and not to be changed.
        psycopg.Error: Rolled back.
    """
    connection.execute("BEGIN; SET LOCAL statement_timeout = 0")
    take_lock(connection, Lock.MIGRATION)
    pending = pending_migrations("PostgreSQL", _applied(connection), known)
    if pending and not apply:
        raise StoreRefused(
            f"PostgreSQL lacks {', '.join(map(str, pending))}: run muttd migrate,"
            " or set MUTTD_AUTO_MIGRATE=true"
        )
    if pending:
        connection.execute(_TABLE)
    for migration in pending:
        connection.execute(migration.script.encode())
        connection.execute(
            "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
            (migration.version, migration.name),
        )
    if pending:
        make_partitions(connection, now)
    connection.execute("COMMIT")
    return pending


def _applied(connection: Connection) -> dict[int, str]:
    row = connection.execute(
        "SELECT to_regclass('schema_migrations') IS NOT NULL,"
        " to_regclass('event_audit_log') IS NOT NULL, current_schema() IS NOT NULL"
    ).fetchone()
    has_migrations, has_events, has_schema = row or (False, False, False)
    if not has_schema:
        raise StoreRefused("PostgreSQL: no schema of the search_path exists")
    if not has_migrations:
        if has_events:
            raise StoreRefused("PostgreSQL has our tables, but not schema_migrations: restore it")
        return {}
    return dict(connection.execute("SELECT version, name FROM schema_migrations").fetchall())
