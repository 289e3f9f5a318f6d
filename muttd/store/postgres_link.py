"""The way to PostgreSQL: which server, how many connections, one transaction per call.

    write(work)     half of the pool     \
    read(work)      the other half        > each a lane: a limiter and its idle connections
    ping, keep      one connection each  /

psycopg blocks, so it works in threads, one hop per batch. A lane's limiter is its pool: a thread
that may run takes an idle connection or makes one within its own deadline, and nothing connects in
the background. Writes have a lane of their own, so that no search holds up record().
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import trio
from psycopg import errors

from muttd.errors import StoreUnavailable
from muttd.store.postgres_connection import (
    BoundedConnection,
    Connection,
    connect,
    is_server_gone,
    said,
    translated,
    was_password_refused,
)
from muttd.store.postgres_options import PostgresOptions, Server

T = TypeVar("T")

# Ours comes so much later than the server's own deadline, which tells a slow search from a hung
# server.
_GRACE_S = 1.0
# Migrations and retention: as long as an index on a large table takes. Cancelling ends it at once.
_LONG_S = 3600.0
_ROLLBACK_S = 1.0

# The timeline rises with every promotion; the system identifier tells clusters apart.
_WHO_ARE_YOU = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()),
        CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END
"""
# Some hosted variants do not say.
_NOT_TOLD = (errors.InsufficientPrivilege, errors.UndefinedFunction, errors.FeatureNotSupported)


class _Lane:
    """Connections for one purpose.

    Args:
        size: Most of them.
        begin: How a transaction begins here.
        statement_s: After this time the server itself gives a statement up; None: never.
        may_be_cancelled: Whether a transaction ends with the task that waits for it.
    """

    def __init__(
        self, size: int, begin: str, statement_s: float | None, *, may_be_cancelled: bool
    ) -> None:
        self.limiter = trio.CapacityLimiter(size)
        self.begin = begin
        self.may_be_cancelled = may_be_cancelled
        self.idle: list[BoundedConnection] = []
        # 0 would be no limit.
        statement_ms = 0 if statement_s is None else max(1, round(statement_s * 1000))
        self.setup = (
            "SET timezone = 'UTC';"
            f"SET statement_timeout = {statement_ms};"
            # A transaction whose client hangs must not keep its locks.
            f"SET idle_in_transaction_session_timeout = {statement_ms}"
        )


