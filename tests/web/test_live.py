"""The live websocket, with a real websocket client over in-memory streams and over TCP."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    connect_websocket,
    wrap_client_stream,
)
from web_site import KEYS, Site

from muttd.api_keys import digest_of
from muttd.decision import Decided, Decision, Environment
from muttd.listeners.http import serve_http
from muttd.listeners.http_options import HttpLimits, HttpMetrics, HttpOptions
from muttd.listeners.http_upgrade import UpgradedStream
from muttd.queue.fanout import DecidedBatch, Received
from muttd.store.access import KeyDraft
from muttd.store.contract import Change
from muttd.web import live
from muttd.web.auth import Role
from muttd.web.live import LIVE_PATH, LiveHub

Headers = dict[str, str]


class Hub:
    """A running hub, and connections to it."""

    def __init__(self, site: Site, nursery: trio.Nursery) -> None:
        self.site = site
        self.hub = LiveHub(site.services, site.sessions)
        self.nursery = nursery
        nursery.start_soon(self.hub.serve_hub)

    def stream(self, headers: Headers, *, send_timeout_s: float = 10.0) -> trio.abc.Stream:
        """The client's end of a connection whose handshake is in the hub's hands."""
        client, server = trio.testing.memory_stream_pair()
        scope = {
            "type": "websocket",
            "path": LIVE_PATH,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 40000),
        }
        upgraded = UpgradedStream(server, b"", send_timeout_s=send_timeout_s)
        self.nursery.start_soon(self.hub.serve_viewer, upgraded, scope)
        return client

    async def connect(
        self, headers: Headers | None = None, role: Role = Role.VIEWER
    ) -> WebSocketConnection:
        """A viewer that has been greeted."""
        given = {"Host": "mutt.example", "X-API-KEY": KEYS[role]} if headers is None else headers
        with trio.fail_after(5):
            connection = await handshake(self.nursery, self.stream(given), given)
            hello = await receive(connection)
        assert hello["type"] == "hello"
        return connection

    def value(self, name: str, **labels: str) -> float | None:
        """A counter's value."""
        return self.site.registry.get_sample_value(name, labels)


async def receive(connection: WebSocketConnection, kind: str | None = None) -> dict[str, Any]:
    """The next message (of that kind)."""
    with trio.fail_after(5):
        while True:
            message: dict[str, Any] = json.loads(await connection.get_message())
            if kind is None or message["type"] == kind:
                return message


async def handshake(
    nursery: trio.Nursery, stream: trio.abc.Stream, headers: Headers
) -> WebSocketConnection:
    """Shake hands as a client that sends these headers."""
    return await wrap_client_stream(
        nursery,
        # Its annotation is narrower than what it takes.
        cast("trio.SocketStream", stream),
        headers.get("Host", "mutt.example"),
        LIVE_PATH,
        extra_headers=[(n.encode(), v.encode()) for n, v in headers.items() if n != "Host"],
    )


async def refused(hub: Hub, headers: Headers) -> ConnectionRejected:
    """How the handshake of a client with these headers is refused."""
    try:
        async with trio.open_nursery() as nursery:
            await handshake(nursery, hub.stream(headers), headers)
    except* ConnectionRejected as group:
        [answer] = group.exceptions
    assert isinstance(answer, ConnectionRejected)
    return answer


async def say(connection: WebSocketConnection, **message: object) -> None:
    await connection.send_message(json.dumps(message))


@pytest.fixture
async def hub(site: Site, nursery: trio.Nursery) -> Hub:
    return Hub(site, nursery)


async def test_a_viewer_sees_an_event_and_then_its_decision(hub: Hub) -> None:
    connection = await hub.connect()
    assert hub.value("muttd_live_viewers") == 1
    event = hub.site.an_event()
    hub.site.services.fanout.publish(Received([event]))
    message = await receive(connection, "events")
    assert message["events"][0]["event_id"] == event.event_id
    decided = Decided(event, Decision(environment=Environment.DEV))
    hub.site.services.fanout.publish(DecidedBatch([decided]))
    message = await receive(connection, "decisions")
    assert message["decisions"][0]["environment"] == "dev"
    await connection.aclose()


async def test_stats_keep_coming(hub: Hub) -> None:
    connection = await hub.connect()
    assert (await receive(connection, "stats"))["received_per_s"] == 0.0
    await connection.aclose()


