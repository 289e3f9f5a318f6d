"""The ledger of the embedded queue: sqlite_books, one transaction of the queue's file per call.

Only what becomes due and the outbox are durable at once. The rest is as durable as the ack that
follows it: after a power cut its events come again, in their order, and get the same verdicts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from muttd.queue import sqlite_books, sqlite_entries
from muttd.queue.contract import Batch, Stream
from muttd.queue.ledger import Claim, Due, Fallen, LedgerStats, Verdict, Watch
from muttd.queue.sqlite_books import Books
from muttd.queue.sqlite_entries import Tallies
from muttd.queue.sqlite_letters import Change

T = TypeVar("T")


class SqliteLedger:
    """Ledger, in the file of the embedded queue.

    Args:
        change: Runs a change of the queue's file and tallies as one transaction.
        wake: Tells whoever waits that a stream has grown.
        now: Microseconds since 1970.
    """

    def __init__(self, change: Change, wake: Callable[[str], None], now: Callable[[], int]) -> None:
        self._transact = change
        self._wake = wake
        self._now = now

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict]:
        """Judge claims in this order."""
        return await self._change(lambda books: sqlite_books.judge(books, claims), durable=False)

    async def due(self, *, now_us: int, window_us: int) -> tuple[list[Due], LedgerStats]:
        """The outbox, oldest first, and what is held."""
        return await self._change(
            lambda books: sqlite_books.due(books, now_us, window_us), durable=False
        )

    async def settle(
        self, settled: Sequence[tuple[str, Batch | None]], *, stream: str = Stream.ALERT
    ) -> None:
        """Take items out of the outbox and append the batch of each, at once."""

        def work(connection: sqlite3.Connection, tallies: Tallies) -> None:
            books = Books(connection)
            batches = [
                batch
                for due_id, batch in settled
                if books.drop("due", due_id) and batch is not None
            ]
            tallies[stream] = sqlite_entries.append(
                connection, stream, batches, tallies[stream], self._now()
            )
            books.close()

        await self._transact(work)
        self._wake(stream)

    async def recount(self, *, now_us: int, threshold: int, window_us: int) -> int:
        """Look at every group once: those at the threshold become due."""
        limits = (now_us, threshold, window_us)
        after, became = "", 0
        while True:

            def work(books: Books, after: str = after) -> tuple[str, int]:
                return sqlite_books.recount(books, after, limits)

            after, more = await self._change(work)
            became += more
            if not after:
                return became

    async def watch(
        self, watcher: str, *, now_us: int, gap_us: int, quiet_before_us: int, adopt: Sequence[str]
    ) -> Watch | None:
        """Look for silence."""
        times = (now_us, gap_us, quiet_before_us)
        return await self._change(
            lambda books: sqlite_books.watch(books, watcher, times, adopt), durable=False
        )

    async def fall_silent(self, fallen: Sequence[Fallen]) -> None:
        """Report hosts silent."""
        await self._change(lambda books: sqlite_books.fall_silent(books, fallen))

    async def end_silence(
        self, hosts: Sequence[str], *, now_us: int, forget: Sequence[str]
    ) -> None:
        """Say that hosts are back."""
        await self._change(lambda books: sqlite_books.end_silence(books, hosts, now_us, forget))

    async def _change(self, work: Callable[[Books], T], *, durable: bool = True) -> T:
        def in_books(connection: sqlite3.Connection, _: Tallies) -> T:
            books = Books(connection)
            result = work(books)
            books.close()
            return result

        return await self._transact(in_books, durable=durable)