class PostgresLink:
    """Connections to PostgreSQL. Made by open_link.

    Args:
        options: Where it is.
        prepare: Called once with a connection before the first use of any: checks the schema.
        search_deadline_s: How long a read may ask for.
    """

    def __init__(
        self,
        options: PostgresOptions,
        prepare: Callable[[Connection], object],
        *,
        search_deadline_s: float,
    ) -> None:
        self._servers = options.servers()
        self._passwords = options.all_passwords()
        self._timeout_s = options.timeout_s
        self._prepare: Callable[[Connection], object] | None = prepare
        self._preparing = threading.Lock()
        # Rises when connections that are in use now must not be used again.
        self._generation = 0
        # System identifier -> highest timeline met.
        self._timelines: dict[str, str] = {}
        writers = max(1, options.pool_size // 2)
        readers = max(1, options.pool_size - writers)
        snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._writers = _Lane(writers, "BEGIN", self._timeout_s, may_be_cancelled=False)
        self._readers = _Lane(readers, snapshot, search_deadline_s, may_be_cancelled=True)
        self._pinger = _Lane(1, "BEGIN", self._timeout_s, may_be_cancelled=True)
        self._keeper = _Lane(1, "BEGIN", None, may_be_cancelled=True)

    def use_passwords(self, options: PostgresOptions) -> None:
        """Log in by these options from the next connection on; those that stand stay."""
        self._passwords = options.all_passwords()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction.

        A caller that is cancelled meanwhile still gets the result: a transaction is short, and
        what it did must not be forgotten.

        Raises:
            StoreUnavailable: Rolled back; or done, when only the answer to COMMIT was lost.
            StoreRefused: We may not, or the schema is not ours.
        """
        return await self._run(self._writers, work, self._timeout_s)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent snapshot. Raises as write does."""
        return await self._run(self._readers, work, self._timeout_s)

    async def read_alone(self, work: Callable[[Connection], T]) -> T:
        """Like read, for a single statement: a snapshot by itself, at a third of the trips."""
        return await self._run(self._readers, work, self._timeout_s, is_alone=True)

    async def search(self, work: Callable[[Connection], T], *, deadline_s: float) -> T:
        """Like read, for what may take longer.

        Raises:
            ReadTooLong: The server stopped it.
            StoreUnavailable, StoreRefused: As for write.
        """
        return await self._run(self._readers, work, deadline_s + _GRACE_S)

    async def ping(self, work: Callable[[Connection], T]) -> T:
        """Like write, and waits for nobody else."""
        return await self._run(self._pinger, work, self._timeout_s)

    async def keep(self, work: Callable[[Connection], T]) -> T:
        """Like write, for housekeeping: it may take long, one at a time, and is cancelled."""
        return await self._run(self._keeper, work, _LONG_S)

    async def _run(
        self,
        lane: _Lane,
        work: Callable[[Connection], T],
        deadline_s: float,
        *,
        is_alone: bool = False,
    ) -> T:
        job = work if is_alone else partial(_transact, lane.begin, work)

        def work_on_it() -> T:
            with translated(is_search=lane is self._readers):
                return self._work(lane, job, time.monotonic() + deadline_s)

        return await trio.to_thread.run_sync(work_on_it, limiter=lane.limiter)

    def _work(self, lane: _Lane, job: Callable[[Connection], T], deadline: float) -> T:
        connection = self._idle_one(lane) or self._new_one(lane, deadline)
        connection.deadline = deadline
        connection.may_be_cancelled = lane.may_be_cancelled
        try:
            result = job(connection)
        except BaseException as exc:
            if not connection.roll_back(_ROLLBACK_S):
                connection.close()
                # Whoever was cancelled closed a connection that is as good as the others.
                if not isinstance(exc, trio.Cancelled):
                    self.drop_connections()
            elif is_server_gone(exc):
                self.drop_connections()
            self._put_back(lane, connection)
            raise
        self._put_back(lane, connection)
        return result

    def _idle_one(self, lane: _Lane) -> BoundedConnection | None:
        while lane.idle:
            connection = lane.idle.pop()
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def _put_back(self, lane: _Lane, connection: BoundedConnection) -> None:
        if connection.generation != self._generation:
            connection.close()
        if not connection.closed:
            lane.idle.append(connection)

    def drop_connections(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        self._generation += 1
        for lane in (self._writers, self._readers, self._pinger, self._keeper):
            idle, lane.idle = lane.idle, []
            for connection in idle:
                connection.close()

    def _new_one(self, lane: _Lane, deadline: float) -> BoundedConnection:
        # Even a long piece of work must find a server as fast as any other.
        within = min(deadline, time.monotonic() + self._timeout_s)
        connection = self._connect(lane, within)
        try:
            self._make_ready(connection, within)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, lane: _Lane, deadline: float) -> BoundedConnection:
        failures = []
        servers = self._servers
        for position, server in enumerate(servers):
            left_s = (deadline - time.monotonic()) / (len(servers) - position)
            # A server that hangs takes two seconds, which libpq gives it at least; the others
            # are asked all the same.
            share_s = max(left_s, self._timeout_s / len(servers))
            for password in self._passwords:
                try:
                    connection = self._connect_to(server, password, lane, share_s)
                except psycopg.Error as exc:
                    failures.append(f"{server.name}: {said(exc)}")
                    if not was_password_refused(exc):
                        break
                else:
                    # The next connection is asked for here first, and not where nobody answers.
                    self._servers = [*servers[position:], *servers[:position]]
                    return connection
        raise StoreUnavailable(f"PostgreSQL: {'; '.join(failures)}")

    def _connect_to(
        self, server: Server, password: str | None, lane: _Lane, timeout_s: float
    ) -> BoundedConnection:
        parameters: dict[str, Any] = dict(server.parameters)
        if password is not None:
            parameters["password"] = password
        connection = connect(parameters, timeout_s=timeout_s)
        connection.generation = self._generation
        try:
            self._check_timeline(connection)
            connection.execute(lane.setup)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_timeline(self, connection: Connection) -> None:
        # A primary that hung until it was replaced, and then wakes up, takes writes as if nothing
        # had happened. Whoever has met its successor can tell.
        try:
            row = connection.execute(_WHO_ARE_YOU).fetchone()
        except _NOT_TOLD:
            return
        if row is None or row[1] is None:
            return
        system, timeline = row
        newest = self._timelines.get(system, timeline)
        if timeline < newest:
            raise psycopg.OperationalError(
                f"this server was replaced (its timeline is {timeline}, {newest} is in use):"
                " shut it down, or make it a standby"
            )
        self._timelines[system] = timeline

    def _make_ready(self, connection: BoundedConnection, deadline: float) -> None:
        if self._prepare is None:
            return
        if not self._preparing.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreUnavailable("PostgreSQL: the schema is being brought up to date")
        try:
            if self._prepare is not None:
                connection.deadline = time.monotonic() + _LONG_S
                connection.may_be_cancelled = True
                self._prepare(connection)
                self._prepare = None
        finally:
            self._preparing.release()


@asynccontextmanager
async def open_link(
    options: PostgresOptions,
    prepare: Callable[[Connection], object],
    *,
    search_deadline_s: float,
) -> AsyncIterator[PostgresLink]:
    """Make a link, and close its connections with the block. Connects to nothing yet."""
    link = PostgresLink(options, prepare, search_deadline_s=search_deadline_s)
    try:
        yield link
    finally:
        # Nothing is in use any more: run_sync waits for its threads. Closing waits for nobody.
        link.drop_connections()


def _transact(begin: str, work: Callable[[Connection], T], connection: Connection) -> T:
    connection.execute(begin)
    result = work(connection)
    connection.execute("COMMIT")
    return result
