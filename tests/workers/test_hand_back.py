"""muttd/workers/hand_back.py on a real queue: what an ending means for what is held."""

from __future__ import annotations

import pytest
import trio
from interruption import Interruption

from muttd.queue.contract import Batch, Queue, Stream
from muttd.workers.hand_back import handing_back

INGEST = Stream.INGEST


async def hold(queue: Queue) -> list[str]:
    await queue.append(INGEST, [Batch(b"held", 1)])
    return [entry.entry_id for entry in await queue.take(INGEST, "a", count=1, wait_s=0)]


async def is_free(queue: Queue) -> bool:
    return bool(await queue.take(INGEST, "another", count=1, wait_s=0))


async def test_who_leaves_in_order_hands_back_what_is_held_then(queue: Queue) -> None:
    held: list[str] = []
    async with handing_back(queue, INGEST, "a", held):
        held += await hold(queue)
    assert await is_free(queue)


async def test_who_is_cancelled_hands_back_too(queue: Queue) -> None:
    held = await hold(queue)
    with trio.CancelScope() as scope:
        async with handing_back(queue, INGEST, "a", held):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert await is_free(queue)


async def test_what_may_have_made_the_code_fail_stays_pending(queue: Queue) -> None:
    held = await hold(queue)
    with pytest.raises(RuntimeError):
        async with handing_back(queue, INGEST, "a", held):
            raise RuntimeError
    assert not await is_free(queue)


async def test_a_queue_that_is_away_or_hangs_holds_up_no_stop(queue: Queue) -> None:
    door = Interruption(queue)
    held = await hold(queue)
    with trio.fail_after(10):
        door.is_away = True
        async with handing_back(door, INGEST, "a", held):
            pass
        door.answers = trio.Event()
        async with handing_back(door, INGEST, "a", held):
            pass
    assert not await is_free(queue)
