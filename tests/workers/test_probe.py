"""muttd/workers/probe.py."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from muttd.errors import StoreUnavailable
from muttd.workers.probe import Probe


async def test_a_neighbour_is_well_when_it_answers_and_says_why_when_it_does_not(
    nursery: trio.Nursery,
) -> None:
    errors: list[StoreUnavailable] = []

    async def ping() -> None:
        await trio.lowlevel.checkpoint()
        if errors:
            raise errors[0]

    probe = Probe(ping)
    nursery.start_soon(probe.run)
    assert await probe.ask() == {"ok": True, "error": None}
    errors.append(StoreUnavailable("gone"))
    assert await probe.ask() == {"ok": False, "error": "gone"}
    errors.clear()
    assert await probe.ask() == {"ok": True, "error": None}


async def test_who_asks_about_a_neighbour_that_hangs_is_not_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    back = trio.Event()
    pings = 0

    async def ping() -> None:
        nonlocal pings
        pings += 1
        # As a call in a thread: cancelling whoever asks does not end it.
        with trio.CancelScope(shield=True):
            await back.wait()

    probe = Probe(ping)
    nursery.start_soon(probe.run)
    for _ in range(3):
        started = trio.current_time()
        answer = await probe.ask()
        assert not answer["ok"]
        assert "no answer within" in answer["error"]
        assert trio.current_time() - started < 2.0
    # It is not asked again while it owes an answer.
    assert pings == 1
    back.set()
    assert await probe.ask() == {"ok": True, "error": None}
