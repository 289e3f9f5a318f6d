"""muttd/queue/redis.py beyond the contract: what only a server of its own can do to a queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import redis
import trio
from interruption import wait_until
from servers.fault_proxy import fault_proxy
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.errors import QueueFull, StoreRefused, StoreUnavailable
from muttd.event import utc_now
from muttd.queue.contract import Batch, Entry, Stream
from muttd.queue.letters import DeadLetter, LetterKind, LetterQuery
from muttd.queue.redis import RedisQueue, open_redis_queue
from muttd.queue.redis_keys import GROUP, RedisKeys
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis

INGEST, ALERT = Stream.INGEST, Stream.ALERT
LIMITS = dict.fromkeys(Stream, 100_000)
KEYS = RedisKeys("mutt")
TIMEOUT_S = 0.4


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that the test may do anything to."""
    with redis_server() as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def options(server: RedisServer) -> RedisOptions:
    return replace(RedisOptions.from_url(server.url()), timeout_s=TIMEOUT_S)


@pytest.fixture
async def queue(options: RedisOptions) -> AsyncIterator[RedisQueue]:
    async with open_redis_queue(options, limits=LIMITS) as queue:
        yield queue


@pytest.fixture
async def next_life(options: RedisOptions) -> AsyncIterator[RedisQueue]:
    """The same daemon after a restart."""
    async with open_redis_queue(options, limits=LIMITS) as queue:
        yield queue


def batches(*numbers: int) -> list[Batch]:
    return [Batch(b"batch %d" % number, number) for number in numbers]


def numbers_of(entries: list[Entry]) -> list[tuple[int, int]]:
    """(number, deliveries) of each."""
    return [(entry.item_count, entry.deliveries) for entry in entries]


async def take_now(queue: RedisQueue, consumer: str = "a", count: int = 100) -> list[Entry]:
    return await queue.take(INGEST, consumer, count=count, wait_s=0)


async def test_what_a_former_life_held_comes_first_once_and_counted_on(
    queue: RedisQueue, next_life: RedisQueue
) -> None:
    await queue.append(INGEST, batches(1, 2, 3, 4))
    await take_now(queue, count=3)
    assert numbers_of(await take_now(next_life, count=2)) == [(1, 2), (2, 2)]
    assert numbers_of(await take_now(next_life, count=2)) == [(3, 2)]
    assert numbers_of(await take_now(next_life, count=2)) == [(4, 1)]
    assert await take_now(next_life) == []


async def test_a_former_life_of_another_consumer_is_left_alone(
    queue: RedisQueue, next_life: RedisQueue
) -> None:
    await queue.append(INGEST, batches(1))
    await take_now(queue, "a")
    assert await take_now(next_life, "b") == []


async def test_what_was_claimed_before_the_first_take_is_not_given_again(
    queue: RedisQueue, next_life: RedisQueue
) -> None:
    await queue.append(INGEST, batches(1, 2))
    await take_now(queue)
    claimed = await next_life.claim_idle(INGEST, "a", idle_s=0, count=1)
    assert numbers_of(claimed) == [(1, 2)]
    assert numbers_of(await take_now(next_life)) == [(2, 2)]
    assert await take_now(next_life) == []


async def test_an_entry_left_pending_comes_again_when_idle_and_not_before(
    queue: RedisQueue,
) -> None:
    await queue.append(INGEST, batches(1))
    [entry] = await take_now(queue)
    assert await take_now(queue) == []
    [again] = await queue.claim_idle(INGEST, "a", idle_s=0, count=10)
    assert (again.entry_id, again.deliveries) == (entry.entry_id, 2)


