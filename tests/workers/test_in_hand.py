"""muttd/workers/in_hand.py."""

from __future__ import annotations

import logging

import pytest
import trio
from interruption import Interruption, an_event
from prometheus_client import CollectorRegistry, Counter

from muttd.errors import StoreRefused, StoreUnavailable
from muttd.event import encode_events
from muttd.queue.contract import Batch, Queue, Stream
from muttd.workers.in_hand import GivenUp, InHand


class Step:
    """Fails as often as it is told, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def __call__(self) -> str:
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


@pytest.fixture
def door(queue: Queue) -> Interruption:
    return Interruption(queue)


@pytest.fixture
def hand(door: Interruption, registry: CollectorRegistry) -> InHand:
    return InHand(door, "test", Counter("failures", "Of neighbours.", registry=registry))


async def test_what_was_taken_is_in_hand_until_it_is_done(hand: InHand, queue: Queue) -> None:
    await hand.wait_empty()
    for text in "ab":
        await queue.append(Stream.INGEST, [Batch(encode_events([an_event(text)]), 1)])
    first, second = await queue.take(Stream.INGEST, "test", count=2, wait_s=0)
    hand.take([first, second])
    assert hand.oldest_at == first.appended_at
    hand.done([first])
    assert (list(hand.entries), hand.oldest_at) == ([second.entry_id], second.appended_at)
    with trio.move_on_after(0.01) as waited:
        await hand.wait_empty()
    assert waited.cancelled_caught
    hand.done([second])
    await hand.wait_empty()
    assert hand.oldest_at is None


async def test_steps_that_fail_at_once_say_so_once_and_all_are_waited_for(
    hand: InHand, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    away = [StoreUnavailable("away")] * 3
    with caplog.at_level(logging.WARNING):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hand.until_done, Step(*away))
            nursery.start_soon(hand.until_done, Step(*away[:1]))
            await trio.testing.wait_all_tasks_blocked()
            assert hand.is_held_up
    assert not hand.is_held_up
    assert [record.message for record in caplog.records] == [
        "alerter: waits, nothing is lost: away",
        "alerter: goes on after 4 failures",
    ]


async def test_a_refusal_is_an_answer_too(
    hand: InHand, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(StoreRefused):
        await hand.until_done(Step(StoreUnavailable("away"), StoreRefused("no")))
    assert not hand.is_held_up
    assert await hand.until_done(Step()) == "answer"


async def test_who_leaves_gives_up_and_waits_no_longer_for_an_empty_hand(
    hand: InHand, queue: Queue
) -> None:
    await queue.append(Stream.INGEST, [Batch(encode_events([an_event("a")]), 1)])
    hand.take(await queue.take(Stream.INGEST, "test", count=1, wait_s=0))
    hand.leaves_when_held_up = True
    with pytest.raises(GivenUp):
        await hand.until_done(Step(StoreUnavailable("away")))
    assert hand.is_held_up
    await hand.wait_empty()
    assert len(hand.entries) == 1
