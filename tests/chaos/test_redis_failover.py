"""The queue on Redis with sentinels while the primary dies, hangs, or is replaced by hand.

acknowledged appends <= what the new primary holds; nothing waits longer than its deadline
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
import trio
from interruption import wait_until
from servers.redis_sentinels import SentinelSet, sentinel_set
from servers.redis_server import RedisServer, RedisSetup, needs_redis

from muttd.errors import StoreUnavailable
from muttd.queue import redis_replicas
from muttd.queue.contract import Batch, Stream
from muttd.queue.redis import RedisQueue, open_redis_queue
from muttd.queue.redis_options import RedisOptions

pytestmark = [pytest.mark.chaos, needs_redis]

PRODUCERS = 4
TIMEOUT_S = 1.0
# A shared machine is late now and then; two timeouts one after the other would be later.
LATE_S = 0.6
RETRY_S = 0.05
BEFORE, AFTER = 300, 2000


@pytest.fixture
def redis_set() -> Iterator[SentinelSet]:
    with sentinel_set(RedisSetup(settings={"appendonly": "yes"})) as redis_set:
        yield redis_set


@dataclass
class Load:
    """Producers that repeat what was not acknowledged, as intake does.

    Attributes:
        acked: Payloads whose append returned.
        longest_call_s: The longest that one append took to return or to fail.
        longest_gap_s: The longest without any acknowledgement.
    """

    queue: RedisQueue
    acked: list[bytes] = field(default_factory=list)
    longest_call_s: float = 0.0
    longest_gap_s: float = 0.0
    acked_at: float = field(default_factory=trio.current_time)

    async def produce(self, producer: int) -> None:
        number = 0
        while True:
            number += 1
            await self._append(b"%d %d" % (producer, number))

    async def _append(self, payload: bytes) -> None:
        while True:
            began = trio.current_time()
            try:
                await self.queue.append(Stream.INGEST, [Batch(payload, 1)])
            except StoreUnavailable:
                self._note_call(began)
                await trio.sleep(RETRY_S)
                continue
            self._note_call(began)
            now = trio.current_time()
            self.longest_gap_s = max(self.longest_gap_s, now - self.acked_at)
            self.acked_at = now
            self.acked.append(payload)
            return

    def _note_call(self, began: float) -> None:
        self.longest_call_s = max(self.longest_call_s, trio.current_time() - began)

    async def wait_acked(self, count: int) -> None:
        target = len(self.acked) + count

        async def is_so() -> bool:
            return len(self.acked) >= target

        await wait_until(is_so, within_s=60)


async def everything_in(queue: RedisQueue) -> list[bytes]:
    found: list[bytes] = []
    while entries := await queue.take(Stream.INGEST, "judge", count=500, wait_s=0):
        found += [entry.payload for entry in entries]
        await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries])
    depth = await queue.depth(Stream.INGEST)
    assert (depth.items, depth.entries) == (0, 0)
    return found


def by_hand(redis_set: SentinelSet, primary: RedisServer) -> None:
    assert redis_set.fail_over() is not primary


def by_crash(redis_set: SentinelSet, primary: RedisServer) -> None:
    primary.kill()
    redis_set.wait_other_primary(primary)


def by_hanging(redis_set: SentinelSet, primary: RedisServer) -> None:
    primary.suspend()
    redis_set.wait_other_primary(primary)


@pytest.mark.parametrize("replace_primary", [by_hand, by_crash, by_hanging])
async def test_no_failover_loses_what_was_acknowledged(
    redis_set: SentinelSet,
    replace_primary: Callable[[SentinelSet, RedisServer], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = replace(RedisOptions.from_url(redis_set.url()), timeout_s=TIMEOUT_S)
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 10**9)) as queue:
        load = Load(queue)
        async with trio.open_nursery() as nursery:
            for producer in range(PRODUCERS):
                nursery.start_soon(load.produce, producer)
            await load.wait_acked(BEFORE)
            old = redis_set.primary()
            await trio.to_thread.run_sync(replace_primary, redis_set, old)
            await load.wait_acked(AFTER)
            # A primary that only hung comes back and thinks that it still is one.
            old.resume()
            await load.wait_acked(AFTER)
            nursery.cancel_scope.cancel()
        found = await everything_in(queue)
    with capsys.disabled():
        print(
            f"\n{replace_primary.__name__}: {len(load.acked)} acknowledged,"
            f" {len(found) - len(set(found))} twice, {load.longest_gap_s:.1f} s without"
        )
    assert set(load.acked) <= set(found)
    assert load.longest_call_s < TIMEOUT_S + options.wait_s + LATE_S


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_primary_that_was_replaced_while_it_hung_acknowledges_nothing(
    redis_set: SentinelSet, is_known: bool
) -> None:
    """The call began before the failover, and has time enough to see the old primary wake up."""
    options = replace(RedisOptions.from_url(redis_set.url()), timeout_s=30)
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 10**9)) as queue:
        if is_known:
            await queue.append(Stream.INGEST, [Batch(b"before", 1)])
        old = redis_set.primary()
        old.suspend()

        async def append() -> None:
            with pytest.raises(StoreUnavailable):
                await queue.append(Stream.INGEST, [Batch(b"to the old one", 1)])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            await trio.to_thread.run_sync(redis_set.wait_other_primary, old)
            old.resume()
        await queue.append(Stream.INGEST, [Batch(b"after", 1)])
        assert await everything_in(queue) == [b"before", b"after"][not is_known :]


async def test_a_primary_cut_off_from_a_replica_and_the_sentinels_acknowledges_nothing(
    redis_set: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_replicas, "HOLD_S", 1.0)
    options = RedisOptions.from_url(redis_set.url())
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 10**9)) as queue:
        await queue.append(Stream.INGEST, [Batch(b"event", 1)])
        for sentinel in redis_set.sentinels[1:]:
            sentinel.kill()
        next(each for each in redis_set.servers if each.role() == "slave").kill()

        said: list[str] = []

        async def append() -> None:
            said.append("")
            try:
                await queue.append(Stream.INGEST, [Batch(b"event", 1)])
            except StoreUnavailable as exc:
                said[-1] = str(exc)

        async def is_refused_by_the_sentinels() -> bool:
            await append()
            return "the sentinels do not agree" in said[-1]

        # The other replica still answers; that is not enough.
        await wait_until(is_refused_by_the_sentinels, within_s=20)
        for sentinel in redis_set.sentinels[1:]:
            await trio.to_thread.run_sync(sentinel.start)

        async def is_taken() -> bool:
            await append()
            return not said[-1]

        await wait_until(is_taken, within_s=20)


async def test_consumers_go_on_after_a_failover_and_miss_nothing(redis_set: SentinelSet) -> None:
    options = replace(RedisOptions.from_url(redis_set.url()), timeout_s=TIMEOUT_S)
    seen: set[bytes] = set()
    async with open_redis_queue(options, limits=dict.fromkeys(Stream, 10**9)) as queue:
        load = Load(queue)

        async def consume(consumer: str) -> None:
            while True:
                try:
                    entries = await queue.take(Stream.INGEST, consumer, count=16, wait_s=5)
                    # As the alerter does it: an ack without an answer may have been done.
                    seen.update(entry.payload for entry in entries)
                    await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries])
                except StoreUnavailable:
                    await trio.sleep(RETRY_S)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.produce, 0)
            for consumer in ("a", "b"):
                nursery.start_soon(consume, consumer)
            await load.wait_acked(BEFORE)
            await trio.to_thread.run_sync(by_crash, redis_set, redis_set.primary())
            await load.wait_acked(BEFORE)
            acked = set(load.acked)

            async def is_seen() -> bool:
                return acked <= seen

            await wait_until(is_seen, within_s=30)
            nursery.cancel_scope.cancel()
