"""muttd/queue/redis_counters.py: two daemons on one real Redis, by its clock."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.queue.counters import Pace
from muttd.queue.redis_counters import RedisRateLimit
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions

pytestmark = needs_redis


@pytest.mark.parametrize(("limit", "period_s"), [(1, 0.05), (5, 0.1)])
async def test_daemons_together_pass_no_more_than_the_limit_in_any_period(
    link: RedisLink, other_link: RedisLink, limit: int, period_s: float
) -> None:
    passes: list[float] = []

    async def send(rate: RedisRateLimit, count: int) -> None:
        for _ in range(count):
            await rate.wait_turn()
            passes.append(trio.current_time())

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for way in (link, other_link):
            rate = RedisRateLimit(way, "moog", lambda: Pace(limit, period_s))
            nursery.start_soon(send, rate, 2 * limit)
    # The answers travel, so the times of passes are not exact; how long it took at least is.
    assert len(passes) == 4 * limit
    assert trio.current_time() - started >= 3 * period_s


async def test_limits_of_different_names_do_not_share(link: RedisLink) -> None:
    for name in ("a", "b"):
        with trio.fail_after(10):
            await RedisRateLimit(link, name, lambda: Pace(1, 60.0)).wait_turn()


async def test_a_clock_that_went_back_holds_nobody_up_for_long(
    link: RedisLink, shared_redis: RedisServer
) -> None:
    key = RedisKeys(link.options.prefix).rate("moog")

    def set_back() -> None:
        with shared_redis.client() as client:
            seconds, _ = client.time()
            client.rpush(key, str((int(seconds) + 3600) * 1_000_000))
            client.pexpire(key, 300)

    await trio.to_thread.run_sync(set_back)
    with trio.fail_after(10):
        await RedisRateLimit(link, "moog", lambda: Pace(1, 0.1)).wait_turn()


async def test_without_redis_each_daemon_keeps_the_limit_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server() as server:
        async with open_link(RedisOptions.from_url(server.url())) as link:
            rate = RedisRateLimit(link, "moog", lambda: Pace(2, 0.2))
            await rate.wait_turn()
            await trio.to_thread.run_sync(server.kill)
            started = trio.current_time()
            for _ in range(4):
                await rate.wait_turn()
            # One pass was taken before, so the third and the fifth wait.
            assert trio.current_time() - started >= 0.2
            assert caplog.text.count("kept by this daemon alone") == 1


async def test_a_raised_limit_frees_who_waits_already(link: RedisLink) -> None:
    paces = [Pace(1, 3600.0)]
    rate = RedisRateLimit(link, "moog", lambda: paces[-1])
    await rate.wait_turn()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rate.wait_turn)
            await trio.testing.wait_all_tasks_blocked(0.05)
            paces.append(Pace(2, 3600.0))
