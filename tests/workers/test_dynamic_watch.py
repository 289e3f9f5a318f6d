"""muttd/workers/dynamic_watch.py and retention.py on a real store that can be made to go away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from interruption import Interruption, wait_until

from muttd.dynamic import Dynamic, DynamicSettings
from muttd.store.contract import Change, ChangeQuery, Retention, Store, Window
from muttd.store.sqlite import SqliteStore
from muttd.workers.dynamic_watch import DynamicWatch
from muttd.workers.retention import run_retention

BY_TEST = Change(actor="test")


class Scene:
    """A store that can go away, and a daemon's values after it."""

    def __init__(self, store: Store, snapshot: Path) -> None:
        self.store = Interruption(store)
        self.snapshot = snapshot
        self.dynamic = Dynamic(DynamicSettings(breaker_failures=7))

    @asynccontextmanager
    async def watching(self, *, check_interval_s: float = 0.02) -> AsyncIterator[DynamicWatch]:
        self.dynamic = Dynamic(DynamicSettings(breaker_failures=7))
        watch = DynamicWatch(
            self.store, self.dynamic, check_interval_s=check_interval_s, snapshot=self.snapshot
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            yield watch
            nursery.cancel_scope.cancel()

    async def set(self, **values: int) -> None:
        await self.store.change_dynamic_values(values, BY_TEST)


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Scene:
    return Scene(store, tmp_path / "dynamic.snapshot")


async def wait_for(look: Callable[[], object]) -> None:
    async def is_so() -> object:
        return look()

    await wait_until(is_so)


async def test_a_change_is_in_force_when_the_store_is_asked_next(scene: Scene) -> None:
    async with scene.watching() as watch:
        await watch.wait_confirmed()
        assert scene.dynamic.current == scene.dynamic.defaults
        await scene.set(moog_rate_limit=3)
        await wait_for(lambda: scene.dynamic.current.moog_rate_limit == 3)
        assert scene.dynamic.current.breaker_failures == 7


async def test_a_poke_asks_the_store_now(scene: Scene) -> None:
    async with scene.watching(check_interval_s=3600.0) as watch:
        await watch.wait_confirmed()
        await scene.set(breaker_failures=3)
        watch.poke()
        await wait_for(lambda: scene.dynamic.current.breaker_failures == 3)


async def test_a_start_without_the_store_goes_by_the_values_of_the_last_run(scene: Scene) -> None:
    await scene.set(breaker_failures=3)
    async with scene.watching():
        await wait_for(scene.snapshot.exists)
    scene.store.is_away = True
    async with scene.watching() as watch:
        await wait_for(lambda: scene.dynamic.current.breaker_failures == 3)
        # Nothing was deleted by them, and nothing must be: they may be old.
        with pytest.raises(trio.TooSlowError), trio.fail_after(0.05):
            await watch.wait_confirmed()
        scene.store.is_away = False
        await watch.wait_confirmed()


async def test_without_a_snapshot_the_defaults_hold(scene: Scene) -> None:
    scene.store.is_away = True
    async with scene.watching():
        await wait_for(lambda: scene.store.refused > 2)
        assert scene.dynamic.current == scene.dynamic.defaults


@pytest.mark.parametrize("octets", [b"", b"\xc1", b"\x80"])
async def test_a_snapshot_of_no_use_is_passed_over(
    scene: Scene, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scene.snapshot.write_bytes(octets)
    scene.store.is_away = True
    async with scene.watching():
        await wait_for(lambda: scene.store.refused > 2)
    assert scene.dynamic.current == scene.dynamic.defaults
    assert "is of no use" in caplog.text


async def test_a_value_of_another_version_is_passed_over_and_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.set(no_such_key=3, breaker_failures=4)
    async with scene.watching() as watch:
        await watch.wait_confirmed()
    assert scene.dynamic.current.breaker_failures == 4
    assert [key for key, _ in scene.dynamic.faults] == ["no_such_key"]
    assert "the stored no_such_key is passed over" in caplog.text


async def test_retention_waits_for_what_the_store_says_and_follows_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.set(history_days=30)
    asked: list[Retention] = []

    async def maintain(retention: Retention, *, now: object) -> list[str]:
        asked.append(retention)
        return []

    monkeypatch.setattr(SqliteStore, "maintain", staticmethod(maintain))
    scene.store.is_away = True
    async with scene.watching() as watch, trio.open_nursery() as nursery:
        nursery.start_soon(run_retention, scene.store, scene.dynamic, watch, None)
        await wait_for(lambda: scene.store.refused > 2)
        assert asked == []
        scene.store.is_away = False
        await wait_for(lambda: asked)
        await scene.set(history_days=31)
        await wait_for(lambda: len(asked) == 2)
        nursery.cancel_scope.cancel()
    assert [each.history_days for each in asked] == [30, 31]
    page = await scene.store.config_changes(ChangeQuery(), Window())
    assert page.total == 2
