"""One connection to PostgreSQL on which nothing waits for ever, and what its errors mean.

A server that hangs answers nothing and closes nothing, and neither connect_timeout nor
tcp_user_timeout ends a wait for it. So every wait of psycopg's goes through _Connection.wait,
which looks at a deadline ten times a second; a connection that met it is closed.

psycopg's errors stop at translated(): what leaves it is StoreUnavailable or StoreRefused, and
anything else is a bug of ours.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import trio
from psycopg import errors, waiting
from psycopg.abc import RV, Buffer, PQGen
from psycopg.rows import TupleRow
from psycopg.types.string import StrDumperUnknown

from muttd.errors import StoreRefused, StoreUnavailable

Connection = psycopg.Connection[TupleRow]

_NEVER = (
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedObject,
    errors.InvalidSchemaName,
    errors.DataCorrupted,
    errors.IndexCorrupted,
)
_NOT_NOW = (
    # Connections, resources, locks, deadlocks, serialization, shutdown, recovery: the classes
    # 08, 40, 53, 55, 57 and 58 of SQLSTATE.
    psycopg.OperationalError,
    # A primary that has become a standby (25006), and what the server itself calls internal.
    psycopg.InternalError,
    # The connection was closed under us.
    psycopg.InterfaceError,
    # "cached plan must not change result type": a newer daemon has migrated meanwhile.
    psycopg.NotSupportedError,
)
# After these, other connections to the same server lead nowhere either; or, in the last case, have
# statements prepared for a schema that is no more.
_SERVER_GONE = (
    errors.ReadOnlySqlTransaction,
    errors.AdminShutdown,
    errors.CrashShutdown,
    psycopg.NotSupportedError,
)

# How often a wait looks at its deadline.
_TICK_S = 0.1
_NUL, _NUL_SYMBOL = "\x00", "\u2400"


class ReadTooLong(StoreUnavailable):
    """A read was stopped by the server at its deadline."""


class DeadlinePassed(psycopg.OperationalError):
    """The server said nothing until the deadline."""


def clean_text(text: str) -> str:
    """The text as PostgreSQL can hold it: no NUL, no half of a surrogate pair.

    What must be given back exactly is kept as octets or as JSON beside it.
    """
    if _NUL in text:
        text = text.replace(_NUL, _NUL_SYMBOL)
    if text.isascii():
        return text
    return text.encode(errors="replace").decode()


class _CleanText(StrDumperUnknown):
    """Every text parameter, made fit to be sent."""

    def dump(self, obj: str) -> Buffer:
        return clean_text(obj).encode()


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection on which every wait ends at the deadline.

    Attributes:
        deadline: On time.monotonic()'s clock.
        may_be_cancelled: Whether a wait also ends when the Trio task that waits for this thread
            was cancelled.
        generation: The link's, when this connection was made.
    """

    deadline = math.inf
    may_be_cancelled = False
    generation = 0

    def wait(self, gen: PQGen[RV], interval: float = _TICK_S, timeout: float | None = None) -> RV:
        """Whatever psycopg waits for, it waits here."""
        return waiting.wait(self._bounded(gen), self.pgconn.socket, interval=_TICK_S)

    def _bounded(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if time.monotonic() > self.deadline:
                    raise DeadlinePassed("no answer until the deadline")
                if not ready and self.may_be_cancelled:
                    trio.from_thread.check_cancelled()
                wanted = gen.send(ready)
        except StopIteration as done:
            value: RV = done.value
            return value

    def is_quiet(self) -> bool:
        """Whether nothing came in while it was idle: a server that goes away leaves a FIN."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)

    def roll_back(self, within_s: float) -> bool:
        """End the transaction, and say whether the connection may be used again."""
        self.deadline = time.monotonic() + within_s
        self.may_be_cancelled = False
        if self.closed or self.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
            return False
        try:
            self.execute("ROLLBACK")
        except psycopg.Error:
            return False
        return True


def connect(parameters: dict[str, Any], *, timeout_s: float) -> BoundedConnection:
    """Connect to one server.

    Args:
        parameters: For libpq.
        timeout_s: For the connection and for what is said on it until the caller sets another
            deadline. libpq makes at least two seconds of it for the connection.

    Raises:
        psycopg.Error: Not now.
    """
    deadline = time.monotonic() + timeout_s
    connection = BoundedConnection.connect(
        autocommit=True, connect_timeout=max(1, int(timeout_s)), **parameters
    )
    connection.deadline = deadline
    connection.adapters.register_dumper(str, _CleanText)
    return connection


def was_password_refused(error: psycopg.Error) -> bool:
    """Whether a server was reached and wanted another password, as far as libpq says."""
    return error.pgconn is not None and bool(error.pgconn.used_password)


def is_server_gone(error: BaseException) -> bool:
    """Whether the other connections to that server had better be dropped as well."""
    return isinstance(error, _SERVER_GONE)


def said(error: psycopg.Error) -> str:
    """What the server or libpq said, in one line; neither ever says a password."""
    return " ".join((error.diag.message_primary or str(error)).split())


@contextmanager
def translated(*, is_search: bool = False) -> Iterator[None]:
    """The one place where psycopg's exceptions become ours."""
    try:
        yield
    except _NEVER as exc:
        raise StoreRefused(
            f"PostgreSQL: {said(exc)}; is it muttd's database, and may this user use its tables?"
        ) from exc
    except errors.QueryCanceled as exc:
        if is_search:
            raise ReadTooLong(f"PostgreSQL: {said(exc)}") from exc
        raise StoreUnavailable(f"PostgreSQL: {said(exc)}") from exc
    except _NOT_NOW as exc:
        raise StoreUnavailable(f"PostgreSQL: {said(exc)}") from exc
