"""muttd/queue/redis_replicas.py: an append is acknowledged when the replicas have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from servers.redis_server import RedisServer, needs_redis, redis_server, replica_of

from muttd.errors import StoreUnavailable
from muttd.queue import redis_replicas
from muttd.queue.contract import Batch, Stream
from muttd.queue.redis import RedisQueue, open_redis_queue
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis

STREAM = RedisKeys("mutt").stream(Stream.INGEST)
WAIT_S = 0.3
BATCH = [Batch(b"payload", 1)]


@pytest.fixture
def primary() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def replica(primary: RedisServer) -> Iterator[RedisServer]:
    with replica_of(primary) as server:
        yield server


@asynccontextmanager
async def queue_on(server: RedisServer, *, wait_replicas: int = 1) -> AsyncIterator[RedisQueue]:
    options = replace(
        RedisOptions.from_url(server.url()), wait_replicas=wait_replicas, wait_s=WAIT_S
    )
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 10**6)) as queue:
        yield queue


def entries_in(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.xlen(STREAM))


async def is_confirmed(queue: RedisQueue) -> bool:
    try:
        await queue.append(Stream.INGEST, BATCH)
    except StoreUnavailable as exc:
        if "replicas confirm" in str(exc):
            return False
        raise
    return True


async def confirmed_at_last(queue: RedisQueue) -> None:
    """A replica that has just joined may need longer for its first answers."""
    with trio.fail_after(10):
        while not await is_confirmed(queue):
            await trio.lowlevel.checkpoint()


async def test_the_replica_has_what_was_acknowledged(
    primary: RedisServer, replica: RedisServer
) -> None:
    async with queue_on(primary) as queue:
        for count in range(1, 51):
            await queue.append(Stream.INGEST, BATCH)
            assert entries_in(replica) == count


async def test_a_primary_without_replicas_takes_events_at_once(primary: RedisServer) -> None:
    async with queue_on(primary) as queue:
        assert await is_confirmed(queue)


async def test_a_silent_replica_confirms_nothing_and_copies_do_not_pile_up(
    primary: RedisServer, replica: RedisServer
) -> None:
    async with queue_on(primary) as queue:
        assert await is_confirmed(queue)
        replica.suspend()
        started = trio.current_time()
        assert not await is_confirmed(queue)
        assert trio.current_time() - started < 2 * WAIT_S
        # Its lag is seen after two seconds; from then on nothing is written that cannot be
        # confirmed.
        with trio.move_on_after(4.0):
            while True:
                assert not await is_confirmed(queue)
                await trio.lowlevel.checkpoint()
        held = entries_in(primary)
        assert held <= 2 + 4.0 / WAIT_S
        for _ in range(5):
            assert not await is_confirmed(queue)
        assert entries_in(primary) == held
        replica.resume()
        with trio.fail_after(10):
            while not await is_confirmed(queue):
                await trio.lowlevel.checkpoint()


async def test_a_replica_that_stays_away_is_not_waited_for_any_more(
    primary: RedisServer, replica: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_replicas, "HOLD_S", 1.0)
    async with queue_on(primary) as queue:
        assert await is_confirmed(queue)
        replica.kill()
        assert not await is_confirmed(queue)
        await confirmed_at_last(queue)


async def test_one_of_two_replicas_is_enough_where_nobody_promotes_the_other(
    primary: RedisServer, replica: RedisServer
) -> None:
    with replica_of(primary) as second:
        async with queue_on(primary) as queue:
            assert await is_confirmed(queue)
            second.kill()
            assert await is_confirmed(queue)
        async with queue_on(primary, wait_replicas=2) as strict:
            assert await is_confirmed(strict)


async def test_as_many_replicas_as_were_asked_for_must_have_it(
    primary: RedisServer, replica: RedisServer
) -> None:
    with replica_of(primary) as second:
        async with queue_on(primary, wait_replicas=2) as queue:
            await confirmed_at_last(queue)
            second.suspend()
            assert not await is_confirmed(queue)


async def test_no_replica_is_asked_when_none_is_wanted(
    primary: RedisServer, replica: RedisServer
) -> None:
    async with queue_on(primary, wait_replicas=0) as queue:
        replica.suspend()
        assert await is_confirmed(queue)
