"""The embedded queue: one SQLite file, one process.

    <state directory>/queue.db     entries, payloads, dead letters (sql/sqlite/queue)
    <state directory>/queue.lock   held for the life of the process that owns queue.db

Every call is one transaction in one worker thread, per batch. Because the lock proves that no
other process is alive, counts and wake-ups live in memory, and what a dead process had taken is
released when the file is opened.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import trio

from muttd.errors import QueueFull, StoreUnavailable
from muttd.migrations import find_sql_dir
from muttd.queue import sqlite_books, sqlite_entries, sqlite_letters
from muttd.queue.contract import MOOG, Batch, Depth, Entry, Stream, destination_of
from muttd.queue.exclusive import hold_exclusively
from muttd.queue.ledger import Counted
from muttd.queue.letters import DeadLetter
from muttd.queue.sqlite_entries import Tallies
from muttd.queue.sqlite_ledger import SqliteLedger
from muttd.queue.sqlite_letters import SqliteLetters
from muttd.sqlite_file import SqliteFile, from_microseconds, open_sqlite

# Room on the disk that append() leaves alone. Taking, acking and recording write as well: on a
# disk that intake has filled to the last octet the backlog could not be worked off. A small disk
# is not kept empty for it.
RESERVE_OCTETS = 64 * 1024 * 1024
RESERVE_PART = 1 / 16

T = TypeVar("T")


def _now() -> int:
    return time.time_ns() // 1000


class SqliteQueue:
    """Queue, in a SQLite file. Made by open_queue."""

    def __init__(
        self,
        file: SqliteFile,
        tallies: Tallies,
        *,
        limits: Mapping[Stream, int],
        reserve_octets: int,
    ) -> None:
        self._file = file
        self._reserve_octets = reserve_octets
        self._limits = {stream.value: limit for stream, limit in limits.items()}
        # Replaced as a whole, by the writer thread, after each commit: whoever reads it sees the
        # state between two transactions.
        self._tallies = tallies
        self._grown: defaultdict[str, trio.Event] = defaultdict(trio.Event)
        self.letters = SqliteLetters(file, self._change, self._wake, _now)
        self.ledger = SqliteLedger(self._change, self._wake, _now)

    async def _change(
        self, work: Callable[[sqlite3.Connection, Tallies], T], *, durable: bool = True
    ) -> T:
        # `work` changes a copy of the tallies along with the file; both take effect at commit.
        def work_on_copy(connection: sqlite3.Connection) -> tuple[T, Tallies]:
            tallies = Tallies(self._tallies)
            return work(connection, tallies), tallies

        def committed(done: tuple[T, Tallies]) -> None:
            self._tallies = done[1]

        result, _ = await self._file.write(work_on_copy, committed=committed, durable=durable)
        return result

    def _limit_of(self, stream: str) -> int:
        return self._limits.get(stream, self._limits[Stream.ALERT])

    def _check_reserve(self) -> None:
        disk = os.statvfs(self._file.path)
        free_octets = disk.f_bavail * disk.f_frsize
        if free_octets < self._reserve_octets:
            raise StoreUnavailable(
                f"{self._file.path.parent}: the disk is full but for {free_octets >> 20} MiB,"
                f" and the last {self._reserve_octets >> 20} MiB are kept to drain the queue"
            )

    def _wake(self, stream: str) -> None:
        grown, self._grown[stream] = self._grown[stream], trio.Event()
        grown.set()

    async def append(self, stream: str, batches: Sequence[Batch]) -> None:
        """Append batches, in this order, all or none; durable when it returns."""
        item_count = sum(batch.item_count for batch in batches)

        def work(connection: sqlite3.Connection, tallies: Tallies) -> None:
            tally, limit = tallies[stream], self._limit_of(stream)
            if tally.items + item_count > limit:
                raise QueueFull(depth=tally.items, limit=limit)
            self._check_reserve()
            tallies[stream] = sqlite_entries.append(connection, stream, batches, tally, _now())

        await self._change(work)
        self._wake(stream)

    async def take(self, stream: str, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """Take up to count entries that no consumer holds, oldest first."""

        def work(connection: sqlite3.Connection, tallies: Tallies) -> list[Entry]:
            entries, tallies[stream] = sqlite_entries.take(
                connection, stream, consumer, count, tallies[stream], time.monotonic()
            )
            return entries

        deadline = trio.current_time() + wait_s
        while True:
            # Before the look, so that what is appended after the look is not missed.
            grown = self._grown[stream]
            tally = self._tallies[stream]
            if tally.entries > tally.pending_entries:
                # Not durable: a power cut may undo a take, and the entry is taken once more.
                entries = await self._change(work, durable=False)
                if entries:
                    return entries
            with trio.move_on_at(deadline) as waiting:
                await grown.wait()
            if waiting.cancelled_caught:
                return []

    async def ack(
        self,
        stream: str,
        entry_ids: Sequence[str],
        *,
        then_append: Sequence[tuple[str, Batch]] = (),
        counted: Counted | None = None,
    ) -> None:
        """Forget entries, append batches elsewhere and count, all in one transaction."""
        seqs = sqlite_entries.seqs_of(entry_ids)

        def work(connection: sqlite3.Connection, tallies: Tallies) -> None:
            before = tallies[stream].entries
            tallies[stream] = sqlite_entries.forget(connection, stream, seqs, tallies[stream])
            is_new = tallies[stream].entries < before
            if not tallies[stream].entries:
                sqlite_entries.give_back(connection)
            _append_each(connection, then_append, tallies)
            if counted and is_new:
                sqlite_books.count(connection, counted)

        await self._change(work)
        for other in {other for other, _ in then_append}:
            self._wake(other)

    async def touch(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Say that the consumer is alive and still works on these."""
        seqs = sqlite_entries.seqs_of(entry_ids)

        def work(connection: sqlite3.Connection, _: Tallies) -> None:
            sqlite_entries.touch(connection, stream, consumer, seqs, time.monotonic())

        await self._change(work, durable=False)

    async def release(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Hand back what the consumer holds, for whoever takes next."""
        seqs = sqlite_entries.seqs_of(entry_ids)

        def work(connection: sqlite3.Connection, tallies: Tallies) -> None:
            tallies[stream] = sqlite_entries.release(
                connection, stream, consumer, seqs, tallies[stream]
            )

        await self._change(work, durable=False)
        self._wake(stream)

    async def claim_idle(
        self, stream: str, consumer: str, *, idle_s: float, count: int
    ) -> list[Entry]:
        """Take over up to count pending entries whose consumer was silent for idle_s or longer."""
        if not self._tallies[stream].pending_entries:
            await trio.lowlevel.checkpoint()
            return []

        def work(connection: sqlite3.Connection, _: Tallies) -> list[Entry]:
            now_s = time.monotonic()
            return sqlite_entries.claim_idle(
                connection, stream, consumer, count, silent_since_s=now_s - idle_s, now_s=now_s
            )

        return await self._change(work, durable=False)

    async def bury(
        self, stream: str, entry_ids: Sequence[str], letters: Sequence[DeadLetter]
    ) -> None:
        """Forget entries and keep dead letters: both or neither. entry_ids may be empty."""
        seqs = sqlite_entries.seqs_of(entry_ids)

        def work(connection: sqlite3.Connection, tallies: Tallies) -> None:
            tallies[stream] = sqlite_entries.forget(connection, stream, seqs, tallies[stream])
            sqlite_letters.keep(connection, letters)

        await self._change(work)

    async def depth(self, stream: str) -> Depth:
        """How much the stream holds."""
        await trio.lowlevel.checkpoint()
        tally = self._tallies[stream]
        return Depth(
            items=tally.items,
            entries=tally.entries,
            pending_items=tally.pending_items,
            oldest_at=None if tally.oldest_at is None else from_microseconds(tally.oldest_at),
        )

    async def destinations(self) -> list[str]:
        """For which destinations alerts may wait, sorted."""
        await trio.lowlevel.checkpoint()
        return sorted({MOOG, *filter(None, map(destination_of, self._tallies))})

    async def payload_octets(self) -> int:
        """How many octets the payloads of all entries have, counted the slow way."""
        return await self._file.read(sqlite_entries.payload_octets)

    async def ping(self) -> None:
        """Return when the file can take a write."""
        await self._file.ping()

    def note(self) -> str | None:
        """Nothing: what makes a file unfit is an error."""
        return None


def _append_each(
    connection: sqlite3.Connection, batches: Sequence[tuple[str, Batch]], tallies: Tallies
) -> None:
    # The limit does not apply here: what was accepted is never shed.
    now = _now()
    for stream, batch in batches:
        tallies[stream] = sqlite_entries.append(connection, stream, [batch], tallies[stream], now)


@asynccontextmanager
async def open_queue(
    path: Path,
    *,
    limits: Mapping[Stream, int],
    sql_dir: Path | None = None,
    reserve_octets: int | None = None,
) -> AsyncIterator[SqliteQueue]:
    """Open the embedded queue.

    Args:
        path: queue.db; its directory exists. The lock file is beside it.
        limits: Most items that append() lets each stream hold.
        sql_dir: The migrations, when they are not where find_sql_dir() looks.
        reserve_octets: append() raises StoreUnavailable when the disk has less room than this;
            None: RESERVE_OCTETS, or RESERVE_PART of a small disk.

    Raises:
        StoreRefused: Another process owns it; or it is damaged, or no queue of ours.
        StoreUnavailable: The disk is full.
    """

    def seed(connection: sqlite3.Connection) -> Tallies:
        sqlite_entries.release_all(connection)
        return sqlite_entries.count_all(connection)

    with hold_exclusively(path.with_suffix(".lock")):
        migrations = (sql_dir or find_sql_dir()) / "sqlite" / "queue"
        async with open_sqlite(path, migrations) as file:
            tallies = await file.write(seed)
            if reserve_octets is None:
                disk = os.statvfs(path)
                reserve_octets = min(
                    RESERVE_OCTETS, int(disk.f_blocks * disk.f_frsize * RESERVE_PART)
                )
            yield SqliteQueue(file, tallies, limits=limits, reserve_octets=reserve_octets)
