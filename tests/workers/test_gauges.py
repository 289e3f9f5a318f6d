"""What is, for /metrics."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry

from muttd.errors import StoreUnavailable
from muttd.queue.contract import Batch, Depth, Queue, Stream
from muttd.store.contract import Store
from muttd.workers.gauges import Gauged, Gauges
from muttd.workers.probe import Probe
from muttd.workers.rules_watch import RulesWatch


class Scene:
    """Gauges of a real queue, and what they show."""

    def __init__(self, queue: Queue, store: Store, directory: Path) -> None:
        self.registry = CollectorRegistry()
        self.destinations = ["moog", "tickets"]
        self.probe = Probe(queue.ping)
        rules = RulesWatch(store, check_interval_s=1.0, snapshot=directory / "rules.snapshot")
        gauged = Gauged(
            queue=queue,
            queue_limit=1000,
            probes={"queue": self.probe},
            lag_s=lambda: 0.25,
            rules=rules,
            destinations=lambda: self.destinations,
        )
        self.gauges = Gauges(gauged, self.registry)

    def shown(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"muttd_{name}", labels)

    async def sample(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.probe.run)
            await self.gauges.sample()
            nursery.cancel_scope.cancel()


@pytest.fixture
def scene(queue: Queue, store: Store, tmp_path: Path) -> Scene:
    return Scene(queue, store, tmp_path)


async def test_every_series_is_there_from_the_start(scene: Scene) -> None:
    assert scene.shown("dependency_up", dependency="queue") == 0
    assert scene.shown("queue_limit_events") == 1000
    for stream in ("ingest", "alert"):
        assert math.isnan(scene.shown("queue_events", stream=stream) or 0.0)


async def test_depth_age_and_lag_are_shown(scene: Scene, queue: Queue) -> None:
    await queue.append(Stream.INGEST, [Batch(b"x", 7)])
    await queue.take(Stream.INGEST, "a", count=1, wait_s=0.0)
    await queue.append(Stream.INGEST, [Batch(b"y", 5)])
    await scene.sample()
    assert scene.shown("dependency_up", dependency="queue") == 1
    assert scene.shown("queue_events", stream="ingest") == 12
    assert scene.shown("queue_pending_events", stream="ingest") == 7
    age_s = scene.shown("queue_oldest_age_seconds", stream="ingest")
    assert age_s is not None
    assert 0 <= age_s < 60
    assert scene.shown("queue_events", stream="alert") == 0
    assert scene.shown("alerter_lag_seconds") == 0.25
    assert scene.shown("rules_active") == 0


async def test_a_queue_that_does_not_answer_has_no_depth(
    scene: Scene, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.sample()

    async def away(stream: Stream) -> Depth:
        raise StoreUnavailable("away")

    monkeypatch.setattr(queue, "depth", away)
    await scene.sample()
    assert math.isnan(scene.shown("queue_events", stream="ingest") or 0.0)


async def test_each_destination_has_its_depth(scene: Scene) -> None:
    await scene.gauges.sample()
    for stream in ("ingest", "alert", "alert.tickets"):
        assert scene.shown("queue_events", stream=stream) is not None


async def test_a_destination_that_is_gone_is_shown_no_longer(scene: Scene) -> None:
    await scene.gauges.sample()
    scene.destinations.remove("tickets")
    await scene.gauges.sample()
    for name in ("queue_events", "queue_pending_events", "queue_oldest_age_seconds"):
        assert scene.shown(name, stream="alert.tickets") is None
        assert scene.shown(name, stream="alert") is not None