async def test_a_filter_replaces_the_old_one_and_a_bad_one_does_not(hub: Hub) -> None:
    connection = await hub.connect()
    await say(connection, type="filter", filter={"hostname": "wanted"})
    wrong: list[object] = [{"severity": 99}, {"nonsense": 1}, []]
    for document in wrong:
        await say(connection, type="filter", filter=document)
        assert "filter" in (await receive(connection, "error"))["message"]
    hub.site.services.fanout.publish(
        Received([hub.site.an_event(hostname="other"), hub.site.an_event(hostname="wanted")])
    )
    message = await receive(connection, "events")
    assert [event["hostname"] for event in message["events"]] == ["wanted"]
    await connection.aclose()


async def test_nothing_of_the_old_filter_follows_the_answer_to_a_new_one(hub: Hub) -> None:
    connection = await hub.connect()
    event = hub.site.an_event
    hub.site.services.fanout.publish(Received([event(hostname="old") for _ in range(300)]))
    await say(connection, type="filter", filter={"hostname": "wanted"})
    await receive(connection, "filtered")
    hub.site.services.fanout.publish(Received([event(hostname="old"), event(hostname="wanted")]))
    message = await receive(connection, "events")
    assert [each["hostname"] for each in message["events"]] == ["wanted"]
    await connection.aclose()


@pytest.mark.parametrize(
    "message", ["", "nonsense", "7", "[]", '{"type": "dance"}', "[" * 5000, b"\xff", b"{}"]
)
async def test_a_message_that_makes_no_sense_gets_an_error(hub: Hub, message: str | bytes) -> None:
    connection = await hub.connect()
    await connection.send_message(message)
    assert (await receive(connection, "error"))["message"]
    await connection.aclose()


async def test_nothing_is_sent_between_pause_and_resume(hub: Hub) -> None:
    connection = await hub.connect()
    await say(connection, type="pause")
    await say(connection, type="dance")
    # Longer than the hub takes from one message of a client to the next.
    await trio.testing.wait_all_tasks_blocked(0.1)
    hub.site.services.fanout.publish(Received([hub.site.an_event("while paused")]))
    await trio.testing.wait_all_tasks_blocked(0.1)
    await say(connection, type="resume")
    # What answers the second message was kept until now; the event was not.
    assert (await receive(connection))["type"] == "error"
    hub.site.services.fanout.publish(Received([hub.site.an_event("afterwards")]))
    message = await receive(connection, "events")
    assert [event["message"] for event in message["events"]] == ["afterwards"]
    await connection.aclose()


async def test_a_session_with_our_origin_may_look_on(hub: Hub) -> None:
    cookie, _ = await hub.site.sign_in(Role.OPERATOR)
    connection = await hub.connect({"Host": "mutt.example"} | cookie)
    await connection.aclose()


async def is_cut_off(connection: WebSocketConnection) -> bool:
    with trio.fail_after(5):
        try:
            while True:
                await connection.get_message()
        except ConnectionClosed:
            return True


async def test_who_may_look_on_no_more_is_cut_off(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    site = hub.site
    draft = KeyDraft(name="eve", role="viewer", key_hash=digest_of("eve-key"))
    made = await site.store.create_api_key(draft, Change("ops"))
    await site.access.refresh()
    by_key = await hub.connect({"Host": "mutt.example", "X-API-KEY": "eve-key"})
    cookie, _ = await site.sign_in(Role.VIEWER)
    by_session = await hub.connect({"Host": "mutt.example"} | cookie)
    other = await hub.connect()
    await site.store.revoke_api_key(made.id, Change("ops"))
    await site.access.refresh()
    assert await is_cut_off(by_key)
    await site.sessions.close(cookie["Cookie"])
    assert await is_cut_off(by_session)
    await say(other, type="nonsense")
    assert (await receive(other))["type"] == "error"
    await other.aclose()


FOREIGN = {"Host": "mutt.example", "Origin": "http://evil.example"}


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "unauthenticated"),
        ({"X-API-KEY": "wrong"}, 401, "unauthenticated"),
        ({"Cookie": "muttd_session=wrong"}, 401, "unauthenticated"),
        ({"X-API-KEY": KEYS[Role.INGEST]}, 403, "forbidden"),
        (FOREIGN | {"X-API-KEY": KEYS[Role.ADMIN]}, 403, "origin"),
    ],
)
async def test_a_stranger_is_refused(hub: Hub, headers: Headers, status: int, reason: str) -> None:
    answer = await refused(hub, headers)
    assert answer.status_code == status
    assert answer.body is not None
    assert json.loads(answer.body)["error"] == reason
    assert hub.value("muttd_live_refused_total", reason=reason) == 1


async def test_a_session_of_a_foreign_page_is_refused(hub: Hub) -> None:
    cookie, _ = await hub.site.sign_in(Role.VIEWER)
    assert (await refused(hub, cookie | FOREIGN)).status_code == 403


