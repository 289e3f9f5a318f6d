"""muttd/workers/depth_watch.py on a real queue."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import pytest
import trio
from interruption import Interruption, an_event, wait_until

from muttd.dynamic import Dynamic, DynamicSettings
from muttd.event import encode_events
from muttd.queue.contract import Batch, Queue, Stream
from muttd.workers.depth_watch import watch_depth


class Watched(Interruption):
    """Counts how often it was looked at."""

    looks = 0

    def __getattr__(self, name: str) -> Any:
        self.looks += 1
        return super().__getattr__(name)

    async def wait_looks(self, count: int) -> None:
        enough = self.looks + count

        async def is_so() -> bool:
            return self.looks >= enough

        await wait_until(is_so)


async def append(queue: Queue, count: int) -> None:
    events = [an_event("x") for _ in range(count)]
    await queue.append(Stream.INGEST, [Batch(encode_events([each]), 1) for each in events])


async def test_a_long_queue_is_told_once_and_its_end_too(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    dynamic = Dynamic(DynamicSettings(queue_warn_events=10))
    door = Watched(queue)

    async def told(count: int) -> bool:
        return len(caplog.records) == count

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(watch_depth, door, dynamic, interval_s=0.01))
        await append(queue, 12)
        await wait_until(partial(told, 1))
        door.is_away = True
        await door.wait_looks(3)
        door.is_away = False
        entries = await queue.take(Stream.INGEST, "test", count=12, wait_s=1)
        await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries[:2]])
        # As long as it hovers about the limit nothing is said.
        await door.wait_looks(3)
        assert await told(1)
        await queue.ack(Stream.INGEST, [entry.entry_id for entry in entries[2:]])
        await wait_until(partial(told, 2))
        dynamic.replace(dataclasses.replace(dynamic.current, queue_warn_events=1))
        await append(queue, 1)
        await wait_until(partial(told, 3))
        nursery.cancel_scope.cancel()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the queue holds 12 events, 10 or more are worth a warning",
        "the queue holds 0 events, fewer than 10 again",
        "the queue holds 1 events, 1 or more are worth a warning",
    ]
