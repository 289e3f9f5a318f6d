"""Every backend of both contracts, each with a way to let time pass for it.

A backend joins by one pytest.param here; no test names one. It makes what it needs (a directory,
a key prefix, a schema) and removes it afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
import trio
from servers.postgres_server import DAEMON, database, needs_postgres, shared_postgres
from servers.redis_server import needs_redis, shared_redis

from muttd.event import utc_now
from muttd.queue.contract import Queue, Stream
from muttd.queue.redis import open_redis_queue
from muttd.queue.redis_keys import GROUP, RedisKeys, acl_rule
from muttd.queue.redis_options import RedisLogin, RedisOptions
from muttd.queue.spooled import open_spooled
from muttd.queue.sqlite import open_queue
from muttd.store.contract import Store
from muttd.store.postgres import open_postgres_store
from muttd.store.postgres_options import PostgresOptions
from muttd.store.postgres_schema import known_migrations, migrate
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
async def redis_bench() -> AsyncIterator[Bench]:
    """On a real Redis with a replica, as a user who may do what the documentation says."""
    prefix = f"conformance-{uuid4().hex}"
    server = await trio.to_thread.run_sync(shared_redis)
    admin = server.client()
    await trio.to_thread.run_sync(
        admin.execute_command, "ACL", "SETUSER", prefix, "on", ">secret", *acl_rule(prefix).split()
    )
    options = RedisOptions.from_url(server.url(), login=RedisLogin(prefix, ("secret",)))
    options = replace(options, prefix=prefix)
    try:
        async with open_redis_queue(options, limits=dict.fromkeys(Stream, LIMIT_ITEMS)) as queue:
            yield Bench(queue, partial(trio.to_thread.run_sync, partial(age_redis, admin, prefix)))
    finally:
        admin.delete(*RedisKeys(prefix).all("tickets", "tickets-2"))
        admin.acl_deluser(prefix)
        admin.close()


def age_redis(admin: redis.Redis, prefix: str, seconds: float) -> None:
    for stream in map(RedisKeys(prefix).stream, Stream):
        pending: Any = []
        with suppress(redis.ResponseError):  # no group yet: nothing is pending
            pending = admin.xpending_range(stream, GROUP, "-", "+", 1000)
        for each in pending:
            idle_ms = each["time_since_delivered"] + int(seconds * 1000)
            entry_ids = [each["message_id"]]
            # JUSTID leaves the delivery count alone.
            admin.xclaim(stream, GROUP, each["consumer"], 0, entry_ids, idle=idle_ms, justid=True)


@asynccontextmanager
async def sqlite_store_bench() -> AsyncIterator[StoreBench]:
    with TemporaryDirectory() as directory:
        async with open_store(Path(directory) / "store.db") as store:
            yield StoreBench(store)


@cache
def migrated_template() -> str:
    """The name of a database that has the schema: copying it is faster than migrating."""
    server, name = shared_postgres(), "migrated"
    server.make_database(name)
    with psycopg.connect(server.url(name, user=DAEMON), autocommit=True) as connection:
        migrate(connection, known_migrations(), apply=True, now=utc_now())
    return name


@asynccontextmanager
async def postgres_store_bench() -> AsyncIterator[StoreBench]:
    template = await trio.to_thread.run_sync(migrated_template)
    with database(shared_postgres(), template=template) as url:
        async with open_postgres_store(PostgresOptions(url=url)) as store:
            yield StoreBench(store)


BENCHES = [
    pytest.param(sqlite_bench, id="sqlite"),
    pytest.param(spooled_bench, id="spooled"),
    pytest.param(redis_bench, id="redis", marks=needs_redis),
]
STORE_BENCHES = [
    pytest.param(sqlite_store_bench, id="sqlite"),
    pytest.param(postgres_store_bench, id="postgres", marks=needs_postgres),
]
