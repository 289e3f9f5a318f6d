"""muttd/queue/spooled.py: a real queue that can be made to go away, and a real spool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from interruption import Interruption, wait_until
from prometheus_client import CollectorRegistry

from muttd.errors import QueueFull, StoreUnavailable
from muttd.queue.contract import Batch, Queue, Stream
from muttd.queue.spooled import SpoolCollector, SpooledQueue, open_spooled
from muttd.queue.sqlite import open_queue

LIMIT_ITEMS = 100
MAX_OCTETS = 10_000


class Scene:
    """A spooled queue, and the queue behind it that can go away."""

    def __init__(self, behind: Queue, remote: Interruption, queue: SpooledQueue) -> None:
        self.behind = behind
        self.remote = remote
        self.queue = queue

    async def append(self, *numbers: int, octets: int = 0) -> None:
        await self.queue.append(
            Stream.INGEST, [Batch(b"%d" % n + b" " * octets, 1) for n in numbers]
        )

    async def arrived(self) -> list[int]:
        """What the queue behind has, in its order."""
        entries = await self.behind.take(Stream.INGEST, "test", count=10_000, wait_s=0.0)
        return [int(entry.payload) for entry in entries]

    async def wait_drained(self) -> None:
        async def is_empty() -> bool:
            return self.queue.state.items == 0

        await wait_until(is_empty)


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Queue]:
    limits = dict.fromkeys(Stream, LIMIT_ITEMS)
    async with open_queue(tmp_path / "queue.db", limits=limits) as behind:
        yield behind


@asynccontextmanager
async def open_scene(behind: Queue, directory: Path) -> AsyncIterator[Scene]:
    remote = Interruption(behind)
    async with open_spooled(remote, directory / "spool.db", max_octets=MAX_OCTETS) as queue:
        yield Scene(behind, remote, queue)


@pytest.fixture
async def scene(behind: Queue, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(behind, tmp_path) as scene:
        yield scene


async def test_while_the_queue_answers_nothing_is_spooled(scene: Scene) -> None:
    await scene.append(1, 2)
    assert await scene.arrived() == [1, 2]
    assert scene.queue.state.spooled == 0
    assert scene.queue.state.since is None


async def test_what_comes_while_it_is_away_arrives_in_order_when_it_is_back(
    scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(scene.queue.run)
    await scene.append(0)
    scene.remote.is_away = True
    for n in range(1, 60):
        await scene.append(n)
    state = scene.queue.state
    assert (state.items, state.spooled) == (59, 59)
    assert state.since is not None
    assert state.error == "away for this test"
    scene.remote.is_away = False
    await scene.wait_drained()
    await scene.append(60)
    assert await scene.arrived() == list(range(61))
    state = scene.queue.state
    assert (state.items, state.octets, state.since, state.error) == (0, 0, None, None)
    assert state.drained == 59


async def test_what_comes_while_it_drains_does_not_overtake(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.remote.is_away = True
    await scene.append(*range(40))
    scene.remote.is_away = False
    nursery.start_soon(scene.queue.run)
    for n in range(40, 90):
        await scene.append(n)
    await scene.wait_drained()
    assert await scene.arrived() == list(range(90))


async def test_a_queue_that_comes_and_goes_gets_everything_in_order(
    scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(scene.queue.run)
    for n in range(90):
        scene.remote.is_away = n % 7 < 4
        await scene.append(n)
        await trio.lowlevel.checkpoint()
    scene.remote.is_away = False
    await scene.wait_drained()
    arrived = await scene.arrived()
    # A call without an answer may be repeated; nothing is missing, and first times are in order.
    assert list(dict.fromkeys(arrived)) == list(range(90))


async def test_a_restart_drains_what_the_last_process_left_before_anything_new(
    behind: Queue, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with open_scene(behind, tmp_path) as scene:
        scene.remote.is_away = True
        await scene.append(1, 2)
        octets = scene.queue.state.octets
    async with open_scene(behind, tmp_path) as scene:
        state = scene.queue.state
        assert (state.items, state.octets) == (2, octets)
        assert state.since is not None
        await scene.append(3)
        assert await scene.arrived() == []
        nursery.start_soon(scene.queue.run)
        await scene.wait_drained()
        assert await scene.arrived() == [1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_a_full_spool_holds_back_and_takes_again_after_it_drained(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.remote.is_away = True
    await scene.append(1, octets=MAX_OCTETS - 10)
    with pytest.raises(StoreUnavailable, match=f"at most {MAX_OCTETS} octets"):
        await scene.append(2, octets=20)
    assert scene.queue.state.items == 1
    scene.remote.is_away = False
    nursery.start_soon(scene.queue.run)
    await scene.wait_drained()
    await scene.append(2, octets=20)
    assert await scene.arrived() == [1, 2]


async def test_a_full_queue_holds_back_and_is_not_spooled_around(scene: Scene) -> None:
    await scene.append(*range(LIMIT_ITEMS))
    with pytest.raises(QueueFull):
        await scene.append(LIMIT_ITEMS)
    assert scene.queue.state.items == 0


async def test_who_only_asks_does_not_wait_for_a_queue_that_is_known_to_be_away(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.remote.is_away = True
    await scene.append(1)
    refused = scene.remote.refused
    for ask in (lambda: scene.queue.depth(Stream.INGEST), scene.queue.ping):
        with pytest.raises(StoreUnavailable, match="away for this test"):
            await ask()
    assert scene.remote.refused == refused
    scene.remote.is_away = False
    nursery.start_soon(scene.queue.run)
    await scene.wait_drained()
    await scene.queue.ping()
    assert (await scene.queue.depth(Stream.INGEST)).items == 1


async def test_the_drain_holds_nobody_up_while_the_queue_hangs(
    scene: Scene, nursery: trio.Nursery
) -> None:
    scene.remote.is_away = True
    await scene.append(1)
    scene.remote.answers = trio.Event()
    nursery.start_soon(scene.queue.run)

    async def is_asked() -> bool:
        return scene.remote.waiting > 0

    await wait_until(is_asked)
    with trio.fail_after(5):
        await scene.append(2)
    scene.remote.is_away = False
    scene.remote.answers.set()
    await scene.wait_drained()
    assert await scene.arrived() == [1, 2]


async def test_alerts_are_not_spooled(scene: Scene) -> None:
    scene.remote.is_away = True
    with pytest.raises(StoreUnavailable):
        await scene.queue.append(Stream.ALERT, [Batch(b"alert", 1)])
    assert scene.queue.state.items == 0


async def test_a_spool_that_cannot_write_holds_back_and_its_books_stay_right(
    behind: Queue, tmp_path: Path
) -> None:
    limits = dict.fromkeys(Stream, LIMIT_ITEMS)
    async with open_queue(tmp_path / "spool.db", limits=limits) as file:
        spool, remote = Interruption(file), Interruption(behind)
        depth = await file.depth(Stream.INGEST)
        queue = SpooledQueue(remote, spool, max_octets=MAX_OCTETS, depth=depth, octets=0)
        remote.is_away = spool.is_away = True
        with pytest.raises(StoreUnavailable):
            await Scene(behind, remote, queue).append(1)
        assert (queue.state.items, queue.state.octets, queue.state.since) == (0, 0, None)


async def test_large_entries_go_out_in_several_appends(
    behind: Queue, tmp_path: Path, nursery: trio.Nursery
) -> None:
    remote = Interruption(behind)
    async with open_spooled(remote, tmp_path / "spool.db", max_octets=2**30) as queue:
        scene = Scene(behind, remote, queue)
        remote.is_away = True
        for n in range(12):
            await scene.append(n, octets=1_000_000)
        remote.is_away = False
        nursery.start_soon(queue.run)
        await scene.wait_drained()
        assert await scene.arrived() == list(range(12))
        nursery.cancel_scope.cancel()


async def test_the_spool_is_shown_to_a_scrape_and_is_zero_where_there_is_none(
    scene: Scene,
) -> None:
    registry = CollectorRegistry()
    registry.register(SpoolCollector(lambda: scene.queue.state))
    scene.remote.is_away = True
    await scene.append(1, 2)
    shown = {name: registry.get_sample_value(f"muttd_spool_{name}") for name in SERIES}
    assert shown == dict(zip(SERIES, (2, 2, MAX_OCTETS, 2, 0), strict=True))
    nothing = CollectorRegistry()
    nothing.register(SpoolCollector(lambda: None))
    assert {nothing.get_sample_value(f"muttd_spool_{name}") for name in SERIES} == {0}


SERIES = ("events", "bytes", "limit_bytes", "spooled_total", "drained_total")