async def test_there_are_only_so_many_viewers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_VIEWERS", 1)
    connection = await hub.connect()
    assert (await refused(hub, {"X-API-KEY": KEYS[Role.VIEWER]})).status_code == 503
    await connection.aclose()


async def test_a_viewer_that_leaves_is_forgotten(hub: Hub) -> None:
    connection = await hub.connect()
    await connection.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert hub.value("muttd_live_viewers") == 0


async def test_a_message_over_the_limit_ends_the_viewer(hub: Hub) -> None:
    connection = await hub.connect()
    await connection.send_message("x" * (live.MAX_CLIENT_MESSAGE_OCTETS + 1))
    with pytest.raises(ConnectionClosed) as caught:
        await receive(connection, "what never comes")
    assert caught.value.reason is not None
    assert caught.value.reason.code == 1009


async def test_a_handshake_that_never_completes_is_given_up(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    # The clock may have jumped while the store was opened.
    started = trio.current_time()
    client = hub.stream({"X-API-KEY": KEYS[Role.VIEWER]})
    await client.send_all(b"GET / HTTP/1.1\r\n")
    assert await client.receive_some() == b""
    assert trio.current_time() - started == pytest.approx(live.HANDSHAKE_S, abs=1)


async def test_a_paused_viewer_is_pinged_now_and_then(
    hub: Hub, autojump_clock: trio.testing.MockClock
) -> None:
    started = trio.current_time()
    client = hub.stream({"X-API-KEY": KEYS[Role.VIEWER]})
    await client.send_all(HANDSHAKE)
    await trio.testing.wait_all_tasks_blocked()
    await client.send_all(b"\x81\x90\0\0\0\0" + b'{"type":"pause"}')
    await trio.sleep(0.5)
    await client.receive_some()
    assert await client.receive_some() == live.PING_FRAME
    assert trio.current_time() - started == pytest.approx(live.PING_S, abs=1)


HANDSHAKE = (
    f"GET {LIVE_PATH} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()


async def test_mutated_websocket_octets_raise_nothing(hub: Hub) -> None:
    """1 000 connections, seeded; a task that failed would end the test's nursery."""
    chance = random.Random(7)
    text = b'{"type":"filter","filter":{"q":"x"}}'
    frames = b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text
    frames += b"\x89\x80\0\0\0\0" + b"\x88\x82\0\0\0\0\x03\xe8"
    for _ in range(1000):
        octets = bytearray(HANDSHAKE + frames)
        first = chance.choice([0, len(HANDSHAKE)])
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(first, len(octets))
            octets[at : at + chance.randrange(3)] = bytes(
                chance.randrange(256) for _ in range(chance.randrange(3))
            )
        client = hub.stream({"X-API-KEY": KEYS[Role.VIEWER]})
        await client.send_all(octets)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert hub.value("muttd_live_viewers") == 0


@asynccontextmanager
async def _over_tcp(hub: Hub, send_timeout_s: float) -> AsyncIterator[int]:
    async def no_app(*_: Any) -> None:
        """Only the websocket is asked for."""

    options = HttpOptions(
        limits=HttpLimits(max_body_octets=1, send_timeout_s=send_timeout_s),
        metrics=HttpMetrics.register(CollectorRegistry()),
        websockets={LIVE_PATH: hub.hub.serve_viewer},
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, listeners, no_app, options)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_the_whole_way_over_tcp(hub: Hub) -> None:
    async with _over_tcp(hub, 10.0) as port, trio.open_nursery() as nursery:
        connection = await connect_websocket(
            nursery,
            "127.0.0.1",
            port,
            LIVE_PATH,
            use_ssl=False,
            extra_headers=[(b"X-API-KEY", KEYS[Role.VIEWER].encode())],
        )
        assert (await receive(connection))["type"] == "hello"
        hub.site.services.fanout.publish(Received([hub.site.an_event("over TCP")]))
        message = await receive(connection, "events")
        assert message["events"][0]["message"] == "over TCP"
        await connection.aclose()


async def test_a_viewer_that_does_not_read_is_cut_off(hub: Hub) -> None:
    fields = f"X-API-KEY: {KEYS[Role.VIEWER]}\r\n\r\n".encode()
    async with (
        _over_tcp(hub, 0.3) as port,
        await trio.open_tcp_stream("127.0.0.1", port) as stalled,
    ):
        await stalled.send_all(HANDSHAKE[:-2] + fields)
        await stalled.receive_some(10)
        big = [hub.site.an_event("x" * 60_000) for _ in range(3)]
        with trio.fail_after(20):
            while hub.value("muttd_live_cut_off_total") == 0:
                hub.site.services.fanout.publish(Received(big))
                await trio.testing.wait_all_tasks_blocked()
        assert hub.value("muttd_live_viewers") == 0
