"""The HTTP listener on real sockets: connection limits, large bodies, peers that do not read."""

from __future__ import annotations

import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from http_client import Client, EchoApp, Receive, Send, request
from prometheus_client import CollectorRegistry

from muttd.listeners.http import endpoints, serve_http
from muttd.listeners.http_options import (
    ASGIApp,
    HttpLimits,
    HttpMetrics,
    HttpOptions,
    WebsocketHandler,
)

MEBIBYTE = 1_048_576


class Site:
    """A listening server."""

    def __init__(self, port: int, registry: CollectorRegistry, nursery: trio.Nursery) -> None:
        self.port = port
        self.registry = registry
        self.nursery = nursery
        self.clients: list[Client] = []

    async def connect(self, host: str = "127.0.0.1") -> Client:
        """A new connection; closed at the end."""
        self.clients.append(Client(await trio.open_tcp_stream(host, self.port)))
        return self.clients[-1]

    def value(self, name: str, **labels: str) -> float:
        """A counter's value."""
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def listening(
    app: ASGIApp,
    limits: HttpLimits,
    websockets: dict[str, WebsocketHandler] | None = None,
) -> AsyncIterator[Site]:
    registry = CollectorRegistry()
    options = HttpOptions(
        limits=limits, metrics=HttpMetrics.register(registry), websockets=websockets or {}
    )
    sock = trio.socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    await sock.bind(("::", 0))
    sock.listen(100)
    port = sock.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, [trio.SocketListener(sock)], app, options)
        site = Site(port, registry, nursery)
        yield site
        nursery.cancel_scope.cancel()
    for client in site.clients:
        await client.stream.aclose()


LIMITS = HttpLimits(max_body_octets=10 * MEBIBYTE)


async def _wait_value(site: Site, wanted: float, name: str, **labels: str) -> None:
    with trio.fail_after(10):
        while site.value(name, **labels) != wanted:
            # The server runs in this very loop: let it.
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_peer_is_known_by_its_shortest_address(host: str) -> None:
    app = EchoApp()
    async with listening(app, LIMITS) as site:
        client = await site.connect(host)
        await client.send(request(b"x"))
        assert (await client.answer(b"POST")).status == 200
    assert app.scopes[0]["client"][0] == host
    assert app.scopes[0]["server"] == (host, site.port)


async def test_a_connection_over_the_limit_hears_503() -> None:
    async with listening(EchoApp(), HttpLimits(max_body_octets=1, max_connections=2)) as site:
        held = [await site.connect() for _ in range(2)]
        await _wait_value(site, 2, "muttd_http_connections")
        client = await site.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 503
        assert site.value("muttd_http_refused_total", reason="too_many_connections") == 1
        await held[0].stream.aclose()
        await _wait_value(site, 1, "muttd_http_connections")
        client = await site.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 200


async def test_one_peer_cannot_take_every_connection() -> None:
    limits = HttpLimits(max_body_octets=1, max_connections_per_peer=2)
    async with listening(EchoApp(), limits) as site:
        held = [await site.connect() for _ in range(2)]
        await _wait_value(site, 2, "muttd_http_connections")
        client = await site.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 503
        assert site.value("muttd_http_refused_total", reason="too_many_from_peer") == 1
        other = await site.connect("::1")
        await other.send(request())
        assert (await other.answer(b"POST")).status == 200
        assert len(held) == 2


