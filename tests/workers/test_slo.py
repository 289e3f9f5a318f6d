"""Service levels: availability over a day, how fast the budget burns, what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from muttd.errors import StoreUnavailable
from muttd.workers.probe import Probe
from muttd.workers.slo import SAMPLE_INTERVAL_S, ServiceLevels


class Scene:
    """A component that a test makes do well or badly."""

    def __init__(self) -> None:
        self.good = 0
        self.total = 0
        self.levels = ServiceLevels(lambda: {"intake": (self.good, self.total)}, {}, lambda: 0.99)

    def work(self, good: int, bad: int = 0) -> None:
        self.good += good
        self.total += good + bad

    def level(self) -> dict[str, Any]:
        [component] = self.levels.document()["components"]
        return dict(component)


async def test_nothing_done_is_nothing_done_badly(autojump_clock: trio.testing.MockClock) -> None:
    level = Scene().level()
    assert (level["availability"], level["burn_rate_1h"], level["budget_left"]) == (1, 0, 1)


async def test_a_bad_hour_burns_the_budget_of_a_day(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    scene = Scene()
    nursery.start_soon(scene.levels.run)
    await trio.sleep(1)
    scene.work(9000)
    await trio.sleep(7200)
    scene.work(950, 50)
    await trio.sleep(600)
    assert scene.level() == {
        "component": "intake",
        "availability": 0.995,
        "burn_rate_1h": 5.0,
        "budget_left": 0.5,
        "good": 9950,
        "total": 10_000,
    }
    await trio.sleep(7200)
    assert scene.level()["burn_rate_1h"] == 0
    await trio.sleep(86_400)
    assert scene.level()["budget_left"] == 1
    nursery.cancel_scope.cancel()


async def test_neighbours_are_asked_with_every_sample(nursery: trio.Nursery) -> None:
    answers = [True, False]

    async def ping() -> None:
        if answers and not answers.pop(0):
            raise StoreUnavailable("away for this test")

    probe = Probe(ping)
    levels = ServiceLevels(dict, {"store": probe}, lambda: 0.5)
    nursery.start_soon(probe.run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("muttd.workers.slo.SAMPLE_INTERVAL_S", 0.01)
        nursery.start_soon(levels.run)
        with trio.fail_after(5):
            while answers:  # noqa: ASYNC110 - nobody tells of a sample
                await trio.sleep(0.01)
            await trio.sleep(0.02)
    [level] = levels.document()["components"]
    assert level["component"] == "store"
    assert SAMPLE_INTERVAL_S > 1
    nursery.cancel_scope.cancel()
