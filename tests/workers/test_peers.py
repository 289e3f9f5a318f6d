"""muttd/workers/peers.py on a board that keeps what is posted."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from muttd.errors import StoreUnavailable
from muttd.queue.peers import Posted
from muttd.workers.peers import SILENT_S, Peers


class MemoryBoard:
    """A board in memory, for one clock."""

    def __init__(self) -> None:
        self.is_away = False
        self.places: dict[str, tuple[float, bytes]] = {}

    def seat(self, instance_id: str) -> Seat:
        return Seat(self, instance_id)


class Seat:
    """One daemon's side of it: a PeerBoard."""

    def __init__(self, board: MemoryBoard, instance_id: str) -> None:
        self.board = board
        self.instance_id = instance_id

    async def check(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.board.is_away:
            raise StoreUnavailable("the board is away")

    async def post(self, document: bytes) -> None:
        await self.check()
        self.board.places[self.instance_id] = (trio.current_time(), document)

    async def leave(self) -> None:
        await self.check()
        self.board.places.pop(self.instance_id, None)

    async def read_others(self) -> list[Posted]:
        await self.check()
        return [
            Posted(instance_id, trio.current_time() - posted_at, document)
            for instance_id, (posted_at, document) in self.board.places.items()
            if instance_id != self.instance_id
        ]


class Daemon:
    """A daemon that says its name."""

    def __init__(self, board: MemoryBoard, name: str, instance_id: str) -> None:
        self.name = name
        self.peers = Peers(board.seat(instance_id))
        self.scope = trio.CancelScope()

    async def describe(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"name": self.name}

    async def run(self) -> None:
        with self.scope:
            await self.peers.run(self.describe)


@pytest.fixture
def board() -> MemoryBoard:
    return MemoryBoard()


async def test_daemons_see_each_other_and_not_themselves(
    board: MemoryBoard, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    daemons = [Daemon(board, "b", "2"), Daemon(board, "c", "3"), Daemon(board, "a", "1")]
    for daemon in daemons:
        nursery.start_soon(daemon.run)
    await trio.sleep(6.0)
    assert [each["name"] for each in daemons[0].peers.others()] == ["a", "c"]
    [first, _] = daemons[0].peers.others()
    assert (first["instance_id"], first["is_silent"]) == ("1", False)
    assert daemons[0].peers.has_company


async def test_a_daemon_that_stops_leaves_and_one_that_dies_falls_silent(
    board: MemoryBoard, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, stops = Daemon(board, "here", "1"), Daemon(board, "stops", "2")
    await board.seat("3").post(b'{"name": "dies"}')
    for daemon in (here, stops):
        nursery.start_soon(daemon.run)
    await trio.sleep(6.0)
    assert [each["name"] for each in here.peers.others()] == ["dies", "stops"]
    stops.scope.cancel()
    await trio.sleep(SILENT_S)
    [dead] = here.peers.others()
    assert (dead["name"], dead["is_silent"]) == ("dies", True)
    assert dead["seen_s"] > SILENT_S
    assert not here.peers.has_company


async def test_while_the_board_is_away_the_others_are_as_they_were_seen_last(
    board: MemoryBoard,
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    here, there = Daemon(board, "here", "1"), Daemon(board, "there", "2")
    for daemon in (here, there):
        nursery.start_soon(daemon.run)
    await trio.sleep(6.0)
    board.is_away = True
    await trio.sleep(SILENT_S + 6.0)
    [other] = here.peers.others()
    assert not other["is_silent"]
    assert other["seen_s"] > SILENT_S
    assert caplog.text.count("cannot be seen now") == 2
    here.scope.cancel()
    await wait_all_tasks_blocked()
    board.is_away = False
    await trio.sleep(6.0)
    assert [each["name"] for each in there.peers.others()] == ["here"]