async def test_a_peer_that_resets_costs_one_connection() -> None:
    async with listening(EchoApp(), LIMITS) as site:
        client = await site.connect()
        await client.send(request(b"x" * 100)[:-10])
        await _wait_value(site, 1, "muttd_http_connections")
        # Linger 0 makes close() a reset.
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await client.stream.aclose()
        await _wait_value(site, 0, "muttd_http_connections")
        client = await site.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 200


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_of_300_mb_is_refused_and_takes_no_memory(is_chunked: bool) -> None:
    size = 300_000_000
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % size
    app = EchoApp()
    async with listening(app, LIMITS) as site:
        client = await site.connect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await client.send(b"POST /x HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n")
        piece = b"x" * 100_000
        piece = b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _upload() -> None:
                for _ in range(size // 100_000):
                    await client.send(piece)

            answer = await client.answer(b"POST")
            nursery.cancel_scope.cancel()
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert app.bodies == []
    # The limit is 10 MiB; 64 is what the interpreter may do around it, 300 is the attack.
    assert grown_mb < 64


async def test_a_client_that_reads_last_still_sees_why_its_body_was_refused() -> None:
    async with listening(EchoApp(), LIMITS) as site:
        client = await site.connect()
        await client.send(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n")
        for _ in range(300):
            await client.send(b"x" * 100_000)
        assert (await client.answer(b"POST")).status == 413


async def _endless(scope: Any, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})


async def test_a_stalled_download_does_not_hold_up_the_end() -> None:
    async with listening(_endless, LIMITS) as site:
        clients = [await site.connect() for _ in range(5)]
        for client in clients:
            await client.send(request())
            assert await client.stream.receive_some(1) == b"H"
        # The server's sends fill the kernel's buffers and block.
        await _wait_blocked()
        started = trio.current_time()
        site.nursery.cancel_scope.cancel()
    assert trio.current_time() - started < 1


async def _wait_blocked() -> None:
    await trio.testing.wait_all_tasks_blocked(0.05)


async def test_a_stalled_download_is_cut_off_while_others_are_served() -> None:
    limits = HttpLimits(max_body_octets=1, send_timeout_s=0.3)
    echo = EchoApp()

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await (_endless if scope["path"] == "/endless" else echo)(scope, receive, send)

    async with listening(app, limits) as site:
        stalled = await site.connect()
        await stalled.send(request(path=b"/endless"))
        client = await site.connect()
        await client.send(request())
        assert (await client.answer(b"POST")).status == 200
        await _wait_value(site, 1, "muttd_http_requests_total", outcome="cut_off")
        await _wait_value(site, 1, "muttd_http_connections")


async def _large(scope: Any, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 20 * MEBIBYTE})


async def test_a_large_answer_reaches_a_slow_peer_whole() -> None:
    async with listening(_large, LIMITS) as site:
        client = await site.connect()
        for _ in range(2):
            await client.send(request())
            await _wait_blocked()
            assert (await client.answer(b"POST")).body == b"x" * 20 * MEBIBYTE


async def test_a_peer_that_does_not_read_its_answer_is_cut_off() -> None:
    async with listening(_large, HttpLimits(max_body_octets=1, send_timeout_s=0.3)) as site:
        client = await site.connect()
        await client.send(request())
        await _wait_value(site, 1, "muttd_http_requests_total", outcome="cut_off")
        await _wait_value(site, 0, "muttd_http_connections")


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_peer_that_leaves_in_mid_answer_is_counted_as_gone(is_reset: bool) -> None:
    async with listening(_large, LIMITS) as site:
        client = await site.connect()
        await client.send(request())
        assert await client.stream.receive_some(1) == b"H"
        if is_reset:
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await client.stream.aclose()
        await _wait_value(site, 1, "muttd_http_requests_total", outcome="gone")
        await _wait_value(site, 0, "muttd_http_connections")


async def test_requests_sent_in_advance_are_answered_in_order_beside_others() -> None:
    echo = EchoApp()
    async with listening(echo, LIMITS) as site:
        hasty, other = await site.connect(), await site.connect()
        bodies = [b"%d" % number for number in range(500)]
        await hasty.send(b"".join(map(request, bodies)))
        await other.send(request(b"other"))
        assert (await other.answer(b"POST")).body == b"got other"
        assert [(await hasty.answer(b"POST")).body for _ in bodies] == [b"got " + b for b in bodies]
        # Not after all of those of one peer.
        assert echo.bodies.index(b"other") < 400


async def test_a_websocket_peer_that_does_not_read_is_cut_off() -> None:
    causes: list[BaseException | None] = []

    async def websocket(stream: trio.abc.Stream, scope: Any) -> None:
        try:
            while True:
                await stream.send_all(b"x" * 100_000)
        except trio.BrokenResourceError as exc:
            causes.append(exc.__cause__)

    limits = HttpLimits(max_body_octets=1, send_timeout_s=0.3)
    async with listening(EchoApp(), limits, {"/ws": websocket}) as site:
        client = await site.connect()
        await client.send(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await _wait_value(site, 1, "muttd_http_connections")
        await _wait_value(site, 0, "muttd_http_connections")
    assert [type(cause) for cause in causes] == [trio.TooSlowError]


def test_a_stream_without_addresses_has_none() -> None:
    client, _ = trio.testing.memory_stream_pair()
    assert endpoints(client) == (None, None)
