"""The embedded store: one SQLite file.

    <state directory>/store.db     sql/sqlite/store

    sqlite_events   sqlite_alerts   sqlite_rules   sqlite_hosts   sqlite_changes
         |               |               '--------------+--------------'
         '---- record ---'                   config_audit_log, rule_book.revision

Unlike the queue it may be opened by several processes at once (a command line tool beside the
daemon); SQLite's own locks order their transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from muttd.decision import Alert, AlertState, Decided
from muttd.migrations import find_sql_dir
from muttd.sqlite_file import open_sqlite
from muttd.store.contract import Rows
from muttd.store.sqlite_access import SqliteAccess
from muttd.store.sqlite_alerts import SqliteAlerts, insert_alerts
from muttd.store.sqlite_changes import SqliteChanges
from muttd.store.sqlite_dynamic import SqliteDynamic
from muttd.store.sqlite_events import SqliteEvents, SqliteRows, insert_rows
from muttd.store.sqlite_hosts import SqliteHosts
from muttd.store.sqlite_mibs import SqliteMibs
from muttd.store.sqlite_retention import SqliteRetention
from muttd.store.sqlite_rules import SqliteRules
from muttd.store.sqlite_volume import SqliteVolume

# Longer than anybody looks at a page that does not come; short enough that a few such searches
# do not keep the readers for ever.
SEARCH_DEADLINE_S = 10.0


class SqliteStore(
    SqliteEvents,
    SqliteAlerts,
    SqliteRules,
    SqliteHosts,
    SqliteDynamic,
    SqliteMibs,
    SqliteAccess,
    SqliteVolume,
    SqliteChanges,
    SqliteRetention,
):
    """Store, in a SQLite file. Made by open_store."""

    def rows_of(self, decided: Sequence[Decided]) -> Rows:
        """Make what record_rows() writes of these."""
        return SqliteRows(decided)

    async def record(
        self, decided: Sequence[Decided], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """record_rows() with the rows of these."""
        await self.record_rows([self.rows_of(decided)], alerts, alert_state)

    async def record_rows(
        self, rows: Sequence[Rows], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """Write audit rows, history rows and alerts in one transaction."""

        def work(connection: sqlite3.Connection) -> None:
            insert_rows(connection, rows)
            insert_alerts(connection, alerts, alert_state)

        await self._file.write(work)

    async def ping(self) -> None:
        """Return when the file can take a write."""
        await self._file.ping()


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    sql_dir: Path | None = None,
    search_deadline_s: float = SEARCH_DEADLINE_S,
    as_it_is: bool = False,
) -> AsyncIterator[SqliteStore]:
    """Open the embedded store.

    Args:
        path: store.db; its directory exists.
        sql_dir: The migrations, when they are not where find_sql_dir() looks.
        search_deadline_s: A search of events that takes longer is InvalidInput.
        as_it_is: Neither make it nor bring its schema up to date.

    Raises:
        StoreRefused: It is damaged, newer than this program, or no store of ours.
        StoreUnavailable: The disk is full, or another process holds the file.
    """
    migrations = (sql_dir or find_sql_dir()) / "sqlite" / "store"
    async with open_sqlite(path, migrations, as_it_is=as_it_is) as file:
        yield SqliteStore(file, search_deadline_s=search_deadline_s)
