"""Every backend of both contracts, each with a way to let time pass for it.

A backend joins by one pytest.param here; no test names one. It makes what it needs (a directory,
a key prefix, a schema) and removes it afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio

from muttd.queue.contract import Queue, Stream
from muttd.queue.spooled import open_spooled
from muttd.queue.sqlite import open_queue
from muttd.store.contract import Store
from muttd.store.sqlite import open_store

# Small, so that a test can reach it.
LIMIT_ITEMS = 100


@dataclass(frozen=True)
class Bench:
    """A queue that holds at most LIMIT_ITEMS per stream, and a way to let time pass for it.

    `age(s)` makes every pending entry s seconds older. It is here because autojump_clock would
    jump while a real queue is still answering, and because the idle time that matters is kept by
    the queue, not by Trio.
    """

    queue: Queue
    age: Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class StoreBench:
    """A store, empty."""

    store: Store


BenchMaker = Callable[[], AbstractAsyncContextManager[Bench]]
StoreBenchMaker = Callable[[], AbstractAsyncContextManager[StoreBench]]


@asynccontextmanager
async def sqlite_bench() -> AsyncIterator[Bench]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "queue.db"

        def age_file(seconds: float) -> None:
            connection = sqlite3.connect(path)
            with connection:
                connection.execute("UPDATE entries SET touched_s = touched_s - ?", (seconds,))
            connection.close()

        async def age(seconds: float) -> None:
            await trio.to_thread.run_sync(age_file, seconds)

        async with open_queue(path, limits=dict.fromkeys(Stream, LIMIT_ITEMS)) as queue:
            yield Bench(queue, age)


@asynccontextmanager
async def spooled_bench() -> AsyncIterator[Bench]:
    """A queue that is never away, behind its spool."""
    async with sqlite_bench() as bench:
        with TemporaryDirectory() as directory:
            path = Path(directory) / "spool.db"
            async with open_spooled(bench.queue, path, max_octets=2**30) as queue:
                yield Bench(queue, bench.age)


@asynccontextmanager
async def sqlite_store_bench() -> AsyncIterator[StoreBench]:
    with TemporaryDirectory() as directory:
        async with open_store(Path(directory) / "store.db") as store:
            yield StoreBench(store)


BENCHES = [pytest.param(sqlite_bench, id="sqlite"), pytest.param(spooled_bench, id="spooled")]
STORE_BENCHES = [pytest.param(sqlite_store_bench, id="sqlite")]
