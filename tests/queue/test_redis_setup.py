"""muttd/queue/redis_setup.py: what a restart of a real Redis brings back, and what we say of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server

from muttd.queue.contract import Batch, Stream
from muttd.queue.redis import RedisQueue, open_redis_queue
from muttd.queue.redis_keys import acl_rule
from muttd.queue.redis_options import RedisLogin, RedisOptions

pytestmark = needs_redis

FORGETFUL = "off"
AOF = {"appendonly": "yes", "appendfsync": "everysec"}


@contextmanager
def a_redis(default_user: str, settings: dict[str, str] = AOF) -> Iterator[RedisServer]:
    setup = RedisSetup(
        users=[f"mutt on >secret {acl_rule('mutt')}"], default_user=default_user, settings=settings
    )
    with redis_server(setup) as server:
        yield server


@asynccontextmanager
async def a_queue(server: RedisServer) -> AsyncIterator[RedisQueue]:
    login = RedisLogin(username="mutt", passwords=("secret",))
    options = RedisOptions.from_url(server.url(), login=login)
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 100)) as queue:
        yield queue


async def items_after_a_restart(server: RedisServer, queue: RedisQueue) -> int:
    await queue.append(Stream.INGEST, [Batch(b"batch", 3)])
    await trio.to_thread.run_sync(server.stop)
    await trio.to_thread.run_sync(server.start)
    return (await queue.depth(Stream.INGEST)).items


async def test_set_up_as_the_guide_has_it_redis_brings_everything_back() -> None:
    with a_redis(RedisSetup().default_user) as server:
        async with a_queue(server) as queue:
            await queue.ping()
            assert queue.note() is None
            assert await items_after_a_restart(server, queue) == 3


async def test_a_redis_that_would_forget_at_a_restart_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with a_redis(FORGETFUL) as server:
        async with a_queue(server) as queue:
            await queue.ping()
            assert "a restart would lose what is queued" in (queue.note() or "")
            await queue.ping()
            assert caplog.text.count("a restart would lose") == 1
            # It would indeed; should this fail one day, the servers have learned it.
            assert await items_after_a_restart(server, queue) == 0
            with server.client() as admin:
                admin.execute_command("ACL", "SETUSER", "default", "~*", "&*", "+@all")
            await queue.ping()
            assert queue.note() is None


async def test_without_an_append_only_file_there_is_nothing_to_read_back() -> None:
    with a_redis(FORGETFUL, settings={}) as server:
        async with a_queue(server) as queue:
            await queue.ping()
            assert queue.note() is None


async def test_a_user_that_may_not_ask_is_told_nothing() -> None:
    with a_redis(FORGETFUL) as server:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "mutt", "-acl|dryrun")
        async with a_queue(server) as queue:
            await queue.ping()
            assert queue.note() is None


async def test_a_server_without_the_command_is_well_all_the_same() -> None:
    with a_redis(FORGETFUL, settings=AOF | {"rename-command": 'ACL ""'}) as server:
        async with a_queue(server) as queue:
            await queue.ping()
            assert queue.note() is None
