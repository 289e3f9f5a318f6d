"""The store in PostgreSQL, for several daemons at once.

    postgres_options      where it is                    postgres_rows       events as rows
    postgres_connection   deadlines, errors              postgres_events     \
    postgres_link         servers, lanes, transactions   postgres_alerts      > what is asked
    postgres_schema       migrations                     postgres_rules ...  /
    postgres_partitions   months and days                postgres_retention  what goes when

Everything that is acknowledged was committed there; synchronous_commit and
synchronous_standby_names of the server say how many machines have it by then.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from psycopg import errors

from muttd.backoff import backoff_s
from muttd.decision import Alert, AlertState, Decided
from muttd.errors import StoreUnavailable
from muttd.event import utc_now
from muttd.migrations import Migration
from muttd.store.contract import Rows
from muttd.store.postgres_access import PostgresAccess
from muttd.store.postgres_alerts import PostgresAlerts, insert_alerts
from muttd.store.postgres_changes import PostgresChanges
from muttd.store.postgres_connection import Connection
from muttd.store.postgres_dynamic import PostgresDynamic
from muttd.store.postgres_events import PostgresEvents, PostgresRows, insert_rows
from muttd.store.postgres_hosts import PostgresHosts
from muttd.store.postgres_link import open_link
from muttd.store.postgres_mibs import PostgresMibs
from muttd.store.postgres_options import PostgresOptions
from muttd.store.postgres_retention import PostgresRetention
from muttd.store.postgres_rules import PostgresRules
from muttd.store.postgres_schema import known_migrations, migrate
from muttd.store.postgres_volume import PostgresVolume

# Longer than anybody looks at a page that does not come; short enough that a few such searches
# do not keep the readers for ever.
SEARCH_DEADLINE_S = 10.0
# As often somebody else may have written the same events just then.
_ATTEMPTS = 5
# A server that starts is not kept waiting for its schema; one that hangs is asked anyway by others.
_RETRY_BASE_S = 0.2
_RETRY_CAP_S = 2.0

_log = logging.getLogger(__name__)


class PostgresStore(
    PostgresEvents,
    PostgresAlerts,
    PostgresRules,
    PostgresHosts,
    PostgresDynamic,
    PostgresMibs,
    PostgresAccess,
    PostgresVolume,
    PostgresChanges,
    PostgresRetention,
):
    """Store, in PostgreSQL. Made by open_postgres_store."""

    def rows_of(self, decided: Sequence[Decided]) -> Rows:
        """Make what record_rows() writes of these."""
        return PostgresRows(decided)

    async def record(
        self, decided: Sequence[Decided], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """record_rows() with the rows of these."""
        await self.record_rows([self.rows_of(decided)], alerts, alert_state)

    async def record_rows(
        self, rows: Sequence[Rows], alerts: Sequence[Alert], alert_state: AlertState
    ) -> None:
        """Write audit rows, history rows and alerts in one transaction."""

        def work(connection: Connection, *, is_first: bool) -> None:
            insert_rows(connection, rows, is_first=is_first)
            insert_alerts(connection, alerts, alert_state)

        for attempt in range(_ATTEMPTS):
            try:
                return await self._link.write(partial(work, is_first=attempt == 0))
            except (errors.UniqueViolation, errors.CheckViolation):
                # The batch, or a part of it, is there already; or its partition was made while
                # it was on its way to the default one.
                continue
        raise StoreUnavailable("PostgreSQL: others write the same events again and again")

    def use_passwords(self, options: PostgresOptions) -> None:
        """Log in by these options from the next connection on."""
        self._link.use_passwords(options)

    async def wait_prepared(self) -> None:
        """Wait until PostgreSQL has answered and its schema is the one that we know.

        Nobody needs to: every call looks at the schema first. But whoever starts wants to hear
        soon that the schema is not ours.

        Raises:
            StoreRefused: The schema is newer than this program, or we may not use it.
        """
        failures = 0
        while True:
            try:
                await self._link.keep(lambda connection: None)
            except StoreUnavailable as exc:
                failures += 1
                if failures == 1:
                    _log.error("store: PostgreSQL is away, events wait in the queue: %s", exc)
                await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))
            else:
                if failures:
                    _log.warning("store: PostgreSQL answers, after %d failures", failures)
                return

    async def ping(self) -> None:
        """Return when the database can take a write."""
        await self._link.ping(
            lambda connection: connection.execute("UPDATE liveness SET written_at = now()")
        )


@asynccontextmanager
async def open_postgres_store(
    options: PostgresOptions,
    *,
    sql_dir: Path | None = None,
    search_deadline_s: float = SEARCH_DEADLINE_S,
) -> AsyncIterator[PostgresStore]:
    """Open the store. Connects to nothing, and so waits for nobody.

    While PostgreSQL is away every call raises StoreUnavailable; the schema is looked at when it
    answers, before its first use.

    Args:
        options: Where it is.
        sql_dir: The migrations, when they are not where find_sql_dir() looks.
        search_deadline_s: A search of events that takes longer is InvalidInput.
    """
    known = known_migrations(sql_dir)

    def prepare(connection: Connection) -> None:
        for each in migrate(connection, known, apply=options.auto_migrate, now=utc_now()):
            _log.info("store: migration %s applied", each)

    async with open_link(options, prepare, search_deadline_s=search_deadline_s) as link:
        yield PostgresStore(link, search_deadline_s=search_deadline_s)


async def migrate_postgres(
    options: PostgresOptions, *, sql_dir: Path | None = None
) -> list[Migration]:
    """Bring the schema up to date, whatever the options say about it.

    Returns:
        What was applied.

    Raises:
        StoreUnavailable: PostgreSQL is away, or somebody else holds what is to be changed.
        StoreRefused: The schema is newer than this program, or we may not change it.
    """
    known = known_migrations(sql_dir)
    applied: list[Migration] = []

    def prepare(connection: Connection) -> None:
        applied.extend(migrate(connection, known, apply=True, now=utc_now()))

    async with open_link(options, prepare, search_deadline_s=SEARCH_DEADLINE_S) as link:
        await link.keep(lambda connection: None)
    return applied
