"""A SQLite file, opened our way: for the embedded queue and the embedded store.

    write(work)   one writer connection, one thread at a time, one transaction per call
    read(work)    a few read connections beside it (WAL: they never wait for the writer)

Blocking calls run in worker threads, per batch. sqlite3's errors stop here: what leaves is
StoreUnavailable or StoreRefused, and anything else is a bug of ours.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from muttd.errors import StoreRefused, StoreUnavailable
from muttd.migrations import pending_migrations, read_migrations

T = TypeVar("T")

# Primary result codes (sqlite.org/rescode.html) that another attempt may not meet again.
_NOT_NOW = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_PROTOCOL,
        # While the daemon runs these two come from a file system that was remounted read-only
        # and from a lack of file descriptors. At open they are the operator's mistake.
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_NEVER = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_NEVER_AT_OPEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})

# Longest wait for a lock that another process holds (a backup, a command line tool). Short,
# because a thread that waits here cannot be cancelled.
_BUSY_TIMEOUT_S = 2.0
# The dashboard's searches, and one for whoever else asks.
_READERS = 3
_READ_DEADLINE_S = 10.0
# How often a running read looks at its deadline; about a millisecond of work.
_STEPS_BETWEEN_CHECKS = 10_000
# What stays on disk of the write-ahead log after a burst. Kept rather than truncated to nothing,
# because a full disk then still has room for the small writes that drain the queue.
_WAL_KEPT_OCTETS = 16 * 1024 * 1024
_CACHE_KIB = 16 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ReadTooLong(StoreUnavailable):
    """A read was stopped at its deadline."""


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, UTC: how every time is kept in a file."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time that to_microseconds was given."""
    return _EPOCH + timedelta(microseconds=microseconds)


@contextmanager
def _translated(path: Path, *, opening: bool = False) -> Iterator[None]:
    # The one place where sqlite3's exceptions become ours.
    try:
        yield
    except sqlite3.Error as exc:
        # Errors that sqlite3 itself finds (a closed connection, a wrong parameter) have no code.
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        if code in _NEVER or (opening and code in _NEVER_AT_OPEN):
            raise StoreRefused(f"{path}: {exc}") from exc
        if code == sqlite3.SQLITE_INTERRUPT:
            raise ReadTooLong(f"{path}: the read was stopped at its deadline") from exc
        if code in _NOT_NOW:
            raise StoreUnavailable(f"{path}: {exc}") from exc
        raise


class SqliteFile:
    """One file. Made by open_sqlite."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = self._connect()
        self._synchronous = "FULL"
        self._write_limiter = trio.CapacityLimiter(1)
        self._readers: list[sqlite3.Connection] = []
        self._read_limiter = trio.CapacityLimiter(_READERS)

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        committed: Callable[[T], None] | None = None,
        durable: bool = True,
    ) -> T:
        """Run `work` in one write transaction, in a worker thread.

        A caller that is cancelled meanwhile still gets the result: a transaction is short, and
        what it did must not be forgotten.

        Args:
            work: Gets the writer connection. Whatever it raises rolls everything back.
            committed: Called with the result, in the thread, after the commit and before any
                other transaction begins.
            durable: Whether it must survive a power cut. All survives kill -9.

        Raises:
            StoreUnavailable: Rolled back; may be repeated.
            StoreRefused: The file is damaged.
        """

        def transact() -> T:
            with _translated(self.path):
                result = self._transact(work, durable=durable)
            if committed is not None:
                committed(result)
            return result

        return await trio.to_thread.run_sync(transact, limiter=self._write_limiter)

    async def read(
        self, work: Callable[[sqlite3.Connection], T], *, deadline_s: float = _READ_DEADLINE_S
    ) -> T:
        """Run `work` on one consistent snapshot, in a worker thread.

        Raises:
            ReadTooLong: It took longer than deadline_s.
            StoreUnavailable, StoreRefused: As for write.
        """
        return await trio.to_thread.run_sync(
            self._read, work, deadline_s, limiter=self._read_limiter
        )

    async def ping(self) -> None:
        """Write one row. The schema has a table `liveness` for it.

        Raises:
            StoreUnavailable, StoreRefused: As for write.
        """
        await self.write(
            lambda connection: connection.execute(
                "UPDATE liveness SET written_at = ?", (time.time_ns() // 1000,)
            )
        )

    def _transact(self, work: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        connection = self._writer
        # A rollback that failed with the disk leaves its transaction open.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors (SQLITE_FULL, SQLITE_IOERR).
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _read(self, work: Callable[[sqlite3.Connection], T], deadline_s: float) -> T:
        deadline = time.monotonic() + deadline_s

        def must_stop() -> bool:
            try:
                trio.from_thread.check_cancelled()
            except trio.Cancelled:
                return True
            return time.monotonic() > deadline

        with _translated(self.path):
            connection = self._readers.pop() if self._readers else self._connect_reader()
        try:
            connection.set_progress_handler(must_stop, _STEPS_BETWEEN_CHECKS)
            with _translated(self.path):
                connection.execute("BEGIN")
                return work(connection)
        except ReadTooLong:
            # Stopped because nobody waits for the answer any more: then it is not an error.
            trio.from_thread.check_cancelled()
            raise
        finally:
            connection.set_progress_handler(None, 0)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._readers.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=_BUSY_TIMEOUT_S,
            # We say BEGIN and COMMIT ourselves.
            isolation_level=None,
            # A worker thread is a different one each time; the limiters see to it that a
            # connection is in one thread at a time.
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.create_function("folded_contains", 2, _folded_contains, deterministic=True)
        return connection

    def prepare(self, migrations: Path, *, as_it_is: bool) -> None:
        """Set the file up and bring its schema to the newest version. Blocks.

        Args:
            migrations: As open_sqlite has it.
            as_it_is: Refuse a schema that is not the newest.

        Raises:
            StoreRefused: Not a database, not ours, or newer than this program.
            StoreUnavailable: The disk is full, or another process holds the file.
        """
        with _translated(self.path, opening=True):
            # Lets the queue give room back to the disk after a burst; takes effect in a new
            # file only, and before anything else is done to it.
            self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._writer.execute("PRAGMA journal_mode = WAL")
            # An accepted event is a promise: FULL syncs the log at every commit.
            self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_OCTETS}")
            # Debian compiles it on. It writes zeros over all that is deleted, which doubles
            # the cost of an ack, and no secret is ever in these files.
            self._writer.execute("PRAGMA secure_delete = OFF")
            _migrate(self.path, self._writer, migrations, as_it_is=as_it_is)

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file. Blocks."""
        for connection in (*self._readers, self._writer):
            connection.close()


