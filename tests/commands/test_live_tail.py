"""muttd tail follows: each event once, with its decision, across a restart of the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio_websocket
from live_server import LiveServer, open_live_server, send

from muttd.commands import live_tail
from muttd.commands.live_tail import Held, Server, Tail
from muttd.commands.outcome import CommandFailed
from muttd.settings_values import Secret

Socket = trio_websocket.WebSocketConnection


class Enough(Exception):
    """The test has seen what it waits for."""


def an_event(n: int, **fields: Any) -> dict[str, Any]:
    return {"event_id": f"0195-{n:04}", "message": f"event {n}", **fields}


def a_decision(n: int, rule_id: int | None = 7) -> dict[str, Any]:
    return {"event_id": f"0195-{n:04}", "matched": rule_id is not None, "rule_id": rule_id}


async def nothing(socket: Socket) -> None:
    """A server that says no more."""
    await trio.sleep_forever()


class Seen:
    """What the tail showed and remarked; raises Enough after so many events."""

    def __init__(self, enough: int) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.remarks: list[str] = []
        self._enough = enough

    def show(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        if len(self.events) == self._enough:
            raise Enough

    @property
    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.events]


async def follow(server: LiveServer, enough: int, **wanted: Any) -> Seen:
    seen = Seen(enough)
    tail = Tail(
        Server(server.url, Secret("a-key")), wanted, show=seen.show, remark=seen.remarks.append
    )
    with pytest.raises(Enough):
        await tail.follow()
    return seen


def test_an_event_waits_for_its_decision_and_comes_with_it() -> None:
    held = Held()
    assert held.add([an_event(1, pending=True), an_event(2, pending=True)], now=0.0) == []
    assert held.decide([a_decision(2)]) == [{**an_event(2), **a_decision(2)}]
    assert held.decide([a_decision(2)]) == []
    assert held.overdue(now=1.9) == []
    assert held.overdue(now=2.0) == [an_event(1)]
    assert held.decide([a_decision(1)]) == []


def test_an_event_that_is_decided_does_not_wait() -> None:
    assert Held().add([an_event(1, pending=False)], now=0.0) == [an_event(1)]


async def test_events_are_shown_once_with_their_decisions() -> None:
    async def script(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=True)])
        await send(socket, type="decisions", decisions=[a_decision(1)])
        await send(socket, type="events", sampled=1, events=[an_event(2, pending=False)])
        await trio.sleep_forever()

    async with open_live_server(script) as server:
        seen = await follow(server, 2, hostname="core-*", matched=True)
        assert server.filters == [{"hostname": "core-*", "matched": True}]
    assert seen.events == [{**an_event(1), **a_decision(1)}, an_event(2)]
    assert seen.remarks == []


async def test_an_event_without_a_decision_is_shown_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_tail, "HOLD_S", 0.0)

    async def script(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=True)])
        await send(socket, type="stats", missed=0)
        await trio.sleep_forever()

    async with open_live_server(script) as server:
        assert (await follow(server, 1)).events == [an_event(1)]


async def test_sampling_and_missed_events_are_said() -> None:
    async def script(socket: Socket) -> None:
        await send(socket, type="events", sampled=20, events=[])
        await send(socket, type="events", sampled=20, events=[])
        await send(socket, type="stats", missed=5)
        await send(socket, type="stats", missed=5)
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=False)])
        await trio.sleep_forever()

    async with open_live_server(script) as server:
        seen = await follow(server, 1)
    assert seen.remarks == [
        "flood: showing 1 in 20",
        "5 events were not shown: this terminal is too slow",
        "showing all",
    ]


async def test_after_a_lost_connection_the_gap_is_filled_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_tail, "FIRST_RETRY_S", 0.01)

    async def until_restart(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=False)])
        await send(socket, type="events", sampled=1, events=[an_event(2, pending=True)])

    async def after_it(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(6, pending=False)])
        await trio.sleep_forever()

    async with open_live_server(until_restart, after_it) as server:
        server.stored = [an_event(5), an_event(4), an_event(3)]
        seen = await follow(server, 6, matched=False)
        assert [target.partition("&cursor")[0] for target in server.asked] == [
            "/api/v2/events?matched=false&after=0195-0002&limit=200"
        ] * 2
    assert seen.ids == [f"0195-{n:04}" for n in range(1, 7)]
    assert seen.remarks == ["connection lost: closed; connecting again"]


async def test_a_gap_too_long_to_read_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tail, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(live_tail, "MAX_GAP_PAGES", 2)

    async def until_restart(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=False)])

    async with open_live_server(until_restart, nothing) as server:
        server.stored = [an_event(n) for n in range(9, 1, -1)]
        seen = await follow(server, 5)
    assert seen.ids == ["0195-0001", "0195-0006", "0195-0007", "0195-0008", "0195-0009"]
    assert seen.remarks[-1] == "4 older events of the gap are not shown"


async def test_a_gap_that_cannot_be_filled_is_said_and_the_tail_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_tail, "FIRST_RETRY_S", 0.01)

    async def until_restart(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=False)])

    async def after_it(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(2, pending=False)])
        await trio.sleep_forever()

    async with open_live_server(until_restart, after_it) as server:
        server.is_away = True
        seen = await follow(server, 2)
    assert seen.ids == ["0195-0001", "0195-0002"]
    assert seen.remarks[-1].startswith("what came meanwhile is not shown: ")


async def test_a_server_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tail, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(live_tail, "SILENCE_S", 0.05)

    async def one_event(socket: Socket) -> None:
        await send(socket, type="events", sampled=1, events=[an_event(1, pending=False)])

    async with open_live_server(nothing, one_event) as server:
        seen = await follow(server, 1)
    assert seen.remarks == ["connection lost: no answer; connecting again"]


async def failure_of(url: str, key: str) -> CommandFailed:
    seen = Seen(1)
    tail = Tail(Server(url, Secret(key)), {}, show=seen.show, remark=seen.remarks.append)
    with pytest.raises(CommandFailed) as caught:
        await tail.follow()
    return caught.value


async def test_a_wrong_key_exits_77_at_once() -> None:
    async with open_live_server() as server:
        failure = await failure_of(server.url, "another-key")
    assert (failure.exit_code, str(failure)) == (77, f"{server.url} refuses this API key")


async def test_nobody_listening_exits_69_at_once() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    failure = await failure_of(url, "a-key")
    assert failure.exit_code == 69
    assert "is muttd running there?" in str(failure)


async def test_a_filter_that_the_server_refuses_ends_the_command() -> None:
    async def script(socket: Socket) -> None:
        await send(socket, type="error", message="severity: not 0 to 7")
        await trio.sleep_forever()

    async with open_live_server(script) as server:
        failure = await failure_of(server.url, "a-key")
    assert str(failure) == "severity: not 0 to 7"
