"""muttd/queue/counters.py on the mock clock."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from muttd.queue.counters import LocalRateLimit, Pace


@pytest.mark.parametrize(("limit", "period_s"), [(1, 1.0), (5, 1.0), (3, 0.5)])
async def test_no_window_of_the_period_has_more_passes_than_the_limit(
    autojump_clock: MockClock, limit: int, period_s: float
) -> None:
    sliding = LocalRateLimit(lambda: Pace(limit, period_s))
    passes = []
    for _ in range(20):
        await sliding.wait_turn()
        passes.append(trio.current_time())
    for first, beyond in zip(passes, passes[limit:], strict=False):
        assert beyond - first >= period_s - 1e-9


async def test_the_first_passes_do_not_wait(autojump_clock: MockClock) -> None:
    sliding = LocalRateLimit(lambda: Pace(5, 10.0))
    started = trio.current_time()
    for _ in range(5):
        await sliding.wait_turn()
    assert trio.current_time() == started


async def test_a_pause_lets_a_full_burst_through_again(autojump_clock: MockClock) -> None:
    sliding = LocalRateLimit(lambda: Pace(2, 1.0))
    await sliding.wait_turn()
    await sliding.wait_turn()
    await trio.sleep(1.0)
    started = trio.current_time()
    await sliding.wait_turn()
    await sliding.wait_turn()
    assert trio.current_time() == started


async def test_a_raised_limit_frees_who_waits_already(autojump_clock: MockClock) -> None:
    paces = [Pace(1, 3600.0)]
    sliding = LocalRateLimit(lambda: paces[-1])
    await sliding.wait_turn()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sliding.wait_turn)
        await trio.sleep(5.0)
        paces.append(Pace(2, 3600.0))
    assert trio.current_time() - started <= 6.0


async def test_a_lowered_limit_holds_for_the_next_pass(autojump_clock: MockClock) -> None:
    paces = [Pace(4, 10.0)]
    sliding = LocalRateLimit(lambda: paces[-1])
    for _ in range(4):
        await sliding.wait_turn()
    paces.append(Pace(2, 10.0))
    started = trio.current_time()
    await sliding.wait_turn()
    assert trio.current_time() - started >= 10.0 - 1e-9