async def test_entries_whose_way_to_us_was_cut_come_with_the_next_take(
    server: RedisServer, options: RedisOptions
) -> None:
    with fault_proxy(server.port) as proxy:
        options = replace(options, servers=(("127.0.0.1", proxy.port),))
        async with open_redis_queue(options, limits=LIMITS) as queue:
            await queue.append(INGEST, batches(1, 2, 3))
            [first] = await take_now(queue, count=1)
            # That nothing was released we still hear; what was read goes to nobody.
            proxy.truncate(len(b"*0\r\n") + 1)
            with pytest.raises(StoreUnavailable):
                await take_now(queue, count=1)
            assert numbers_of(await take_now(queue)) == [(2, 2)]
            assert numbers_of(await take_now(queue)) == [(3, 1)]
            await queue.ack(INGEST, [first.entry_id])
            assert (await queue.depth(INGEST)).items == 5


async def test_an_entry_that_redis_forgot_we_hold_is_not_given_to_us_twice(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    await queue.append(INGEST, batches(1))
    [entry] = await take_now(queue)
    # What a failover does to a group whose last news did not reach the replica.
    admin.xgroup_setid(KEYS.stream(INGEST), GROUP, "0")
    admin.xack(KEYS.stream(INGEST), GROUP, entry.entry_id.partition(":")[2])
    assert await take_now(queue) == []
    await queue.ack(INGEST, [entry.entry_id])
    assert (await queue.depth(INGEST)).entries == 0


async def test_a_cancelled_wait_takes_no_entry_from_others(
    options: RedisOptions, queue: RedisQueue, admin: redis.Redis
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: queue.take(INGEST, "a", count=1, wait_s=60))
        await wait_until(lambda: blocked_clients(admin))
        nursery.cancel_scope.cancel()
    async with open_redis_queue(options, limits=LIMITS) as other:
        await other.append(INGEST, batches(1))
        assert numbers_of(await take_now(other, "b")) == [(1, 1)]


async def blocked_clients(admin: redis.Redis) -> int:
    said = await trio.to_thread.run_sync(lambda: admin.info("clients"))
    return int(said["blocked_clients"])


async def test_the_queue_goes_on_after_everything_was_flushed(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    await queue.append(INGEST, batches(1, 2))
    first, second = await take_now(queue)
    admin.flushall()
    await queue.touch(INGEST, "a", [first.entry_id])
    await queue.ack(INGEST, [first.entry_id])
    assert await queue.claim_idle(INGEST, "a", idle_s=0, count=10) == []
    await queue.ack(INGEST, [second.entry_id], then_append=[(ALERT, batches(3)[0])])
    assert (await queue.depth(INGEST)).items == 0
    await queue.append(INGEST, batches(4))
    assert numbers_of(await take_now(queue)) == [(4, 1)]
    assert (await queue.depth(ALERT)).items == 3


async def test_a_consumer_that_waits_while_everything_is_flushed_gets_what_comes_then(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    taken: list[Entry] = []

    async def wait_for_one() -> None:
        taken.extend(await queue.take(INGEST, "a", count=1, wait_s=60))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_one)
            await wait_until(lambda: blocked_clients(admin))
            admin.flushall()
            await queue.append(INGEST, batches(1))
    assert numbers_of(taken) == [(1, 1)]


async def test_scripts_that_the_server_forgot_are_sent_again(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    await queue.append(INGEST, batches(1))
    admin.script_flush()
    await queue.append(INGEST, batches(2))
    assert (await queue.depth(INGEST)).items == 3


async def test_a_repeated_ack_counts_nothing(queue: RedisQueue) -> None:
    await queue.append(INGEST, batches(5, 6))
    first, _ = await take_now(queue)
    for _ in range(3):
        await queue.ack(INGEST, [first.entry_id, first.entry_id])
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (6, 1, 6)


@pytest.mark.parametrize("damage", ["no sizes", "no stream", "entry gone", "entry more"])
async def test_counts_are_mended_when_somebody_changed_the_keys_by_hand(
    queue: RedisQueue, admin: redis.Redis, damage: str
) -> None:
    stream, sizes = KEYS.stream(INGEST), KEYS.sizes(INGEST)
    await queue.append(INGEST, batches(*range(1, 251)))
    [first, _] = await take_now(queue, count=2)
    items, entries, pending_items = 31375, 250, 3
    if damage == "no sizes":
        admin.delete(sizes)
    elif damage == "no stream":
        admin.delete(stream)
        items = entries = pending_items = 0
    elif damage == "entry gone":
        admin.xdel(stream, first.entry_id.partition(":")[2])
        items, entries, pending_items = items - 1, entries - 1, 2
    else:
        admin.xadd(stream, {"n": "7"})
        items, entries = items + 7, entries + 1
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries, depth.pending_items) == (items, entries, pending_items)
    assert await queue.depth(INGEST) == depth


async def test_what_is_no_batch_is_taken_as_one_that_nobody_can_read(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    admin.xadd(KEYS.stream(INGEST), {"some": "thing"})
    [entry] = await take_now(queue)
    assert (entry.payload, entry.item_count) == (b"", 1)


async def test_a_key_of_another_kind_is_refused_for_good(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    admin.set(KEYS.stream(INGEST), "not ours")
    with pytest.raises(StoreRefused, match="prefix"):
        await queue.append(INGEST, batches(1))
    admin.hset(KEYS.letters, "x", "no letter")
    admin.zadd(KEYS.letters_of(LetterKind.EVENT), {"x": 1})
    with pytest.raises(StoreRefused, match="no dead letter"):
        await queue.letters.find()


async def test_a_redis_out_of_memory_takes_nothing_and_gives_everything(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    await queue.append(INGEST, batches(1, 2))
    admin.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="out of memory"):
        await queue.append(INGEST, batches(3, 4))
    with pytest.raises(StoreUnavailable, match="out of memory"):
        await queue.ping()
    first, second = await take_now(queue)
    await queue.touch(INGEST, "a", [first.entry_id, second.entry_id])
    # Its append would need memory; both happen, because half of it must not.
    await queue.ack(INGEST, [first.entry_id], then_append=[(ALERT, batches(5)[0])])
    await queue.bury(INGEST, [second.entry_id], [a_letter()])
    depth = await queue.depth(INGEST)
    assert (depth.items, depth.entries) == (0, 0)
    assert (await queue.depth(ALERT)).items == 5
    assert await queue.letters.count(LetterQuery(kind=LetterKind.EVENT)) == 1


def a_letter() -> DeadLetter:
    return DeadLetter(
        letter_id="letter 1",
        kind=LetterKind.EVENT,
        item_id="event 1",
        reason="poison",
        error="why",
        attempts=3,
        first_failed_at=utc_now(),
        last_failed_at=utc_now(),
        origin="test",
        payload=b"event",
    )


async def test_a_redis_that_throws_keys_away_is_not_ready(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    await queue.ping()
    admin.config_set("maxmemory", "1gb")
    admin.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnavailable, match="allkeys-lru"):
        await queue.ping()


async def test_a_redis_with_too_few_replicas_takes_nothing(
    queue: RedisQueue, admin: redis.Redis
) -> None:
    admin.config_set("min-replicas-to-write", "1")
    with pytest.raises(StoreUnavailable, match="min-replicas-to-write"):
        await queue.append(INGEST, batches(1))
    admin.config_set("min-replicas-to-write", "0")
    assert (await queue.depth(INGEST)).entries == 0


async def test_the_limit_holds_over_all_daemons(options: RedisOptions) -> None:
    limits = dict.fromkeys(Stream, 100)
    taken, refused = 0, 0

    async def flood(queue: RedisQueue) -> None:
        nonlocal taken, refused
        for _ in range(20):
            try:
                await queue.append(INGEST, batches(3))
                taken += 1
            except QueueFull:
                refused += 1

    async with (
        open_redis_queue(options, limits=limits) as one,
        open_redis_queue(options, limits=limits) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(flood, one)
        nursery.start_soon(flood, other)
    assert (taken, refused) == (33, 7)


async def test_large_batches_of_any_octets_go_through(queue: RedisQueue) -> None:
    payload = bytes(range(256)) * 16_384
    await queue.append(INGEST, [Batch(payload, 10_000), Batch(payload, 10_000)])
    entries = await take_now(queue)
    assert [entry.payload == payload for entry in entries] == [True, True]