def _folded_contains(text: str | None, folded: str) -> bool:
    # SQL: folded_contains(text, folded). SQLite's own lower() knows ASCII only.
    return text is not None and folded in text.casefold()


def _migrate(
    path: Path, connection: sqlite3.Connection, directory: Path, *, as_it_is: bool
) -> None:
    known = read_migrations(directory)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if (tables or as_it_is) and "schema_migrations" not in tables:
        raise StoreRefused(f"{path} is a database, but not one that muttd made")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
    )
    # Two processes may start at once: the second waits here and then finds the work done.
    connection.execute("BEGIN EXCLUSIVE")
    try:
        applied = dict(connection.execute("SELECT version, name FROM schema_migrations"))
        pending = pending_migrations(str(path), applied, known)
        if pending and as_it_is:
            raise StoreRefused(
                f"{path} lacks {', '.join(map(str, pending))}: start muttd once, which adds it"
            )
        for migration in pending:
            for statement in _statements(migration.script):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?)",
                (migration.version, migration.name, time.time_ns() // 1000),
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    # executescript() commits what is open before it begins, so a migration that fails half-way
    # would stay half-way.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@asynccontextmanager
async def open_sqlite(
    path: Path, migrations: Path, *, as_it_is: bool = False
) -> AsyncIterator[SqliteFile]:
    """Open a SQLite file, creating it or bringing its schema up to date.

    Args:
        path: The file; its directory exists.
        migrations: The directory with 0001_name.sql, 0002_name.sql, ...
        as_it_is: Do neither: the file has to be there, at the newest schema.

    Raises:
        StoreRefused: Not a database, not ours, newer than this program, or cannot be opened.
        StoreUnavailable: The disk is full, or another process holds the file.
    """
    file = await trio.to_thread.run_sync(partial(_open, path, migrations, as_it_is=as_it_is))
    try:
        yield file
    finally:
        # No work is left in any thread (run_sync waits for them), and the last fold of the log
        # is bounded by its size.
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(file.close)


def _open(path: Path, migrations: Path, *, as_it_is: bool) -> SqliteFile:
    flags = os.O_RDWR | os.O_CLOEXEC | (0 if as_it_is else os.O_CREAT)
    try:
        # Log texts are nobody else's to read. SQLite gives -wal and -shm the same mode.
        os.close(os.open(path, flags, 0o600))
    except OSError as exc:
        raise StoreRefused(f"{path} cannot be opened: {exc.strerror}") from exc
    with _translated(path, opening=True):
        file = SqliteFile(path)
    try:
        file.prepare(migrations, as_it_is=as_it_is)
    except BaseException:
        file.close()
        raise
    return file
