"""muttd/queue/breaker.py and redis_breaker.py: what every breaker promises, by its own clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import trio
from servers.redis_server import RedisServer, needs_redis, redis_server

from muttd.queue.breaker import Breaker, BreakerLimits, BreakerState, LocalBreaker
from muttd.queue.redis_breaker import RedisBreaker
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import open_link
from muttd.queue.redis_options import RedisOptions

LIMITS = BreakerLimits(failures=3, open_s=300.0, attempt_s=40.0)
CLOSED, OPEN, PROBING = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.PROBING


@dataclass
class Scene:
    """A breaker as two daemons see it, limits that a test changes, and a way to let time pass."""

    daemons: tuple[Breaker, Breaker]
    limits: BreakerLimits
    age: Callable[[float], Awaitable[None]]

    @property
    def breaker(self) -> Breaker:
        return self.daemons[0]


@asynccontextmanager
async def local_scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    now = 1000.0

    async def age(seconds: float) -> None:
        nonlocal now
        now += seconds
        await trio.lowlevel.checkpoint()

    breaker = LocalBreaker(lambda: made.limits, clock=lambda: now)
    made = Scene((breaker, breaker), LIMITS, age)
    yield made


@asynccontextmanager
async def redis_scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    server: RedisServer = request.getfixturevalue("shared_redis")
    options = RedisOptions.from_url(server.url())
    prefix = f"breaker-{uuid4().hex}"
    options = replace(options, prefix=prefix)
    keys = RedisKeys(prefix)

    def make_older(seconds: float) -> None:
        with server.client() as client:
            shift = int(seconds * 1_000_000)
            if client.hexists(keys.breaker("moog"), "opened"):
                client.hincrby(keys.breaker("moog"), "opened", -shift)
            flights: Any = client.zrange(keys.breaker_flights("moog"), 0, -1)
            for token in flights:
                client.zincrby(keys.breaker_flights("moog"), -shift, token)

    async def age(seconds: float) -> None:
        await trio.to_thread.run_sync(make_older, seconds)

    async with open_link(options) as link:
        first, second = (
            RedisBreaker(link, name, "moog", lambda: made.limits) for name in ("a", "b")
        )
        made = Scene((first, second), LIMITS, age)
        yield made


Maker = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Scene]]


@pytest.fixture(
    params=[
        pytest.param(local_scene, id="local"),
        pytest.param(redis_scene, id="redis", marks=needs_redis),
    ]
)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    maker: Maker = request.param
    async with maker(request) as scene:
        yield scene


async def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        token = (await breaker.admit()).token
        assert token is not None
        await breaker.report(token, succeeded=False)


async def test_it_opens_after_so_many_failures_in_a_row_over_all_daemons(scene: Scene) -> None:
    first, second = scene.daemons
    await fail(first, 2)
    assert (await second.view()).state is CLOSED
    await fail(second, 1)
    for daemon in scene.daemons:
        refused = await daemon.admit()
        assert refused.token is None
        assert 299.0 < refused.wait_s <= 300.0
        assert (refused.view.state, refused.view.failures) == (OPEN, 3)


async def test_a_success_begins_the_count_anew(scene: Scene) -> None:
    await fail(scene.breaker, 2)
    token = (await scene.breaker.admit()).token
    assert token is not None
    assert (await scene.breaker.report(token, succeeded=True)).failures == 0
    await fail(scene.breaker, 2)
    assert (await scene.breaker.view()).state is CLOSED


async def test_no_more_attempts_are_under_way_than_failures_are_left(scene: Scene) -> None:
    first, second = scene.daemons
    await fail(first, 1)
    tokens = [(await first.admit()).token, (await second.admit()).token]
    assert None not in tokens
    refused = await second.admit()
    assert refused.token is None
    assert 0 < refused.wait_s < 1
    for token in tokens:
        await first.report(str(token), succeeded=False)
    assert (await second.view()).state is OPEN


async def test_then_exactly_one_probe_goes_in_the_whole_cluster(scene: Scene) -> None:
    first, second = scene.daemons
    await fail(first, 3)
    await scene.age(300.0)
    probe = await first.admit()
    assert (probe.token is not None, probe.view.state) == (True, PROBING)
    assert (await second.admit()).token is None
    assert (await first.admit()).token is None
    assert (await second.view()).state is PROBING
    view = await first.report(str(probe.token), succeeded=False)
    assert (view.state, view.failures) == (OPEN, 4)
    assert (await second.admit()).token is None


async def test_a_probe_that_succeeds_closes_it_for_all(scene: Scene) -> None:
    first, second = scene.daemons
    await fail(first, 3)
    await scene.age(300.0)
    probe = await first.admit()
    view = await first.report(str(probe.token), succeeded=True)
    assert (view.state, view.failures) == (CLOSED, 0)
    assert (await second.admit()).token is not None


async def test_a_probe_whose_daemon_dies_is_followed_by_one_a_period_later(scene: Scene) -> None:
    first, second = scene.daemons
    await fail(first, 3)
    await scene.age(300.0)
    assert (await first.admit()).token is not None
    await scene.age(299.0)
    assert (await second.admit()).token is None
    assert (await second.view()).state is OPEN
    await scene.age(1.0)
    assert (await second.admit()).token is not None


async def test_attempts_of_a_dead_daemon_do_not_count_for_ever(scene: Scene) -> None:
    first, second = scene.daemons
    for _ in range(3):
        assert (await first.admit()).token is not None
    assert (await second.admit()).token is None
    await scene.age(40.0)
    assert (await second.admit()).token is not None


async def test_an_attempt_that_was_not_made_counts_as_nothing(scene: Scene) -> None:
    token = (await scene.breaker.admit()).token
    assert (await scene.breaker.report(str(token), succeeded=None)).failures == 0
    await fail(scene.breaker, 3)
    await scene.age(300.0)
    probe = (await scene.breaker.admit()).token
    await scene.breaker.report(str(probe), succeeded=None)
    # Another one may go in its place.
    assert (await scene.breaker.admit()).token is not None


async def test_an_attempt_from_before_it_opened_still_closes_it(scene: Scene) -> None:
    early = (await scene.breaker.admit()).token
    await fail(scene.breaker, 2)
    scene.limits = BreakerLimits(failures=2, open_s=300.0, attempt_s=40.0)
    assert (await scene.breaker.admit()).token is None
    assert (await scene.breaker.view()).state is OPEN
    assert (await scene.breaker.report(str(early), succeeded=True)).state is CLOSED


async def test_who_knows_that_it_is_worth_a_try_has_one_probe(scene: Scene) -> None:
    await fail(scene.breaker, 3)
    await scene.breaker.allow_probe()
    probe = (await scene.breaker.admit()).token
    assert probe is not None
    await scene.breaker.allow_probe()
    assert (await scene.breaker.admit()).token is None
    await scene.breaker.report(probe, succeeded=False)
    assert (await scene.breaker.view()).state is OPEN


async def test_a_shorter_open_time_is_in_force_at_once(scene: Scene) -> None:
    await fail(scene.breaker, 3)
    await scene.age(10.0)
    assert (await scene.breaker.admit()).token is None
    scene.limits = BreakerLimits(failures=3, open_s=5.0, attempt_s=40.0)
    assert (await scene.breaker.admit()).token is not None


@needs_redis
async def test_a_clock_that_went_back_keeps_it_open_no_longer(
    request: pytest.FixtureRequest,
) -> None:
    async with redis_scene(request) as scene:
        await fail(scene.breaker, 3)
        await scene.age(-3600.0)
        assert (await scene.breaker.admit()).wait_s <= 300.0


@needs_redis
async def test_without_redis_each_daemon_has_a_breaker_that_knows_what_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server() as server:
        async with open_link(RedisOptions.from_url(server.url())) as link:
            breaker = RedisBreaker(link, "a", "moog", lambda: LIMITS)
            await fail(breaker, 2)
            await trio.to_thread.run_sync(server.kill)
            await fail(breaker, 1)
            assert (await breaker.admit()).token is None
            assert caplog.text.count("kept by this daemon alone") == 1
